"""Tables of numbers, a row for each app: made of rows of different lengths, and put over other columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mainstream.problem import FloatArray


def in_columns(rows: Sequence[Sequence[float]]) -> FloatArray:
    """Lists of different lengths as the rows of a table, NaN behind the end of each."""
    table = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
    return table


def on_columns(table: NDArray[Any], chokepoints: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[Any]:
    """A table (N, F, ...) over other chokepoints; NaN, or 0 for whole numbers, in those that it has not."""
    if chokepoints is wanted or np.array_equal(chokepoints, wanted):
        return table
    spread = np.full((len(table), len(wanted), *table.shape[2:]), np.nan if table.dtype.kind == "f" else 0, table.dtype)
    known = np.isin(wanted, chokepoints)
    spread[:, known] = table[:, np.searchsorted(chokepoints, wanted[known])]
    return spread
