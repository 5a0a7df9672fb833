"""Whether apps fit a budget, what they need, and how many more of their kind would fit; all of it predicted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mainstream.apps import Apps
from mainstream.description import printable
from mainstream.errors import InfeasibleError, OutOfTimeError, ProblemError
from mainstream.extensions import EventModel
from mainstream.problem import App, FloatArray, Mode, Model, Objective, Video
from mainstream.ranges import PARAMETERS, POSITIVE
from mainstream.solver.prepared import prepare
from mainstream.stream import Stream, called, capacity_of, streams_of, unit_of

if TYPE_CHECKING:
    from mainstream.solver.kernels import Packed
    from mainstream.solver.search import Limits

MOST_MORE: Final = 10_000
"""The largest number of copies that is tried."""


@dataclass(frozen=True, repr=False)
class Capacity:
    """What some apps need of a budget.

    Attributes
    ----------
    apps : int
        How many there are.
    budget : float
        Compute a second.
    needs : float
        The smallest budget with which all of them run as was asked.
    more : int
        How many copies of the apps, taken in turn, fit beside them; 0 if the apps themselves do not fit.
    more_at_most : int or None
        No more copies than this fit; equal to `more` if that is proven, None if nothing is known.
    dearest : int or str
        The app whose removal would save the most in the schedule that needs least.
    dearest_saves : float
        How much it would save.
    dearest_name : str or None
    objective : {"f1", "recall", "precision"}
        The metric that an app's value is.
    unit : str or None
        The unit of the latencies; a budget is in this unit, a second.

    Examples
    --------
    >>> from mainstream import capacity, load_problem
    >>> found = capacity(load_problem("data/problems/tiny.yaml").to_solve(), budget=20)
    >>> found
    <Capacity: 3 apps need 4.11 of 20 ms/s (21%), predicted; room for 358 more like them>
    >>> found.fits, found.proven, found.room
    (True, True, 'room for 358 more like them')
    """

    apps: int
    budget: float
    needs: float
    more: int
    more_at_most: int | None
    dearest: int | str
    dearest_saves: float
    dearest_name: str | None
    objective: Objective
    unit: str | None

    @property
    def fits(self) -> bool:
        """Whether the budget is enough."""
        from mainstream.solver.search import FEASIBLE_TOLERANCE

        return self.needs <= self.budget * (1 + FEASIBLE_TOLERANCE)

    @property
    def proven(self) -> bool:
        """Whether `more` is exact."""
        return self.more == self.more_at_most

    def __repr__(self) -> str:
        return f"<Capacity: {printable(str(self))}>"

    def __str__(self) -> str:
        per_second = f" {self.unit}/s" if self.unit else ""
        apps = f"{self.apps:,} app{'s need' if self.apps > 1 else ' needs'}"
        share = f"{amount(self.needs)} of {amount(self.budget)}{per_second} ({self.needs / self.budget:.0%}), predicted"
        return f"{apps} {share}; {self.room}" if self.fits else f"{apps} {share}: too much"

    @property
    def room(self) -> str:
        """How many more fit, in words."""
        like = "like it" if self.apps == 1 else "like them"
        if self.proven:
            return f"room for {self.more:,} more {like}"
        least = f"room for {self.more:,} more {like} at least"
        return least if self.more_at_most is None else f"{least}, {self.more_at_most:,} at most"


def amount(compute: float) -> str:
    """Compute a second, written as people write it."""
    return f"{compute:,.0f}" if 100 <= compute < 1e12 else f"{compute:.3g}"


def capacity(
    apps: Apps | Iterable[App | Mapping[str, Any] | Stream],
    model: Model | Mapping[str, Any] | None = None,
    video: Video | Mapping[str, Any] | None = None,
    budget: float | None = None,
    *,
    min_fps: float | None = None,
    min_value: float | None = None,
    memory_mb: float | None = None,
    objective: Objective | None = None,
    mode: Mode = "mainstream",
    event_model: str | EventModel | None = None,
    time_limit: float | None = None,
) -> Capacity:
    """Whether apps fit a budget, what they need at least, and how many more of their kind would fit.

    All of them have to run, even those that are `optional`. More of their kind are copies: of the first app, the
    second, ..., the first again. Each copy is in the stream of its original.

    Parameters
    ----------
    apps, model, video, memory_mb, objective, mode, event_model
        As for :func:`mainstream.solve`.
    budget : float, optional
        Compute a second. By default that of all the device's cores, if the models say how many there are.
    min_fps : float, optional
        Each app has to analyse at least this many frames a second, as well as its own `min_fps`.
    min_value : float, optional
        Each app's value (F1, recall or precision) has to reach this, as well as its own `min_value`.
    time_limit : float, optional
        Seconds after which the function returns what it then knows about the copies.

    Returns
    -------
    Capacity

    Raises
    ------
    ProblemError
        The input is bad, a camera has fewer frames a second than `min_fps`, or there is no budget.
    InfeasibleError
        At any budget, an app cannot do what is asked of it, or the memory is too small.
    OutOfTimeError
        The time was over before it was known what the apps need.

    Examples
    --------
    Two apps on a network of ten layers that take 2 ms each, with 500 ms of compute a second:

    >>> from mainstream import capacity
    >>> curve = {"accuracies": {0: 0.95, 6: 0.9}, "false_positive_rates": {0: 0.01, 6: 0.02}}
    >>> event = {"event_length_ms": 1000, "event_frequency": 0.2, "x_vote": "auto"}
    >>> apps = [{"app_id": name, **curve, **event} for name in ("cars", "people")]
    >>> model = {
    ...     "total_layers": 10,
    ...     "layer_latencies": [2.0] * 10,
    ...     "frozen_layer_names": {0: "in", 6: "six"},
    ...     "unit": "ms",
    ... }
    >>> found = capacity(apps, model, {"stream_fps": 10}, 500, min_fps=10, min_value=0.9)
    >>> print(found)
    2 apps need 280 of 500 ms/s (56%), predicted; room for 2 more like them
    >>> found.fits, found.needs, found.more, found.proven
    (True, 280.0, 2, True)
    """
    started = perf_counter()
    streams = streams_of(apps, model, video)
    for name, given in (("min_fps", min_fps), ("min_value", min_value)):
        if given is not None:
            PARAMETERS[name].check(name, given)
    if budget is None:
        budget = capacity_of([stream.model for stream in streams])
        if budget is None:
            raise ProblemError(
                "budget: there is none, and the models do not say the same cores and unit 'ms'; give one"
            )
    POSITIVE.check("budget", budget)
    if time_limit is not None:
        POSITIVE.check("time_limit", time_limit)
    asking = [_asking(streams, k, min_fps or 0.0, mode) for k in range(len(streams))]
    prepared = prepare(asking, memory_mb=memory_mb, objective=objective, mode=mode, event_model=event_model)

    from mainstream.solver.compilation import announced, begin, compiled_s

    before = compiled_s()
    with announced():
        from mainstream.solver.branch_and_bound import SearchTree
        from mainstream.solver.search import FEASIBLE_TOLERANCE, Limits

        begin()
        limits = Limits(0.0, np.inf if time_limit is None else time_limit, started, compiled_s=before)
        packed = _cheapest_options(_worth(prepared.table.packed, asking, prepared.objective, min_value))
        tree = SearchTree(packed)
        needs = tree.cheapest(0.0, np.inf, limits)
        if needs == np.inf:
            tree.feasible(budget, limits)  # raises an error that says how much memory would do
        saved = _saved(packed, tree.tree.best)
        allowed = budget * (1 + FEASIBLE_TOLERANCE)
        fits = needs <= allowed
        more, at_most = _room(lambda n: _with_copies(packed, n), allowed, limits) if fits else (0, 0)
    k = int(saved.argmax())
    ids, names = _called(asking)
    return Capacity(
        apps=len(ids),
        budget=float(budget),
        needs=needs,
        more=more,
        more_at_most=at_most,
        dearest=ids[k],
        dearest_saves=float(saved[k]),
        dearest_name=names[k],
        objective=prepared.objective,
        unit=unit_of(stream.model for stream in streams),
    )


def _called(streams: list[Stream]) -> tuple[list[int | str], list[str | None]]:
    """The ids of all apps, and their names."""
    ids = [app_id for stream in streams for app_id in stream.apps.app_ids.tolist()]
    return ids, [name for stream in streams for name in stream.apps.names or [None] * len(stream.apps)]


def _asking(streams: tuple[Stream, ...], k: int, min_fps: float, mode: str) -> Stream:
    """A stream whose apps all have to run, at this rate or more."""
    stream = streams[k]
    most = float(stream.video.rates(mode).max())
    if min_fps > most:
        where = "the camera" if len(streams) == 1 else called(streams, k)
        raise ProblemError(f"{min_fps:g} frames a second for each app: {where} offers {most:g} at most")
    apps = stream.apps
    asked = replace(apps, min_fps=np.maximum(apps.min_fps, min_fps), optional=np.zeros(len(apps), np.bool_))
    return Stream(asked, stream.model, stream.video, stream.name)


def _worth(packed: Packed, streams: list[Stream], objective: str, min_value: float | None) -> Packed:
    """The options that reach a value.

    Raises
    ------
    InfeasibleError
        An app has none.
    """
    from mainstream.solver.option_table import at_least

    if min_value is None:
        return packed
    best = np.maximum.reduceat(packed.value, packed.start[:-1])
    if best.min() < min_value:
        ids, names = _called(streams)
        k = int(best.argmin())
        app = f"{ids[k]} ({names[k]})" if names[k] else str(ids[k])
        metric = "F1" if objective == "f1" else objective
        others = int((best < min_value).sum()) - 1
        more = f" (and {others:,} more fall short)" if others else ""
        raise InfeasibleError(
            f"app {app} reaches {metric} {best.min():.4f} at most, {min_value:g} is asked, at any budget{more}"
        )
    return at_least(packed, min_value)


def _cheapest_options(packed: Packed) -> Packed:
    """The slowest of each app's options at each depth: whatever the stem, no other is as cheap."""
    counts = np.diff(packed.start)
    row, rate = np.divmod(packed.cell.astype(np.int64), packed.own.shape[1])
    app = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((rate, row, app))
    first = np.ones(len(order), np.bool_)
    first[1:] = (np.diff(app[order]) != 0) | (np.diff(row[order]) != 0)
    kept = np.sort(order[first])
    start = np.searchsorted(kept, packed.start)
    return packed._replace(start=start, value=packed.value[kept], cell=packed.cell[kept])


