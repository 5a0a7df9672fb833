"""What comes back from a solve: frozen, prints, shows and saves itself."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from mainstream.apps import BoolArray, IntArray
from mainstream.costs import StemPart
from mainstream.description import counted, printable, shown
from mainstream.errors import ProblemError, UnknownAppError
from mainstream.ids import IdArray
from mainstream.notebook import frame, html_table
from mainstream.problem import FloatArray
from mainstream.region import Region
from mainstream.schedule_columns import INTERVALS, columns_of, columns_together

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from mainstream.frontiers import Frontier

FORMAT: Final = "mainstream-result-1"
_NEWER: Final = ("memory_mb", "precision", "precisions")
"""What results have that were saved by later versions only."""


@dataclass(frozen=True, repr=False)
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

    Examples
    --------
    >>> from mainstream import load_problem, solve
    >>> choice = solve(load_problem("data/problems/tiny.yaml").to_solve(), budget=20)[1]
    >>> choice
    <Choice of app 1 'person': 1 fps, 90 layers shared, f1 0.969, recall 0.995, precision 0.944>
    >>> choice.num_frozen, choice.target_fps, choice.x_vote
    (90, 1.0, None)
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

    def __repr__(self) -> str:
        called = "" if self.name is None else f" {shown(self.name)}"
        shares = counted(self.num_frozen, "layer") if self.num_frozen > 1 else "no layer"
        return (
            f"<Choice of app {shown(self.app_id)}{called}: {self.target_fps:g} fps, {shares} shared, {self._values()}>"
        )

    def _values(self) -> str:
        names = ("f1", "recall", "precision")
        return ", ".join(f"{name} {value:.3f}" for name in names if (value := getattr(self, name)) is not None)

    def to_dict(self) -> dict[str, Any]:
        """Its fields; intervals where they are known.

        >>> choice.to_dict()["name"]
        'person'
        """
        return {key: value for key, value in vars(self).items() if value is not None or key not in INTERVALS}


@dataclass(frozen=True, eq=False, repr=False)
class Schedule:
    """One choice for each app, as columns of length N, and the stem that they share.

    `f1` and `precision` are NaN where an app has none, `x_vote` is 0 for no voting. Intervals are (N, 2), low and high,
    NaN where they are not known; None where nobody knows any. An app that was left out has
    `target_fps` 0 and no entry in `choices`. `memory_mb` is what the models take, None where that is not known.
    `region` is the part of the frame that the apps see, None for the whole; `stream` what the stream is called, None
    where it has no name.

    Examples
    --------
    >>> from mainstream import load_problem, solve
    >>> schedule = solve(load_problem("data/problems/tiny.yaml").to_solve(), budget=20).schedule
    >>> schedule
    <Schedule: 3 apps, cost 18.56>
    >>> schedule.admitted.tolist(), schedule.left_out, len(schedule.choices), round(schedule.cost, 2)
    ([True, True, True], (), 3, 18.56)
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

    def __repr__(self) -> str:
        called = "" if self.stream is None else f" of {printable(self.stream)}"
        left = f", {len(self.left_out):,} left out" if self.left_out else ""
        return f"<Schedule{called}: {counted(len(self) - len(self.left_out), 'app')}{left}, cost {self.cost:.4g}>"

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


