"""What the closed loop did: its rounds, what each of them observed and measured, and why it ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from mainstream.correction import MeasuredPart
from mainstream.description import counted, shown
from mainstream.errors import ProblemError
from mainstream.notebook import frame, html_table
from mainstream.problem import Model
from mainstream.schedule import Result

if TYPE_CHECKING:
    from pandas import DataFrame

Reason = Literal[
    "converged",
    "max rounds",
    "budget seen before",
    "schedule seen before",
    "observed rates are 0",
    "the cost of the observed rates is below the cheapest schedule's",
    "no schedule fits the budget by what was measured",
    "interrupted",
]


@dataclass(frozen=True)
class Observation:
    """One app in one round.

    Attributes
    ----------
    app_id : int or str
    num_frozen : int
    target_fps, observed_fps : float
        Frames a second that it should analyse, and those that it did.
    predicted_recall : float
        What the event model says at the observed rate, or at the stream's if that is lower. This and the next two are 0
        where the rate is 0.
    predicted_precision, predicted_f1 : float or None
        None without false positive rates and event frequency.
    name : str or None
    """

    app_id: int | str
    num_frozen: int
    target_fps: float
    observed_fps: float
    predicted_recall: float
    predicted_precision: float | None
    predicted_f1: float | None
    name: str | None = None


@dataclass(frozen=True, repr=False)
class Measurement:
    """The compute that a schedule took.

    Attributes
    ----------
    window_s : float
        How many seconds were measured.
    parts : tuple of MeasuredPart
        In the order of the net plan.
    streams : mapping of str to Measurement
        With several streams, the measurement of each, by its name. This one is then of all of them together, and its
        window is the longest of theirs.
    """

    window_s: float
    parts: tuple[MeasuredPart, ...]
    streams: Mapping[str, Measurement] = field(default_factory=dict)

    def __repr__(self) -> str:
        factor = "" if self.factor is None else f", {self.factor:.3g} times what was predicted"
        return f"<Measurement: {self.compute:.4g} ms/s over {self.window_s:.3g} s{factor}>"

    @classmethod
    def together(cls, streams: Mapping[str, Measurement]) -> Self:
        """The compute that several streams took on one box."""
        parts = tuple(part for one in streams.values() for part in one.parts)
        return cls(max(one.window_s for one in streams.values()), parts, streams)

    @property
    def compute(self) -> float:
        """Milliseconds of a core a second."""
        if self.streams:
            return sum(one.compute for one in self.streams.values())
        return 1000 * sum(part.measured_core_s for part in self.parts) / self.window_s

    @property
    def factor(self) -> float | None:
        """Measured over predicted, of all parts together that count for a correction; None where none does."""
        counted = [part for part in self.parts if part.factor is not None]
        predicted = sum(part.predicted_core_s or 0.0 for part in counted)
        return sum(part.measured_core_s for part in counted) / predicted if predicted else None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts."""
        plain: dict[str, Any] = {"window_s": self.window_s, "factor": self.factor}
        if self.streams:
            return plain | {"streams": {name: one.to_dict() for name, one in self.streams.items()}}
        return plain | {"parts": [{**asdict(part), "factor": part.factor} for part in self.parts]}


