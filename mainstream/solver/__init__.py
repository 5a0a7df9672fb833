"""solve() and frontier(): they wire the parts together and hold no algorithm.

numba takes a third of a second to import, so everything that needs it is imported in the call.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from mainstream.apps import Apps
from mainstream.description import one_of, shown
from mainstream.errors import InfeasibleError, InterruptedSearch, ProblemError
from mainstream.problem import Aggregate, App, EventModel, Method, Mode, Model, Objective, Video
from mainstream.schedule import Choice, Frontier, Result

if TYPE_CHECKING:
    from mainstream.solver.option_table import OptionTable
    from mainstream.solver.search import Outcome, Progress


def solve(
    apps: Apps | Iterable[App | Mapping[str, Any]],
    model: Model | Mapping[str, Any],
    video: Video | Mapping[str, Any],
    budget: float,
    *,
    objective: Objective | None = None,
    aggregate: Aggregate = "mean",
    mode: Mode = "mainstream",
    method: Method = "auto",
    event_model: EventModel = "windowed",
    gap: float = 1e-6,
    time_limit: float | None = None,
    warm_start: Result | Iterable[Choice] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Choose `num_frozen` and `target_fps` for each app so that together they catch the most events.

    Parameters
    ----------
    apps : Apps, or list of App or mapping
    model : Model or mapping
    video : Video or mapping
    budget : float
        Compute a second: layer latency x frames a second, summed.
    objective : {"f1", "recall", "precision"}, optional
        Default: f1 when every app has false positive rates and an event frequency, recall when none has.
    aggregate : {"mean", "min"}
        Weighted mean over the apps; or their smallest value first, then the mean among the schedules that reach it.
    mode : {"mainstream", "no-sharing", "max-sharing"}
        What may be shared: a choice for each app, nothing, or as much as each app can. Pins override it.
    method : {"auto", "branch-and-bound", "cp-sat", "greedy", "greedy-released"}
        "auto" is branch and bound; a small case that meets the search's limits is handed on to CP-SAT.
    event_model : {"windowed", "paper", "released"}
        How frames become events, see :mod:`mainstream.events`.
    gap : float
        Stop once bound - objective is at most this, in units of the objective.
    time_limit : float, optional
        Seconds after which the best schedule so far is returned with its bound.
    warm_start : Result or list of Choice, optional
        A schedule of a similar problem; its stem is tried first.
    progress : callable, optional
        Called about every 50 ms with a :class:`~mainstream.solver.search.Progress`.

    Returns
    -------
    Result

    Raises
    ------
    ProblemError
        Bad input, in one line: what, where, what is allowed.
    InfeasibleError
        Nothing fits; it carries the smallest budget that would do.
    InterruptedSearch
        Ctrl-C; it carries the best schedule so far.
    """
    started = perf_counter()
    _check(aggregate, method, gap, time_limit)
    _positive("budget", budget)

    from mainstream.solver.compilation import announced

    with announced():
        options = _options(apps, model, video, objective, mode, event_model)
        outcome, result = _answer(
            options, budget, method, aggregate, gap, time_limit, warm_start, progress, started=started
        )
    if outcome.interrupted:
        raise InterruptedSearch(result)
    return result


