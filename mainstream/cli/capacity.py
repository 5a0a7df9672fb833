"""``mainstream capacity``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainstream.cli import options
from mainstream.cli.ending import interruptible
from mainstream.cli.exit_codes import INFEASIBLE
from mainstream.cli.problem_file import Asked, ask
from mainstream.errors import InfeasibleError, ProblemError
from mainstream.stream import capacity_of

if TYPE_CHECKING:
    from mainstream.solver.capacity import Capacity


def command(
    problem: options.ProblemFile,
    fps: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", help="Each app analyses so many frames a second, or more.", show_default=False),
    ] = None,
    min_f1: Annotated[
        float | None,
        typer.Option("--min-f1", metavar="NUMBER", help="Each app's F1 is this, or more.", show_default=False),
    ] = None,
    budget: options.Budget = None,
    utilisation: options.Utilisation = None,
    memory_mb: options.MemoryMb = None,
    time_limit: options.TimeLimit = None,
    json: options.Json = None,
    quiet: options.Quiet = False,
    calibrated: options.Calibrated = True,
    store: options.StoreUrl = None,
) -> None:
    """Tell whether apps fit a box, and how many more would.

    Without --fps and --min-f1 they do the least that the problem allows; without a budget they have all cores of the
    profile. More apps are copies of these, one after the other. All is predicted. Exit code 0 they fit, 2 bad input, 3
    they do not, as for solve; the answer is printed either way.
    """
    from mainstream.cli import console
    from mainstream.cli.json_file import check_json, put_json
    from mainstream.files import naming
    from mainstream.ranges import PARAMETERS

    console.errors(quiet=quiet)
    screen = console.output(quiet=quiet, json=json)
    check_json(json)
    for name, given in (("--fps", fps), ("--min-f1", min_f1)):
        if given is not None:
            PARAMETERS["min_fps" if name == "--fps" else "min_value"].check(name, given)
    flags = {"budget": budget, "utilisation": utilisation, "memory_mb": memory_mb, "time_limit": time_limit}
    asked = ask(problem, flags, store=store, calibrated=calibrated)
    allowed = _budget(asked)
    try:
        with interruptible(), naming(problem):
            found = _best(asked, allowed, fps, min_f1)
    except InfeasibleError as error:
        answer: dict[str, Any] = {"fits": False, "why": str(error).removeprefix(f"{problem}: "), "budget": allowed}
        lines = [f"fits        no: {answer['why']}"]
    else:
        answer = {**asdict(found), "fits": found.fits, "proven": found.proven}
        lines = [*_lines(found, asked)]
    for line in (f"{asked.title}, {_wanted(asked, fps, min_f1)}", *lines):
        screen.print(line, soft_wrap=True)
    put_json(lambda: {**answer, "min_fps": fps, "min_f1": min_f1}, json)
    if not answer["fits"]:
        raise typer.Exit(INFEASIBLE)


def _budget(asked: Asked) -> float:
    """The budget of the flag, else of the file, else of all the cores."""
    found = asked.options.get("budget", capacity_of(asked.problem.models))
    if found is None:
        raise ProblemError(f"{asked.file}: no budget, and no profile that says its cores; give --budget")
    return float(found)


def _best(asked: Asked, budget: float, fps: float | None, min_f1: float | None) -> Capacity:
    """The answer in the precision in which the most apps fit."""
    from mainstream.solver.capacity import capacity

    found, failure = [], None
    for one in asked.problem.by_precision.values():
        try:
            found.append(
                capacity(
                    one.to_solve(),
                    budget=budget,
                    min_fps=fps,
                    min_value=min_f1,
                    time_limit=asked.options.get("time_limit"),
                    **asked.what(),
                )
            )
        except InfeasibleError as error:
            failure = error
        else:
            if min_f1 is not None and found[-1].objective != "f1":
                raise ProblemError(
                    f"--min-f1: the apps' value is {found[-1].objective}; give each its min_value instead"
                )
    if not found:
        assert failure is not None
        raise failure
    return max(found, key=lambda one: (one.fits, one.more, -one.needs))


def _wanted(asked: Asked, fps: float | None, min_f1: float | None) -> str:
    if fps is None and min_f1 is None:
        mode = asked.options.get("mode", "mainstream")
        least = min(float(stream.video.rates(mode).min()) for stream in asked.problem.each)
        return f"each at the least that the problem allows (rates begin at {least:g} fps)"
    rate = "" if fps is None else f"at {fps:g} frames a second"
    value = "" if min_f1 is None else f"with F1 of {min_f1:g}"
    return f"each {' and '.join(filter(None, (rate, value)))} at least"


def _lines(found: Capacity, asked: Asked) -> Iterator[str]:
    from mainstream.cli.console import of_box
    from mainstream.solver.capacity import amount

    unit = f" {found.unit}/s" if found.unit else ""
    share = f"{found.needs / found.budget:.0%} of the budget"
    yield f"fits        {'yes' if found.fits else 'no'}"
    yield f"needs       {amount(found.needs)} of {amount(found.budget)}{unit}, {share}, predicted"
    box = of_box(found.needs, asked.problem.models)
    if box is not None:
        yield f"of the box  {box}"
    if found.apps > 1:
        name = f"{found.dearest} ({found.dearest_name})" if found.dearest_name else str(found.dearest)
        yield f"costs most  app {name}: {amount(found.dearest_saves)}{unit} less without it"
    if found.fits:
        yield f"more        {found.room}, {'proven for' if found.proven else 'with'} the predicted costs"
