"""``mainstream frontier``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainstream.cli import options
from mainstream.cli.ending import interrupted_line, interruptible, was_pressed
from mainstream.cli.exit_codes import INTERRUPTED
from mainstream.cli.json_file import STDOUT, check_json, put_json
from mainstream.cli.problem_file import ask
from mainstream.errors import InterruptedSearch, ProblemError
from mainstream.stream import capacity_of, unit_of

if TYPE_CHECKING:
    from rich.table import Table

    from mainstream.frontiers import Frontier


def command(
    problem: options.ProblemFile,
    budgets: Annotated[
        str | None,
        typer.Option(metavar="B,B,...", help="Budgets; else POINTS from the least to all.", show_default=False),
    ] = None,
    memory_mb: options.MemoryMb = None,
    points: Annotated[int, typer.Option(help="How many budgets, when they are not given.", min=1, max=100_000)] = 20,
    objective: options.Objective = None,
    aggregate: options.Aggregate = None,
    mode: options.Mode = None,
    event_model: options.EventModel = None,
    method: options.Method = None,
    gap: options.Gap = None,
    time_limit: options.TimeLimit = None,
    memory_limit: options.MemoryLimit = None,
    csv: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Save as CSV; - is stdout, with nothing else on it.", show_default=False),
    ] = None,
    json: options.Json = None,
    plot: options.Plot = None,
    quiet: options.Quiet = False,
    store: options.StoreUrl = None,
) -> None:
    """Show the best that each of several budgets can pay for.

    Without --budgets they go, in equal steps, from the smallest that has a schedule to the one beyond which nothing is
    gained. Flags override the problem file.
    """
    from mainstream.cli import console
    from mainstream.files import check_target, naming, write_text
    from mainstream.report import figures
    from mainstream.solver.budgets import useful_budgets

    flags = {
        "memory_mb": memory_mb,
        "objective": objective,
        "aggregate": aggregate,
        "mode": mode,
        "event_model": event_model,
        "method": method,
        "gap": gap,
        "time_limit": time_limit,
        "memory_limit": memory_limit,
    }
    asked = ask(problem, flags, without=["budget"], store=store, quiet=quiet)
    if plot is not None:
        check_target(figures.check_picture(plot))
    if csv == STDOUT and json == STDOUT:
        raise ProblemError("command line: --csv - and --json - both want stdout; give one of them a file")
    check_json(csv)
    check_json(json)
    errors, screen = console.errors(quiet=quiet), console.output(quiet=quiet or csv == STDOUT, json=json)
    with naming(problem):
        with interruptible():
            prepared = asked.prepare()
            wanted = useful_budgets(prepared, points) if budgets is None else _given(budgets)
        try:
            with interruptible(patient=True), console.Watch(errors, quiet=quiet) as watch:
                found = prepared.frontier(wanted, **asked.how(), progress=watch)
        except InterruptedSearch as interruption:
            if interruption.frontier is None:
                raise
            found = interruption.frontier
            errors.print(interrupted_line(f"{len(found.results):,} of {len(wanted):,} budgets are answered:"))
    models = asked.problem.models
    unit = unit_of(models)
    metric = _metric(found)
    screen.print(_table(found, metric, f"{unit}/s" if unit else ""))
    costs = [result.cost for result in found.results if result is not None]
    share = console.of_box(max(costs), models) if costs else None
    if share is not None:
        screen.print(f"largest cost: of the box {share}")
    if csv == STDOUT:
        typer.echo(found.to_csv(), nl=False)
    elif csv is not None:
        write_text(Path(csv), found.to_csv())
    put_json(lambda: _plain(found, metric, unit), json)
    if plot is not None:
        drawn = figures.FrontierCurve(found.budgets, found.objectives, found.bounds)
        marks = {"chosen": asked.problem.given().get("budget"), "capacity": capacity_of(models)}
        figure = figures.frontier_figure(drawn, metric=metric, unit=unit, title=asked.title, **marks)
        figures.save_figure(figure, plot)
    if was_pressed():
        raise typer.Exit(INTERRUPTED)


def _given(budgets: str) -> list[float]:
    try:
        return [float(word) for word in budgets.split(",")]
    except ValueError:
        raise ProblemError(f"--budgets: got {budgets!r}; it has to be numbers separated by commas") from None


def _metric(found: Frontier) -> str:
    for result in found.results:
        if result is not None:
            return f"{'smallest' if result.aggregate == 'min' else 'mean'} {result.metric}"
    return "objective"


def _plain(found: Frontier, metric: str, unit: str | None) -> dict[str, Any]:
    results = zip(found.budgets.tolist(), found.results, strict=True)
    points = [{"budget": budget, "result": None if one is None else one.to_dict()} for budget, one in results]
    return {"metric": metric, "unit": unit, "points": points}


def _table(found: Frontier, metric: str, unit: str) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    headings = [f"budget {unit}".strip(), metric, "bound", f"cost {unit}".strip(), "status", "seconds"]
    for heading in [*headings, *["precision"] * found.in_several_precisions]:
        table.add_column(heading, justify="right", no_wrap=True)
    for budget, result in zip(found.budgets.tolist(), found.results, strict=True):
        if result is None:
            table.add_row(f"{budget:.6g}", "-", "-", "-", "infeasible", "-")
        else:
            table.add_row(
                f"{budget:.6g}",
                f"{result.objective:.6f}",
                f"{result.bound:.6f}",
                f"{result.cost:.6g}",
                result.status,
                f"{result.runtime_s:.3g}",
                *[result.precision] * found.in_several_precisions,
            )
    return table
