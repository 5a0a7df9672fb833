"""The solver: ``solve()`` for one answer, ``prepare()`` for more than one of the same or a similar problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mainstream.apps import Apps
from mainstream.extensions import EventModel, Method
from mainstream.frontiers import Frontier
from mainstream.problem import Aggregate, App, Mode, Model, Objective, Video
from mainstream.schedule import Choice, Result
from mainstream.solver.prepared import Prepared, prepare
from mainstream.solver.progress import Progress
from mainstream.stream import Stream

__all__ = ["Prepared", "frontier", "prepare", "solve"]


def solve(
    apps: Apps | Iterable[App | Mapping[str, Any] | Stream],
    model: Model | Mapping[str, Any] | None = None,
    video: Video | Mapping[str, Any] | None = None,
    budget: float | None = None,
    *,
    memory_mb: float | None = None,
    objective: Objective | None = None,
    aggregate: Aggregate = "mean",
    mode: Mode = "mainstream",
    method: str | Method = "auto",
    event_model: str | EventModel | None = None,
    gap: float = 1e-6,
    time_limit: float | None = None,
    memory_limit: float | None = None,
    warm_start: Result | Iterable[Choice] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Choose `num_frozen` and `target_fps` for each app so that together they catch the most events.

    Several streams can have one budget: ``solve([Stream(apps, model, video), ...], budget=...)``. Streams are cameras,
    regions of a picture, or base networks, which cannot share layers with each other.

    Parameters
    ----------
    apps : Apps, or list of App or mapping, or list of Stream
        Each `app_id` may occur only once in all streams.
    model : Model or mapping
        Leave this and `video` out when you give streams.
    video : Video or mapping
    budget : float
        Compute a second: layer latency x frames a second, summed.
    memory_mb : float, optional
        Megabytes that the models may take. The layers of a stem count once, those of the tail for each app. The models
        need `layer_memory_mb`.
    objective : {"f1", "recall", "precision"}, optional
        By default f1 when every app has false positive rates and an event frequency, and recall when none has.
    aggregate : {"mean", "min"}
        "mean" maximises the weighted mean over the apps. "min" maximises their smallest value first, then the mean
        among the schedules that reach it.
    mode : {"mainstream", "no-sharing", "max-sharing"}
        What may be shared: a choice for each app, nothing, or as much as each app can. Pins override it.
    method : str or Method
        "auto", "branch-and-bound", "cp-sat", "greedy", "greedy-released", or another one of
        :data:`mainstream.extensions.METHODS`. "auto" is branch and bound; after some seconds CP-SAT joins it in a
        process of its own.
    event_model : str or EventModel, optional
        How frames become events: "windowed", "measured", "paper", "released", or another one of
        :data:`mainstream.extensions.EVENT_MODELS`; see :mod:`mainstream.events`. By default "measured" if an app has
        `correlation_fps`, `false_correlations`, `accuracy_spread` or `event_lengths_ms`, else "windowed".
    gap : float
        Stop once bound - objective is at most this, in units of the objective.
    time_limit : float, optional
        Seconds after which the best schedule so far is returned with its bound. The time that the first solve takes to
        compile does not count.
    memory_limit : float, optional
        Bytes that options and search may take; when they are used up, the best schedule so far is returned, too. By
        default the options may take all that is free, and the search half of what is then left.
    warm_start : Result or list of Choice, optional
        A schedule of a similar problem; its stem is tried first. It helps when a time limit ends the search, but seldom
        saves time, as the proof takes most of it. :meth:`Prepared.with_app` and the like do save time.
    progress : callable, optional
        Called about every 50 ms with a :class:`~mainstream.Progress`.

    Returns
    -------
    Result

    Raises
    ------
    ProblemError
        Bad input, in one line: what, where, what is allowed.
    InfeasibleError
        Nothing fits; it carries the smallest budget that would do.
    OutOfTimeError
        A limit was reached before any schedule that fits was found, or before it was proven that there is none.
    InterruptedSearch
        Ctrl-C; it carries the best schedule so far.

    Examples
    --------
    >>> from mainstream import load_problem, solve
    >>> problem = load_problem("data/problems/tiny.yaml")
    >>> solve(problem.apps, problem.model, problem.video, budget=20)
    <Result: 3 apps, mean f1 0.8331 (optimal), cost 18.56 of 20 ms/s>
    """
    prepared = prepare(
        apps, model, video, budget, memory_mb=memory_mb, objective=objective, mode=mode, event_model=event_model
    )
    return prepared.solve(
        aggregate=aggregate,
        method=method,
        gap=gap,
        time_limit=time_limit,
        memory_limit=memory_limit,
        warm_start=warm_start,
        progress=progress,
    )


def frontier(
    apps: Apps | Iterable[App | Mapping[str, Any] | Stream],
    model: Model | Mapping[str, Any] | None = None,
    video: Video | Mapping[str, Any] | None = None,
    budgets: Iterable[float] = (),
    *,
    memory_mb: float | None = None,
    objective: Objective | None = None,
    aggregate: Aggregate = "mean",
    mode: Mode = "mainstream",
    method: str | Method = "auto",
    event_model: str | EventModel | None = None,
    gap: float = 1e-6,
    time_limit: float | None = None,
    memory_limit: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Frontier:
    """The best schedule for each of several budgets; each search starts from the best schedule of the smaller ones.

    Parameters
    ----------
    budgets : float iterable
        Compute a second; they are taken in increasing order, each once.
    time_limit, memory_limit : float, optional
        The limits for each budget.
    apps, model, video, memory_mb, objective, aggregate, mode, method, event_model, gap, progress
        As for :func:`solve`.

    Returns
    -------
    Frontier

    Raises
    ------
    ProblemError, InterruptedSearch
        As for :func:`solve`. A budget that nothing fits is no error.
    InfeasibleError
        No budget can satisfy an app.

    Examples
    --------
    >>> from mainstream import frontier, load_problem
    >>> problem = load_problem("data/problems/tiny.yaml")
    >>> frontier(problem.apps, problem.model, problem.video, budgets=[10, 20, 40])
    <Frontier: 3 budgets from 10 to 40, mean f1 0.6546 to 0.8580>
    """
    prepared = prepare(apps, model, video, memory_mb=memory_mb, objective=objective, mode=mode, event_model=event_model)
    return prepared.frontier(
        budgets,
        aggregate=aggregate,
        method=method,
        gap=gap,
        time_limit=time_limit,
        memory_limit=memory_limit,
        progress=progress,
    )