@dataclass(frozen=True, eq=False, repr=False)
class Round:
    """One time round the loop.

    Attributes
    ----------
    budget : float
        The compute a second that was allowed.
    result : Result
        The schedule that ran.
    predicted_cost, predicted_cost_at_observed : float
        Compute a second that the cost model predicts at the rates that were sent, and at those observed.
    apps : tuple of Observation
        In the order of the result's choices.
    measured : Measurement or None
        The compute, measured.
    unmeasured : str or None
        Why there is no `measured`.
    """

    budget: float
    result: Result
    predicted_cost: float
    predicted_cost_at_observed: float
    apps: tuple[Observation, ...]
    measured: Measurement | None
    unmeasured: str | None

    def __repr__(self) -> str:
        return f"<Round: {_line(self)}>"

    @property
    def observed(self) -> dict[int | str, float]:
        """`app_id` -> observed frames a second."""
        return {app.app_id: app.observed_fps for app in self.apps}

    @property
    def measured_compute(self) -> float | None:
        """Milliseconds of a core a second; None where it was not measured."""
        return None if self.measured is None else self.measured.compute

    @property
    def factor(self) -> float | None:
        """Measured compute over predicted; None where they cannot be compared."""
        return None if self.measured is None else self.measured.factor

    @property
    def deviation(self) -> float:
        """How far the rates are off: (cost of those observed - cost of those sent) / cost of those sent, predicted."""
        return (self.predicted_cost_at_observed - self.predicted_cost) / self.predicted_cost

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts."""
        return {
            "budget": self.budget,
            "predicted_cost": self.predicted_cost,
            "predicted_cost_at_observed": self.predicted_cost_at_observed,
            "measured_compute": self.measured_compute,
            "measured": None if self.measured is None else self.measured.to_dict(),
            "unmeasured": self.unmeasured,
            "apps": [asdict(app) for app in self.apps],
            "result": self.result.to_dict(),
        }


@dataclass(frozen=True, eq=False, repr=False)
class History:
    """All rounds, and why the loop ended.

    Attributes
    ----------
    rounds : tuple of Round
    reason : str
        One of :data:`Reason`.
    profiles : mapping of str to Model
        The profile of each stream, by its name or None, corrected by all that was measured. Where nothing was measured
        it is the given profile.

    Examples
    --------
    >>> from mainstream import Scheduler, load_problem
    >>> problem = load_problem("data/problems/tiny.yaml")
    >>> apps = [{**app.model_dump(), "model_path": {f: f"{f}.pb" for f in app.accuracies}} for app in problem.apps]
    >>> class Box:  # what runs a plan, and says how many frames a second each app got; this one gives what was asked
    ...     def deploy(self, plan):
    ...         return plan.target_fps
    >>> history = Scheduler(apps, problem.model, problem.video, deployer=Box()).run(20)
    >>> print(history)
    round 1: budget 20, compute not measured, cost predicted 18.5617, at the observed rates 18.5617 (+0.0%)
    ended: converged
    >>> history.converged, history.profile, len(history), history[0].observed
    (True, <Model 'mobilenetv2-96': 156 layers, 4.026 ms a frame, 22 chokepoints>, 1, {1: 1.0, 2: 4.0, 3: 4.0})
    """

    rounds: tuple[Round, ...]
    reason: Reason
    profiles: Mapping[str | None, Model]

    def __len__(self) -> int:
        return len(self.rounds)

    def __iter__(self) -> Iterator[Round]:
        return iter(self.rounds)

    def __getitem__(self, place: int) -> Round:
        return self.rounds[place]

    def __repr__(self) -> str:
        return f"<History: {counted(len(self), 'round')}, {self.reason}>"

    def __str__(self) -> str:
        lines = [f"round {k}: {_line(one)}" for k, one in enumerate(self.rounds, start=1)]
        return "\n".join([*lines, f"ended: {self.reason}"])

    @property
    def profile(self) -> Model:
        """The one profile of all streams; raises :class:`ProblemError` where they have different ones."""
        first, *others = self.profiles.values()
        if any(other != first for other in others):
            raise ProblemError(
                f"the streams have different base networks, whose profiles are {shown([*self.profiles])}"
            )
        return first

    @property
    def converged(self) -> bool:
        """Whether the last round's rates, and its compute if that was measured, were near what was predicted."""
        return self.reason == "converged"

    def _repr_html_(self) -> str:
        columns = self._columns()
        rows = [["-" if x is None else f"{x:.6g}" for x in row] for row in zip(*columns.values(), strict=True)]
        return html_table(repr(self).strip("<>"), [[*columns], *rows])

    def to_frame(self) -> DataFrame:
        """A pandas table with a row for each round.

        Raises
        ------
        MissingExtraError
            pandas is not installed.

        Examples
        --------
        >>> history.to_frame()[["budget", "predicted_cost", "deviation"]]
           budget  predicted_cost  deviation
        0      20        18.56165        0.0
        """
        return frame(self._columns())

    def _columns(self) -> dict[str, list[Any]]:
        names = ("budget", "predicted_cost", "predicted_cost_at_observed", "measured_compute", "deviation")
        objectives = {"objective": [one.result.objective for one in self.rounds]}
        return {name: [getattr(one, name) for one in self.rounds] for name in names} | objectives

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts.

        >>> history.to_dict()["reason"]
        'converged'
        """
        return {"reason": self.reason, "rounds": [one.to_dict() for one in self.rounds]}

    def to_json(self) -> str:
        """The history as JSON text.

        >>> history.to_json().splitlines()[1]
        ' "reason": "converged",'
        """
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)


def _line(one: Round) -> str:
    compute = "not measured" if one.measured_compute is None else f"measured {one.measured_compute:.6g} ms/s"
    return (
        f"budget {one.budget:.6g}, compute {compute}, cost predicted {one.predicted_cost:.6g}, "
        f"at the observed rates {one.predicted_cost_at_observed:.6g} ({one.deviation:+.1%})"
    )
