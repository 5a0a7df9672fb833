"""``mainstream run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mainstream.cli import event_options, page_options, runtime_options
from mainstream.cli.engine import EngineName, engine_name, say_engine
from mainstream.cli.exit_codes import FAILED
from mainstream.cli.log import Log, LogForm
from mainstream.cli.plan import Budget, IntegerFps
from mainstream.cli.problem_file import Calibrated, ProblemFile, StoreUrl, ask
from mainstream.errors import DeployError, ProblemError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainstream.box.changes import AddedApp
    from mainstream.streamer import LocalRunner, StreamerClient


def command(
    problem: ProblemFile,
    source: Annotated[
        str | None,
        typer.Option(metavar="FILE|URI", help="The camera: rtsp://, /dev/videoN, a clip, test://.", show_default=False),
    ] = None,
    model_dir: Annotated[
        Path | None,
        typer.Option("-m", "--model-dir", metavar="DIR", help="Folder of the models.", show_default=False),
    ] = None,
    streamer: Annotated[
        str | None,
        typer.Option(
            metavar="tcp://HOST:PORT", help="Drive the runtime there, in place of one here.", show_default=False
        ),
    ] = None,
    curve_keys: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keys for a runtime that answers known clients only.", show_default=False),
    ] = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="How long to wait for its answer.")] = 60,
    integer_fps: IntegerFps = False,
    budget: Budget = None,
    once: runtime_options.Once = False,
    window: Annotated[float, typer.Option(metavar="SECONDS", help="How long is measured each time.")] = 60,
    engine: EngineName = None,
    trust_models: runtime_options.TrustModels = False,
    threads: runtime_options.Threads = None,
    results: runtime_options.Results = None,
    events: event_options.Events = None,
    event_gap_ms: event_options.EventGap = event_options.GAP_MS,
    clips: event_options.Clips = None,
    mqtt: event_options.Mqtt = None,
    webhook: event_options.Webhooks = None,
    keep_days: event_options.KeepDays = event_options.KEEP_DAYS,
    keep_gb: event_options.KeepGb = event_options.KEEP_GB,
    metrics: runtime_options.Metrics = None,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep the last good plan there, which runs when the problem cannot, and what the page changes.",
            show_default=False,
        ),
    ] = None,
    page: page_options.Page = None,
    tls_cert: page_options.TlsCert = None,
    tls_key: page_options.TlsKey = None,
    log: Annotated[LogForm, typer.Option(help="How to say what happens, on stderr.")] = LogForm.TEXT,
    calibrated: Calibrated = True,
    store: StoreUrl = None,
) -> None:
    """Solve, run, watch: one process, until it is ended.

    The problem file is read again when it changes, and its plan takes the place of the one before between two frames;
    likewise when the camera has another rate. What does not fit is said, with what would have to give, and the plan
    before goes on. Ctrl-C or SIGTERM ends it.
    """
    from contextlib import ExitStack, nullcontext

    from mainstream.box.box import Box
    from mainstream.box.file_watch import FileWatch
    from mainstream.box.wanted import Wanted
    from mainstream.cli.ending import end_in_time, leave
    from mainstream.cli.rates import live_rates
    from mainstream.files import naming
    from mainstream.result_text import plain_console
    from mainstream.streamer import LocalRunner, StreamerClient

    errors = plain_console(stderr=True)
    said = Log(log, errors)
    here = {
        "-m": model_dir,
        "--engine": engine,
        "--results": results,
        "--metrics": metrics,
        "--state": None if page else state,
        "--events": events,
    }
    _check_place(source, streamer, [name for name, value in here.items() if value is not None], model_dir)
    watch = FileWatch(problem)

    def read(added: Sequence[AddedApp]) -> Wanted:
        asked = ask(
            problem,
            {"budget": budget},
            store=store,
            calibrated=calibrated,
            more=[one.in_folder(model_dir) for one in added] if model_dir is not None else (),
        )
        with naming(problem):
            asked.problem.camera  # noqa: B018  # refuses several streams
        asked = asked.in_one_precision(said.say_new)
        say_engine(said.say_new, engine, asked.problem.models if model_dir is not None else ())
        return Wanted(asked.problem, asked.options["budget"], asked.what(), asked.how())

    kept = page_options.PageSettings(page, tls_cert, tls_key, state, events)
    with naming("command line"):
        made = event_options.event_settings(events, event_gap_ms, clips, mqtt, webhook, keep_days, keep_gb)
    if state is None:  # where no plan is kept there is no use in starting an engine for a problem that is none
        read(())
    end_in_time()
    try:
        with naming("command line"):
            runtime: LocalRunner | StreamerClient
            if source is not None and model_dir is not None:
                runtime = LocalRunner(
                    source,
                    model_dir,
                    window_s=window,
                    loop=not once,
                    engine=engine_name(engine),
                    trust_models=trust_models,
                    threads=threads,
                    results=results,
                    events=made,
                    tellers=kept.tellers,
                    metrics=metrics,
                    state=state,
                )
            else:
                runtime = StreamerClient(streamer or "", timeout, integer_fps=integer_fps, curve_keys=curve_keys)
        with ExitStack() as opened:
            opened.enter_context(runtime)
            box = Box(read, watch, runtime, kept.saying(said.say), kept.changes, kept.keep)
            opened.callback(box.close)
            opened.enter_context(kept.site(box, runtime, model_dir))
            box.start()
            with live_rates(runtime, errors) if isinstance(runtime, LocalRunner) else nullcontext():
                box.run()
    except KeyboardInterrupt:
        said.say("ended")
        leave()
    except DeployError as error:
        said.say(f"mainstream: {error}")
        raise typer.Exit(FAILED) from None
    said.say("ended: the source has no more frames")


def _check_place(source: str | None, streamer: str | None, here: list[str], model_dir: Path | None) -> None:
    if (source is None) == (streamer is None):
        raise ProblemError("command line: give either --source and -m, to run here, or --streamer")
    if source is not None and model_dir is None:
        raise ProblemError("command line: --source needs -m, the folder of the models")
    if streamer is not None and here:
        raise ProblemError(f"command line: {here[0]} is for a runtime in this process; the one there has its own")
