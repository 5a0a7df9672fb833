"""The greedy that was published with the paper, to reproduce its figures."""

from __future__ import annotations

import numpy as np

from mainstream._jit import jit
from mainstream.problem import FloatArray
from mainstream.solver import kernels
from mainstream.solver.greedy_ends import EFFORT, first_cells, root_bound
from mainstream.solver.kernels.lagrangian import worth
from mainstream.solver.option_table import CellArray, weighted
from mainstream.solver.search import FEASIBLE_TOLERANCE, Limits, Outcome
from mainstream.solver.stems import Stem, group_of, memory_taken, more_memory, rises, staircase


def greedy_released(
    every: kernels.Packed, packed: kernels.Packed, share: FloatArray, budget: float, limits: Limits
) -> Outcome:
    """The rule of the scheduler that was published with the paper; it is here for comparison.

    It begins like :func:`greedy`. It considers the moves to another (num_frozen, fps) that strictly lower the app's
    loss, 1 - value, and keep the whole cost within the budget. Of these it makes the one with the largest (loss of the
    new option) / (tail cost of the new option); the order app, fps, num_frozen decides ties. It ignores weights.
    Source: the code released with Jiang et al., "Mainstream", USENIX ATC 2018.

    Parameters
    ----------
    every : Packed
        All options, since the rule may take one that another option dominates; values are unweighted.
    packed : Packed
        The options worth looking at, with weighted values; for the start and the bound.
    share : (N,) array
        What each app's value counts in the mean.
    budget : float
    limits : Limits
        As for :func:`greedy`.

    Raises
    ------
    InfeasibleError
        Nothing fits the budget.
    """
    allowed = budget * (1 + FEASIBLE_TOLERANCE)
    cells = first_cells(packed, budget, limits)
    depths, size = every.own.shape[0], every.own.size
    stem = Stem(np.empty(size, np.int64), np.zeros(depths, np.int64), np.zeros(depths, np.int64), np.empty(size))
    current = np.zeros(len(cells))
    moves, ended = 0, False
    while not ended and limits.left_s > 0:
        more, ended = _released(every, allowed, cells, max(EFFORT, 4 * len(every.cell)), stem, current)
        moves += more
    value = worth(weighted(every, share), cells)
    bound = root_bound(packed, budget, cells, limits)
    return Outcome(
        cells=cells,
        bound=max(bound, value),
        nodes=moves,
        finished=bound - value <= limits.gap,
        method="greedy-released",
    )


@jit
def _released(
    every: kernels.Packed, allowed: float, cells: CellArray, effort: int, stem: Stem, current: FloatArray
) -> tuple[int, bool]:
    """Follow the published rule from `cells`, in place, for about `effort` options.

    stem : Stem
        Its floor is 0, its other arrays are filled here.
    current : (N,)
        Filled here: the value of each app.

    Returns the number of moves and whether none is left.
    """
    start, value, cell, own = every.start, every.value, every.cell, every.own
    width = own.shape[1]
    count, floor, top, rise = stem
    for c in range(len(count)):
        count[c] = 0
    spent = 0.0
    for i in range(len(cells)):
        count[cells[i]] += 1
        spent += own[cells[i] // width, cells[i] % width]
        for o in range(start[i], start[i + 1]):
            if cell[o] == cells[i]:
                current[i] = value[o]
    moves = 0
    while moves * start[-1] <= effort:
        best_i, best_cell, best_score, best_value = -1, 0, -np.inf, 0.0
        staircase(count, width, floor, every.rows, top)
        carried = rises(every.stem, every.rows, top, rise)
        room = every.memory_mb - memory_taken(every, every.rows, count, top)
        for i in range(len(cells)):
            here = cells[i]
            g = group_of(every.rows, here // width)
            rows = every.rows[g : g + 2]
            before = 0.0
            for k in range(rows[0], rows[1]):
                before += every.stem[k, top[k]]
            count[here] -= 1
            staircase(count, width, floor, rows, top)
            rest = spent - own[here // width, here % width] + carried - before + rises(every.stem, rows, top, rise)
            count[here] += 1
            for o in range(start[i], start[i + 1]):
                c, v = cell[o], value[o]
                cost = own[c // width, c % width]
                if room < np.inf and more_memory(every, rows, top, here, c) > room:
                    continue
                if 1.0 - v < 1.0 - current[i] and rest + cost + rise[c] <= allowed:
                    score = (1.0 - v) / cost if cost > 0.0 else np.inf
                    # Options are sorted by depth; of an app's equal ones the slowest goes first, then the shallowest.
                    slower = i == best_i and score == best_score and c % width < best_cell % width
                    if score > best_score or slower:
                        best_i, best_cell, best_score, best_value = i, c, score, v
            staircase(count, width, floor, rows, top)
        if best_i < 0:
            return moves, True
        moves += 1
        old = cells[best_i]
        count[old] -= 1
        count[best_cell] += 1
        spent += own[best_cell // width, best_cell % width] - own[old // width, old % width]
        cells[best_i] = best_cell
        current[best_i] = best_value
    return moves, False
