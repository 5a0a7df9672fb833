"""``mainstream run``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainstream.cli import event_options, options, page_options, runtime_options
from mainstream.cli.engine import engine_name, say_engine
from mainstream.cli.exit_codes import FAILED
from mainstream.cli.log import Log, LogForm
from mainstream.cli.problem_file import ask
from mainstream.cli.run_cameras import HERE_OR_THERE
from mainstream.errors import DeployError, ProblemError
from mainstream.files import naming

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mainstream.box.box import Read
    from mainstream.box.changes import AddedApp
    from mainstream.io import Problem


def command(
    problem: options.ProblemFile,
    source: options.Sources = None,
    model_dir: options.MaybeModelDir = None,
    streamer: options.Streamers = None,
    curve_keys: options.CurveKeys = None,
    timeout: options.Timeout = 60,
    integer_fps: options.IntegerFps = False,
    budget: options.Budget = None,
    utilisation: options.Utilisation = None,
    once: options.Once = False,
    window: options.Window = 60,
    engine: options.EngineName = None,
    trust_models: options.TrustModels = False,
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
    page: page_options.Page = None,
    tls_cert: page_options.TlsCert = None,
    tls_key: page_options.TlsKey = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]LABELS",
            help="For --page: what the video shows, as for deploy, to measure F1; with NAME= for that stream.",
            show_default=False,
        ),
    ] = None,
    region: options.BoxRegions = None,
    inside: options.Inside = 0.5,
    seed: options.Seed = 0,
    log: runtime_options.LogAs = LogForm.TEXT,
    quiet: options.Quiet = False,
    calibrated: options.Calibrated = True,
    store: options.StoreUrl = None,
) -> None:
    """Solve, run and watch in one process, until it is ended.

    The problem file is read again when it changes, and its plan takes the place of the one before between two frames;
    likewise when the camera has another rate. When the apps do not fit, a line says what would have to give, and the
    plan before goes on. Ctrl-C or SIGTERM ends it.

    It runs here with -m, or with --streamer where a runtime is already. --state also keeps what the page changes.
    """
    from mainstream.box.box import Box
    from mainstream.box.file_watch import FileWatch
    from mainstream.box.making_ready import making_ready
    from mainstream.cli.ending import end_in_time, leave
    from mainstream.cli.rates import live_rates
    from mainstream.cli.run_cameras import check_same_places, described_and_places, open_here, open_there
    from mainstream.cli.run_labels import live_scores, scores_of
    from mainstream.result_text import plain_console

    errors = plain_console(stderr=True)
    said = Log(log, errors, quiet=quiet)
    flags_here = {
        "-m": model_dir,
        "--engine": engine,
        "--results": results,
        "--metrics": metrics,
        "--state": None if page else state,
        "--events": events,
    }
    _check_place(source, streamer, model_dir, flags_here)
    watch = FileWatch(problem)
    key, given = ("streamer", streamer) if model_dir is None else ("source", source)
    places: dict[str | None, str] = {}
    read = _reader(
        problem,
        {"budget": budget, "utilisation": utilisation},
        model_dir,
        {"store": store, "calibrated": calibrated, "quiet": quiet},
        engine,
        said.say_new,
        lambda now: check_same_places(places, key, given, now),
    )

    kept = page_options.PageSettings(page, tls_cert, tls_key, state, events)
    with naming("command line"):
        made = event_options.event_settings(events, event_gap_ms, clips, mqtt, webhook, keep_days, keep_gb)
    described, found = described_and_places(read, state, key, given)
    places |= found
    with naming("command line"):
        scores = live_scores(labels, described, places, model_dir, (region, inside, seed), page=page is not None)
    end_in_time()
    try:
        with naming("command line"):
            if model_dir is None:
                runtime = open_there(places, timeout_s=timeout, integer_fps=integer_fps, curve_keys=curve_keys)
            else:
                runtime = open_here(
                    places,
                    model_dir,
                    described,
                    loop=not once,
                    events=made,
                    metrics=metrics,
                    state=state,
                    window_s=window,
                    engine=engine_name(engine),
                    trust_models=trust_models,
                    threads=threads,
                    results=results,
                    tellers=kept.tellers(places),
                )
        with ExitStack() as opened:
            opened.enter_context(runtime)
            box = Box(read, watch, runtime, kept.saying(said.say), kept.changes, kept.keep)
            opened.callback(box.close)
            opened.enter_context(kept.site(box, model_dir, scores_of(box, scores)))
            box.start()
            for camera in box.cameras[:1]:
                if camera.local is not None and model_dir is not None:
                    opened.enter_context(making_ready(camera.local.loader, model_dir, trusted=trust_models))
            local = {one.name: one.local for one in box.cameras if one.local is not None}
            with live_rates(local, errors, quiet=quiet):
                box.run()
    except KeyboardInterrupt:
        said.say("ended")
        leave()
    except DeployError as error:
        said.fail(f"mainstream: {error}")
        raise typer.Exit(FAILED) from None
    said.say("ended: the source has no more frames")


def _reader(
    file: Path,
    flags: Mapping[str, Any],
    model_dir: Path | None,
    how: Mapping[str, Any],
    engine: str | None,
    say: Callable[[str], None],
    check: Callable[[Problem], None],
) -> Read:
    """A function that reads the problem again, checks it, and says which precision and engine it uses."""
    from mainstream.box.wanted import Wanted

    def read(added: Sequence[AddedApp]) -> Wanted:
        more = [one.in_folder(model_dir) for one in added] if model_dir is not None else []
        asked = ask(file, flags, more=more, **how)
        check(asked.problem)
        asked = asked.in_one_precision(say)
        say_engine(say, engine, asked.problem.models if model_dir is not None else ())
        return Wanted(asked.problem, asked.options["budget"], asked.what(), asked.how())

    return read


def _check_place(
    source: list[str] | None, streamer: list[str] | None, model_dir: Path | None, flags_here: Mapping[str, object]
) -> None:
    here = [name for name, value in flags_here.items() if value is not None]
    if source is not None and model_dir is None:
        raise ProblemError("command line: --source needs -m, the folder of the models")
    if streamer is not None and source is not None:
        raise ProblemError(f"command line: {HERE_OR_THERE}")
    if here and (streamer is not None or model_dir is None):
        raise ProblemError(f"command line: {here[0]} is for a runtime in this process; the one there has its own")
