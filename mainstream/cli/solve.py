"""``mainstream solve``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mainstream.errors import InterruptedSearch, ProblemError
from mainstream.problem import Aggregate, EventModel, Method, Mode, Objective

if TYPE_CHECKING:
    from mainstream.schedule import Result


def command(
    problem: Annotated[
        Path, typer.Argument(metavar="PROBLEM.yaml", help="Problem file, YAML or JSON.", show_default=False)
    ],
    budget: Annotated[
        float | None,
        typer.Option(help="Compute a second, in the latencies' unit; else the file's.", show_default=False),
    ] = None,
    objective: Annotated[
        Objective | None, typer.Option(help="What to maximise; else f1 where the apps allow it.", show_default=False)
    ] = None,
    aggregate: Annotated[
        Aggregate | None, typer.Option(help="Over the apps: their mean, or the smallest.", show_default="mean")
    ] = None,
    mode: Annotated[Mode | None, typer.Option(help="What may be shared.", show_default="mainstream")] = None,
    event_model: Annotated[
        EventModel | None, typer.Option(help="How frames become events.", show_default="windowed")
    ] = None,
    method: Annotated[Method | None, typer.Option(help="How to search.", show_default="auto")] = None,
    gap: Annotated[
        float | None, typer.Option(help="Stop when bound less objective is this.", show_default="1e-06")
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(help="Stop after so many seconds, with the best so far.", show_default="none")
    ] = None,
    json: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Save the result as JSON; - is stdout, with nothing else on it.", show_default=False
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print neither table nor progress nor warnings.")
    ] = False,
) -> None:
    """Choose sharing and frame rate for each app of a problem, proven optimal.

    Options left out are the problem file's, then the defaults. Exit code 0 solved, 2 bad input, 3 no schedule fits the
    budget, 130 interrupted.
    """
    from mainstream.cli import screen
    from mainstream.io import Options, load_problem
    from mainstream.solver import solve
    from mainstream.text import naming

    flags = {
        "budget": budget,
        "objective": objective,
        "aggregate": aggregate,
        "mode": mode,
        "event_model": event_model,
        "method": method,
        "gap": gap,
        "time_limit": time_limit,
    }
    given = Options.of(flags, where="command line").given()
    described = load_problem(problem)
    options = described.given() | given
    if "budget" not in options:
        raise ProblemError(f"{problem}: no budget; give 'budget' there or --budget")

    def show(result: Result) -> None:
        if not quiet and json != "-":
            title = f"{problem.name}: {len(described.apps)} apps on {described.model.name or 'the base network'}"
            screen.show_result(screen.console(), result, title)
        _save(result, json)

    errors = screen.console(stderr=True)
    screen.show_warnings(errors, quiet=quiet)
    try:
        with naming(problem), screen.Watch(errors) as watch:
            result = solve(
                described.apps, described.model, described.video, **options, progress=None if quiet else watch
            )
    except InterruptedSearch as interruption:
        from mainstream.cli import INTERRUPTED

        if interruption.result is None:
            errors.print("mainstream: interrupted before any schedule was found")
        else:
            errors.print("mainstream: interrupted; the best schedule so far:")
            show(interruption.result)
        raise typer.Exit(INTERRUPTED) from None
    show(result)


def _save(result: Result, file: str | None) -> None:
    from mainstream.io import save_result

    if file == "-":
        typer.echo(result.to_json())
    elif file is not None:
        save_result(result, file)
