"""``mainstream frontier``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mainstream.cli.ending import interruptible
from mainstream.cli.problem_file import ProblemFile, StoreUrl, ask
from mainstream.errors import ProblemError
from mainstream.extensions import EVENT_MODELS, METHODS
from mainstream.problem import Aggregate, Mode, Objective
from mainstream.stream import capacity_of, unit_of

if TYPE_CHECKING:
    from rich.table import Table

    from mainstream.schedule import Frontier


def command(
    problem: ProblemFile,
    budgets: Annotated[
        str | None,
        typer.Option(metavar="B,B,...", help="Budgets; else POINTS from the least to all.", show_default=False),
    ] = None,
    memory_mb: Annotated[
        float | None, typer.Option(help="Megabytes that the models may take; else the file's.", show_default=False)
    ] = None,
    points: Annotated[int, typer.Option(help="How many budgets, when they are not given.", min=1, max=100_000)] = 20,
    objective: Annotated[
        Objective | None, typer.Option(help="What to maximise; else the file's.", show_default=False)
    ] = None,
    aggregate: Annotated[
        Aggregate | None, typer.Option(help="Over the apps: their mean, or the smallest.", show_default="mean")
    ] = None,
    mode: Annotated[Mode | None, typer.Option(help="What may be shared.", show_default="mainstream")] = None,
    event_model: Annotated[
        str | None,
        typer.Option(
            metavar=f"<{'|'.join(EVENT_MODELS.built_in)}>",
            help="How frames become events; else measured where an app has what it takes, or windowed.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        str | None, typer.Option(metavar=f"<{'|'.join(METHODS.built_in)}>", help="How to search.", show_default="auto")
    ] = None,
    gap: Annotated[
        float | None, typer.Option(help="Stop when bound less objective is this.", show_default="1e-06")
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(help="Seconds for each budget, then the best so far.", show_default="none")
    ] = None,
    memory_limit: Annotated[
        float | None,
        typer.Option(help="Bytes that options and a search may take; else half of what is free.", show_default=False),
    ] = None,
    csv: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Save as CSV; - is stdout, with nothing else on it.", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png|svg", help="Save as a picture, with the knee.", show_default=False)
    ] = None,
    store: StoreUrl = None,
) -> None:
    """The best that each of several budgets can pay for.

    Without --budgets they go, in equal steps, from the smallest that has a schedule to the one beyond which nothing is
    gained.
    """
    from mainstream.cli import console
    from mainstream.files import check_target, naming, write_text
    from mainstream.report import figures
    from mainstream.result_text import plain_console
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
    asked = ask(problem, flags, without=["budget"], store=store)
    if plot is not None:
        check_target(figures.check_picture(plot))
    if csv not in (None, "-"):
        check_target(Path(str(csv)))
    errors = plain_console(stderr=True)
    console.show_warnings(errors, quiet=False)
    with interruptible(), naming(problem):
        prepared = asked.prepare()
        wanted = useful_budgets(prepared, points) if budgets is None else _given(budgets)
        with console.Watch(errors) as watch:
            found = prepared.frontier(wanted, **asked.how(), progress=watch)
    models = asked.problem.models
    unit = unit_of(models)
    metric = _metric(found)
    if csv == "-":
        typer.echo(found.to_csv(), nl=False)
    else:
        plain_console().print(_table(found, metric, f"{unit}/s" if unit else ""))
        if csv is not None:
            write_text(Path(csv), found.to_csv())
    if plot is not None:
        drawn = figures.FrontierCurve(found.budgets, found.objectives, found.bounds)
        marks = {"chosen": asked.problem.budget, "capacity": capacity_of(models)}
        figure = figures.frontier_figure(drawn, metric=metric, unit=unit, title=asked.title, **marks)
        figures.save_figure(figure, plot)


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
