"""Where both greedies begin, how far they go in one call, and the bound that they end with."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mainstream._jit import jit
from mainstream.solver import kernels
from mainstream.solver.branch_and_bound import SearchTree
from mainstream.solver.memory import fits
from mainstream.solver.option_table import CellArray
from mainstream.solver.search import FEASIBLE_TOLERANCE, Limits

EFFORT: Final = 5_000_000
"""How many options to look at between two looks at the clock: about 50 ms."""


def root_bound(packed: kernels.Packed, budget: float, cells: CellArray, limits: Limits) -> float:
    """The bound of the root of the search tree, or the sum of the best values if there is no time for that."""
    if limits.left_s > 0:
        return SearchTree(packed).root_bound(budget, cells, limits)
    return float(np.maximum.reduceat(packed.value, packed.start[:-1]).sum())


def first_cells(packed: kernels.Packed, budget: float, limits: Limits) -> CellArray:
    """Where both greedies begin: most sharing and least fps, or, where that does not fit, the cheapest schedule."""
    chosen = np.empty(len(packed.start) - 1, np.int64)
    _begin(packed.start, packed.cell, packed.own.shape[1], chosen)
    cells = packed.cell[chosen]
    if not fits(packed, cells, budget * (1 + FEASIBLE_TOLERANCE)):
        search = SearchTree(packed)
        search.feasible(budget, limits)
        return search.tree.best
    return cells


@jit
def _begin(start: NDArray[np.int64], cell: CellArray, width: int, chosen: NDArray[np.int64]) -> None:
    """Choose the least rate at the greatest depth for each app; an app that may stay out stays out."""
    for i in range(len(chosen)):
        best = start[i]
        for o in range(start[i], start[i + 1]):
            depth, rate = cell[o] // width, cell[o] % width
            best_depth, best_rate = cell[best] // width, cell[best] % width
            if best_rate > 0 and (rate == 0 or depth > best_depth or (depth == best_depth and rate < best_rate)):
                best = o
        chosen[i] = best