@dataclass(frozen=True, eq=False, repr=False)
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
        Seconds, from the call to the answer; those for compiling, once on a machine, do not count.
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

    Examples
    --------
    >>> from mainstream import Result, load_problem, solve
    >>> result = solve(load_problem("data/problems/tiny.yaml").to_solve(), budget=20)
    >>> result
    <Result: 3 apps, mean f1 0.8331 (optimal), cost 18.56 of 20 ms/s>
    >>> result[1]
    <Choice of app 1 'person': 1 fps, 90 layers shared, f1 0.969, recall 0.995, precision 0.944>
    >>> [choice.target_fps for choice in result], "dogs" in result
    ([1.0, 4.0, 4.0], False)
    >>> result.goal, round(result.cost, 2), round(result.gap, 6), result.left_out, result.memory
    ('mean f1', 18.56, 1e-06, (), None)
    >>> [part.stop for part in result.stem], len(result.choices), result.schedule, result.together
    ([155], 3, <Schedule: 3 apps, cost 18.56>, <Schedule: 3 apps, cost 18.56>)
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

    def __repr__(self) -> str:
        return f"<Result: {self._in_short()}>"

    def _in_short(self) -> str:
        left = f", {len(self.left_out):,} left out" if self.left_out else ""
        unit = f" {printable(self.unit)}/s" if self.unit else ""
        return (
            f"{counted(len(self.choices), 'app')}{left}, {self.goal} {self.objective:.4f} ({self.status}), "
            f"cost {self.cost:.4g} of {self.budget:.4g}{unit}"
        )

    def _repr_html_(self) -> str:
        from mainstream.result_text import table_rows

        return html_table(self._in_short(), *table_rows(self))

    def __getitem__(self, app_id: int | str) -> Choice:
        try:
            return self._by_id[app_id]
        except (KeyError, TypeError):
            out = f"; left out are {shown([*self.left_out])}" if self.left_out else ""
            raise UnknownAppError(
                f"app {shown(app_id)} is not in the result, which has {shown([*self._by_id])}{out}"
            ) from None

    def __contains__(self, app_id: object) -> bool:
        return app_id in self._by_id

    def __iter__(self) -> Iterator[Choice]:
        return iter(self.choices)

    @cached_property
    def _by_id(self) -> dict[int | str, Choice]:
        return {choice.app_id: choice for choice in self.choices}

    @property
    def goal(self) -> str:
        """What was maximised, in words: "mean f1", or "smallest f1" with ``aggregate="min"``."""
        return f"{'smallest' if self.aggregate == 'min' else 'mean'} {self.metric}"

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
            streams = f"{len(self.schedules)} streams (each region of a camera is one)"
            raise ProblemError(f"the result has {streams}; each one's schedule and stem is in `schedules`")
        return self.schedules[0]

    @cached_property
    def together(self) -> Schedule:
        """The apps of all streams as one schedule, stream by stream; its stem is all of their stems."""
        if len(self.schedules) == 1:
            return self.schedules[0]
        stem = tuple(part for one in self.schedules for part in one.stem)
        return Schedule(**columns_together(self.schedules), stem=stem)

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
        """The result as text: a line for each choice (the first 30), the stem, the totals.

        >>> print(result.summary())
        app name    num_frozen fps votes     f1 recall precision tail ms/s
          1 person          90   1     - 0.9691 0.9951    0.9444     1.626
          2 vehicle        155   4     2 0.8102 0.8958    0.7396    0.1773
          3 animal         151   4     4 0.7200 0.8042    0.6518    0.8306
        stem       layers 0-154 at 4 fps: 15.93 ms/s
        objective  mean f1 0.833105 (optimal)
        bound      0.833106, gap 1.0e-06
        cost       18.5617 of 20 ms/s (92.8 %)
        solved by  branch-and-bound, ... nodes, ... s
        """
        from mainstream.result_text import result_text

        return result_text(self)

    def to_frame(self) -> DataFrame:
        """A table of pandas: a row for each app that runs, with the fields of :class:`Choice`.

        Where there are several streams, the first column is the name or the number of the app's.

        Raises
        ------
        MissingExtraError
            pandas is not installed.

        Examples
        --------
        >>> result.to_frame()[["app_id", "num_frozen", "target_fps"]]
           app_id  num_frozen  target_fps
        0       1          90         1.0
        1       2         155         4.0
        2       3         151         4.0
        """
        names = [field.name for field in fields(Choice) if field.name not in INTERVALS]
        columns = {name: [getattr(choice, name) for choice in self.choices] for name in names}
        if len(self.schedules) > 1:
            streams = [one.stream or k for k, one in enumerate(self.schedules) for _ in one.choices]
            columns = {"stream": streams, **columns}
        return frame(columns)

    def plot(self, *, title: str = "", frontier: Frontier | None = None) -> Figure:
        """A picture of the schedule and of where the budget goes, as a figure of matplotlib.

        Parameters
        ----------
        title : str
            Above the picture.
        frontier : Frontier, optional
            What could be had for other budgets; the result's own is marked in it.

        Raises
        ------
        MissingExtraError
            matplotlib is not installed.

        Examples
        --------
        >>> result.plot(title="three apps").savefig("schedule.png")
        """
        from mainstream.report.figures import FrontierCurve, result_figure

        drawn = None if frontier is None else FrontierCurve(frontier.budgets, frontier.objectives, frontier.bounds)
        return result_figure(self, title=title, frontier=drawn)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts: what :meth:`to_json` writes.

        >>> result.to_dict()["status"]
        'optimal'
        """
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
        """The result as JSON text; :meth:`from_json` reads it back, equal to this one.

        >>> result.to_json().splitlines()[1]
        ' "format": "mainstream-result-1",'
        """
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A result from the text that :meth:`to_json` wrote.

        Raises
        ------
        ProblemError
            The text is not such a result.

        Examples
        --------
        >>> Result.from_json(result.to_json()) == result
        True
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
    return Schedule(
        **columns_of([_choice(choice) for choice in rows["choices"]], rows["left_out"]),
        stem=tuple(StemPart(**part) for part in rows["stem"]),
        memory_mb=rows.get("stream_memory_mb"),
        region=tuple(rows["region"]) if rows.get("region") else None,
        stream=rows.get("stream"),
    )
