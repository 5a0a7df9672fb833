"""Tables of numbers with a row for each app: made from rows of different lengths, put over other columns, indexed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mainstream.errors import ProblemError
from mainstream.problem import MOST_LENGTHS, FloatArray
from mainstream.ranges import PARAMETERS, numbers

CURVES: Final = (
    "accuracies",
    "false_positive_rates",
    "accuracy_intervals",
    "false_positive_intervals",
    "false_correlations",
)
"""The columns of apps that have the shape (N, F, ...)."""
ROWS: Final = (
    "event_length_ms",
    "event_frequency",
    "correlation",
    "correlation_fps",
    "accuracy_spread",
    "weight",
    "x_vote",
    "unshared_key",
    "pinned_num_frozen",
    "pinned_fps",
    "min_fps",
    "max_fps",
    "min_value",
    "optional",
)
"""The columns of apps that have the shape (N,), except the ids."""


def in_columns(rows: Sequence[Sequence[float]]) -> FloatArray:
    """Lists of different lengths as the rows of a table, with NaN after the end of each."""
    table = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
    return table


def on_columns(table: NDArray[Any], chokepoints: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[Any]:
    """A table (N, F, ...) over other chokepoints; NaN, or 0 for whole numbers, where the table lacks one."""
    if chokepoints is wanted or np.array_equal(chokepoints, wanted):
        return table
    spread = np.full((len(table), len(wanted), *table.shape[2:]), np.nan if table.dtype.kind == "f" else 0, table.dtype)
    known = np.isin(wanted, chokepoints)
    spread[:, known] = table[:, np.searchsorted(chokepoints, wanted[known])]
    return spread


class CurvePoints(NamedTuple):
    """M apps at one chokepoint each, as :func:`mainstream.events.event_metrics` takes them; (M,) arrays."""

    accuracy: FloatArray
    false_positive_rate: FloatArray
    event_length_ms: FloatArray
    event_frequency: FloatArray
    correlation: FloatArray
    correlation_fps: FloatArray
    accuracy_spread: FloatArray
    event_lengths_ms: FloatArray
    false_correlation: FloatArray


def given_lengths(given: Sequence[Sequence[float]], n: int) -> FloatArray:
    """The lengths of events that a user gave."""
    rows = [numbers("event_lengths_ms", row) for row in given] if len(given) else [np.empty(0)] * n
    if len(rows) != n or any(row.ndim != 1 or len(row) > MOST_LENGTHS for row in rows):
        raise ProblemError(f"event_lengths_ms: it has to be {n} lists of at most {MOST_LENGTHS} numbers")
    for row in rows:
        PARAMETERS["event_length_ms"].check_array("event_lengths_ms", row)
    return in_columns([sorted(row.tolist()) for row in rows])
