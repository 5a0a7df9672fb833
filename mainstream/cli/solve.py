"""``mainstream solve``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from mainstream.cli.ending import interruptible
from mainstream.cli.problem_file import Calibrated, ProblemFile, StoreUrl, ask
from mainstream.description import Description
from mainstream.errors import InterruptedSearch, ProblemError
from mainstream.extensions import EVENT_MODELS, METHODS
from mainstream.problem import Aggregate, Mode, Model, Objective
from mainstream.ranges import Share
from mainstream.stream import capacity_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainstream.schedule import Result


def _option(words: str, *, metavar: str = "NUMBER", default: str | bool = False) -> Any:
    """An option as text: :class:`~mainstream.io.SolveOptions` checks it as it checks the file's."""
    return typer.Option(metavar=metavar, help=words, show_default=default)


class _Load(Description):
    utilisation: Share


def _budget(models: Sequence[Model], utilisation: str) -> float:
    """Milliseconds of compute a second that a share of the device's cores has."""
    load = _Load.of({"utilisation": utilisation}, where="command line")
    capacity = capacity_of(models)
    if capacity is None:
        all_of = "the profile has to say its cores" if len(models) == 1 else "all profiles have to say the same cores"
        raise ProblemError(f"--utilisation: {all_of} and unit 'ms'; give --budget instead")
    return capacity * load.utilisation


def _one_of(allowed: Any) -> str:
    return "|".join(get_args(allowed) or allowed)


def command(
    problem: ProblemFile,
    budget: Annotated[str | None, _option("Compute a second, in the latencies' unit; else the file's.")] = None,
    utilisation: Annotated[
        str | None, _option("Instead of a budget: share of the profile's cores, with latencies in ms.")
    ] = None,
    memory_mb: Annotated[
        str | None, _option("Megabytes that the models may take; else the file's.", default="no limit")
    ] = None,
    objective: Annotated[
        str | None, _option("What to maximise; else f1 where the apps allow it.", metavar=_one_of(Objective))
    ] = None,
    aggregate: Annotated[str | None, _option("Over the apps.", metavar=_one_of(Aggregate), default="mean")] = None,
    mode: Annotated[str | None, _option("What may be shared.", metavar=_one_of(Mode), default="mainstream")] = None,
    event_model: Annotated[
        str | None,
        _option(
            "How frames become events; else measured where an app has what it takes, or windowed.",
            metavar=_one_of(EVENT_MODELS.built_in),
        ),
    ] = None,
    method: Annotated[str | None, _option("How to search.", metavar=_one_of(METHODS.built_in), default="auto")] = None,
    gap: Annotated[str | None, _option("Stop when bound less objective is this.", default="1e-06")] = None,
    time_limit: Annotated[
        str | None, _option("Stop after so many seconds, with the best so far.", default="none")
    ] = None,
    memory_limit: Annotated[
        str | None,
        _option("Bytes that options and search may take; else half of what is free.", default=False),
    ] = None,
    json: Annotated[
        str | None, _option("Save the result as JSON; - is stdout, with nothing else on it.", metavar="FILE")
    ] = None,
    plot: Annotated[
        str | None, _option("Save a picture of the schedule; needs matplotlib.", metavar="FILE.png|svg")
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print neither table nor progress nor warnings.")
    ] = False,
    calibrated: Calibrated = True,
    store: StoreUrl = None,
) -> None:
    """Choose sharing and frame rate for each app of a problem, proven optimal.

    Options left out are the problem file's, then the defaults. Exit code 0 solved, 2 bad input, 3 no schedule fits the
    budget, 130 interrupted.
    """
    from mainstream.cli import console
    from mainstream.files import check_target, naming
    from mainstream.report.figures import check_picture, result_figure, save_figure
    from mainstream.result_text import plain_console

    flags = {
        "budget": budget,
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
    errors = plain_console(stderr=True)
    console.show_warnings(errors, quiet=quiet)
    asked = ask(problem, flags, store=store, calibrated=calibrated)
    models = asked.problem.models
    if utilisation is not None:
        if budget is not None:
            raise ProblemError("command line: --budget and --utilisation say the same; give one of them")
        asked = replace(asked, options={**asked.options, "budget": _budget(models, utilisation)})
    asked.needs_budget()

    if plot is not None:
        check_target(check_picture(plot))
    if json not in (None, "-"):
        check_target(Path(str(json)))
    title = f"{asked.title} on {', '.join(dict.fromkeys(model.name or 'the base network' for model in models))}"

    def show(result: Result) -> None:
        if not quiet and json != "-":
            console.show_result(plain_console(), result, title)
        _save(result, json)
        if plot is not None:
            prefixes = [stream.model.prefix for stream in prepared.of(result).streams]
            save_figure(result_figure(result, prefixes, title=title), plot)

    try:
        with interruptible(), naming(problem), console.Watch(errors) as watch:
            prepared = asked.prepare()
            result = prepared.solve(**asked.how(), progress=None if quiet else watch)
    except InterruptedSearch as interruption:
        from mainstream.cli.exit_codes import INTERRUPTED

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
