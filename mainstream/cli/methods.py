"""``mainstream methods``."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Final

import typer

from mainstream.cli.problem_file import ProblemFile, StoreUrl, ask
from mainstream.errors import OutOfTimeError
from mainstream.extensions import METHODS

_EACH_S: Final = 60.0


def command(
    problem: ProblemFile,
    budget: Annotated[
        float | None,
        typer.Option(help="Compute a second, in the latencies' unit; else the file's.", show_default=False),
    ] = None,
    time_limit: Annotated[float, typer.Option(help="Seconds for each method.")] = _EACH_S,
    store: StoreUrl = None,
) -> None:
    """Every method side by side on one problem: objective, bound, loss against the best bound, time.

    Each runs twice and the second time counts, so that none pays for compiling or importing.
    """
    from rich.table import Table

    from mainstream.cli import console
    from mainstream.files import naming
    from mainstream.result_text import plain_console

    asked = ask(problem, {"budget": budget, "time_limit": time_limit}, without=["method"], store=store)
    asked.needs_budget()
    methods = [name for name in METHODS if asked.options.get("aggregate", "mean") in METHODS[name].aggregates]
    errors = plain_console(stderr=True)
    console.show_warnings(errors, quiet=False)
    with naming(problem):
        for method in methods:
            with suppress(OutOfTimeError):
                asked.prepare().solve(**asked.how("time_limit"), time_limit=1e-3, method=method)
        # Each compiles the problem for itself: that is a part of the time that a user waits.
        results = [asked.prepare().solve(**asked.how(), method=method) for method in methods]

    bound = min(result.bound for result in results)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for heading in ("method", "objective", "bound", "loss %", "status", "seconds"):
        table.add_column(heading, justify="left" if heading == "method" else "right", no_wrap=True)
    for method, result in zip(methods, results, strict=True):
        loss = 100 * (bound - result.objective) / bound if bound > 0 else 0.0
        table.add_row(
            method,
            f"{result.objective:.6f}",
            f"{result.bound:.6f}",
            f"{max(loss, 0.0):.4f}",
            result.status,
            f"{result.runtime_s:.4g}",
        )
    output = plain_console()
    output.print(f"{asked.title}, budget {asked.options['budget']:g}; best bound {bound:.6f}")
    output.print(table)
