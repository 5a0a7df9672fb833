"""Experiments: each version's schedule for each workload within each budget, and how well it does.

Without a runtime, the event model predicts what a schedule finds. With one, each schedule is deployed once, and the
event model predicts with the observed rates; compute is measured if the runtime reports it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np

from mainstream.errors import DeployError, InfeasibleError, ProblemError
from mainstream.executors import Executor, Task
from mainstream.experiments.points import Point
from mainstream.experiments.versions import Solved, Version, Workbench
from mainstream.files import naming
from mainstream.formats.sweep import SweepRow
from mainstream.history import Round
from mainstream.io import SolveOptions
from mainstream.problem import App, FloatArray
from mainstream.ranges import POSITIVE, Range
from mainstream.schedule import Result
from mainstream.scheduler import Scheduler
from mainstream.stream import capacity_of
from mainstream.streamer.deployer import Deployer, StreamsDeployer

Runtime = Callable[[Sequence[str | None]], AbstractContextManager[Deployer | StreamsDeployer]]
"""Given the names of streams, opens a deployer that runs their plans; a single stream may have no name."""

_PERCENT: Final = Range(0, 100)
_ROUND_UP: Final = 1 + 1e-9
"""Makes sure that the smallest budget has a schedule in spite of rounding."""


class Budget(NamedTuple):
    """A budget: compute a second, or a share of the range of budgets that are useful for a workload.

    Attributes
    ----------
    asked : str
        The text as it was given.
    value : float
    relative : bool
        Whether the value is a share of the useful range, 0 to 1.
    """

    asked: str
    value: float
    relative: bool

    @classmethod
    def of(cls, asked: str) -> Budget:
        """Read a budget: a number above 0, or a number from 0 to 100 with a % sign.

        Raises
        ------
        ProblemError
            It is neither.
        """
        relative = asked.endswith("%")
        try:
            value = float(asked.removesuffix("%"))
        except ValueError:
            value = math.nan
        if not (_PERCENT if relative else POSITIVE).holds(value):
            raise ProblemError(f"budget: got {asked!r}; it has to be a number above 0, or 0% to 100%")
        return cls(asked, value / 100 if relative else value, relative)

    def compute(self, workload: Workbench) -> float:
        """The budget for a workload, compute a second."""
        if not self.relative:
            return self.value
        least, most = workload.useful_range()
        return (least + self.value * (most - least)) * _ROUND_UP


@dataclass(frozen=True)
class Plan:
    """What an experiment does with each of its workloads.

    Attributes
    ----------
    versions : tuple of Version
    budgets : tuple of Budget
        If empty, each workload's own budget.
    options : SolveOptions
    trials : int
    """

    versions: tuple[Version, ...]
    budgets: tuple[Budget, ...]
    options: SolveOptions
    trials: int = 1

    def keys(self, point: Point) -> list[tuple[str, int, str, str]]:
        """The keys of a workload's rows, in order.

        Raises
        ------
        ProblemError
            The workload has no budget, and none is given.
        """
        budgets = self._budgets(point)
        return [
            (point.id, trial, version.name, budget.asked)
            for trial in range(1, self.trials + 1)
            for budget in budgets
            for version in self.versions
        ]

    def _budgets(self, point: Point) -> tuple[Budget, ...]:
        if self.budgets:
            return self.budgets
        if point.budget is None:
            raise ProblemError(f"workload {point.id} has no budget; give --budget")
        return (OWN._replace(value=point.budget),)

    def rows(
        self, point: Point, keys: Sequence[tuple[str, int, str, str]], runtime: Runtime | None = None
    ) -> Iterator[SweepRow]:
        """Make rows of a workload, one after the other.

        Parameters
        ----------
        point : Point
        keys : sequence
            The keys of the rows to make.
        runtime : callable, optional
            Runs each schedule.

        Raises
        ------
        ProblemError, DeployError
            The message begins with the workload.
        """
        with naming(f"workload {point.id}"):
            workload = Workbench(point.streams, self.options)
            budgets = {budget.asked: budget for budget in self._budgets(point)}
            versions = {version.name: version for version in self.versions}
            whole = workload.prepared()
            kind = (whole.event_model.name, whole.objective, self.options.aggregate or "mean")
            for _, trial, name, asked in keys:
                budget = budgets[asked].compute(workload)
                row = SweepRow(point.id, len(point.apps), trial, name, asked, budget, "infeasible", *kind)
                try:
                    solved = workload.solve(versions[name], budget)
                except InfeasibleError:
                    yield row
                    continue
                round_ = None
                if runtime is not None:
                    try:
                        round_ = _run(workload, solved, budget, runtime)
                    except DeployError as error:
                        raise DeployError(f"workload {point.id}, {name}: {error}") from None
                capacity = capacity_of(stream.model for stream in point.streams)
                yield _filled(replace(row, capacity=capacity), point.apps, solved, round_)


OWN: Final = Budget("own", math.nan, False)
"""Stands for the budget that a workload has itself."""


def sweep(
    points: Sequence[tuple[Point, Sequence[tuple[str, int, str, str]]]],
    plan: Plan,
    *,
    runtime: Runtime | None = None,
    executor: Executor | None = None,
) -> Iterator[SweepRow]:
    """Make the rows of an experiment: in order, or with an executor in the order in which workloads are done.

    Parameters
    ----------
    points : sequence of (Point, keys)
        Workloads, and the keys of the rows to make of each.
    plan : Plan
    runtime : callable, optional
        Runs each schedule; only without an executor, since it runs one schedule at a time.
    executor : Executor, optional
        Runs each workload as a task with one CPU; default: all in this process.

    Raises
    ------
    ProblemError, DeployError
        A workload failed: the first of them; with an executor it is raised after the others are done.
    """
    if executor is None:
        for point, keys in points:
            yield from plan.rows(point, keys, runtime)
        return
    shared = executor.share(plan)
    failed: Exception | None = None
    for done in executor.run(Task(point.id, _all_rows, (shared, point, keys)) for point, keys in points):
        failed = failed or done.error
        yield from done.value or ()
    if failed is not None:
        raise failed


def _all_rows(plan: Plan, point: Point, keys: Sequence[tuple[str, int, str, str]]) -> list[SweepRow]:
    return list(plan.rows(point, keys))


def _run(workload: Workbench, solved: Solved, budget: float, runtime: Runtime) -> Round:
    """Run a schedule once, and give what was observed."""
    how: dict[str, Any] = {**workload.what, **workload.how, "mode": solved.restriction.mode}
    if solved.result.method in ("greedy", "greedy-released"):
        how["method"] = solved.result.method
    cameras = workload.restricted(solved.restriction)
    with runtime([camera.name for camera in cameras]) as deployer:
        streams = [stream for camera in cameras for stream in camera.to_solve()]
        scheduler = Scheduler(streams, deployer=deployer, max_rounds=1, **how)
        return scheduler.run(budget)[0]


def _filled(row: SweepRow, apps: Sequence[App], solved: Solved, round_: Round | None) -> SweepRow:
    """The row, filled with all figures of a schedule."""
    result = solved.result if round_ is None else round_.result
    schedule = result.together
    scores = _scores(result, round_)
    of_app = {app.app_id: app for app in apps}
    apps = [of_app[app_id] for app_id in schedule.app_ids.tolist()]
    best = np.array([max(app.accuracies.values()) for app in apps])
    relative = np.where(schedule.admitted, schedule.accuracy / best, 0.0)
    stem = float(sum(part.cost for part in schedule.stem))
    return replace(
        row,
        status=solved.result.status,
        restriction=str(solved.restriction),
        method=result.method,
        mode=result.mode,
        unit=result.unit or "",
        objective=solved.result.objective,
        bound=solved.result.bound,
        gap=solved.result.gap,
        f1=_mean(scores["f1"]),
        recall=(recall := _mean(scores["recall"])),
        precision=(precision := _mean(scores["precision"])),
        fnr=None if recall is None else 1.0 - recall,
        fpr=None if precision is None else 1.0 - precision,
        accuracy=_mean(np.where(schedule.admitted, schedule.accuracy, 0.0)),
        relative_accuracy=_mean(relative),
        cost=result.cost,
        stem_cost=stem,
        tail_cost=float(schedule.tail_cost.sum()),
        rates="target" if round_ is None else "observed",
        objective_at_observed=None if round_ is None else _objective(scores[result.metric], apps, result.aggregate),
        cost_at_observed=None if round_ is None else round_.predicted_cost_at_observed,
        measured_compute=None if round_ is None else round_.measured_compute,
        runtime_s=solved.result.runtime_s,
        nodes=solved.result.nodes,
        num_frozen=tuple(schedule.num_frozen.tolist()),
        target_fps=tuple(schedule.target_fps.tolist()),
        observed_fps=() if round_ is None else tuple(_observed_fps(result, round_)),
        x_vote=tuple(schedule.x_vote.tolist()),
        relative_accuracies=tuple(relative.tolist()),
    )


def _scores(result: Result, round_: Round | None) -> Mapping[str, FloatArray]:
    """f1, recall and precision of each app, at the observed rates if there are any; NaN where an app has none."""
    schedule = result.together
    scores = {name: np.array(getattr(schedule, name), dtype=np.float64) for name in ("f1", "recall", "precision")}
    if round_ is not None:
        rows = np.flatnonzero(schedule.admitted)
        for name, values in scores.items():
            seen = [getattr(one, f"predicted_{name}") for one in round_.apps]
            values[rows] = [math.nan if one is None else one for one in seen]
    return scores


def _observed_fps(result: Result, round_: Round) -> list[float]:
    return [round_.observed.get(app_id, 0.0) for app_id in result.together.app_ids.tolist()]


def _objective(values: FloatArray, apps: Sequence[App], aggregate: str) -> float:
    """The objective: the smallest of these values, or their weighted mean."""
    plain = np.nan_to_num(values)
    if aggregate == "min":
        return float(plain.min())
    return float(np.average(plain, weights=[app.weight for app in apps]))


def _mean(values: FloatArray) -> float | None:
    return None if np.isnan(values).any() else float(values.mean())
