"""The closed loop: solve with a budget, run the plan, observe, and solve again with what was observed.

A profile is measured on an idle device. What a device really gets done, and what that takes, shows when it runs. If the
runtime measures compute, the loop corrects the profile by it. The next round then solves with the same budget or, when
the rates fell short, with the compute that was got done if that is less. If the runtime does not measure compute, the
next budget is the predicted cost of the observed rates, as in the scheduler released with Jiang et al., "Mainstream",
USENIX ATC 2018.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from mainstream.apps import Apps
from mainstream.correction import MeasuredPart, corrected_each
from mainstream.costs import stem_parts, tail_costs
from mainstream.description import shown
from mainstream.errors import InfeasibleError, InterruptedLoop, ProblemError
from mainstream.extensions import EventModel, Method
from mainstream.history import History, Measurement, Observation, Reason, Round
from mainstream.io import SolveOptions
from mainstream.problem import Aggregate, App, FloatArray, Mode, Model, Objective, Video
from mainstream.ranges import COUNT, POSITIVE
from mainstream.schedule import Result
from mainstream.solver import prepare
from mainstream.solver.checks import check_how
from mainstream.solver.prepared import GAP, Prepared
from mainstream.stream import Stream, check_order, is_model, is_video
from mainstream.streamer.client import DEFAULT_ADDRESS, StreamerClient
from mainstream.streamer.deployer import Deployer, Observed, StreamsDeployer
from mainstream.streamer.plan import net_plans

_DOORS: Final = ("method", "event_model")
"""Options that also take an object."""
_SAME_BUDGET: Final = 1e-9
"""Relative difference below which two budgets are one."""


class Scheduler:
    """Keeps a runtime at the best schedule that its device can really do.

    Parameters
    ----------
    apps : list of App or mapping, or list of Stream
        With a model file for each `num_frozen` that may be chosen.
    model : Model or mapping
    video : Video or mapping
        The published order (apps, video, model) works, too, and so do the published names ``video_desc`` and
        ``model_desc``. Leave both out when you give streams.
    deployer : object with ``deploy(plan)``, optional
        What runs a plan, see :class:`~mainstream.streamer.deployer.Deployer`; by default a Streamer at `address`. Where
        streams have names it takes the plans of all of them, as :class:`~mainstream.streamer.together.Together` does.
    address : str
    memory_mb, objective, aggregate, mode, method, event_model, gap, time_limit, memory_limit : optional
        As in :func:`mainstream.solve`.
    tolerance : float
        The loop has converged when the cost predicted for the observed rates differs by less than this share from that
        of the rates that were sent,
    compute_tolerance : float
        and when the measured compute, where it is known, differs by no more than this share from the predicted one.
    max_rounds : int

    Attributes
    ----------
    prepared : Prepared
        The problem as it was given, compiled.

    Raises
    ------
    ProblemError
        Bad input, in one line.
    MissingExtraError
        Without a deployer: ZeroMQ is not installed.

    Examples
    --------
    >>> from mainstream import Scheduler, load_problem
    >>> problem = load_problem("data/problems/tiny.yaml")
    >>> apps = [{**app.model_dump(), "model_path": {f: f"{f}.pb" for f in app.accuracies}} for app in problem.apps]
    >>> class Box:  # what runs a plan, and says how many frames a second each app got; this one gives what was asked
    ...     def deploy(self, plan):
    ...         return plan.target_fps
    >>> scheduler = Scheduler(apps, problem.model, problem.video, deployer=Box())
    >>> scheduler
    <Scheduler of <Prepared: 3 apps, f1, mainstream, windowed>>
    """

    def __init__(
        self,
        apps: Iterable[App | Mapping[str, Any] | Stream],
        model: Model | Mapping[str, Any] | None = None,
        video: Video | Mapping[str, Any] | None = None,
        *,
        model_desc: Model | Mapping[str, Any] | None = None,
        video_desc: Video | Mapping[str, Any] | None = None,
        deployer: Deployer | StreamsDeployer | None = None,
        address: str = DEFAULT_ADDRESS,
        memory_mb: float | None = None,
        objective: Objective | None = None,
        aggregate: Aggregate = "mean",
        mode: Mode = "mainstream",
        method: str | Method = "auto",
        event_model: str | EventModel | None = None,
        gap: float = GAP,
        time_limit: float | None = None,
        memory_limit: float | None = None,
        tolerance: float = 0.2,
        compute_tolerance: float = 0.05,
        max_rounds: int = 10,
    ) -> None:
        if not isinstance(apps, Apps | Mapping | str) and isinstance(apps, Iterable):
            apps = tuple(apps)
        rest: tuple[Any, ...] = (model, video)
        if not (isinstance(apps, tuple) and any(isinstance(one, Stream) for one in apps)):
            published = is_video(model) and (video is None or is_model(video))
            first, second = (video, model) if published else (model, video)
            rest = _one("model", first, model_desc), _one("video", second, video_desc)
            check_order(apps, *rest)
        if isinstance(apps, Apps | Mapping | str) or not isinstance(apps, Iterable):
            raise ProblemError(f"apps: got {shown(apps)}; it has to be a list of App objects or mappings")
        self._how: dict[str, Any] = {
            "aggregate": aggregate,
            "method": method,
            "gap": gap,
            "time_limit": time_limit,
            "memory_limit": memory_limit,
        }
        what: dict[str, Any] = {
            "memory_mb": memory_mb,
            "objective": objective,
            "mode": mode,
            "event_model": event_model,
        }
        options = {**self._how, **what}
        named = {key: value for key, value in options.items() if key not in _DOORS or isinstance(value, str)}
        SolveOptions.of(named, where="scheduler")
        check_how(**self._how)
        self.prepared = prepare(apps, *rest, **what)
        POSITIVE.check("tolerance", tolerance)
        POSITIVE.check("compute_tolerance", compute_tolerance)
        COUNT.check("max_rounds", max_rounds)
        if deployer is not None and not callable(getattr(deployer, "deploy", None)):
            raise ProblemError(f"deployer: got {shown(deployer)}; it has to have a method deploy(plan)")
        self.tolerance = tolerance
        self.compute_tolerance = compute_tolerance
        self.max_rounds = max_rounds
        self._own_client = StreamerClient(address) if deployer is None else None
        self._deployer: Any = self._own_client or deployer

    def __repr__(self) -> str:
        return f"<Scheduler of {self.prepared!r}>"

    def run(self, cost_threshold: float, *, progress: Callable[[Round], None] | None = None) -> History:
        """Solve, deploy, observe and correct until the prediction comes true, or until going on is of no use.

        Parameters
        ----------
        cost_threshold : float
            Budget of the first round: compute a second, in the unit of the model's latencies.
        progress : callable, optional
            Called with each :class:`Round` when it is over.

        Returns
        -------
        History

        Raises
        ------
        InfeasibleError
            No schedule fits `cost_threshold`.
        ProblemError
            The budget is no number above 0, or an app lacks the model file for its choice.
        DeployError
            A plan could not be run.
        InterruptedLoop
            Ctrl-C after the first round; the error holds the rounds that were over. Before that, a KeyboardInterrupt.

        Examples
        --------
        >>> scheduler.run(20)
        <History: 1 round, converged>
        """
        rounds: list[Round] = []
        prepared, budget = self.prepared, cost_threshold
        reason: Reason | None = None
        try:
            while reason is None:
                try:
                    result = prepared.solve(budget, **self._how, warm_start=rounds[-1].result if rounds else None)
                except InfeasibleError:
                    if not rounds:
                        raise
                    reason = self._too_little(rounds[-1])
                    break
                if rounds:
                    reason = self._no_use(rounds[-1], result)
                    if reason is not None:
                        break
                rounds.append(self._round(prepared, budget, result))
                if progress is not None:
                    progress(rounds[-1])
                reason = self._reason_to_end(rounds)
                prepared, budget = self._corrected(prepared, rounds[-1]), self._next_budget(rounds[-1])
        except KeyboardInterrupt:
            if not rounds:
                raise
            raise InterruptedLoop(_history(rounds, "interrupted", prepared)) from None
        finally:
            if self._own_client is not None:
                self._own_client.close()
        return _history(rounds, reason, prepared)

    def _round(self, prepared: Prepared, budget: float, result: Result) -> Round:
        plans = net_plans(result, prepared.streams)
        alone = plans.get(None)
        answers: Mapping[Any, Any] = (
            self._deployer.deploy(plans) if alone is None else {None: self._deployer.deploy(alone)}
        )
        models = {stream.name: stream.model for stream in prepared.streams}
        targets: dict[int | str, float] = {}
        rates: dict[int | str, float] = {}
        measured: dict[str | None, Measurement] = {}
        unmeasured: str | None = None
        for name, plan in plans.items():
            observed = Observed(answers[name], plan)
            told = answers[name] if isinstance(answers[name], Observed) else observed
            for number in plan.target_fps:
                targets[plan.app_id_of(number)] = told.plan.target_fps[number]
                rates[plan.app_id_of(number)] = observed[number]
            found, why = measurement(told, models[name])
            if found is not None:
                measured[name] = found
            elif unmeasured is None:
                unmeasured = why if name is None else f"stream {name}: {why}"
        target_fps = np.array([targets[choice.app_id] for choice in result.choices])
        observed_fps = np.array([rates[choice.app_id] for choice in result.choices])
        by_name = {name: found for name, found in measured.items() if name is not None}
        together = None if unmeasured else measured.get(None) or Measurement.together(by_name)
        return Round(
            budget=budget,
            result=result,
            predicted_cost=_cost(prepared, result, target_fps),
            predicted_cost_at_observed=_cost(prepared, result, observed_fps),
            apps=self._observations(result, target_fps, observed_fps),
            measured=together,
            unmeasured=unmeasured,
        )

    def _holds(self, one: Round) -> bool:
        """Whether the rates are near those that were sent."""
        return abs(one.deviation) < self.tolerance

    def _reason_to_end(self, rounds: list[Round]) -> Reason | None:
        last = rounds[-1]
        factor = last.factor
        if self._holds(last) and (factor is None or abs(factor - 1) <= self.compute_tolerance):
            return "converged"
        if last.predicted_cost_at_observed == 0:
            return "observed rates are 0"
        budgets = [one.budget for one in rounds]
        if factor is None and any(math.isclose(self._next_budget(last), x, rel_tol=_SAME_BUDGET) for x in budgets):
            return "budget seen before"
        # Measurements differ from round to round; a schedule that is the best a second time is as good as it gets.
        if factor is not None and any(_what_runs(last.result) == _what_runs(one.result) for one in rounds[:-1]):
            return "converged" if self._holds(last) else "schedule seen before"
        return "max rounds" if len(rounds) == self.max_rounds else None

    def _next_budget(self, last: Round) -> float:
        if last.factor is None or last.measured is None:
            return last.predicted_cost_at_observed
        return last.budget if self._holds(last) else min(last.budget, last.measured.compute)

    def _corrected(self, prepared: Prepared, last: Round) -> Prepared:
        """The problem with the profile corrected by what was measured."""
        if last.factor is None or last.measured is None:
            return prepared
        how: dict[str, Any] = {key: getattr(prepared, key) for key in ("memory_mb", "objective", "mode", "event_model")}
        of_stream: Mapping[Any, Measurement] = last.measured.streams or {None: last.measured}
        models = {stream.name: stream.model for stream in prepared.streams}
        better = corrected_each(models, {name: one.parts for name, one in of_stream.items()})
        streams = [Stream(one.described, better[one.name], one.video, one.name) for one in prepared.streams]
        return prepare(streams, **how)

    def _no_use(self, last: Round, result: Result) -> Reason | None:
        """Why the next schedule need not be run."""
        if not result.choices:
            return self._too_little(last)
        if last.factor is None or _what_runs(result) != _what_runs(last.result):
            return None
        # The corrected profile predicts what was measured for this schedule, and it is the best within the budget.
        return "converged" if self._holds(last) else "schedule seen before"

    def _too_little(self, last: Round) -> Reason:
        """Why no schedule fits the next budget."""
        if last.factor is None or not self._holds(last):
            return "the cost of the observed rates is below the cheapest schedule's"
        return "no schedule fits the budget by what was measured"

    def _observations(
        self, result: Result, target_fps: FloatArray, observed_fps: FloatArray
    ) -> tuple[Observation, ...]:
        from mainstream.events import event_metrics

        runs = observed_fps > 0
        seen = [choice for choice, does in zip(result.choices, runs, strict=True) if does]
        points, stream_fps = self.prepared.seen(
            [choice.app_id for choice in seen], [choice.num_frozen for choice in seen]
        )
        recall, precision, f1 = np.zeros((3, len(runs)))
        recall[runs], precision[runs], f1[runs] = event_metrics(
            **points._asdict(),
            stream_fps=stream_fps,
            target_fps=np.minimum(observed_fps[runs], stream_fps),
            x_vote=[choice.x_vote or 0 for choice in seen],
            event_model=self.prepared.event_model,
        )
        return tuple(
            Observation(
                app_id=choice.app_id,
                num_frozen=choice.num_frozen,
                target_fps=float(target_fps[i]),
                observed_fps=float(observed_fps[i]),
                predicted_recall=float(recall[i]),
                predicted_precision=None if choice.precision is None else float(precision[i]),
                predicted_f1=None if choice.f1 is None else float(f1[i]),
                name=choice.name,
            )
            for i, choice in enumerate(result.choices)
        )


def _cost(prepared: Prepared, result: Result, fps: FloatArray) -> float:
    """Compute a second of the result's choices at other rates, (N,) for N choices."""
    cost, sharing, begun = 0.0, result.mode != "no-sharing", 0
    for schedule, stream in zip(result.schedules, prepared.streams, strict=True):
        model, frozen = stream.model, [choice.num_frozen for choice in schedule.choices]
        rates, begun = fps[begun : begun + len(frozen)], begun + len(frozen)
        cost += float(tail_costs(model, frozen, rates, sharing=sharing).sum())
        cost += sum(part.cost for part in stem_parts(model, frozen, rates)) if sharing and frozen else 0.0
    return cost


