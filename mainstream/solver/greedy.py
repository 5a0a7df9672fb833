"""Two greedies: ours, for a million apps, and the one published with the paper, to reproduce its figures.

An option's cell is depth * (R + 1) + rate index, as in ``kernels``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mainstream.problem import FloatArray
from mainstream.solver import kernels
from mainstream.solver.branch_and_bound import SearchTree
from mainstream.solver.jit import jit as _jit
from mainstream.solver.option_table import CellArray, OptionTable
from mainstream.solver.search import FEASIBLE_TOLERANCE, Limits, Outcome, schedule_cost

_IntArray = NDArray[np.int64]

_EFFORT: Final = 5_000_000
"""Options to look at between two looks at the clock: about 50 ms."""
_UNLIMITED: Final = 1 << 62


def greedy(packed: kernels.Packed, budget: float, limits: Limits) -> Outcome:
    """From most sharing and least fps, always the move with the best gain for its cost.

    A move takes one app to another of its options; its cost is what the whole schedule then costs more, stem
    included. A move that costs nothing comes first. It ends when no move that gains anything fits.

    Parameters
    ----------
    packed : Packed
        Values weighted.
    budget : float
    limits : Limits
        When the time is over, the moves made so far are the schedule. The gap decides whether the bound, that of the
        root of the search tree, proves it.

    Raises
    ------
    InfeasibleError
        Nothing fits the budget.
    """
    chosen = np.empty(len(packed.start) - 1, np.int64)
    _place(packed.start, packed.cell, _first_cells(packed, budget, limits), chosen)
    allowed = budget * (1 + FEASIBLE_TOLERANCE)
    moves, ended = 0, False
    while not ended and limits.left_s > 0:
        more, ended = _climb(*packed, allowed, chosen, _effort(limits, len(packed.cell)))
        moves += more
    cells = packed.cell[chosen]
    bound = _bound(packed, budget, cells, limits)
    value = float(packed.value[chosen].sum())
    return Outcome(
        cells=cells, bound=max(bound, value), nodes=moves, finished=bound - value <= limits.gap, method="greedy"
    )


def greedy_released(table: OptionTable, packed: kernels.Packed, budget: float, limits: Limits) -> Outcome:
    """The rule of the scheduler that was published with the paper; exists to be compared with.

    From the same start, among the moves to another (num_frozen, fps) that strictly lower the app's loss, 1 - value,
    and keep the whole cost within the budget: the one with the largest (loss of the new option) / (tail cost of the
    new option), ties in the order app, fps, num_frozen. Weights play no part in it.
    Source: the code released with Jiang et al., "Mainstream", USENIX ATC 2018.

    Parameters
    ----------
    table : OptionTable
        All of them: the rule may well take one that another option dominates.
    packed : Packed
        The same, packed, values weighted; for the start and the bound.
    budget : float
    limits : Limits
        As for :func:`greedy`.

    Raises
    ------
    InfeasibleError
        Nothing fits the budget.
    """
    allowed = budget * (1 + FEASIBLE_TOLERANCE)
    cells = _first_cells(packed, budget, limits)
    moves, ended = 0, False
    while not ended and limits.left_s > 0:
        effort = _effort(limits, table.values.size)
        more, ended = _released(
            table.values, table.depths, packed.tail, packed.seg, packed.rate, allowed, cells, effort
        )
        moves += more
    value = float(table.schedule(cells).value @ table.share)
    bound = _bound(packed, budget, cells, limits)
    return Outcome(
        cells=cells,
        bound=max(bound, value),
        nodes=moves,
        finished=bound - value <= limits.gap,
        method="greedy-released",
    )


def _effort(limits: Limits, once: int) -> int:
    """Options to look at before the next look at the clock; to begin again takes `once` of them."""
    return _UNLIMITED if np.isinf(limits.time_limit) else max(_EFFORT, 4 * once)


def _bound(packed: kernels.Packed, budget: float, cells: CellArray, limits: Limits) -> float:
    """That of the root of the search tree, or each app at its best when there is no time for it."""
    if limits.left_s > 0:
        return SearchTree(packed).root_bound(budget, cells)
    return float(np.maximum.reduceat(packed.value, packed.start[:-1]).sum())


def _first_cells(packed: kernels.Packed, budget: float, limits: Limits) -> CellArray:
    """Where both greedies begin: most sharing and least fps, or, where that does not fit, the cheapest schedule."""
    chosen = np.empty(len(packed.start) - 1, np.int64)
    _begin(packed.start, packed.cell, len(packed.rate), chosen)
    cells = packed.cell[chosen]
    if schedule_cost(packed, cells) > budget * (1 + FEASIBLE_TOLERANCE):
        search = SearchTree(packed)
        search.feasible(budget, limits)
        return search.tree.best
    return cells


@_jit
def _begin(start: _IntArray, cell: CellArray, width: int, chosen: _IntArray) -> None:
    """Choose for each app the least rate of its greatest depth; an app that may stay out does."""
    for i in range(len(chosen)):
        best = start[i]
        for o in range(start[i], start[i + 1]):
            depth, rate = cell[o] // width, cell[o] % width
            best_depth, best_rate = cell[best] // width, cell[best] % width
            if best_rate > 0 and (rate == 0 or depth > best_depth or (depth == best_depth and rate < best_rate)):
                best = o
        chosen[i] = best


@_jit
def _place(start: _IntArray, cell: CellArray, cells: CellArray, chosen: _IntArray) -> None:
    """Choose the options that stand in these cells."""
    for i in range(len(chosen)):
        for o in range(start[i], start[i + 1]):
            if cell[o] == cells[i]:
                chosen[i] = o


class _Stem(NamedTuple):
    """Who stands where, and the staircase that follows."""

    apps: _IntArray  # (cells,) number of apps in the cell
    top: _IntArray  # (D + 1,) rate index of the staircase
    rise: FloatArray  # (cells,) what the stem costs more with one more app in the cell


@_jit
def _staircase(count: _IntArray, width: int, top: _IntArray) -> bool:
    """Bring the staircase up to date; returns whether it changed."""
    changed = False
    reach = 0
    for k in range(len(top) - 1, 0, -1):
        j = width - 1
        while j > reach and count[k * width + j] == 0:
            j -= 1
        reach = max(reach, j)
        changed = changed or top[k] != reach
        top[k] = reach
    return changed


@_jit
def _rises(seg: FloatArray, rate: FloatArray, top: _IntArray, rise: FloatArray) -> float:
    """Fill rise for a staircase; returns what the stem costs."""
    width = len(rate)
    cost = 0.0
    for j in range(width):
        rise[j] = 0.0
    for k in range(1, len(top)):
        cost += seg[k] * rate[top[k]]
        for j in range(width):
            rise[k * width + j] = rise[(k - 1) * width + j] + seg[k] * max(0.0, rate[j] - rate[top[k]])
    return cost


@_jit
def _best_move(
    i: int,
    start: _IntArray,
    value: FloatArray,
    cell: CellArray,
    tail: FloatArray,
    seg: FloatArray,
    rate: FloatArray,
    slack: float,
    now: int,
    stem: _Stem,
    without: _Stem,
) -> tuple[int, float]:
    """The app's option of largest gain for its cost among those that fit, and that ratio; -1 when there is none."""
    width = len(rate)
    here = cell[now]
    saved = 0.0
    rise = stem.rise
    if here >= width and stem.apps[here] == 1 and stem.top[here // width] == here % width:
        # The only app in its cell, and at the edge of the staircase: it may carry a part of the stem alone.
        stem.apps[here] = 0
        for k in range(len(stem.top)):
            without.top[k] = stem.top[k]
        if _staircase(stem.apps, width, without.top):
            before = 0.0
            for k in range(1, len(seg)):
                before += seg[k] * rate[stem.top[k]]
            saved = before - _rises(seg, rate, without.top, without.rise)
            rise = without.rise
        stem.apps[here] = 1
    tail_now = tail[here // width] * rate[here % width]
    best, best_ratio, best_gain = -1, 0.0, 0.0
    for o in range(start[i], start[i + 1]):
        gain = value[o] - value[now]
        if gain <= 0.0:
            continue
        c = cell[o]
        extra = tail[c // width] * rate[c % width] - tail_now + rise[c] - saved
        if extra > slack:
            continue
        ratio = gain / extra if extra > 1e-12 * tail[0] else np.inf
        if ratio > best_ratio or (ratio == best_ratio and gain > best_gain):
            best, best_ratio, best_gain = o, ratio, gain
    return best, best_ratio


@_jit
def _sift_down(keys: FloatArray, heap: _IntArray, size: int, at: int) -> None:
    while True:
        down = 2 * at + 1
        if down >= size:
            return
        if down + 1 < size and keys[down + 1] > keys[down]:
            down += 1
        if keys[at] >= keys[down]:
            return
        keys[at], keys[down] = keys[down], keys[at]
        heap[at], heap[down] = heap[down], heap[at]
        at = down


@_jit
def _climb(
    start: _IntArray,
    value: FloatArray,
    cell: CellArray,
    tail: FloatArray,
    seg: FloatArray,
    rate: FloatArray,
    allowed: float,
    chosen: _IntArray,
    effort: int,
) -> tuple[int, bool]:
    """Make the best move until none is left, or until `effort` options were looked at.

    Returns the number of moves and whether none is left.

    The heap holds each app once, by the ratio of its best move when last looked at. While the staircase stands, a
    ratio can only fall (a move no longer fits), so the app on top is looked at again and sinks if it has to. When the
    staircase moves, or one app is left alone at its edge, moves get cheaper: then all are looked at anew.
    """
    n = len(chosen)
    width = len(rate)
    cells = width * len(tail)
    stem = _Stem(np.zeros(cells, np.int64), np.zeros(len(tail), np.int64), np.zeros(cells))
    without = _Stem(np.zeros(0, np.int64), np.zeros(len(tail), np.int64), np.zeros(cells))
    spent = 0.0
    for i in range(n):
        c = cell[chosen[i]]
        stem.apps[c] += 1
        spent += tail[c // width] * rate[c % width]
    _staircase(stem.apps, width, stem.top)
    carried = _rises(seg, rate, stem.top, stem.rise)
    keys = np.empty(n)
    heap = np.empty(n, np.int64)
    moves = 0
    looked = 0
    rebuild = True
    size = 0
    while True:
        if looked > effort:
            return moves, False
        slack = allowed - spent - carried
        if rebuild:
            size = 0
            looked += start[n]
            for i in range(n):
                o, ratio = _best_move(i, start, value, cell, tail, seg, rate, slack, chosen[i], stem, without)
                if o >= 0:
                    keys[size] = ratio
                    heap[size] = i
                    size += 1
            for at in range(size // 2 - 1, -1, -1):
                _sift_down(keys, heap, size, at)
            rebuild = False
        if size == 0:
            return moves, True
        i = heap[0]
        looked += start[i + 1] - start[i]
        o, ratio = _best_move(i, start, value, cell, tail, seg, rate, slack, chosen[i], stem, without)
        if o < 0:
            size -= 1
            keys[0], heap[0] = keys[size], heap[size]
            _sift_down(keys, heap, size, 0)
            continue
        if ratio < keys[0]:
            keys[0] = ratio
            _sift_down(keys, heap, size, 0)
            continue
        moves += 1
        old, new = cell[chosen[i]], cell[o]
        spent += tail[new // width] * rate[new % width] - tail[old // width] * rate[old % width]
        chosen[i] = o
        stem.apps[old] -= 1
        stem.apps[new] += 1
        edge = old >= width and stem.top[old // width] == old % width
        moved = stem.rise[new] > 0.0 or (edge and stem.apps[old] == 0)
        if moved and _staircase(stem.apps, width, stem.top):
            carried = _rises(seg, rate, stem.top, stem.rise)
            rebuild = True
        if not rebuild:
            slack = allowed - spent - carried
            o, ratio = _best_move(i, start, value, cell, tail, seg, rate, slack, o, stem, without)
            keys[0] = ratio if o >= 0 else -1.0
            _sift_down(keys, heap, size, 0)
            rebuild = edge and stem.apps[old] == 1


@_jit
def _released(
    values: FloatArray,
    depths: _IntArray,
    tail: FloatArray,
    seg: FloatArray,
    rate: FloatArray,
    allowed: float,
    cells: CellArray,
    effort: int,
) -> tuple[int, bool]:
    """Follow the published rule from `cells`, in place, for about `effort` options.

    Returns the number of moves and whether none is left.
    """
    n, columns, rates = values.shape
    width = rates + 1
    count = np.zeros(width * len(tail), np.int64)
    top = np.zeros(len(tail), np.int64)
    rise = np.zeros(len(count))
    current = np.zeros(n)
    spent = 0.0
    for i in range(n):
        depth, j = cells[i] // width, cells[i] % width
        count[cells[i]] += 1
        spent += tail[depth] * rate[j]
        for c in range(columns):
            # In mode "no-sharing" all columns have depth 0, and all but one are closed.
            if depths[c] == depth and j > 0 and not np.isnan(values[i, c, j - 1]):
                current[i] = values[i, c, j - 1]
    moves = 0
    while moves * values.size <= effort:
        best_i, best_cell, best_score, best_value = -1, 0, -np.inf, 0.0
        for i in range(n):
            here = cells[i]
            count[here] -= 1
            _staircase(count, width, top)
            carried = _rises(seg, rate, top, rise)
            count[here] += 1
            rest = spent - tail[here // width] * rate[here % width] + carried
            for j in range(1, width):
                for c in range(columns):
                    v = values[i, c, j - 1]
                    d = depths[c]
                    own = tail[d] * rate[j]
                    if 1.0 - v < 1.0 - current[i] and rest + own + rise[d * width + j] <= allowed:
                        score = (1.0 - v) / own if own > 0.0 else np.inf
                        if score > best_score:
                            best_i, best_cell, best_score, best_value = i, d * width + j, score, v
        if best_i < 0:
            return moves, True
        moves += 1
        old = cells[best_i]
        count[old] -= 1
        count[best_cell] += 1
        spent += tail[best_cell // width] * rate[best_cell % width] - tail[old // width] * rate[old % width]
        cells[best_i] = best_cell
        current[best_i] = best_value
    return moves, False
