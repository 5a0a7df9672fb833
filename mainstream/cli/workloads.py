"""``mainstream workloads``."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainstream.errors import ProblemError

if TYPE_CHECKING:
    from mainstream.io import Problem

app = typer.Typer(
    help="Random problems, one or many.", rich_markup_mode=None, no_args_is_help=False, add_completion=False
)
_LINES = ".jsonl"


@app.callback()
def _group() -> None:
    """Random problems, one or many."""


@app.command("generate")
def generate(
    n: Annotated[int, typer.Option("--apps", "-n", metavar="N", help="How many apps a workload.", show_default=False)],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE.jsonl|yaml", help="Many workloads, or one as a problem file."),
    ],
    setups: Annotated[int, typer.Option(metavar="K", help="How many workloads.")] = 1,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.ini|yaml",
            help="Event parameters to choose from, in the published form; curves then go without noise.",
            show_default=False,
        ),
    ] = None,
    stream_fps: Annotated[
        int, typer.Option(metavar="F", help="Frames a second of the stream; rates are 1 to this.")
    ] = 10,
    seed: Annotated[int, typer.Option(help="The same seed gives the same workloads.")] = 0,
    chokepoints: Annotated[int, typer.Option(help="Points of each accuracy curve; not used with --curve.")] = 16,
    voting: Annotated[
        float | None,
        typer.Option(
            help="Share of the apps with x_vote: auto, the others have none to 3.",
            show_default="0.5; no votes with --config",
        ),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="Default: 1.5 times the smallest that has a schedule.", show_default=False)
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Measured base network; else a made-up one.", show_default=False),
    ] = None,
    curve: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.csv",
            help="Measured curve, which apps get with noise; may be repeated. With --config: as it is.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write random workloads; the same arguments always write the same ones.

    FILE.jsonl gets one problem a line, each with an id made from its content; FILE.yaml gets a single problem.
    """
    from mainstream.experiments.event_grid import load_event_grid
    from mainstream.experiments.workloads import workload, workload_problem, workloads_on_grid
    from mainstream.files import check_target
    from mainstream.io import load_curve, load_profile, save_problem, save_workloads
    from mainstream.ranges import Range

    Range(1, 10**6, whole=True).check("--setups", setups)
    check_target(output)
    lines = output.suffix.lower() == _LINES
    if setups > 1 and not lines:
        raise ProblemError(f"{output}: {setups} workloads need a file that ends in {_LINES}; for one: --setups 1")
    model = None if profile is None else load_profile(profile)
    curves = [load_curve(file) for file in curve or []]

    problems: list[Problem]
    if config is not None:
        if voting is not None:
            raise ProblemError("--voting has no use with --config, whose apps have no votes; leave it out")
        made = workloads_on_grid(
            load_event_grid(config), curves, n, setups, seed=seed, stream_fps=stream_fps, model=model
        )
        problems = [workload_problem(*parts, budget) for parts in made]
    else:
        how: dict[str, Any] = {"chokepoints": chokepoints, "rates": stream_fps, "model": model, "curves": curves}
        how["voting"] = 0.5 if voting is None else voting
        many = (workload(n, seed=seed + k, **how) for k in range(setups))
        problems = [workload_problem(one.objects(), one.model, one.video, budget) for one in many]
    if lines:
        save_workloads(problems, output)
        return
    save_problem(
        problems[0],
        output,
        profile=None if profile is None else os.path.relpath(profile, output.parent),
        comment=f"Written by: {shlex.join(['mainstream', *sys.argv[1:]])}",
    )
