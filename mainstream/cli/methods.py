"""``mainstream methods``."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import typer

from mainstream.cli import options
from mainstream.cli.ending import interrupted_line, interruptible, was_pressed
from mainstream.cli.exit_codes import INTERRUPTED
from mainstream.cli.json_file import check_json, put_json
from mainstream.cli.problem_file import ask
from mainstream.cli.progress import Bar
from mainstream.errors import OutOfTimeError

if TYPE_CHECKING:
    from mainstream.schedule import Result


def command(
    problem: options.ProblemFile,
    budget: options.Budget = None,
    utilisation: options.Utilisation = None,
    time_limit: options.TimeLimit = "60",
    json: options.Json = None,
    quiet: options.Quiet = False,
    store: options.StoreUrl = None,
) -> None:
    """Compare all methods on one problem.

    The table has the objective of each, its bound, its loss against the best bound, and its time. Each runs twice and
    the second time counts, so that none pays for compiling or importing.
    """
    from rich.table import Table

    from mainstream.cli import console
    from mainstream.extensions import METHODS
    from mainstream.files import naming

    check_json(json)
    errors, screen = console.errors(quiet=quiet), console.output(quiet=quiet, json=json)
    flags = {"budget": budget, "utilisation": utilisation, "time_limit": time_limit}
    asked = ask(problem, flags, without=["method"], store=store, quiet=quiet)
    asked.needs_budget()
    methods = [name for name in METHODS if asked.options.get("aggregate", "mean") in METHODS[name].aggregates]
    results: dict[str, Result] = {}
    with naming(problem):
        with interruptible(), Bar(errors, "warming up", quiet=quiet):
            for method in methods:
                with suppress(OutOfTimeError):
                    asked.prepare().solve(**asked.how("time_limit"), time_limit=1e-3, method=method)
        try:
            with interruptible(patient=True), Bar(errors, "methods", quiet=quiet) as bar:
                for number, method in enumerate(methods, start=1):
                    bar.next(f"{method}, {number} of {len(methods)}")
                    # Each method compiles the problem anew, since a user waits for that, too.
                    results[method] = asked.prepare().solve(**asked.how(), method=method)
        except KeyboardInterrupt:
            if not results:
                raise
            errors.print(interrupted_line(f"{len(results)} of {len(methods)} methods have come to their end:"))

    bound = min(result.bound for result in results.values())
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for heading in ("method", "objective", "bound", "loss %", "status", "seconds"):
        table.add_column(heading, justify="left" if heading == "method" else "right", no_wrap=True)
    for method, result in results.items():
        loss = 100 * (bound - result.objective) / bound if bound > 0 else 0.0
        table.add_row(
            method,
            f"{result.objective:.6f}",
            f"{result.bound:.6f}",
            f"{max(loss, 0.0):.4f}",
            result.status,
            f"{result.runtime_s:.4g}",
        )
    screen.print(f"{asked.title}, budget {asked.options['budget']:g}; best bound {bound:.6f}")
    screen.print(table)
    share = console.of_box(asked.options["budget"], asked.problem.models)
    if share is not None:
        screen.print(f"budget: of the box {share}")
    rows = results.items()
    put_json(lambda: {"bound": bound, "methods": [{"method": name, **one.to_dict()} for name, one in rows]}, json)
    if was_pressed():
        raise typer.Exit(INTERRUPTED)