def frontier(
    apps: Apps | Iterable[App | Mapping[str, Any]],
    model: Model | Mapping[str, Any],
    video: Video | Mapping[str, Any],
    budgets: Iterable[float],
    *,
    objective: Objective | None = None,
    aggregate: Aggregate = "mean",
    mode: Mode = "mainstream",
    method: Method = "auto",
    event_model: EventModel = "windowed",
    gap: float = 1e-6,
    time_limit: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Frontier:
    """The best schedule for each of several budgets; each search starts from its neighbour's stem.

    Parameters
    ----------
    budgets : float iterable
        Compute a second; taken in increasing order, each once.
    time_limit : float, optional
        Seconds for each budget.
    apps, model, video, objective, aggregate, mode, method, event_model, gap, progress
        As for :func:`solve`.

    Returns
    -------
    Frontier

    Raises
    ------
    ProblemError, InterruptedSearch
        As :func:`solve`; a budget that nothing fits is no error, an app that no budget can satisfy is
        :class:`InfeasibleError`.
    """
    _check(aggregate, method, gap, time_limit)
    budgets = list(budgets)
    if not budgets:
        raise ProblemError("budgets: there is none; at least one is needed")
    for budget in budgets:
        _positive("budgets", budget)
    budgets = sorted(set(budgets))

    from mainstream.solver.compilation import announced

    results: list[Result | None] = []
    with announced():
        options = _options(apps, model, video, objective, mode, event_model)
        before: Result | None = None
        for budget in budgets:
            try:
                outcome, result = _answer(options, budget, method, aggregate, gap, time_limit, before, progress)
            except InfeasibleError:
                results.append(None)
                continue
            if outcome.interrupted:
                raise InterruptedSearch(result)
            results.append(result)
            before = result
    return Frontier(np.array(budgets, dtype=np.float64), tuple(results))


def _options(
    apps: Apps | Iterable[App | Mapping[str, Any]],
    model: Model | Mapping[str, Any],
    video: Video | Mapping[str, Any],
    objective: Objective | None,
    mode: Mode,
    event_model: EventModel,
) -> OptionTable:
    """What each app may choose; everything that the user described is checked here."""
    if objective is not None:
        one_of("objective", objective, get_args(Objective))
    one_of("mode", mode, get_args(Mode))
    one_of("event_model", event_model, get_args(EventModel))
    columns, model, video = Apps.of(apps), Model.of(model), Video.of(video)
    columns.check(model, video, mode)
    metric = objective_of(columns, objective)

    from mainstream.solver.option_table import OptionTable

    return OptionTable.build(columns, model, video, metric=metric, mode=mode, event_model=event_model)


def _answer(
    table: OptionTable,
    budget: float,
    method: Method,
    aggregate: Aggregate,
    gap: float,
    time_limit: float | None,
    warm_start: Result | Iterable[Choice] | None,
    progress: Callable[[Progress], None] | None,
    started: float | None = None,
) -> tuple[Outcome, Result]:
    """Search, and put what was found in the user's words."""
    from mainstream.solver.methods import maximise
    from mainstream.solver.search import Limits

    started = perf_counter() if started is None else started
    limits = Limits(gap, math.inf if time_limit is None else time_limit, started, progress)
    outcome = maximise(table, budget, limits, method, aggregate, table.staircases(warm_start))
    schedule = table.schedule(outcome.cells)
    mean = float(table.share @ schedule.value)
    fair = aggregate == "min"
    value = float(schedule.value.min()) if fair else mean
    return outcome, Result(
        schedule=schedule,
        status="optimal" if outcome.finished else "feasible",
        objective=value,
        bound=max(value, outcome.bound),
        budget=float(budget),
        metric=table.metric,
        aggregate=aggregate,
        mode=table.mode,
        event_model=table.event_model,
        method=outcome.method,
        runtime_s=perf_counter() - started,
        nodes=outcome.nodes,
        unit=table.model.unit,
        mean=mean if fair else None,
        mean_bound=max(mean, outcome.mean_bound) if fair and outcome.mean_bound is not None else None,
    )


def objective_of(apps: Apps, objective: Objective | None) -> Objective:
    """What to maximise when the caller leaves it open, or whether the apps have what the asked one needs.

    Parameters
    ----------
    apps : Apps
    objective : {"f1", "recall", "precision"}, optional
        What was asked for.

    Raises
    ------
    ProblemError
        Some apps have false positive rates and an event frequency and some have not, or the asked objective needs
        them where they are missing.
    """
    complete = apps.has_precision
    if objective is None:
        if complete.all():
            return "f1"
        if not complete.any():
            return "recall"
        raise ProblemError(
            f"objective: app {apps.id_list(~complete)} lacks false_positive_rates or event_frequency, the others have "
            "both; give them to every app, or ask for objective 'recall'"
        )
    if objective != "recall" and not complete.all():
        i = int((~complete).argmax())
        missing = " and ".join(apps.missing_for_precision(i))
        raise ProblemError(f"objective {objective!r}: app {apps.id_list(~complete)}: missing {missing}")
    return objective


def _check(aggregate: str, method: str, gap: float, time_limit: float | None) -> None:
    one_of("aggregate", aggregate, get_args(Aggregate))
    one_of("method", method, get_args(Method))
    if not _is_number(gap) or gap < 0:
        raise ProblemError(f"gap: got {shown(gap)}; it has to be a finite number, 0 or more")
    if time_limit is not None:
        _positive("time_limit", time_limit)


def _positive(name: str, given: float) -> None:
    if not _is_number(given) or given <= 0:
        raise ProblemError(f"{name}: got {shown(given)}; it has to be a finite number greater than 0")


def _is_number(given: Any) -> bool:
    real = isinstance(given, int | float | np.integer | np.floating) and not isinstance(given, bool)
    return real and bool(abs(given) <= sys.float_info.max)
