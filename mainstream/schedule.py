"""What comes back from a solve: frozen, prints and saves itself."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Final, Self

import numpy as np

from mainstream.apps import BoolArray, IntArray
from mainstream.costs import StemPart
from mainstream.errors import ProblemError
from mainstream.ids import IdArray, id_array
from mainstream.problem import FloatArray
from mainstream.region import Region

FORMAT: Final = "mainstream-result-1"
INTERVALS: Final = ("f1_interval", "recall_interval", "precision_interval")
"""Intervals of a choice; in JSON only where they are known."""
_NEWER: Final = ("memory_mb", "precision", "precisions")
"""What results have that were saved by later versions only."""


@dataclass(frozen=True)
class Choice:
    """What one app was given, and what it gets out of it.

    Attributes
    ----------
    app_id : int or str
    num_frozen : int
        Number of leading layers it shares; 0 and 1 mean nothing.
    target_fps : float
        Frames a second that it analyses.
    x_vote : int or None
        Consecutive positives needed; None for no voting.
    value : float
        What was maximised, unweighted.
    f1, recall, precision : float or None
        Event metrics; f1 and precision are None without false positive rates and event frequency.
    accuracy : float
        Per-frame accuracy of the model.
    tail_cost : float
        Compute a second of the layers that only this app runs.
    name : str or None
    f1_interval, recall_interval, precision_interval : (float, float) or None
        What the intervals of the curve's figures leave open; None where they are not known.
    """

    app_id: int | str
    num_frozen: int
    target_fps: float
    x_vote: int | None
    value: float
    f1: float | None
    recall: float
    precision: float | None
    accuracy: float
    tail_cost: float
    name: str | None = None
    f1_interval: tuple[float, float] | None = None
    recall_interval: tuple[float, float] | None = None
    precision_interval: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Its fields; intervals where they are known."""
        return {key: value for key, value in vars(self).items() if value is not None or key not in INTERVALS}


@dataclass(frozen=True, eq=False)
class Schedule:
    """One choice for each app, as columns of length N, and the stem that they share.

    `f1` and `precision` are NaN where an app has none, `x_vote` is 0 for no voting. Intervals are (N, 2), low and high,
    NaN where they are not known; None where nobody knows any. An app that was left out has
    `target_fps` 0 and no entry in `choices`. `memory_mb` is what the models take, None where that is not known.
    `region` is the part of the frame that the apps see, None for the whole; `stream` what the stream is called, None
    where it has no name.
    """

    app_ids: IdArray
    num_frozen: IntArray
    target_fps: FloatArray
    x_vote: IntArray
    value: FloatArray
    f1: FloatArray
    recall: FloatArray
    precision: FloatArray
    accuracy: FloatArray
    tail_cost: FloatArray
    stem: tuple[StemPart, ...]
    memory_mb: float | None = None
    names: tuple[str | None, ...] = ()
    f1_interval: FloatArray | None = None
    recall_interval: FloatArray | None = None
    precision_interval: FloatArray | None = None
    region: Region | None = None
    stream: str | None = None

    def __len__(self) -> int:
        return len(self.app_ids)

    @property
    def admitted(self) -> BoolArray:
        """Which apps run; shape (N,)."""
        runs: BoolArray = self.target_fps > 0
        return runs

    @property
    def cost(self) -> float:
        """Compute a second: stem and tails."""
        return sum(part.cost for part in self.stem) + float(self.tail_cost.sum())

    @property
    def left_out(self) -> tuple[int | str, ...]:
        """The `app_id` of each app that does not run."""
        return tuple(self.app_ids[~self.admitted].tolist())

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """The admitted apps' choices as objects, in the order in which the apps were given."""
        rows = np.flatnonzero(self.admitted)
        columns = {"app_id": self.app_ids[rows].tolist()}
        for field in fields(Choice):
            if field.name in INTERVALS:
                ends = getattr(self, field.name)
                known = [None] * len(rows) if ends is None else ends[rows].tolist()
                columns[field.name] = [None if pair is None or math.isnan(sum(pair)) else tuple(pair) for pair in known]
            elif field.name not in ("app_id", "name"):
                columns[field.name] = getattr(self, field.name)[rows].tolist()
        for column in ("f1", "precision"):
            columns[column] = [None if math.isnan(x) else x for x in columns[column]]
        columns["x_vote"] = [x or None for x in columns["x_vote"]]
        columns["name"] = [self.names[i] for i in rows] if self.names else [None] * len(rows)
        return tuple(Choice(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True))


