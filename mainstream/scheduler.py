"""The closed loop: solve with a budget, run the plan, see which frame rates come of it, solve with what they cost.

A profile is measured on an idle device, a layer at a time; what a device really gets done shows when it runs. So the
cost of the observed rates is the budget of the next round, until target and observed cost are near each other.
Source: the scheduler released with Jiang et al., "Mainstream", USENIX ATC 2018.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np

from mainstream.apps import Apps
from mainstream.costs import stem_parts, tail_costs
from mainstream.description import shown
from mainstream.errors import InfeasibleError, ProblemError
from mainstream.extensions import EventModel, Method
from mainstream.io import SolveOptions
from mainstream.problem import Aggregate, App, FloatArray, Mode, Model, Objective, Video
from mainstream.ranges import COUNT, POSITIVE
from mainstream.schedule import Result
from mainstream.solver import prepare
from mainstream.solver.prepared import GAP, check_how
from mainstream.stream import check_order, is_model, is_video
from mainstream.streamer.client import DEFAULT_ADDRESS, StreamerClient
from mainstream.streamer.deployer import Deployer, Observed
from mainstream.streamer.plan import net_plan

Reason = Literal[
    "converged",
    "max rounds",
    "budget seen before",
    "observed cost is 0",
    "observed cost is below the cheapest schedule's",
]

_DOORS: Final = ("method", "event_model")
"""Options that take an object, too."""
_SAME_BUDGET: Final = 1e-9
"""Relative difference below which two budgets are one."""


@dataclass(frozen=True)
class Observation:
    """One app in one round.

    Attributes
    ----------
    app_id : int or str
    num_frozen : int
    target_fps, observed_fps : float
        Frames a second that it should analyse, and did.
    recall : float
        Predicted at the observed rate, no more than the stream's; all three are 0 where it is 0.
    precision, f1 : float or None
        None without false positive rates and event frequency.
    name : str or None
    """

    app_id: int | str
    num_frozen: int
    target_fps: float
    observed_fps: float
    recall: float
    precision: float | None
    f1: float | None
    name: str | None = None


@dataclass(frozen=True, eq=False)
class Round:
    """One time round the loop.

    Attributes
    ----------
    budget : float
        Compute a second that was allowed.
    result : Result
        The schedule that ran.
    target_cost, observed_cost : float
        Compute a second that the cost model predicts at the rates that were sent, and at those observed.
    apps : tuple of Observation
        In the order of the result's choices.
    """

    budget: float
    result: Result
    target_cost: float
    observed_cost: float
    apps: tuple[Observation, ...]

    @property
    def observed(self) -> dict[int | str, float]:
        """`app_id` -> observed frames a second."""
        return {app.app_id: app.observed_fps for app in self.apps}

    @property
    def deviation(self) -> float:
        """Observed cost less target cost, as a share of the target cost."""
        return (self.observed_cost - self.target_cost) / self.target_cost

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts."""
        return {
            "budget": self.budget,
            "target_cost": self.target_cost,
            "observed_cost": self.observed_cost,
            "apps": [asdict(app) for app in self.apps],
            "result": self.result.to_dict(),
        }


@dataclass(frozen=True, eq=False)
class History:
    """All rounds, and why there were no more.

    Attributes
    ----------
    rounds : tuple of Round
    reason : str
        "converged", "max rounds", "budget seen before", "observed cost is 0" or "observed cost is below the cheapest
        schedule's".
    """

    rounds: tuple[Round, ...]
    reason: Reason

    def __len__(self) -> int:
        return len(self.rounds)

    def __iter__(self) -> Iterator[Round]:
        return iter(self.rounds)

    def __getitem__(self, place: int) -> Round:
        return self.rounds[place]

    def __str__(self) -> str:
        lines = [
            f"round {k}: budget {one.budget:.6g}, target cost {one.target_cost:.6g}, "
            f"observed {one.observed_cost:.6g} ({one.deviation:+.1%})"
            for k, one in enumerate(self.rounds, start=1)
        ]
        return "\n".join([*lines, f"ended: {self.reason}"])

    @property
    def converged(self) -> bool:
        """Whether the last round's observed cost was near its target."""
        return self.reason == "converged"

    def to_json(self) -> str:
        """The history as JSON text."""
        plain = {"reason": self.reason, "rounds": [one.to_dict() for one in self.rounds]}
        return json.dumps(plain, indent=1, allow_nan=False)