def measurement(told: Observed, model: Model) -> tuple[Measurement | None, str | None]:
    """What the parts took, next to what the profile says; or why that is not known."""
    if told.compute is None:
        return None, told.unmeasured
    if not told.plan.layers:
        return None, "the runtime ran a plan of its own"
    parts = []
    for part, subnet, (start, stop) in zip(told.compute.parts, told.plan.subnets, told.plan.layers, strict=True):
        latency = float(model.prefix[stop] - model.prefix[start])
        predicted_s = part.runs * latency / 1000 if model.unit == "ms" else None
        app_id = None if subnet.shared else told.plan.app_id_of(subnet.app_id)
        parts.append(MeasuredPart(app_id, start, stop, part.runs, part.core_s, predicted_s))
    return Measurement(told.compute.window_s, tuple(parts)), None


def _what_runs(result: Result) -> list[tuple[Any, ...]]:
    return [(choice.app_id, choice.num_frozen, choice.target_fps, choice.x_vote) for choice in result.choices]


def _one(name: str, given: Any, other: Any) -> Any:
    """What was given by its name or by its published name."""
    if given is not None and other is not None:
        raise ProblemError(f"{name}_desc is another name of {name}; give one of them")
    if given is None and other is None:
        raise ProblemError(f"{name}: it is missing; the order is apps, model, video")
    return other if given is None else given


def _history(rounds: Sequence[Round], reason: Reason, prepared: Prepared) -> History:
    return History(tuple(rounds), reason, {stream.name: stream.model for stream in prepared.streams})