@dataclass(frozen=True, eq=False)
class Result:
    """A schedule with the proof of how good it is.

    Attributes
    ----------
    schedules : tuple of Schedule
        One for each stream, in the order given.
    status : str
        "optimal" when the gap asked for is proven, else "feasible".
    objective : float
        Weighted mean of the apps' values; with ``aggregate="min"`` the smallest value.
    bound : float
        No schedule within the budget has a larger objective.
    budget : float
        Compute a second that was allowed; `cost` is what the schedule takes.
    metric, aggregate, mode, event_model, method : str
        What was solved, and how.
    runtime_s : float
        Seconds, from the call to the answer.
    nodes : int
        Nodes of the search tree.
    unit : str or None
        Unit of the latencies.
    memory_mb : float or None
        Megabytes that were allowed, where there was a limit; `memory` is what the models take.
    mean, mean_bound : float or None
        With ``aggregate="min"``: the mean among the schedules with the largest smallest value, and its bound.
    precision : str or None
        Of all models, where there were several to choose from: "float32" or "int8".
    precisions : dict of str to (float or None), or None
        Each precision that was solved -> its largest objective, None where nothing fits.
    """

    schedules: tuple[Schedule, ...]
    status: str
    objective: float
    bound: float
    budget: float
    metric: str
    aggregate: str
    mode: str
    event_model: str
    method: str
    runtime_s: float
    nodes: int
    unit: str | None = None
    mean: float | None = None
    mean_bound: float | None = None
    memory_mb: float | None = None
    precision: str | None = None
    precisions: dict[str, float | None] | None = None

    @property
    def gap(self) -> float:
        """`bound` less `objective`, in units of the objective."""
        return max(0.0, self.bound - self.objective)

    @property
    def schedule(self) -> Schedule:
        """The schedule of the only stream.

        Raises
        ------
        ProblemError
            There are several.
        """
        if len(self.schedules) > 1:
            raise ProblemError(f"the result has {len(self.schedules)} streams; each one's schedule is in `schedules`")
        return self.schedules[0]

    @cached_property
    def together(self) -> Schedule:
        """The apps of all streams as one schedule, stream by stream; its stem is all of their stems."""
        return _together(self.schedules)

    @property
    def cost(self) -> float:
        """Compute a second, of all streams."""
        return sum(schedule.cost for schedule in self.schedules)

    @property
    def memory(self) -> float | None:
        """Megabytes of the models of all streams; None where one of them does not tell."""
        each = [schedule.memory_mb for schedule in self.schedules]
        return None if None in each else float(sum(mb for mb in each if mb is not None))

    @property
    def stem(self) -> tuple[StemPart, ...]:
        """The shared part of the only stream, from the camera on."""
        return self.schedule.stem

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The apps' choices as objects, stream by stream; made when first asked for."""
        return tuple(choice for schedule in self.schedules for choice in schedule.choices)

    @property
    def left_out(self) -> tuple[int | str, ...]:
        """The `app_id` of each optional app that did not fit."""
        return tuple(app_id for schedule in self.schedules for app_id in schedule.left_out)

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and self.to_dict() == other.to_dict()

    def __str__(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """The result as text: a line for each choice (the first 30), the stem, the totals."""
        from mainstream.result_text import result_text

        return result_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts: what :meth:`to_json` writes."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "schedules"}
        streams = [_rows(schedule) for schedule in self.schedules]
        return {
            "format": FORMAT,
            **own,
            "gap": self.gap,
            "cost": self.cost,
            **(streams[0] if len(streams) == 1 else {"streams": streams}),
        }

    def to_json(self) -> str:
        """The result as JSON text; :meth:`from_json` reads it back, equal to this one."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A result from the text that :meth:`to_json` wrote.

        Raises
        ------
        ProblemError
            The text is not such a result.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise ProblemError(f"result: no JSON: {error}") from None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ProblemError(f"result: no saved result; 'format' has to be {FORMAT!r}")
        try:
            schedules = tuple(_from_rows(stream) for stream in data.get("streams", [data]))
            own = [field.name for field in fields(cls) if field.name not in ("schedules", *_NEWER)]
            newer: dict[str, Any] = {name: data.get(name) for name in _NEWER}
            return cls(schedules=schedules, **newer, **{name: data[name] for name in own})
        except (KeyError, TypeError, ValueError) as error:
            raise ProblemError(f"result: not as saved: {error}") from None


@dataclass(frozen=True, eq=False)
class Frontier:
    """The best that each of several budgets can pay for.

    Attributes
    ----------
    budgets : (B,) float
        Increasing, compute a second.
    results : tuple of Result or None, length B
        None where nothing fits.
    """

    budgets: FloatArray
    results: tuple[Result | None, ...]

    @property
    def objectives(self) -> FloatArray:
        """The best objective for each budget; NaN where nothing fits."""
        return np.array([np.nan if result is None else result.objective for result in self.results])

    @property
    def bounds(self) -> FloatArray:
        """What no schedule within each budget surpasses; NaN where nothing fits."""
        return np.array([np.nan if result is None else result.bound for result in self.results])

    @property
    def in_several_precisions(self) -> bool:
        """Whether there were precisions to choose from."""
        return any(result is not None and result.precision is not None for result in self.results)

    def to_csv(self) -> str:
        """One line for each budget; empty columns where nothing fits. The precision where there are several."""
        several = self.in_several_precisions
        lines = ["budget,objective,bound,gap,cost,status,runtime_s" + ",precision" * several]
        for budget, result in zip(self.budgets.tolist(), self.results, strict=True):
            if result is None:
                lines.append(f"{budget!r},,,,,infeasible," + "," * several)
            else:
                numbers = (budget, result.objective, result.bound, result.gap, result.cost)
                lines.append(f"{','.join(repr(x) for x in numbers)},{result.status},{result.runtime_s:.6f}")
                lines[-1] += f",{result.precision}" * several
        return "\n".join(lines) + "\n"


def with_dearer_bounds(results: list[Result | None], gap: float) -> tuple[Result | None, ...]:
    """The results, budgets rising; a bound holds for every smaller budget, too."""
    bound = math.inf
    sharper: list[Result | None] = []
    for result in reversed(results):
        if result is None:
            sharper.append(None)
            continue
        bound = max(result.objective, min(bound, result.bound))
        proven = result.aggregate == "mean" and bound - result.objective <= gap
        sharper.append(replace(result, bound=bound, status="optimal" if proven else result.status))
    return tuple(reversed(sharper))


def _together(schedules: tuple[Schedule, ...]) -> Schedule:
    if len(schedules) == 1:
        return schedules[0]
    columns: dict[str, Any] = {"app_ids": id_array([i for one in schedules for i in one.app_ids.tolist()])}
    for field in fields(Schedule):
        given = [getattr(one, field.name) for one in schedules]
        if field.name in INTERVALS:
            filled = [
                np.full((len(one), 2), np.nan) if x is None else x for one, x in zip(schedules, given, strict=True)
            ]
            columns[field.name] = np.concatenate(filled) if any(x is not None for x in given) else None
        elif field.name not in ("app_ids", "stem", "memory_mb", "names", "region", "stream"):
            columns[field.name] = np.concatenate(given)
    names = [name for one in schedules for name in one.names or (None,) * len(one)]
    stem = tuple(part for one in schedules for part in one.stem)
    return Schedule(**columns, stem=stem, names=tuple(names) if any(names) else ())


def _rows(schedule: Schedule) -> dict[str, Any]:
    """A schedule as plain lists and dicts."""
    return {
        "stem": [vars(part) for part in schedule.stem],
        "choices": [choice.to_dict() for choice in schedule.choices],
        "left_out": list(schedule.left_out),
        **({} if schedule.memory_mb is None else {"stream_memory_mb": schedule.memory_mb}),
        **({} if schedule.region is None else {"region": list(schedule.region)}),
        **({} if schedule.stream is None else {"stream": schedule.stream}),
    }


def _choice(keys: dict[str, Any]) -> Choice:
    """A choice as it was saved."""
    intervals = {key: (float(keys[key][0]), float(keys[key][1])) for key in INTERVALS if keys.get(key) is not None}
    return Choice(**{**keys, **intervals})


def _from_rows(rows: dict[str, Any]) -> Schedule:
    """Columns again; the apps that were left out come last."""
    choices = [_choice(choice) for choice in rows["choices"]]
    left_out = rows["left_out"]
    rest = len(left_out)

    def column(name: str, fill: float) -> FloatArray:
        given = [getattr(choice, name) for choice in choices]
        return np.array([np.nan if x is None else x for x in given] + [fill] * rest, dtype=np.float64)

    def intervals(name: str) -> FloatArray:
        pairs = [getattr(choice, name) or (np.nan, np.nan) for choice in choices]
        return np.array([*pairs, *[(np.nan, np.nan)] * rest], dtype=np.float64).reshape(-1, 2)

    names = [choice.name for choice in choices]
    return Schedule(
        app_ids=id_array([*(choice.app_id for choice in choices), *left_out]),
        num_frozen=column("num_frozen", 0).astype(np.int64),
        target_fps=column("target_fps", 0.0),
        x_vote=np.array([choice.x_vote or 0 for choice in choices] + [0] * rest, dtype=np.int64),
        value=column("value", 0.0),
        f1=column("f1", np.nan),
        recall=column("recall", 0.0),
        precision=column("precision", np.nan),
        accuracy=column("accuracy", np.nan),
        tail_cost=column("tail_cost", 0.0),
        stem=tuple(StemPart(**part) for part in rows["stem"]),
        memory_mb=rows.get("stream_memory_mb"),
        region=tuple(rows["region"]) if rows.get("region") else None,
        stream=rows.get("stream"),
        names=(*names, *[None] * rest) if any(names) else (),
        **{name: intervals(name) for name in INTERVALS},
    )