def _saved(packed: Packed, cells: Any) -> FloatArray:
    """What a schedule saves without each of its apps: its tail, and what of the stem runs for it alone; (N,)."""
    from mainstream.solver.search import schedule_cost

    row, rate = np.divmod(cells.astype(np.int64), packed.own.shape[1])
    saved: FloatArray = packed.own[row, rate]
    cost = schedule_cost(packed, cells)
    _, places, counts = np.unique(cells, return_index=True, return_counts=True)
    for k in places[counts == 1]:  # of two in one cell, either one keeps the stem there
        without = cells.copy()
        without[k] = packed.rows[np.searchsorted(packed.apps, k, side="right") - 1] * packed.own.shape[1]
        saved[k] = cost - schedule_cost(packed, without)
    return saved


def _with_copies(packed: Packed, copies: int) -> Packed:
    """The options of the apps and of this many copies of them, taken in turn; each copy follows its original."""
    n = len(packed.start) - 1
    times = 1 + copies // n + (np.arange(n) < copies % n)
    counts = np.diff(packed.start)
    lengths = np.repeat(counts, times)
    start = np.concatenate([[0], np.cumsum(lengths)])
    options = np.repeat(np.repeat(packed.start[:-1], times) - start[:-1], lengths) + np.arange(start[-1])
    ends = np.concatenate([[0], np.cumsum(times)])
    return packed._replace(start=start, value=packed.value[options], cell=packed.cell[options], apps=ends[packed.apps])


def _room(with_copies: Callable[[int], Packed], allowed: float, limits: Limits) -> tuple[int, int | None]:
    """How many copies fit, and an upper bound of that; None if no number is known not to fit."""
    from mainstream.solver.branch_and_bound import SearchTree

    fits, too_many = 0, None
    try:
        while limits.left_s > 0 and (fits < MOST_MORE if too_many is None else too_many - fits > 1):
            asked = min(max(1, 2 * fits), MOST_MORE) if too_many is None else (fits + too_many) // 2
            if SearchTree(with_copies(asked)).cheapest(allowed, allowed, limits) <= allowed:
                fits = asked
            else:
                too_many = asked
    except OutOfTimeError:
        pass
    return fits, None if too_many is None else too_many - 1
