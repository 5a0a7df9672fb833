"""``mainstream evaluate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainstream.cli import options
from mainstream.cli.engine import engine_name, say_engine
from mainstream.cli.json_file import check_json, put_json
from mainstream.cli.label_options import box_regions
from mainstream.cli.problem_file import ask
from mainstream.errors import ProblemError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from mainstream.cli.problem_file import Asked
    from mainstream.evaluation.evaluate import Evaluated
    from mainstream.evaluation.live import LiveCheck
    from mainstream.schedule import Result


def command(
    problem: options.ProblemFile,
    video: Annotated[Path, typer.Option(metavar="CLIP", help="A labelled clip.", show_default=False)],
    labels: options.Labels,
    model_dir: options.ModelDir,
    versions: options.Versions = "mainstream",
    budget: options.Budget = None,
    utilisation: options.Utilisation = None,
    region: options.BoxRegions = None,
    inside: options.Inside = 0.5,
    engine: options.EngineName = None,
    trust_models: options.TrustModels = False,
    live: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="How long to run the first version at the clip's own pace, to compare."),
    ] = 5,
    seed: options.Seed = 0,
    json: options.Json = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.html", help="A report with pictures of events caught and missed."),
    ] = None,
    quiet: options.Quiet = False,
    calibrated: options.Calibrated = True,
    store: options.StoreUrl = None,
) -> None:
    """Run schedules on a labelled clip and score the apps.

    Shows each app's recall, precision and F1 per event, with 95 % intervals, beside what was predicted. All frames are
    there: none is dropped for lack of compute. Each part of a network runs once on a frame, however many schedules need
    it there. --live 0 leaves the run at the clip's own pace out. The JSON has the frames of each event missed.
    """
    from mainstream.cli import console
    from mainstream.evaluation.evaluate import evaluate
    from mainstream.evaluation.footage import Footage
    from mainstream.evaluation.labels import read_events
    from mainstream.evaluation.live import run_live
    from mainstream.evaluation.outputs import Outputs
    from mainstream.evaluation.page import evaluation_page
    from mainstream.evaluation.watched import Watched
    from mainstream.extensions import PART_LOADERS
    from mainstream.files import check_target, naming, write_text
    from mainstream.ranges import NON_NEGATIVE

    errors, screen = console.errors(quiet=quiet), console.output(quiet=quiet, json=json)
    NON_NEGATIVE.check("--live", live)
    if output is not None:
        check_target(output)
    check_json(json)
    asked = ask(problem, {"budget": budget, "utilisation": utilisation}, store=store, calibrated=calibrated)
    asked = asked.in_one_precision(lambda line: errors.print(f"mainstream: {line}"))
    with naming(problem):
        parts = asked.problem.camera
    clip = Footage.of(video)
    with naming(problem):
        watched = [Watched.of(app, model_dir) for app in parts.apps]
    regions = box_regions(region, inside, [one.label for one in watched])
    truth = read_events(labels, clip, watched, regions, inside)
    outputs = Outputs(clip, model_dir, PART_LOADERS.find(engine_name(engine)), trusted=trust_models)
    say_engine(errors.print, engine, [parts.model])
    if abs(clip.fps / parts.video.stream_fps - 1) > 0.01:
        errors.print(
            f"mainstream: {video} has {clip.fps:g} frames a second, the problem's stream {parts.video.stream_fps:g}: "
            "apps that are to run faster than the clip see all of its frames"
        )
    with naming(problem):
        schedules = _schedules(asked, versions)
    found = evaluate(schedules, watched, parts.model, clip, truth, outputs, seed=seed)
    first = next(iter(schedules.values()))
    checked = run_live(first, watched, parts.model, outputs, live) if live else None
    facts = f"{problem.name} on {video.name}: {clip.frames:,} frames, {clip.fps:g} a second"
    if output is not None:
        write_text(output, evaluation_page(facts, found, clip, checked))
    put_json(lambda: _plain(video, clip.frames, clip.fps, found, checked), json)
    screen.print(facts)
    show_versions(screen, found, asked.options["budget"])
    if checked is not None:
        screen.print(f"\n{checked}")


def show_versions(screen: Console, found: Mapping[str, Sequence[Evaluated]], budget: float) -> None:
    """A table for each version."""
    from mainstream.evaluation.evaluate import means

    for version, apps in found.items():
        metric, predicted, measured = means(apps)
        screen.print(
            f"\n{version}, budget {budget:g}: mean {metric} {predicted:.3f} predicted, {measured:.3f} measured"
        )
        screen.print(scores_table(apps))


def _schedules(asked: Asked, versions: str) -> dict[str, Result]:
    """Name of a version -> its schedule within the budget."""
    from mainstream.cli.experiment_input import words
    from mainstream.experiments.versions import Version, Workbench
    from mainstream.io import SolveOptions

    names = words(versions)
    if not names:
        raise ProblemError("--versions: there is none; leave it out, or name one")
    how = dict(asked.options)
    if names != ["mainstream"]:
        bench = Workbench(asked.problem.each, SolveOptions.of(how, where="command line"))
        chosen = [Version.of(name) for name in names]
        return {version.name: bench.solve(version, how["budget"]).result for version in chosen}
    return {"mainstream": asked.prepare().solve(**asked.how())}


def _plain(
    video: Path, frames: int, fps: float, found: Mapping[str, Sequence[Evaluated]], live: LiveCheck | None
) -> dict[str, Any]:
    from mainstream.evaluation.evaluate import means

    versions = []
    for name, apps in found.items():
        metric, predicted, measured = means(apps)
        mean = {"metric": metric, "predicted": predicted, "measured": measured}
        versions.append({"version": name, "mean": mean, "apps": [_frames(one) for one in apps]})
    plain = None if live is None else {"version": next(iter(found)), **live.to_dict()}
    return {"video": str(video), "frames": frames, "fps": fps, "live": plain, "versions": versions}


def _frames(one: Evaluated) -> dict[str, Any]:
    """An app, with the frames of the events that it missed and of its false alarms."""
    return one.to_dict() | {"missed": one.score.missed, "false_alarm_frames": list(one.score.alarms)}


def scores_table(apps: Sequence[Evaluated]) -> Table:
    """Each app's recall, precision and F1: predicted, and measured."""
    from rich.table import Table

    from mainstream.evaluation.evaluate import METRICS

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for heading in ("app", "fps", "votes", "caught", "metric", "predicted", "measured", "95 % interval", ""):
        left = heading in ("app", "metric", "")
        table.add_column(heading, justify="left" if left else "right", no_wrap=heading != "app")
    for one in apps:
        first = (
            one.watched.called,
            f"{one.choice.target_fps:g}",
            str(one.choice.x_vote or "-"),
            f"{one.score.hits} of {len(one.score.events)}",
        )
        for metric in METRICS:
            table.add_row(*(first if metric == METRICS[0] else ("",) * 4), metric, *one.cells(metric))
    return table
