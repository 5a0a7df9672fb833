"""Checks of a solve: before it, how it is asked for; after it, whether the method's schedule fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np

from mainstream.description import one_of
from mainstream.errors import MainstreamError, ProblemError
from mainstream.extensions import METHODS, Method
from mainstream.problem import Aggregate, FloatArray
from mainstream.ranges import NON_NEGATIVE, POSITIVE
from mainstream.schedule import Schedule


def check_how(
    aggregate: str, method: str | Method, gap: float, time_limit: float | None, memory_limit: float | None = None
) -> Method:
    """Check the method and what is asked of it; returns the method.

    Parameters
    ----------
    aggregate, method, gap, time_limit, memory_limit
        As for :func:`mainstream.solve`.

    Raises
    ------
    ProblemError
        One of them is unknown or out of its range, or the method cannot maximise the aggregate.
    """
    one_of("aggregate", aggregate, get_args(Aggregate))
    found = METHODS.find(method)
    if aggregate not in found.aggregates:
        only = " and ".join(repr(one) for one in found.aggregates)
        raise ProblemError(
            f"method {found.name!r} only takes aggregate {only}; for {aggregate!r} use 'branch-and-bound'"
        )
    NON_NEGATIVE.check("gap", gap)
    if time_limit is not None:
        POSITIVE.check("time_limit", time_limit)
    if memory_limit is not None:
        POSITIVE.check("memory_limit", memory_limit)
    return found


def check_fits(
    method: Method, values: FloatArray, schedules: Sequence[Schedule], budget: float, memory_mb: float | None
) -> None:
    """Raise :class:`MainstreamError` if a method's schedule has an option that does not exist, or takes too much."""
    cost = sum(schedule.cost for schedule in schedules)
    memory = sum(schedule.memory_mb or 0.0 for schedule in schedules)
    what = ""
    if np.isnan(values).any():
        what = "has an option that its app may not have"
    elif not cost <= budget * (1 + 2e-9):
        what = f"costs {cost:.12g}, with a budget of {budget:.12g}"
    elif memory_mb is not None and not memory <= memory_mb * (1 + 2e-9):
        what = f"takes {memory:.12g} MB, with memory_mb {memory_mb:.12g}"
    if what:
        raise MainstreamError(f"method {method.name}: its schedule {what}")
