"""Tables of options that are made when first needed; numba is imported only then."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mainstream.apps import Apps
from mainstream.extensions import EventModel
from mainstream.problem import Mode, Model, Objective, Video

if TYPE_CHECKING:
    from mainstream.solver.joint_table import JointTable
    from mainstream.solver.option_table import OptionTable
    from mainstream.solver.search import Limits

_Made = TypeVar("_Made")


class Once(Generic[_Made]):
    """A thing that is made at its first use, within the limits of that call."""

    def __init__(self, make: Callable[[Limits], _Made]) -> None:
        self._make: Callable[[Limits], _Made] | None = make
        self._made: _Made

    def __call__(self, limits: Limits) -> _Made:
        if self._make is not None:
            self._made, self._make = self._make(limits), None
        return self._made


def build(
    apps: Apps,
    model: Model,
    video: Video,
    objective: Objective,
    mode: Mode,
    event_model: EventModel,
    memory: bool,
    limits: Limits,
) -> OptionTable:
    """As :meth:`OptionTable.build`."""
    from mainstream.solver.option_table import OptionTable

    how: dict[str, Any] = {"metric": objective, "mode": mode, "event_model": event_model, "memory": memory}
    return OptionTable.build(apps, model, video, limits=limits, **how)


def join(tables: tuple[Once[OptionTable], ...], memory_mb: float | None, limits: Limits) -> JointTable:
    """The tables of all streams as one, within `memory_mb` megabytes for their models."""
    from mainstream.solver.joint_table import JointTable

    parts = []
    for table in tables:
        parts.append(table(limits))
        limits = limits.less(parts[-1].nbytes)
    return JointTable(tuple(parts), math.inf if memory_mb is None else memory_mb)
