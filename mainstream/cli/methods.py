"""``mainstream methods``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, get_args

import typer

from mainstream.errors import ProblemError
from mainstream.problem import Method

_EACH_S: Final = 60.0


def command(
    problem: Annotated[
        Path, typer.Argument(metavar="PROBLEM.yaml", help="Problem file, YAML or JSON.", show_default=False)
    ],
    budget: Annotated[
        float | None,
        typer.Option(help="Compute a second, in the latencies' unit; else the file's.", show_default=False),
    ] = None,
    time_limit: Annotated[float, typer.Option(help="Seconds for each method.")] = _EACH_S,
) -> None:
    """Every method side by side on one problem: objective, bound, loss against the best bound, time.

    Each runs twice and the second time counts, so that none pays for compiling or importing.
    """
    from rich.table import Table

    from mainstream.cli import console
    from mainstream.files import naming
    from mainstream.io import SolveOptions, load_problem
    from mainstream.solver import solve

    given = SolveOptions.of({"budget": budget, "time_limit": time_limit}, where="command line").given()
    described = load_problem(problem)
    options = {key: value for key, value in (described.given() | given).items() if key != "method"}
    if "budget" not in options:
        raise ProblemError(f"{problem}: no budget; give 'budget' there or --budget")
    methods = [m for m in get_args(Method) if options.get("aggregate") != "min" or not m.startswith("greedy")]
    errors = console.plain_console(stderr=True)
    console.show_warnings(errors, quiet=False)
    parts = (described.apps, described.model, described.video)
    with naming(problem):
        for method in methods:
            solve(*parts, **{**options, "time_limit": 1e-3}, method=method)
        results = [solve(*parts, **options, method=method) for method in methods]

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
    output = console.plain_console()
    output.print(f"{problem.name}: {len(described.apps)} apps, budget {options['budget']:g}; best bound {bound:.6f}")
    output.print(table)
