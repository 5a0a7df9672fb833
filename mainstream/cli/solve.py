"""``mainstream solve``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mainstream.cli import options
from mainstream.cli.ending import interrupted_line, interruptible
from mainstream.cli.exit_codes import INTERRUPTED
from mainstream.cli.json_file import check_json, put_json
from mainstream.cli.problem_file import ask
from mainstream.errors import InterruptedSearch

if TYPE_CHECKING:
    from mainstream.schedule import Result


def command(
    problem: options.ProblemFile,
    budget: options.Budget = None,
    utilisation: options.Utilisation = None,
    memory_mb: options.MemoryMb = None,
    objective: options.Objective = None,
    aggregate: options.Aggregate = None,
    mode: options.Mode = None,
    event_model: options.EventModel = None,
    method: options.Method = None,
    gap: options.Gap = None,
    time_limit: options.TimeLimit = None,
    memory_limit: options.MemoryLimit = None,
    json: options.Json = None,
    plot: options.Plot = None,
    quiet: options.Quiet = False,
    calibrated: options.Calibrated = True,
    store: options.StoreUrl = None,
) -> None:
    """Choose sharing and frame rate for each app, proven optimal.

    Flags override the problem file. Exit code 0 solved, 2 bad input, 3 no schedule fits the budget, 130 interrupted.
    """
    from mainstream.cli import console
    from mainstream.files import check_target, naming
    from mainstream.report.figures import check_picture, result_figure, save_figure

    flags = {
        "budget": budget,
        "utilisation": utilisation,
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
    errors, screen = console.errors(quiet=quiet), console.output(quiet=quiet, json=json)
    asked = ask(problem, flags, store=store, calibrated=calibrated, quiet=quiet)
    asked.needs_budget()
    models = asked.problem.models

    if plot is not None:
        check_target(check_picture(plot))
    check_json(json)
    title = f"{asked.title} on {', '.join(dict.fromkeys(model.name or 'the base network' for model in models))}"

    def show(result: Result) -> None:
        console.show_result(screen, result, title, models)
        put_json(result.to_dict, json)
        if plot is not None:
            prefixes = [stream.model.prefix for stream in prepared.of(result).streams]
            save_figure(result_figure(result, prefixes, title=title), plot)

    try:
        with interruptible(), naming(problem), console.Watch(errors, quiet=quiet) as watch:
            prepared = asked.prepare()
            result = prepared.solve(**asked.how(), progress=watch)
    except InterruptedSearch as interruption:
        if interruption.result is None:
            errors.print(interrupted_line("no schedule was found yet"))
        else:
            errors.print(interrupted_line("the best schedule so far:"))
            show(interruption.result)
        raise typer.Exit(INTERRUPTED) from None
    show(result)
