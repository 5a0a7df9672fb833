"""The boxes of a fleet as problems: each box is solved with the streams that are on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from mainstream.box.shortfall import what_would_give
from mainstream.errors import InfeasibleError, OutOfTimeError, ProblemError
from mainstream.files import naming
from mainstream.fleet.fleet import Camera, Fleet
from mainstream.formats.named_stream import NamedStream
from mainstream.ids import id_array
from mainstream.problem import FLOAT32, INT8
from mainstream.schedule import Result
from mainstream.solver import Prepared, prepare
from mainstream.solver.precisions import Precisions
from mainstream.stream import Stream, objective_of
from mainstream.streamer.plan import NetPlan, net_plan

_OF_THE_PROBLEM: Final = ("objective", "mode", "event_model")


@dataclass(frozen=True, eq=False)
class FleetProblems:
    """The problems of a fleet, which all have the same objective and event model.

    An app is called ``STREAM: APP`` here, since streams of one box may have apps with equal names.

    Parameters
    ----------
    fleet : Fleet

    Raises
    ------
    ProblemError
        Apps lack what the objective needs; some streams have `int8` and some not.
    """

    fleet: Fleet

    def __post_init__(self) -> None:
        first, *rest = self.fleet.cameras
        for camera in rest:
            if (_any(camera).int8 is None) != (_any(first).int8 is None):
                raise ProblemError(
                    f"stream {camera.name}: give int8 for all apps of all streams, or for none of the fleet"
                )

    @cached_property
    def _streams(self) -> dict[int, dict[str, tuple[Stream, ...]]]:
        """Identity of a stream with a profile -> precision -> the streams to solve in that precision."""
        different = {id(named): named for camera in self.fleet.cameras for named in camera.on.values()}
        return {key: _to_solve(named) for key, named in different.items()}

    @cached_property
    def what(self) -> dict[str, Any]:
        """Keywords of :func:`mainstream.prepare` that hold for every box."""
        options = {key: value for key, value in self.fleet.options.given().items() if key in _OF_THE_PROBLEM}
        every = [stream.apps for each in self._streams.values() for streams in each.values() for stream in streams]
        measured = any(apps.is_measured for apps in every)
        return {
            "event_model": "measured" if measured else "windowed",
            **options,
            "objective": objective_of(every, options.get("objective")),
        }

    @cached_property
    def how(self) -> dict[str, Any]:
        """Keywords of :meth:`mainstream.Prepared.solve`."""
        return {key: value for key, value in self.fleet.options.given().items() if key not in _OF_THE_PROBLEM}

    def prepared(self, box: int, cameras: Sequence[int], *, memory_mb: float | None) -> Mapping[str, Prepared]:
        """Prepare the problem of some streams on a box, in each precision.

        Raises
        ------
        ProblemError
            An app does not fit its network or video, or units differ.
        """
        given = self.fleet.boxes[box]
        each = [self._streams[id(self.fleet.cameras[k].on[box])] for k in cameras]
        with naming(f"box {given.name}"):
            return {
                precision: prepare(
                    [stream for streams in each for stream in streams[precision]],
                    budget=given.budget,
                    memory_mb=memory_mb,
                    **self.what,
                )
                for precision in each[0]
            }

    def solve(self, box: int, cameras: Sequence[int], *, briefly: bool = False) -> Result:
        """The best schedule of some streams on a box.

        Parameters
        ----------
        box : int
        cameras : sequence of int
            Indices of the streams.
        briefly : bool
            If nothing fits, do not find out what would have to change.

        Raises
        ------
        ProblemError
            As :meth:`prepared`.
        InfeasibleError
            Nothing fits; the message says what would have to change.
        OutOfTimeError
            The limits were reached before there was any schedule.
        """
        given = self.fleet.boxes[box]
        prepared = Precisions(self.prepared(box, cameras, memory_mb=given.memory_mb))
        try:
            return prepared.solve(**self.how)
        except InfeasibleError as error:
            first = next(iter(prepared.prepared.values()))
            gives = "" if briefly else f"; {what_would_give(first, self.how)}"
            raise InfeasibleError(f"box {given.name}: {error}{gives}", error.smallest_budget) from None
        except OutOfTimeError as error:
            raise OutOfTimeError(f"box {given.name}: {error}") from None

    def net_plans(self, box: int, cameras: Sequence[int], result: Result) -> dict[str, NetPlan]:
        """The net plan of each stream of a box by name; streams without a running app are left out.

        Raises
        ------
        ProblemError
            An app has no model file for its choice, or the network lacks a tensor or its size.
        """
        plans = {}
        given = self.fleet.boxes[box]
        for k in cameras:
            camera = self.fleet.cameras[k]
            named = camera.on[box] if result.precision != INT8 else camera.on[box].in_8_bits()
            own = _result_of(camera, result)
            with naming(f"box {given.name}: stream {camera.name}"):
                if own.choices:
                    plans[camera.name] = net_plan(own, named.apps, named.model)
        return plans


def _any(camera: Camera) -> NamedStream:
    return next(iter(camera.on.values()))


def _to_solve(named: NamedStream) -> dict[str, tuple[Stream, ...]]:
    """A stream in each precision; its apps have their fleet-wide names."""
    if named.int8 is None:
        precisions = {named.model.precision or FLOAT32: named}
    else:
        precisions = {FLOAT32: named.model_copy(update={"int8": None}), INT8: named.in_8_bits()}
    renamed = {
        name: one.model_copy(
            update={"apps": tuple(app.model_copy(update={"app_id": f"{named.name}: {app.app_id}"}) for app in one.apps)}
        )
        for name, one in precisions.items()
    }
    return {name: one.to_solve() for name, one in renamed.items()}


def _result_of(camera: Camera, result: Result) -> Result:
    """The part of a box's result that is about one stream; its apps have their own names again."""
    ids = {f"{camera.name}: {app.app_id}": app.app_id for app in _any(camera).apps}
    schedules = tuple(
        replace(schedule, app_ids=id_array([ids[str(app_id)] for app_id in schedule.app_ids.tolist()]))
        for schedule in result.schedules
        if schedule.stream == camera.name
    )
    return replace(result, schedules=schedules)
