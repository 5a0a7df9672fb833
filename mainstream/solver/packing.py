"""Jitted code that reduces a table of options to those worth looking at, and packs them for the search."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mainstream._jit import jit
from mainstream.apps import BoolArray, IntArray
from mainstream.problem import FloatArray

Cells = NDArray[np.int32]


@jit
def undominated(
    values: FloatArray,
    depths: IntArray,
    tail: FloatArray,
    own_mb: FloatArray,
    rate: FloatArray,
    keep: BoolArray,
    limit: IntArray,
    best: FloatArray,
) -> int:
    """Mark the options that no other option of their app dominates; returns their number.

    (d, j) is dominated when some (d', j') with d' <= d, j' <= j, no larger tail cost and no more memory for the tail
    is worth at least as much: every staircase that carries (d, j) also carries (d', j').

    values : (N, F, R) float64, NaN where closed; the column R is rate[1..R]
    depths : (F,) int64, depth of each column, increasing
    keep : (N, F, R) bool, filled here
    limit, best : (F, F, R) int and (F, R + 1), memory to work in
    """
    n, columns, rates = values.shape
    # limit[e, c, j]: how many of the rates of column e < c cost no more than rate j at column c.
    for e in range(columns):
        for c in range(e, columns):
            lean = own_mb[depths[e]] <= own_mb[depths[c]]
            reach = 0
            for j in range(rates):
                cost = tail[depths[c]] * rate[j + 1] * (1 + 1e-12)
                while lean and reach <= j and tail[depths[e]] * rate[reach + 1] <= cost:
                    reach += 1
                limit[e, c, j] = reach
    kept = 0
    for i in range(n):
        for c in range(columns):
            top = -np.inf
            best[c, 0] = top
            for j in range(rates):
                v = values[i, c, j]
                if np.isnan(v):
                    keep[i, c, j] = False
                else:
                    alive = v > top
                    e = 0
                    while alive and e < c:
                        alive = best[e, limit[e, c, j]] < v
                        e += 1
                    keep[i, c, j] = alive
                    kept += alive
                    top = max(top, v)
                best[c, j + 1] = top
    return kept


@jit
def pack(
    values: FloatArray,
    keep: BoolArray,
    depths: IntArray,
    optional: BoolArray,
    start: IntArray,
    value: FloatArray,
    cell: Cells,
) -> None:
    """Write the kept options app by app: fills start (N + 1,), value (M,), cell (M,).

    optional : (N,) bool, apps that may also stay out: cell 0 (depth 0, rate 0), value 0
    """
    n, columns, rates = values.shape
    at = 0
    for i in range(n):
        start[i] = at
        if optional[i]:
            value[at] = 0.0
            cell[at] = 0
            at += 1
        for c in range(columns):
            for j in range(rates):
                if keep[i, c, j]:
                    value[at] = values[i, c, j]
                    cell[at] = depths[c] * (rates + 1) + j + 1
                    at += 1
    start[n] = at
