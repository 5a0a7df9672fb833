"""Two greedies: ours, for a million apps, and the one published with the paper, to reproduce its figures.

An option's cell is row * (R + 1) + rate index, as in ``kernels``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mainstream.problem import FloatArray
from mainstream.solver import kernels
from mainstream.solver.branch_and_bound import SearchTree
from mainstream.solver.jit import jit as _jit
from mainstream.solver.kernels.lagrangian import worth
from mainstream.solver.memory import fits
from mainstream.solver.option_table import CellArray, weighted
from mainstream.solver.search import FEASIBLE_TOLERANCE, Limits, Outcome

_IntArray = NDArray[np.int64]

_EFFORT: Final = 5_000_000
"""Options to look at between two looks at the clock: about 50 ms."""
_MANY: Final = 100
"""Apps of a stream from which on a move may raise its stem for several of them: with few it is one that pays for it."""
_SAMPLE: Final = 200
"""Apps that are asked whether that pays, of more than those."""
_LOOKS: Final = 8
"""How often that is asked, while each app moves once."""


def greedy(packed: kernels.Packed, budget: float, limits: Limits) -> Outcome:
    """From most sharing and least fps, always the move with the best gain for its cost.

    A move takes one app to another of its options; its cost is what the whole schedule then costs more, stem
    included. A move that costs nothing comes first. With a hundred apps or more a stem is also raised for several of
    them at once, but for a limit on memory. It ends when no move that gains anything fits.

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
    floor = np.zeros(len(packed.own), np.int64)
    moves, ended = 0, False
    while not ended and limits.left_s > 0:
        more, ended = _climb(packed, allowed, chosen, floor, _effort(len(packed.cell)))
        moves += more
    cells = packed.cell[chosen]
    bound = _bound(packed, budget, cells, limits)
    value = float(packed.value[chosen].sum())
    return Outcome(
        cells=cells, bound=max(bound, value), nodes=moves, finished=bound - value <= limits.gap, method="greedy"
    )


