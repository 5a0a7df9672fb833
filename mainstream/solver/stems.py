"""Jitted code that keeps the stems of a schedule as its apps move from option to option."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mainstream._jit import jit
from mainstream.problem import FloatArray
from mainstream.solver import kernels

IntArray = NDArray[np.int64]


class Stem(NamedTuple):
    """How many apps are in each cell, and the staircase that they need."""

    apps: IntArray  # (cells,) number of apps in the cell
    floor: IntArray  # (D,) the staircase's least rate index
    top: IntArray  # (D,) rate index of the staircase
    rise: FloatArray  # (cells,) the extra cost of the stem with one more app in the cell


@jit
def group_of(rows: IntArray, row: int) -> int:
    """The group g that a row belongs to. Given rows[g : g + 2], the functions below look at this group alone."""
    g = 0
    while rows[g + 1] <= row:
        g += 1
    return g


@jit
def staircase(count: IntArray, width: int, floor: IntArray, rows: IntArray, top: IntArray) -> bool:
    """Bring the staircase up to date; returns whether it changed."""
    changed = False
    for g in range(len(rows) - 1):
        reach = 0
        for k in range(rows[g + 1] - 1, rows[g], -1):
            j = width - 1
            while j > reach and count[k * width + j] == 0:
                j -= 1
            reach = max(reach, j, floor[k])
            changed = changed or top[k] != reach
            top[k] = reach
    return changed


@jit
def rises(stem: FloatArray, rows: IntArray, top: IntArray, rise: FloatArray) -> float:
    """Fill `rise` for a staircase; returns the cost of the stems."""
    width = stem.shape[1]
    cost = 0.0
    for g in range(len(rows) - 1):
        for j in range(width):
            rise[rows[g] * width + j] = 0.0
        for k in range(rows[g] + 1, rows[g + 1]):
            cost += stem[k, top[k]]
            for j in range(width):
                rise[k * width + j] = rise[(k - 1) * width + j] + max(0.0, stem[k, j] - stem[k, top[k]])
    return cost


@jit
def more_memory(packed: kernels.Packed, rows: IntArray, top: IntArray, old: int, new: int) -> float:
    """The most memory that a move can take; stem memory that it may free is not counted."""
    width = packed.own.shape[1]
    row = new // width
    more = packed.own_mb[row] if new % width > 0 else 0.0
    more -= packed.own_mb[old // width] if old % width > 0 else 0.0
    for k in range(rows[0] + 1, row + 1):
        more += packed.stem_mb[k] if top[k] == 0 else 0.0
    return more


@jit
def memory_taken(packed: kernels.Packed, rows: IntArray, count: IntArray, top: IntArray) -> float:
    """The memory that the models of some groups take."""
    taken = 0.0
    if packed.memory_mb < np.inf:
        width = packed.own.shape[1]
        for k in range(rows[0], rows[-1]):
            taken += packed.stem_mb[k] if top[k] > 0 else 0.0
            for j in range(1, width):
                taken += count[k * width + j] * packed.own_mb[k]
    return taken
