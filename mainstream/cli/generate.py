"""``mainstream generate``."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    n: Annotated[int, typer.Argument(metavar="N", help="How many apps.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.yaml", help="Problem file to write.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same problem.")] = 0,
    chokepoints: Annotated[int, typer.Option(help="Points of each accuracy curve; not used with --curve.")] = 16,
    rates: Annotated[int, typer.Option(help="Frame rates: 1 to this, of a stream of so many frames a second.")] = 10,
    voting: Annotated[float, typer.Option(help="Share of the apps with x_vote: auto.")] = 0.5,
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
            metavar="FILE.csv", help="Measured curve, which apps get with noise; may be repeated.", show_default=False
        ),
    ] = None,
) -> None:
    """Write a random problem; the same arguments always write the same one."""
    from mainstream.experiments.workloads import hard_budget, workload
    from mainstream.io import Problem, load_curve, load_profile, save_problem

    made = workload(
        n,
        seed=seed,
        chokepoints=chokepoints,
        rates=rates,
        voting=voting,
        model=None if profile is None else load_profile(profile),
        curves=[load_curve(file) for file in curve or []],
    )
    if budget is None:
        budget = hard_budget(made.prepare())
    problem = Problem(apps=made.objects(), model=made.model, video=made.video, budget=budget)
    save_problem(
        problem,
        output,
        profile=None if profile is None else os.path.relpath(profile, output.parent),
        comment=f"Written by: {shlex.join(['mainstream', *sys.argv[1:]])}",
    )
