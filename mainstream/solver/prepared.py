"""A problem that is checked and compiled once, and can then be solved many times.

numba takes a third of a second to import, so everything that needs it is imported in the call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np

from mainstream.apps import Apps
from mainstream.columns import CurvePoints
from mainstream.description import counted, one_of, shown
from mainstream.errors import InfeasibleError, InterruptedSearch, ProblemError
from mainstream.extensions import EVENT_MODELS, EventModel, Improver, Method
from mainstream.frontiers import Frontier, answered
from mainstream.problem import Aggregate, App, FloatArray, Mode, Model, Objective, Video
from mainstream.ranges import POSITIVE, WHOLE
from mainstream.schedule import Choice, Result
from mainstream.solver.checks import check_fits, check_how
from mainstream.solver.hints import hint_at_budget, hint_at_events
from mainstream.solver.progress import Progress
from mainstream.solver.tables import Once, build, join
from mainstream.stream import Stream, check_memory, check_together, objective_of, only_camera, streams_of, unit_of

if TYPE_CHECKING:
    from mainstream.solver.joint_table import JointTable
    from mainstream.solver.option_table import CellArray, OptionTable
    from mainstream.solver.search import Limits, Outcome

GAP: Final = 1e-6
"""Where a search stops by default: bound - objective, in units of the objective."""


@dataclass(frozen=True, eq=False, repr=False)
class Prepared:
    """A problem, checked and compiled once; made by :func:`prepare`.

    Its tables of options are made at the first solve and kept. :meth:`with_app`, :meth:`without` and
    :meth:`with_budget` give another one that takes over all that did not change.

    Attributes
    ----------
    streams : tuple of Stream
        If apps, a model and a video were given, there is one stream for each region.
    objective : {"f1", "recall", "precision"}
    mode : {"mainstream", "no-sharing", "max-sharing"}
    event_model : EventModel
    budget : float or None
        The compute a second that :meth:`solve` uses by default.
    memory_mb : float or None
        Megabytes that the models may take.

    Examples
    --------
    >>> from mainstream import load_problem, prepare
    >>> problem = load_problem("data/problems/tiny.yaml")
    >>> prepared = prepare(problem.to_solve(), budget=20)
    >>> prepared
    <Prepared: 3 apps, f1, mainstream, windowed, budget 20>
    >>> prepared.model, prepared.video
    (<Model 'mobilenetv2-96': 156 layers, 4.026 ms a frame, 22 chokepoints>, <Video: 10 fps, 3 rates from 1 to 10>)
    >>> prepared.apps, len(prepared.described), len(prepared.table.parts)
    (<Apps: 3 apps, 11 chokepoints>, 3, 1)
    """

    streams: tuple[Stream, ...]
    objective: Objective
    mode: Mode
    event_model: EventModel
    budget: float | None
    memory_mb: float | None
    _tables: tuple[Once[OptionTable], ...]
    _joint: Once[JointTable]

    def __repr__(self) -> str:
        budget = "" if self.budget is None else f", budget {self.budget:g}"
        apps = counted(sum(len(stream.apps) for stream in self.streams), "app")
        where = "" if len(self.streams) == 1 else f" in {len(self.streams)} streams"
        return f"<Prepared: {apps}{where}, {self.objective}, {self.mode}, {self.event_model.name}{budget}>"

    @property
    def apps(self) -> Apps:
        """The apps of all streams, in their order. Raises :class:`ProblemError` if there are several cameras or models,
        as do the next three.
        """
        only_camera(self.streams)
        return reduce(Apps.joined, (stream.apps for stream in self.streams))

    @property
    def model(self) -> Model:
        """The model of all streams."""
        return only_camera(self.streams).model

    @property
    def video(self) -> Video:
        """The video of all streams."""
        return only_camera(self.streams).video

    @property
    def described(self) -> tuple[App, ...]:
        """The apps of all streams as objects; empty when they were given as columns."""
        only_camera(self.streams)
        return tuple(app for stream in self.streams for app in stream.described)

    def seen(self, app_ids: Sequence[int | str], num_frozen: Sequence[int]) -> tuple[CurvePoints, FloatArray]:
        """M apps of any streams at one chokepoint each, and the frames a second of their M cameras.

        Raises
        ------
        ProblemError
            An app is not among the streams', or has no such `num_frozen`.

        Examples
        --------
        >>> points, stream_fps = prepared.seen([1, 2], [0, 0])
        >>> points.accuracy.round(3).tolist(), stream_fps.tolist()
        ([0.992, 0.738], [10.0, 10.0])
        """
        apps = reduce(Apps.joined, (stream.apps for stream in self.streams))
        points = apps.at(*apps.places(app_ids, num_frozen))
        stream_fps = {
            app_id: stream.video.stream_fps for stream in self.streams for app_id in stream.apps.app_ids.tolist()
        }
        return points, np.array([stream_fps[app_id] for app_id in app_ids])

    @property
    def table(self) -> JointTable:
        """The options of each app, with their values.

        Raises
        ------
        InfeasibleError
            An app that is not optional has no option, whatever the budget.
        """
        from mainstream.solver.compilation import announced

        limits = _limits(GAP, None, None, None, perf_counter())
        with announced():
            return self._joint(limits)

    def solve(
        self,
        budget: float | None = None,
        *,
        aggregate: Aggregate = "mean",
        method: str | Method = "auto",
        gap: float = GAP,
        time_limit: float | None = None,
        memory_limit: float | None = None,
        warm_start: Result | Iterable[Choice] | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Result:
        """The best schedule within a budget.

        Parameters
        ----------
        budget : float, optional
            By default :attr:`budget`.
        aggregate, method, gap, time_limit, memory_limit, warm_start, progress
            As for :func:`mainstream.solve`, with the same errors.

        Returns
        -------
        Result

        Examples
        --------
        >>> prepared.solve()
        <Result: 3 apps, mean f1 0.8331 (optimal), cost 18.56 of 20 ms/s>
        >>> prepared.solve(40, aggregate="min")
        <Result: 3 apps, smallest f1 0.7494 (optimal), cost 36.24 of 40 ms/s>
        """
        started = perf_counter()
        budget = self._budget(budget)
        searcher = check_how(aggregate, method, gap, time_limit, memory_limit)
        limits = _limits(gap, time_limit, memory_limit, progress, started)
        outcome, result = self._answer(budget, searcher, aggregate, limits, warm_start)
        if outcome.interrupted:
            raise InterruptedSearch(result)
        return result

    def frontier(
        self,
        budgets: Iterable[float],
        *,
        aggregate: Aggregate = "mean",
        method: str | Method = "auto",
        gap: float = GAP,
        time_limit: float | None = None,
        memory_limit: float | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Frontier:
        """The best schedule for each of several budgets; parameters and errors as :func:`mainstream.frontier`.

        >>> prepared.frontier([10, 20, 40])
        <Frontier: 3 budgets from 10 to 40, mean f1 0.6546 to 0.8580>
        """
        searcher = check_how(aggregate, method, gap, time_limit, memory_limit)
        budgets = list(budgets)
        if not budgets:
            raise ProblemError("budgets: there is none; at least one is needed")
        for budget in budgets:
            POSITIVE.check("budgets", budget)
        budgets = sorted(set(budgets))
        results: list[Result | None] = []
        before: Result | None = None
        cells: CellArray | None = None
        for budget in budgets:
            found: Result | None = None
            try:
                limits = _limits(gap, time_limit, memory_limit, progress, perf_counter())
                outcome, result = self._answer(budget, searcher, aggregate, limits, first=cells)
                if outcome.interrupted:
                    found = result
                    raise KeyboardInterrupt
            except InfeasibleError as error:
                if error.smallest_budget is None:
                    raise
                results.append(None)
                continue
            except KeyboardInterrupt:
                raise InterruptedSearch(found, answered(budgets, results, gap) if results else None) from None
            if before is None or aggregate == "min" or result.objective >= before.objective:
                cells = outcome.cells
            else:
                result = replace(result, schedules=before.schedules, objective=before.objective)
            results.append(result)
            before = result
        return answered(budgets, results, gap)

    def smallest_budget(self) -> float:
        """The smallest budget that has a schedule, compute a second; 0 when every app may be left out.

        Raises
        ------
        InfeasibleError
            No budget has one.

        Examples
        --------
        >>> round(prepared.smallest_budget(), 2)
        4.11
        """
        from mainstream.solver.branch_and_bound import SearchTree

        return SearchTree(self.table.packed).cheapest(0.0)

    def useful_budget(self, gap: float = GAP) -> float:
        """The budget beyond which nothing is gained, compute a second.

        Parameters
        ----------
        gap : float
            At this budget each app can have a value that is no more than this below its best.

        Raises
        ------
        InfeasibleError
            No budget has a schedule.

        Examples
        --------
        >>> round(prepared.useful_budget(), 2)
        60.39
        """
        from mainstream.solver.branch_and_bound import SearchTree
        from mainstream.solver.option_table import near_best

        check_how("mean", "auto", gap, None)
        return SearchTree(near_best(self.table.packed, gap)).cheapest(0.0)

    def with_budget(self, budget: float) -> Prepared:
        """The same problem with another budget.

        Raises
        ------
        ProblemError
            The budget is no finite number above 0.

        Examples
        --------
        >>> prepared.with_budget(40)
        <Prepared: 3 apps, f1, mainstream, windowed, budget 40>
        """
        POSITIVE.check("budget", budget)
        return replace(self, budget=float(budget))

    def with_app(self, app: App | Mapping[str, Any], stream: int | None = None) -> Prepared:
        """The problem with one more app, at the end of its stream; the options of the others are not computed again.

        Parameters
        ----------
        app : App or mapping
        stream : int, optional
            The number of its stream, from 0. It may be left out only if there is one stream.

        Raises
        ------
        ProblemError
            The app is not valid, its `app_id` is taken, it does not fit model and video, it lacks what the objective
            needs, or there is no such stream.

        Examples
        --------
        >>> prepared.with_app(problem.apps[0].model_copy(update={"app_id": 4}))
        <Prepared: 4 apps, f1, mainstream, windowed, budget 20>
        """
        described = App.of(app)
        one = Apps.of([described])
        k = self._stream_number(stream)
        changed = self.streams[k].with_app(described)
        model, video = changed.model, changed.video
        one.check(model, video, self.mode)
        objective_of([one], self.objective)
        streams = (*self.streams[:k], changed, *self.streams[k + 1 :])
        check_together(streams, self.mode)
        before = self._tables[k]
        rest = (model, video, self.objective, self.mode, self.event_model, self.memory_mb is not None)

        def make(limits: Limits) -> OptionTable:
            return before(limits).joined(build(one, *rest, limits), changed.apps)

        return self._with_stream(streams, k, make)

    def without(self, app_id: int | str) -> Prepared:
        """The problem with one app less; the options of the others are not computed again.

        Raises
        ------
        ProblemError
            There is no such app, or it is the only one of its stream.

        Examples
        --------
        >>> prepared.without(2)
        <Prepared: 2 apps, f1, mainstream, windowed, budget 20>
        """
        places = [
            (k, row)
            for k, stream in enumerate(self.streams)
            for row in np.flatnonzero(stream.apps.app_ids == app_id).tolist()
        ]
        if not places:
            ids = [known for stream in self.streams for known in stream.apps.app_ids.tolist()]
            raise ProblemError(f"app {shown(app_id)} is not among the apps; they are {shown(ids)}")
        k, row = places[0]
        changed = self.streams[k].without(row)
        before = self._tables[k]
        streams = (*self.streams[:k], changed, *self.streams[k + 1 :])
        return self._with_stream(streams, k, lambda limits: before(limits).without(row, changed.apps))

    def _with_stream(self, streams: tuple[Stream, ...], k: int, make: Callable[[Limits], OptionTable]) -> Prepared:
        """The problem with another stream in place k."""
        tables = (*self._tables[:k], Once(make), *self._tables[k + 1 :])
        return replace(self, streams=streams, _tables=tables, _joint=Once(partial(join, tables, self.memory_mb)))

    def _stream_number(self, given: int | None) -> int:
        if given is None:
            if len(self.streams) > 1:
                raise ProblemError(f"stream: there are {len(self.streams)}; say which, 0..{len(self.streams) - 1}")
            return 0
        if not WHOLE.holds(given) or given >= len(self.streams):
            raise ProblemError(f"stream: got {shown(given)}; it has to be one of 0..{len(self.streams) - 1}")
        return given

    def _budget(self, given: float | None) -> float:
        budget = self.budget if given is None else given
        if budget is None:
            raise ProblemError(
                "budget: there is none; give it here, or to prepare(); a problem file's is in problem.given()"
            )
        POSITIVE.check("budget", budget)
        hint_at_budget(self.streams, budget)
        return float(budget)

    def _answer(
        self,
        budget: float,
        method: Method,
        aggregate: Aggregate,
        limits: Limits,
        warm_start: Result | Iterable[Choice] | None = None,
        first: CellArray | None = None,
    ) -> tuple[Outcome, Result]:
        """Search, starting from a known schedule that fits if there is one, and turn the outcome into a Result."""
        from mainstream.solver.compilation import announced, begin

        with announced():
            begin()
            table = self._joint(limits)
            limits = table.check_memory(limits)
            if first is not None and isinstance(method, Improver):
                outcome = method.improve(table, budget, limits, aggregate, first)
            else:
                outcome = method.maximise(table, budget, limits, aggregate, table.staircases(warm_start))
            schedules = tuple(
                replace(schedule, region=stream.region, stream=stream.name)
                for schedule, stream in zip(table.schedules(outcome.cells), self.streams, strict=True)
            )
        values = np.concatenate([schedule.value for schedule in schedules])
        check_fits(method, values, schedules, budget, self.memory_mb)
        mean = float(table.share @ values)
        fair = aggregate == "min"
        value = float(values.min()) if fair else mean
        # A proven gap is the one asked for, even if sums in another order differ in the last digit.
        bound = min(outcome.bound, value + limits.gap) if outcome.finished else outcome.bound
        return outcome, Result(
            schedules=schedules,
            status="optimal" if outcome.finished else "feasible",
            objective=value,
            bound=max(value, bound),
            budget=budget,
            metric=self.objective,
            aggregate=aggregate,
            mode=self.mode,
            event_model=self.event_model.name,
            method=outcome.method,
            runtime_s=limits.spent_s,
            nodes=outcome.nodes,
            unit=unit_of(stream.model for stream in self.streams),
            mean=mean if fair else None,
            memory_mb=self.memory_mb,
            mean_bound=max(mean, outcome.mean_bound) if fair and outcome.mean_bound is not None else None,
        )


def prepare(
    apps: Apps | Iterable[App | Mapping[str, Any] | Stream],
    model: Model | Mapping[str, Any] | None = None,
    video: Video | Mapping[str, Any] | None = None,
    budget: float | None = None,
    *,
    memory_mb: float | None = None,
    objective: Objective | None = None,
    mode: Mode = "mainstream",
    event_model: str | EventModel | None = None,
) -> Prepared:
    """Check and compile a problem that is to be solved more than once.

    Parameters
    ----------
    apps, model, video, memory_mb, objective, mode, event_model
        As for :func:`mainstream.solve`.
    budget : float, optional
        Compute a second; you may also give it to :meth:`Prepared.solve`.

    Returns
    -------
    Prepared

    Raises
    ------
    ProblemError
        Bad input, in one line: what, where, what is allowed.

    Examples
    --------
    >>> from mainstream import load_problem, prepare
    >>> problem = load_problem("data/problems/tiny.yaml")
    >>> prepared = prepare(problem.apps, problem.model, problem.video)
    >>> [round(prepared.solve(budget).objective, 3) for budget in (10, 20, 40)]
    [0.655, 0.833, 0.858]
    """
    if objective is not None:
        one_of("objective", objective, get_args(Objective))
    one_of("mode", mode, get_args(Mode))
    if budget is not None:
        POSITIVE.check("budget", budget)
    if memory_mb is not None:
        POSITIVE.check("memory_mb", memory_mb)
    streams = streams_of(apps, model, video)
    check_together(streams, mode)
    if memory_mb is not None:
        check_memory(streams)
    hint_at_events(streams)
    usual = "measured" if any(stream.apps.is_measured for stream in streams) else "windowed"
    events = EVENT_MODELS.find(usual if event_model is None else event_model)
    metric = objective_of([stream.apps for stream in streams], objective)
    tables = tuple(
        Once(partial(build, stream.apps, stream.model, stream.video, metric, mode, events, memory_mb is not None))
        for stream in streams
    )
    return Prepared(
        streams=streams,
        objective=metric,
        mode=mode,
        event_model=events,
        budget=None if budget is None else float(budget),
        _tables=tables,
        memory_mb=None if memory_mb is None else float(memory_mb),
        _joint=Once(partial(join, tables, memory_mb)),
    )


def _limits(
    gap: float,
    time_limit: float | None,
    memory_limit: float | None,
    progress: Callable[[Progress], None] | None,
    started: float,
) -> Limits:
    from mainstream.solver.compilation import announced, compiled_s

    before = compiled_s()
    with announced():  # some of the search is compiled when it is imported
        from mainstream.solver.search import Limits
    time_limit = math.inf if time_limit is None else time_limit
    return Limits(gap, time_limit, started, progress, memory_limit, compiled_s=before)