class Scheduler:
    """Keeps a runtime at the best schedule that its device really gets done.

    Parameters
    ----------
    apps : list of App or mapping
        With a model file for each `num_frozen` that may be chosen.
    model : Model or mapping
    video : Video or mapping
        The published order, apps, video, model, is taken, too, and so are the published names of the two,
        ``video_desc`` and ``model_desc``.
    deployer : object with ``deploy(plan)``, optional
        What runs a plan, see :class:`~mainstream.streamer.deployer.Deployer`; default a Streamer at `address`.
    address : str
    objective, aggregate, mode, method, event_model, gap, time_limit, memory_limit : optional
        As in :func:`mainstream.solve`.
    tolerance : float
        Converged is a round whose observed cost differs from its target by less than this share of it.
    max_rounds : int

    Attributes
    ----------
    prepared : Prepared
        The problem, compiled once for all rounds.

    Raises
    ------
    ProblemError
        Bad input, in one line.
    MissingExtraError
        Without a deployer: ZeroMQ is not installed.
    """

    def __init__(
        self,
        apps: Iterable[App | Mapping[str, Any]],
        model: Model | Mapping[str, Any] | None = None,
        video: Video | Mapping[str, Any] | None = None,
        *,
        model_desc: Model | Mapping[str, Any] | None = None,
        video_desc: Video | Mapping[str, Any] | None = None,
        deployer: Deployer | None = None,
        address: str = DEFAULT_ADDRESS,
        objective: Objective | None = None,
        aggregate: Aggregate = "mean",
        mode: Mode = "mainstream",
        method: str | Method = "auto",
        event_model: str | EventModel | None = None,
        gap: float = GAP,
        time_limit: float | None = None,
        memory_limit: float | None = None,
        tolerance: float = 0.2,
        max_rounds: int = 10,
    ) -> None:
        published = is_video(model) and (video is None or is_model(video))
        first, second = (video, model) if published else (model, video)
        own_model, stream = _one("model", first, model_desc), _one("video", second, video_desc)
        check_order(apps, own_model, stream)
        if isinstance(apps, Apps | Mapping | str) or not isinstance(apps, Iterable):
            raise ProblemError(f"apps: got {shown(apps)}; it has to be a list of App objects or mappings")
        self._how: dict[str, Any] = {
            "aggregate": aggregate,
            "method": method,
            "gap": gap,
            "time_limit": time_limit,
            "memory_limit": memory_limit,
        }
        options = {**self._how, "objective": objective, "mode": mode, "event_model": event_model}
        named = {key: value for key, value in options.items() if key not in _DOORS or isinstance(value, str)}
        SolveOptions.of(named, where="scheduler")
        check_how(**self._how)
        self.prepared = prepare(apps, own_model, stream, objective=objective, mode=mode, event_model=event_model)
        POSITIVE.check("tolerance", tolerance)
        COUNT.check("max_rounds", max_rounds)
        if deployer is not None and not callable(getattr(deployer, "deploy", None)):
            raise ProblemError(f"deployer: got {shown(deployer)}; it has to have a method deploy(plan)")
        self.tolerance = tolerance
        self.max_rounds = max_rounds
        self._own_client = StreamerClient(address) if deployer is None else None
        self._deployer: Deployer = self._own_client or deployer  # type: ignore[assignment]

    def run(self, cost_threshold: float, *, progress: Callable[[Round], None] | None = None) -> History:
        """Solve, deploy and observe until target and observed cost agree, or there is no use in going on.

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
        """
        rounds: list[Round] = []
        budget = cost_threshold
        try:
            while True:
                try:
                    result = self._solve(budget, rounds)
                except InfeasibleError:
                    if not rounds:
                        raise
                    return History(tuple(rounds), "observed cost is below the cheapest schedule's")
                if rounds and not result.choices:
                    return History(tuple(rounds), "observed cost is below the cheapest schedule's")
                rounds.append(self._round(budget, result))
                if progress is not None:
                    progress(rounds[-1])
                budget = rounds[-1].observed_cost
                reason = self._reason_to_end(rounds)
                if reason is not None:
                    return History(tuple(rounds), reason)
        finally:
            if self._own_client is not None:
                self._own_client.close()

    def _solve(self, budget: float, rounds: list[Round]) -> Result:
        return self.prepared.solve(budget, **self._how, warm_start=rounds[-1].result if rounds else None)

    def _round(self, budget: float, result: Result) -> Round:
        plan = net_plan(result, self.prepared.described, self.prepared.model)
        answer = self._deployer.deploy(plan)
        observed = Observed(answer, plan)
        target = (answer.plan if isinstance(answer, Observed) else plan).target_fps
        number_of = {plan.app_id_of(number): number for number in plan.target_fps}
        numbers = [number_of[choice.app_id] for choice in result.choices]
        target_fps = np.array([target[number] for number in numbers])
        observed_fps = np.array([observed[number] for number in numbers])
        return Round(
            budget=budget,
            result=result,
            target_cost=self._cost(result, target_fps),
            observed_cost=self._cost(result, observed_fps),
            apps=self._observations(result, target_fps, observed_fps),
        )

    def _reason_to_end(self, rounds: list[Round]) -> Reason | None:
        last = rounds[-1]
        if abs(last.deviation) < self.tolerance:
            return "converged"
        if last.observed_cost == 0:
            return "observed cost is 0"
        if any(math.isclose(last.observed_cost, one.budget, rel_tol=_SAME_BUDGET) for one in rounds):
            return "budget seen before"
        return "max rounds" if len(rounds) == self.max_rounds else None

    def _cost(self, result: Result, fps: FloatArray) -> float:
        """Compute a second of the result's choices at other rates, (N,) for N choices."""
        frozen = [choice.num_frozen for choice in result.choices]
        sharing = result.mode != "no-sharing"
        tails = float(tail_costs(self.prepared.model, frozen, fps, sharing=sharing).sum())
        stem = stem_parts(self.prepared.model, frozen, fps) if sharing else ()
        return tails + sum(part.cost for part in stem)

    def _observations(
        self, result: Result, target_fps: FloatArray, observed_fps: FloatArray
    ) -> tuple[Observation, ...]:
        from mainstream.events import event_metrics

        runs = observed_fps > 0
        seen = [choice for choice, does in zip(result.choices, runs, strict=True) if does]
        apps, video = self.prepared.apps, self.prepared.video
        places = apps.places([choice.app_id for choice in seen], [choice.num_frozen for choice in seen])
        recall, precision, f1 = np.zeros((3, len(runs)))
        recall[runs], precision[runs], f1[runs] = event_metrics(
            **apps.at(*places)._asdict(),
            stream_fps=video.stream_fps,
            target_fps=np.minimum(observed_fps[runs], video.stream_fps),
            x_vote=[choice.x_vote or 0 for choice in seen],
            event_model=self.prepared.event_model,
        )
        return tuple(
            Observation(
                app_id=choice.app_id,
                num_frozen=choice.num_frozen,
                target_fps=float(target_fps[i]),
                observed_fps=float(observed_fps[i]),
                recall=float(recall[i]),
                precision=None if choice.precision is None else float(precision[i]),
                f1=None if choice.f1 is None else float(f1[i]),
                name=choice.name,
            )
            for i, choice in enumerate(result.choices)
        )


def _one(name: str, given: Any, other: Any) -> Any:
    """What was given by its name or by its published name."""
    if given is not None and other is not None:
        raise ProblemError(f"{name}_desc is another name of {name}; give one of them")
    if given is None and other is None:
        raise ProblemError(f"{name}: it is missing; the order is apps, model, video")
    return other if given is None else given
