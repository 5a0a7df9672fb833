"""``mainstream simulate``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainstream.cli import options
from mainstream.cli.ending import interruptible
from mainstream.cli.json_file import check_json, put_json
from mainstream.cli.problem_file import ask
from mainstream.cli.progress import Bar

if TYPE_CHECKING:
    from rich.table import Table

    from mainstream.experiments.simulate import Replay
    from mainstream.schedule import Result


def command(
    problem: options.ProblemFile,
    budget: options.Budget = None,
    utilisation: options.Utilisation = None,
    frames: Annotated[int, typer.Option(help="Analysed frames to draw for each app, about.")] = 1_000_000,
    seed: options.Seed = 0,
    decay: Annotated[
        bool, typer.Option("--decay", help="Let the correlation decay with the distance of frames.")
    ] = False,
    decay_unit: Annotated[
        float, typer.Option(help="With --decay: over so many stream frames it is what the app says.")
    ] = 1.0,
    json: options.Json = None,
    quiet: options.Quiet = False,
    store: options.StoreUrl = None,
) -> None:
    """Compare predictions with events drawn frame by frame.

    Solves the problem, then shows each app's recall, precision and F1 as predicted and as simulated, with 95 %
    intervals. With --decay, frames d stream frames apart correlate with the app's correlation to the power d / unit, as
    those of apps that have a correlation_fps always do; a second table says how far each event model is then off, and
    how far without decay. Precision is counted in windows of the event's length, which is not how event model "paper"
    counts.
    """
    from mainstream.cli import console
    from mainstream.experiments.simulate import check_draw, simulate_schedule
    from mainstream.files import naming

    check_draw(frames, seed, decay_unit if decay else None)
    check_json(json)
    errors, screen = console.errors(quiet=quiet), console.output(quiet=quiet, json=json)
    asked = ask(problem, {"budget": budget, "utilisation": utilisation}, store=store, quiet=quiet)
    asked.needs_budget()
    with naming(problem), interruptible(), console.Watch(errors, quiet=quiet) as watch:
        prepared = asked.prepare()
        result = prepared.solve(**asked.how(), progress=watch)

    units = [None, decay_unit] if decay else [None]
    replays: list[Replay] = []
    with Bar(errors, "drawing frames", quiet=quiet) as bar:

        def drawn(share: float) -> None:
            bar((len(replays) + share) / len(units))

        for unit in units:
            of_result = prepared.of(result)
            replays.append(
                simulate_schedule(result, of_result, frames=frames, seed=seed, decay_unit=unit, progress=drawn)
            )
    steady, *decayed = replays
    shown = decayed[0] if decayed else steady
    screen.print(f"{problem.name}: {int(shown.simulated.frames.sum()):,} frames drawn, seed {seed}")
    screen.print(_apps(result, shown))
    if len(result.choices) > _LISTED:
        screen.print(f"... and {len(result.choices) - _LISTED:,} more apps")
    screen.print(_agreement(result.event_model, shown))
    if decayed and result.event_model != "measured":
        screen.print(_agreement("measured", shown))
    if decayed:
        screen.print()
        screen.print(_distances(steady, decayed[0]))
    put_json(lambda: _plain(result, shown, seed), json)


def _plain(result: Result, replay: Replay, seed: int) -> dict[str, Any]:
    """What was predicted and simulated for each app; None if there was nothing to count."""

    def number(value: float) -> float | None:
        return None if math.isnan(value) else float(value)

    apps = []
    for k, choice in enumerate(result.choices):
        metrics = {}
        for metric in ("recall", "precision", "f1"):
            value, low, high = (number(part[k]) for part in getattr(replay.simulated, metric))
            predicted = getattr(choice, metric)
            metrics[metric] = {"predicted": predicted, "simulated": value, "interval": [low, high]}
        apps.append({"app_id": choice.app_id, "target_fps": choice.target_fps, **metrics})
    frames = int(replay.simulated.frames.sum())
    return {"frames": frames, "seed": seed, "event_model": result.event_model, "apps": apps}


_LISTED = 10
"""How many apps the table shows, three lines each."""


def _columns(*headings: str) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for heading in headings:
        left = heading in ("metric", "event model", "")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    return table


def _apps(result: Result, replay: Replay) -> Table:
    table = _columns("app", "fps", "votes", "metric", "predicted", "simulated", "95 % interval", "")
    for k, choice in enumerate(result.choices[:_LISTED]):
        first = (str(choice.app_id), f"{choice.target_fps:g}", "-" if choice.x_vote is None else str(choice.x_vote))
        for metric in ("recall", "precision", "f1"):
            predicted = getattr(choice, metric)
            if predicted is None:
                continue
            value, low, high = (float(part[k]) for part in getattr(replay.simulated, metric))
            interval = "nothing to count" if math.isnan(value) else f"{low:.4f} to {high:.4f}"
            outside = "outside" if predicted < low or predicted > high else ""
            table.add_row(
                *(first if metric == "recall" else ("",) * 3),
                metric,
                f"{predicted:.4f}",
                "-" if math.isnan(value) else f"{value:.4f}",
                interval,
                outside,
            )
    return table


def _agreement(event_model: str, replay: Replay) -> str:
    within = of = 0
    for metric in ("recall", "precision", "f1"):
        predicted = getattr(replay.predicted[event_model], metric)
        estimate = getattr(replay.simulated, metric)
        of += len(estimate.value) - int(sum(map(math.isnan, estimate.value)))
        within += int(((predicted >= estimate.low) & (predicted <= estimate.high)).sum())
    return f"{event_model}: {within:,} of {of:,} predictions are in their interval"


def _distances(steady: Replay, decayed: Replay) -> Table:
    table = _columns("event model", "metric", "off, mean", "largest", "without decay, mean", "largest")
    for now, before in zip(decayed.off(), steady.off(), strict=True):
        table.add_row(
            now.event_model,
            now.metric,
            *(f"{distance:.4f}" for distance in (now.mean, now.largest, before.mean, before.largest)),
        )
    return table
