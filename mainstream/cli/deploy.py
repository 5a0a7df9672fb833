"""``mainstream deploy``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainstream.cli import options
from mainstream.cli.ending import interrupted_line, keeping
from mainstream.cli.engine import engine_name, say_engine
from mainstream.cli.exit_codes import INTERRUPTED
from mainstream.cli.plan import plans_of_problem, written
from mainstream.cli.problem_file import ask
from mainstream.errors import InterruptedLoop, ProblemError
from mainstream.files import naming
from mainstream.ranges import SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from mainstream.cli.deploy_screen import Shown
    from mainstream.cli.live_labels import LiveLabels
    from mainstream.history import History
    from mainstream.io import Problem
    from mainstream.scheduler import Scheduler


def command(
    problem: options.ProblemFile,
    streamer: options.Streamers = None,
    local: options.Local = False,
    source: options.Sources = None,
    model_dir: options.MaybeModelDir = None,
    engine: options.EngineName = None,
    budget: options.Budget = None,
    utilisation: options.Utilisation = None,
    one_round: Annotated[bool, typer.Option("--one-round", help="End after one round, whatever came of it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the first plan as JSON and send nothing.")] = False,
    json: options.Json = None,
    quiet: options.Quiet = False,
    save_profile: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json", help="Save the profile as corrected by the compute measured.", show_default=False
        ),
    ] = None,
    integer_fps: options.IntegerFps = False,
    labels: options.MaybeLabels = None,
    region: options.BoxRegions = None,
    inside: options.Inside = 0.5,
    seed: options.Seed = 0,
    window: options.Window = 30,
    timeout: options.Timeout = 60,
    retries: options.Retries = 0,
    curve_keys: options.CurveKeys = None,
    calibrated: options.Calibrated = True,
    store: options.StoreUrl = None,
) -> None:
    """Solve, run the plan on a Streamer, and solve again.

    Each round solves with what the last one found. Rates are observed. Compute is measured where the runtime tells it;
    the profile is then corrected by it. Ends when rates are within a fifth, by their cost, and compute within 5 % of
    what was predicted, after 10 rounds, or when going on is of no use; the last line says which.

    Where neither flags nor file say it, Streamer is at tcp://localhost:5555. With --local, --labels have events
    measured; those of a camera are CSV start_s,end_s,label, in seconds since 1970.
    """
    flags = {"budget": budget, "utilisation": utilisation}
    if dry_run:
        _check_dry_run(json, save_profile, labels)
        plans = plans_of_problem(problem, flags, store, calibrated=calibrated, quiet=quiet)
        typer.echo(written(plans, tree=False, integer_fps=integer_fps))
        return

    from mainstream.cli import console
    from mainstream.cli.deploy_screen import Shown
    from mainstream.cli.runtimes import opened
    from mainstream.cli.stream_options import by_stream
    from mainstream.files import check_target
    from mainstream.scheduler import Scheduler
    from mainstream.streamer import LocalRunner
    from mainstream.streamer.client import DEFAULT_ADDRESS

    for path in (save_profile, json):
        if path is not None and path != "-":
            check_target(Path(path))
    check_flags(local, streamer, source, model_dir, curve_keys, window, engine, in_file=True)
    _check_label_flags(labels, region, local)
    errors, screen = console.errors(quiet=quiet), console.output(quiet=quiet, json=json)
    asked = ask(problem, flags, store=store, calibrated=calibrated)
    with naming("command line"):
        if save_profile is not None and any(model != asked.problem.models[0] for model in asked.problem.models):
            raise ProblemError("--save-profile writes one profile, and the streams have several base networks")
        key, given, usual = ("source", source, None) if local else ("streamer", streamer, DEFAULT_ADDRESS)
        places = by_stream(key, given, usual, asked.problem.each)
    asked = asked.in_one_precision(errors.print)
    described = asked.problem
    how = dict(asked.options)
    first_budget = how.pop("budget")
    live = None
    if labels is not None and model_dir is not None:
        live = _live_labels(problem, labels, described, places, model_dir, (region, inside, seed))
    with naming("command line"):
        here = {"model_dir": model_dir, "window_s": window, "engine": engine_name(engine)} if local else None
        there = {"timeout_s": timeout, "retries": retries, "curve_keys": curve_keys}
        deployer = opened(places, here, there)
    if live is not None and isinstance(deployer, LocalRunner):
        deployer.listeners.append(live.decided.heard)
    say_engine(errors.print, engine, described.models if local else ())
    with deployer:
        shown = Shown(deployer, screen, errors, window, described.models, integer_fps=integer_fps, quiet=quiet)
        with naming(problem):
            scheduler = Scheduler(described.to_solve(), deployer=shown, max_rounds=1 if one_round else 10, **how)
            history = _rounds(scheduler, first_budget, shown, local=local)
    if not one_round:
        screen.print(f"ended      {history.reason}, after {len(history)} round{'' if len(history) == 1 else 's'}")
    _tell(history, live, screen, json, save_profile)


def _rounds(scheduler: Scheduler, budget: float, shown: Shown, *, local: bool) -> History:
    try:
        with keeping(lambda: "the last plan may go on running" if shown.rounds and not local else ""):
            return scheduler.run(budget, progress=shown.round)
    except InterruptedLoop as interruption:
        shown.errors.print(interrupted_line())
        return interruption.history


def _check_dry_run(json: str | None, save_profile: Path | None, labels: Path | None) -> None:
    if save_profile is not None or labels is not None:
        raise ProblemError("command line: --dry-run measures nothing; leave --save-profile and --labels out")
    if json is not None:
        raise ProblemError("command line: --dry-run prints the plan and has no rounds to save; leave --json out")


def _tell(history: History, live: LiveLabels | None, screen: Console, json: str | None, profile: Path | None) -> None:
    """Score the last plan if there are labels; then write the files that were asked for, whatever the scores are."""
    if history.reason == "interrupted":
        with suppress(ProblemError):  # nothing was corrected yet
            _save(history, {}, json, profile)
        raise typer.Exit(INTERRUPTED)
    more: dict[str, Any] = {}
    try:
        if live is not None:
            scored = live.scored(history[-1].result)
            more["labels"] = live.to_dict(scored)
            live.show(scored, screen)
    finally:
        _save(history, more, json, profile)


def _live_labels(
    problem: Path,
    labels: Path,
    described: Problem,
    places: Mapping[str | None, str],
    model_dir: Path,
    how: tuple[list[str] | None, float, int],
) -> LiveLabels:
    from mainstream.cli.live_labels import LiveLabels
    from mainstream.evaluation.watched import Watched

    if None not in places:
        raise ProblemError("--labels is for one camera; leave `streams` out of the problem")
    with naming(problem):
        watched = [Watched.of(app, model_dir) for app in described.apps]
    return LiveLabels.of(labels, places[None], watched, *how)


def _save(history: History, more: Mapping[str, Any], json: str | None, profile: Path | None) -> None:
    """Write the files that were asked for; there may be no corrected profile."""
    from mainstream.cli.deploy_screen import why_uncorrected
    from mainstream.cli.json_file import put_json
    from mainstream.io import save_profile

    put_json(lambda: {**history.to_dict(), **more}, json)
    if profile is None:
        return
    if not any(one.factor for one in history):
        raise ProblemError(f"{profile}: not written, the profile was not corrected: {why_uncorrected(history[-1])}")
    save_profile(history.profile, profile)


def _check_label_flags(labels: Path | None, region: list[str] | None, local: bool) -> None:
    with naming("command line"):
        if labels is None and region:
            raise ProblemError("--region says where boxes of --labels count; give both")
        if labels is not None and not local:
            raise ProblemError("--labels is for --local; a Streamer does not tell what its apps decide")


def check_flags(
    local: bool,
    streamer: str | list[str] | None,
    source: str | list[str] | None,
    model_dir: Path | None,
    curve_keys: Path | None,
    window: float,
    engine: str | None = None,
    *,
    in_file: bool = False,
) -> None:
    """Refuse flags of a runtime that do not go together; the source may be in the problem file (`in_file`)."""
    with naming("command line"):
        SECONDS.check("--window", window)
        if local and streamer:
            raise ProblemError("--local and --streamer are two places to run at; give one of them")
        if local and (not (source or in_file) or model_dir is None):
            raise ProblemError("--local needs --source and -m, the video and the folder of the models")
        if not local and (source or model_dir is not None):
            raise ProblemError("--source and -m are for --local; a Streamer has its own")
        if not local and engine is not None:
            raise ProblemError("--engine is for --local; a Streamer has its own")
        if local and curve_keys is not None:
            raise ProblemError("--curve-keys is for a Streamer; with --local there is nobody to keep out")