def greedy_released(
    every: kernels.Packed, packed: kernels.Packed, share: FloatArray, budget: float, limits: Limits
) -> Outcome:
    """The rule of the scheduler that was published with the paper; exists to be compared with.

    From the same start, among the moves to another (num_frozen, fps) that strictly lower the app's loss, 1 - value,
    and keep the whole cost within the budget: the one with the largest (loss of the new option) / (tail cost of the
    new option), ties in the order app, fps, num_frozen. Weights play no part in it.
    Source: the code released with Jiang et al., "Mainstream", USENIX ATC 2018.

    Parameters
    ----------
    every : Packed
        All options: the rule may well take one that another option dominates. Values unweighted.
    packed : Packed
        Those worth looking at, values weighted; for the start and the bound.
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
    cells = _first_cells(packed, budget, limits)
    moves, ended = 0, False
    while not ended and limits.left_s > 0:
        more, ended = _released(every, allowed, cells, _effort(len(every.cell)))
        moves += more
    value = worth(weighted(every, share), cells)
    bound = _bound(packed, budget, cells, limits)
    return Outcome(
        cells=cells,
        bound=max(bound, value),
        nodes=moves,
        finished=bound - value <= limits.gap,
        method="greedy-released",
    )


def _effort(once: int) -> int:
    """Options to look at before the next look at the clock and for Ctrl-C; to begin again takes `once` of them."""
    return max(_EFFORT, 4 * once)


def _bound(packed: kernels.Packed, budget: float, cells: CellArray, limits: Limits) -> float:
    """That of the root of the search tree, or each app at its best when there is no time for it."""
    if limits.left_s > 0:
        return SearchTree(packed).root_bound(budget, cells, limits)
    return float(np.maximum.reduceat(packed.value, packed.start[:-1]).sum())


def _first_cells(packed: kernels.Packed, budget: float, limits: Limits) -> CellArray:
    """Where both greedies begin: most sharing and least fps, or, where that does not fit, the cheapest schedule."""
    chosen = np.empty(len(packed.start) - 1, np.int64)
    _begin(packed.start, packed.cell, packed.own.shape[1], chosen)
    cells = packed.cell[chosen]
    if not fits(packed, cells, budget * (1 + FEASIBLE_TOLERANCE)):
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
    floor: _IntArray  # (D,) rate index that the staircase has at least; [0], no segment: 1 once that was given back
    top: _IntArray  # (D,) rate index of the staircase
    rise: FloatArray  # (cells,) what the stem costs more with one more app in the cell


@_jit
def _rows_of(rows: _IntArray, row: int) -> _IntArray:
    """Where the rows of one group begin and end; the functions below then look at this group alone."""
    g = 0
    while rows[g + 1] <= row:
        g += 1
    return rows[g : g + 2]


@_jit
def _staircase(count: _IntArray, width: int, floor: _IntArray, rows: _IntArray, top: _IntArray) -> bool:
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


@_jit
def _rises(stem: FloatArray, rows: _IntArray, top: _IntArray, rise: FloatArray) -> float:
    """Fill rise for a staircase; returns what the stems cost."""
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


@_jit
def _more_memory(packed: kernels.Packed, top: _IntArray, old: int, new: int) -> float:
    """What a move takes of the memory at most: what it may free of the stem does not count."""
    width = packed.own.shape[1]
    row = new // width
    more = packed.own_mb[row] if new % width > 0 else 0.0
    more -= packed.own_mb[old // width] if old % width > 0 else 0.0
    rows = _rows_of(packed.rows, row)
    for k in range(rows[0] + 1, row + 1):
        more += packed.stem_mb[k] if top[k] == 0 else 0.0
    return more


@_jit
def _room(packed: kernels.Packed, count: _IntArray, top: _IntArray) -> float:
    """The memory that is left."""
    room = packed.memory_mb
    if room < np.inf:
        width = packed.own.shape[1]
        for c in range(len(count)):
            room -= count[c] * packed.own_mb[c // width] if c % width > 0 else 0.0
        for k in range(len(top)):
            room -= packed.stem_mb[k] if top[k] > 0 else 0.0
    return room


@_jit
def _best_move(
    i: int, packed: kernels.Packed, slack: float, room: float, now: int, stem: _Stem, without: _Stem
) -> tuple[int, float]:
    """The app's option of largest gain for its cost among those that fit, and that ratio; -1 when there is none."""
    start, value, cell, own = packed.start, packed.value, packed.cell, packed.own
    width = own.shape[1]
    here = cell[now]
    saved = 0.0
    rise = stem.rise
    if here % width > 0 and stem.apps[here] == 1 and stem.top[here // width] == here % width:
        # The only app in its cell, and at the edge of the staircase: it may carry a part of the stem alone.
        stem.apps[here] = 0
        rows = _rows_of(packed.rows, here // width)
        before = 0.0
        for k in range(rows[0], rows[1]):
            without.top[k] = stem.top[k]
            before += packed.stem[k, stem.top[k]]
        if _staircase(stem.apps, width, stem.floor, rows, without.top):
            saved = before - _rises(packed.stem, rows, without.top, without.rise)
            rise = without.rise
        stem.apps[here] = 1
    own_now = own[here // width, here % width]
    best, best_ratio, best_gain = -1, 0.0, 0.0
    for o in range(start[i], start[i + 1]):
        gain = value[o] - value[now]
        if gain <= 0.0:
            continue
        c = cell[o]
        extra = own[c // width, c % width] - own_now + rise[c] - saved
        if extra > slack or (room < np.inf and _more_memory(packed, stem.top, here, c) > room):
            continue
        ratio = gain / extra if extra > 1e-12 * own[0, 1] else np.inf
        if ratio > best_ratio or (ratio == best_ratio and gain > best_gain):
            best, best_ratio, best_gain = o, ratio, gain
    return best, best_ratio


@_jit
def _corner_to_raise(packed: kernels.Packed, slack: float, price: float, chosen: _IntArray, stem: _Stem) -> int:
    """The cell up to which its group's stem is to be raised for several apps at once; -1 when that pays for none.

    Raised up to (k, j) it lets each app take the new option of largest gain less price times extra tail cost. That pays
    when the sum of these exceeds price times what the stem costs more. Where the slack is not enough for all of them,
    those of a higher price count. Of many apps a sample is asked.
    """
    best, best_surplus = -1, 0.0
    for g in range(len(packed.rows) - 1):
        if packed.apps[g + 1] - packed.apps[g] < _MANY:
            continue
        for k in range(packed.rows[g] + 1, packed.rows[g + 1]):
            for j in range(stem.top[k] + 1, packed.own.shape[1]):
                surplus = _surplus(packed, g, k, j, slack, price, chosen, stem)
                if surplus > best_surplus:
                    best, best_surplus = k * packed.own.shape[1] + j, surplus
    return best


@_jit
def _surplus(
    packed: kernels.Packed, g: int, k: int, j: int, slack: float, price: float, chosen: _IntArray, stem: _Stem
) -> float:
    """What it brings, less its price, to raise the stem of a group up to (k, j); -inf when the slack is too little."""
    value, cell, own = packed.value, packed.cell, packed.own
    width = own.shape[1]
    first, end = packed.apps[g], packed.apps[g + 1]
    stride = max(1, (end - first) // _SAMPLE)
    times = (end - first) / len(range(first, end, stride))
    for factor in (1.0, 1.5, 2.5, 5.0):
        gain, cost = 0.0, stem.rise[k * width + j]
        if not cost <= slack:
            break
        for i in range(first, end, stride):
            now = chosen[i]
            own_now = own[cell[now] // width, cell[now] % width]
            best_score, own_gain, own_cost = 0.0, 0.0, 0.0
            for o in range(packed.start[i], packed.start[i + 1]):
                row = cell[o] // width
                reach = cell[o] - row * width
                new = row == packed.rows[g] or reach > stem.top[row]
                if row > k or reach > j or value[o] <= value[now] or not new:
                    continue
                extra = own[row, reach] - own_now
                score = value[o] - value[now] - factor * price * extra
                if score > best_score:
                    best_score, own_gain, own_cost = score, value[o] - value[now], extra
            gain += times * own_gain
            cost += times * own_cost
        if cost <= slack:
            return float(gain - price * cost)
    return -np.inf


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
    packed: kernels.Packed, allowed: float, chosen: _IntArray, floor: _IntArray, effort: int
) -> tuple[int, bool]:
    """Make the best move until none is left, or until `effort` options were looked at.

    Before a move of one app, now and then, a stem is raised for several apps where that pays at the ratio of the move;
    `floor` keeps how far.

    Returns the number of moves and whether none is left.

    The heap holds each app once, by the ratio of its best move when last looked at. While the staircase stands, a
    ratio can only fall (a move no longer fits), so the app on top is looked at again and sinks if it has to. When the
    staircase moves, or one app is left alone at its edge, moves get cheaper: then all are looked at anew.
    """
    start, cell, own, rows = packed.start, packed.cell, packed.own, packed.rows
    n = len(chosen)
    width = own.shape[1]
    depths, cells = len(own), own.size
    stem = _Stem(np.zeros(cells, np.int64), floor, np.zeros(depths, np.int64), np.zeros(cells))
    without = _Stem(np.zeros(0, np.int64), floor, np.zeros(depths, np.int64), np.zeros(cells))
    spent = 0.0
    for i in range(n):
        c = cell[chosen[i]]
        stem.apps[c] += 1
        spent += own[c // width, c % width]
    _staircase(stem.apps, width, floor, rows, stem.top)
    carried = _rises(packed.stem, rows, stem.top, stem.rise)
    together = n >= _MANY and floor[0] == 0 and packed.memory_mb == np.inf
    look = 0
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
        room = _room(packed, stem.apps, stem.top)
        if rebuild:
            size = 0
            looked += start[n]
            for i in range(n):
                o, ratio = _best_move(i, packed, slack, room, chosen[i], stem, without)
                if o >= 0:
                    keys[size] = ratio
                    heap[size] = i
                    size += 1
            for at in range(size // 2 - 1, -1, -1):
                _sift_down(keys, heap, size, at)
            rebuild = False
        if size == 0:
            # What nobody needs of a raised stem is given back, once.
            if floor[0] != 0 or not together:
                return moves, True
            together = False
            for k in range(len(floor)):
                floor[k] = 0
            floor[0] = 1
            if not _staircase(stem.apps, width, floor, rows, stem.top):
                return moves, True
            carried = _rises(packed.stem, rows, stem.top, stem.rise)
            rebuild = True
            continue
        i = heap[0]
        looked += start[i + 1] - start[i]
        o, ratio = _best_move(i, packed, slack, room, chosen[i], stem, without)
        if o < 0:
            size -= 1
            keys[0], heap[0] = keys[size], heap[size]
            _sift_down(keys, heap, size, 0)
            continue
        if ratio < keys[0]:
            keys[0] = ratio
            _sift_down(keys, heap, size, 0)
            continue
        if together and moves >= look and ratio < np.inf:
            look = moves + n // _LOOKS
            looked += _SAMPLE * cells
            corner = _corner_to_raise(packed, slack, ratio, chosen, stem)
            if corner >= 0:
                look = moves
                for k in range(_rows_of(rows, corner // width)[0] + 1, corner // width + 1):
                    floor[k] = max(floor[k], corner % width)
                _staircase(stem.apps, width, floor, rows, stem.top)
                carried = _rises(packed.stem, rows, stem.top, stem.rise)
                rebuild = True
                continue
        moves += 1
        old, new = cell[chosen[i]], cell[o]
        spent += own[new // width, new % width] - own[old // width, old % width]
        chosen[i] = o
        stem.apps[old] -= 1
        stem.apps[new] += 1
        edge = old % width > 0 and stem.top[old // width] == old % width
        moved = stem.rise[new] > 0.0 or (edge and stem.apps[old] == 0)
        if moved and _staircase(stem.apps, width, floor, rows, stem.top):
            carried = _rises(packed.stem, rows, stem.top, stem.rise)
            rebuild = True
        if not rebuild:
            slack = allowed - spent - carried
            room = _room(packed, stem.apps, stem.top)
            o, ratio = _best_move(i, packed, slack, room, o, stem, without)
            keys[0] = ratio if o >= 0 else -1.0
            _sift_down(keys, heap, size, 0)
            rebuild = edge and stem.apps[old] == 1


@_jit
def _released(every: kernels.Packed, allowed: float, cells: CellArray, effort: int) -> tuple[int, bool]:
    """Follow the published rule from `cells`, in place, for about `effort` options.

    Returns the number of moves and whether none is left.
    """
    start, value, cell, own = every.start, every.value, every.cell, every.own
    width = own.shape[1]
    count = np.zeros(own.size, np.int64)
    top = np.zeros(len(own), np.int64)
    floor = np.zeros(len(own), np.int64)
    rise = np.zeros(own.size)
    current = np.zeros(len(cells))
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
        _staircase(count, width, floor, every.rows, top)
        carried = _rises(every.stem, every.rows, top, rise)
        room = _room(every, count, top)
        for i in range(len(cells)):
            here = cells[i]
            rows = _rows_of(every.rows, here // width)
            before = 0.0
            for k in range(rows[0], rows[1]):
                before += every.stem[k, top[k]]
            count[here] -= 1
            _staircase(count, width, floor, rows, top)
            rest = spent - own[here // width, here % width] + carried - before + _rises(every.stem, rows, top, rise)
            count[here] += 1
            for o in range(start[i], start[i + 1]):
                c, v = cell[o], value[o]
                cost = own[c // width, c % width]
                if room < np.inf and _more_memory(every, top, here, c) > room:
                    continue
                if 1.0 - v < 1.0 - current[i] and rest + cost + rise[c] <= allowed:
                    score = (1.0 - v) / cost if cost > 0.0 else np.inf
                    # Options come by depth; of equal ones of an app the slowest goes first, then the shallowest.
                    slower = i == best_i and score == best_score and c % width < best_cell % width
                    if score > best_score or slower:
                        best_i, best_cell, best_score, best_value = i, c, score, v
            _staircase(count, width, floor, rows, top)
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
