"""``mainstream workloads``."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainstream.cli import options
from mainstream.cli.ending import interruptible
from mainstream.cli.progress import Bar
from mainstream.errors import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainstream.io import Problem, SolveOptions
    from mainstream.problem import App, Model, Video

app = typer.Typer(help="Make random problems, one or many.", rich_markup_mode=None, add_completion=False)
_LINES = ".jsonl"


@app.callback()
def _group() -> None:
    """Make random problems, one or many."""


@app.command("generate")
def generate(
    n: Annotated[
        int, typer.Option("--num-apps", "-n", metavar="N", help="How many apps a workload.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE.jsonl|yaml", help="Many workloads, or one as a problem file."),
    ],
    setups: Annotated[int, typer.Option(metavar="K", help="How many workloads.")] = 1,
    grid: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE.ini|yaml",
            help="Event parameters to choose from, in the published form; curves then go without noise.",
            show_default=False,
        ),
    ] = None,
    stream_fps: options.StreamFps = 10,
    seed: options.Seed = 0,
    chokepoints: Annotated[
        int, typer.Option("--num-chokepoints", metavar="N", help="Points of each accuracy curve, without --curve.")
    ] = 16,
    voting: Annotated[
        float | None,
        typer.Option(
            help="Share of the apps with x_vote: auto, the others have none to 3.",
            show_default="0.5; no votes with --config",
        ),
    ] = None,
    budget: options.Budget = None,
    utilisation: options.Utilisation = None,
    profile: options.ProfileFile = None,
    curve: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.csv",
            help="Measured curve, which apps get with noise, or with --config as it is; may be repeated.",
            show_default=False,
        ),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Write random workloads, the same for the same arguments.

    FILE.jsonl gets one problem a line, each with an id made from its content; FILE.yaml gets a single problem. Rates
    are whole numbers from 1 to --stream-fps. The base network is made up unless --profile names one, and the budget is
    1.5 times the smallest that has a schedule.
    """
    from mainstream.cli import console
    from mainstream.experiments.event_grid import load_event_grid
    from mainstream.experiments.workloads import workload, workloads_on_grid
    from mainstream.files import check_target
    from mainstream.io import SolveOptions, load_curve, load_profile, save_problem, save_workloads
    from mainstream.ranges import Range

    Range(1, 10**6, whole=True).check("--setups", setups)
    fps = int(stream_fps)
    if fps != stream_fps:
        raise ProblemError(f"--stream-fps {stream_fps:g}: it has to be a whole number")
    asked = SolveOptions.of({"budget": budget, "utilisation": utilisation}, where="command line")
    check_target(output)
    lines = output.suffix.lower() == _LINES
    if setups > 1 and not lines:
        raise ProblemError(f"{output}: {setups} workloads need a file that ends in {_LINES}; for one: --setups 1")
    model = None if profile is None else load_profile(profile)
    curves = [load_curve(file) for file in curve or []]

    made: Iterator[tuple[tuple[App, ...], Model, Video]]
    if grid is not None:
        if voting is not None:
            raise ProblemError("--voting has no use with --config, whose apps have no votes; leave it out")
        made = workloads_on_grid(load_event_grid(grid), curves, n, setups, seed=seed, stream_fps=fps, model=model)
    else:
        how: dict[str, Any] = {"chokepoints": chokepoints, "rates": fps, "model": model, "curves": curves}
        how["voting"] = 0.5 if voting is None else voting
        many = (workload(n, seed=seed + k, **how) for k in range(setups))
        made = ((one.objects(), one.model, one.video) for one in many)
    problems: list[Problem] = []
    with interruptible(), Bar(console.errors(quiet=quiet), "drawing apps and finding their budget", quiet=quiet) as bar:
        for parts in made:
            problems.append(_problem(*parts, asked))
            bar(len(problems) / setups)
        bar.next(f"writing {output}")
        if lines:
            save_workloads(problems, output)
            return
        save_problem(
            problems[0],
            output,
            profile=None if profile is None else os.path.relpath(profile, output.parent),
            comment=f"Written by: {shlex.join(['mainstream', *sys.argv[1:]])}",
        )


def _problem(apps: tuple[App, ...], model: Model, video: Video, asked: SolveOptions) -> Problem:
    from mainstream.experiments.workloads import workload_problem
    from mainstream.io import Problem

    if asked.utilisation is not None:
        return Problem(apps=apps, model=model, video=video, utilisation=asked.utilisation)
    return workload_problem(apps, model, video, asked.budget)
