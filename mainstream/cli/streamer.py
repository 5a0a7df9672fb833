"""``mainstream streamer``."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import Annotated

import typer

from mainstream.cli import event_options, options, runtime_options
from mainstream.cli.engine import engine_name, that_runs
from mainstream.cli.exit_codes import FAILED
from mainstream.cli.log import Log, LogForm
from mainstream.errors import DeployError, ProblemError


def command(
    model_dir: options.ModelDir,
    config_dir: Annotated[
        Path | None,
        typer.Option(
            "-C", "--config-dir", metavar="DIR", help="Folder of cameras.toml and models.toml.", show_default=False
        ),
    ] = None,
    camera: Annotated[
        str | None, typer.Option(metavar="NAME", help="A camera of cameras.toml.", show_default=False)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "-n",
            "--model",
            metavar="NAME",
            help="A model of models.toml; plans must have its size.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|URI", help="The video: a clip, rtsp://, /dev/videoN or test://.", show_default=False
        ),
    ] = None,
    once: options.Once = False,
    bind: Annotated[
        str, typer.Option(metavar="tcp://HOST:PORT", help="Where to listen for plans.")
    ] = "tcp://127.0.0.1:5555",
    window: options.Window = 30,
    engine: options.EngineName = None,
    trust_models: options.TrustModels = False,
    load_timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long a new plan may take to be loaded and tried.")
    ] = 60,
    load_memory: Annotated[float, typer.Option(metavar="GB", help="Memory that it may take while it is tried.")] = 2,
    memory: Annotated[
        float | None,
        typer.Option(
            metavar="GB",
            help="Memory that the server may take beyond what it starts with; else what is free then.",
            show_default=False,
        ),
    ] = None,
    threads: options.Threads = None,
    results: runtime_options.Results = None,
    events: event_options.Events = None,
    event_gap_ms: event_options.EventGap = event_options.GAP_MS,
    clips: event_options.Clips = None,
    mqtt: event_options.Mqtt = None,
    webhook: event_options.Webhooks = None,
    keep_days: event_options.KeepDays = event_options.KEEP_DAYS,
    keep_gb: event_options.KeepGb = event_options.KEEP_GB,
    metrics: runtime_options.Metrics = None,
    state: options.State = None,
    curve_keys: options.CurveKeys = None,
    log: runtime_options.LogAs = LogForm.TEXT,
    quiet: options.Quiet = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen to other machines without keys: whoever reaches it sends plans.")
    ] = False,
) -> None:
    """Run net plans on a camera or clip, as a Streamer does.

    Stands in for Streamer's mainstream_server: takes a plan, runs it, measures, and answers with the frame rates that
    its apps reached. The plan goes on running until the next one takes its place. Ctrl-C or SIGTERM ends it.
    """
    from mainstream.cli.ending import end_in_time, leave
    from mainstream.cli.rates import live_rates
    from mainstream.files import naming
    from mainstream.formats.streamer_config import camera_of
    from mainstream.result_text import plain_console
    from mainstream.streamer.memory import GIGABYTES, free_memory, limit_memory
    from mainstream.streamer.runner import LocalRunner
    from mainstream.streamer.server import Server

    if (source is None) == (camera is None):
        raise ProblemError("command line: give either --source, or --camera and its -C CONFIG_DIR")
    errors = plain_console(stderr=True)
    said = Log(log, errors, quiet=quiet)
    end_in_time()
    try:
        with naming("command line"):
            if memory is not None:
                GIGABYTES.check("memory", memory)
            runner = LocalRunner(
                source or camera_of(_config(config_dir), camera or "").video_uri,
                model_dir,
                window_s=window,
                loop=not once,
                size=None if model is None else _size(_config(config_dir), model),
                engine=engine_name(engine),
                trust_models=trust_models,
                threads=threads,
                results=results,
                events=event_options.event_settings(events, event_gap_ms, clips, mqtt, webhook, keep_days, keep_gb),
                metrics=metrics,
                state=state,
            )
            with (
                runner,
                Server(
                    runner,
                    bind,
                    curve_keys=curve_keys,
                    insecure=insecure,
                    load_timeout_s=load_timeout,
                    load_memory_gb=load_memory,
                ) as server,
                live_rates({None: runner}, errors, quiet=quiet),
            ):
                limit_memory(free_memory() if memory is None else round(memory * 2**30))
                runs = f"; engine {that_runs(engine)}" if engine == "auto" else ""
                said.say(f"listening at {server.address}; the source has {runner.stream_fps:g} fps{runs}")
                Thread(target=runner.restore, name="mainstream-restore", daemon=True).start()
                server.serve()
    except KeyboardInterrupt:
        said.say("ended")
        leave()
    except DeployError as error:
        said.fail(f"mainstream: {error}")
        raise typer.Exit(FAILED) from None
    said.say("ended: the source has no more frames")


def _config(config_dir: Path | None) -> Path:
    if config_dir is None:
        raise ProblemError("--camera and -n need -C, the folder of cameras.toml and models.toml")
    return config_dir


def _size(config_dir: Path, name: str) -> tuple[int, int]:
    from mainstream.formats.streamer_config import model_of

    model = model_of(config_dir, name)
    return model.input_height, model.input_width
