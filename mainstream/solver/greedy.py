"""Our greedy, made for up to a million apps.

An option's cell is row * (R + 1) + rate index, as in ``kernels``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from mainstream._jit import jit
from mainstream.problem import FloatArray
from mainstream.solver import kernels
from mainstream.solver.greedy_ends import EFFORT, first_cells, root_bound
from mainstream.solver.option_table import CellArray
from mainstream.solver.raising import MANY, SAMPLE, corner_to_raise
from mainstream.solver.search import FEASIBLE_TOLERANCE, Limits, Outcome
from mainstream.solver.stems import IntArray, Stem, group_of, memory_taken, more_memory, rises, staircase

_LOOKS: Final = 8
"""How often the climb considers raising a stem for several apps, while each app moves once."""
_MOVES, _LOOK, _TOGETHER, _STALE = range(4)
"""Indices into `_Climb.counts`: moves so far; moves until the next such look; whether there are such looks; whether to
look at all apps again."""
_COST, _ROOM = range(2)
"""Indices into `_Climb.floats`: the cost of the schedule, and the memory left."""


class _Climb(NamedTuple):
    """A schedule on its way up.

    There are two levels of heaps: the apps of each stream, by the ratio of their best move when last looked at, and the
    streams, by the ratio of their first app.
    """

    chosen: IntArray  # (N,) option of each app
    stem: Stem
    without: Stem  # top and rise without one app; its apps and floor are not used
    carried: FloatArray  # (G,) what the stem of each stream costs
    keys: FloatArray  # (N,) the apps' heaps, each in the places of its apps
    heap: IntArray  # (N,)
    size: IntArray  # (G,)
    first: FloatArray  # (G,) the heap of the streams; -1 for one that has no move
    order: IntArray  # (G,)
    counts: IntArray
    floats: FloatArray


def greedy(packed: kernels.Packed, budget: float, limits: Limits) -> Outcome:
    """Start from most sharing and least fps, and always make the move with the best gain for its cost.

    A move takes one app to another of its options; its cost is the extra cost of the whole schedule, stem included. A
    move that costs nothing comes first. With a hundred apps or more a stem is also raised for several of
    them at once, unless memory is limited. It ends when no move that gains anything fits.

    Parameters
    ----------
    packed : Packed
        Its values are weighted.
    budget : float
    limits : Limits
        When the time is over, the moves made so far give the schedule. The bound is that of the root of the search
        tree, and the gap decides whether it proves the schedule.

    Raises
    ------
    InfeasibleError
        Nothing fits the budget.
    """
    climb = _new_climb(packed)
    _begin(packed, first_cells(packed, budget, limits), climb)
    allowed = budget * (1 + FEASIBLE_TOLERANCE)
    ended = False
    while not ended and limits.left_s > 0:
        ended = _climb(packed, allowed, climb, EFFORT)
    cells = packed.cell[climb.chosen]
    bound = root_bound(packed, budget, cells, limits)
    value = float(packed.value[climb.chosen].sum())
    return Outcome(
        cells=cells,
        bound=max(bound, value),
        nodes=int(climb.counts[_MOVES]),
        finished=bound - value <= limits.gap,
        method="greedy",
    )


def _new_climb(packed: kernels.Packed) -> _Climb:
    n, groups, depths, cells = len(packed.start) - 1, len(packed.apps) - 1, len(packed.own), packed.own.size
    nobody, floor = np.zeros(cells, np.int64), np.zeros(depths, np.int64)
    return _Climb(
        chosen=np.empty(n, np.int64),
        stem=Stem(nobody, floor, np.zeros(depths, np.int64), np.zeros(cells)),
        without=Stem(nobody, floor, np.zeros(depths, np.int64), np.zeros(cells)),
        carried=np.empty(groups),
        keys=np.empty(n),
        heap=np.empty(n, np.int64),
        size=np.zeros(groups, np.int64),
        first=np.empty(groups),
        order=np.empty(groups, np.int64),
        counts=np.array([0, 0, n >= MANY and packed.memory_mb == np.inf, 1]),
        floats=np.empty(2),
    )


@jit
def _begin(packed: kernels.Packed, cells: CellArray, climb: _Climb) -> None:
    """Choose the options that stand in these cells."""
    start, cell, own, stem = packed.start, packed.cell, packed.own, climb.stem
    width = own.shape[1]
    cost = 0.0
    for i in range(len(cells)):
        for o in range(start[i], start[i + 1]):
            if cell[o] == cells[i]:
                climb.chosen[i] = o
        stem.apps[cells[i]] += 1
        cost += own[cells[i] // width, cells[i] % width]
    _settle(packed, climb)
    climb.floats[_COST] = cost + climb.carried.sum()
    climb.floats[_ROOM] = packed.memory_mb - memory_taken(packed, packed.rows, stem.apps, stem.top)


@jit
def _settle(packed: kernels.Packed, climb: _Climb) -> bool:
    """Bring all stems up to date; returns whether one changed."""
    stem = climb.stem
    changed = staircase(stem.apps, packed.own.shape[1], stem.floor, packed.rows, stem.top)
    for g in range(len(climb.carried)):
        climb.carried[g] = rises(packed.stem, packed.rows[g : g + 2], stem.top, stem.rise)
    return changed


@jit
def _best_move(packed: kernels.Packed, rows: IntArray, slack: float, i: int, climb: _Climb) -> tuple[int, float]:
    """The app's option of largest gain for its cost among those that fit, and that ratio; -1 if there is none.

    rows : (2,) where the rows of the app's stream begin and end
    """
    stem, without, now, room = climb.stem, climb.without, climb.chosen[i], climb.floats[_ROOM]
    start, value, cell, own = packed.start, packed.value, packed.cell, packed.own
    width = own.shape[1]
    here = cell[now]
    saved = 0.0
    rise = stem.rise
    if here % width > 0 and stem.apps[here] == 1 and stem.top[here // width] == here % width:
        # The only app in its cell, at the edge of the staircase, may carry a part of the stem alone. So take the app
        # away for a moment: its move need not pay for what the stem then costs less.
        stem.apps[here] = 0
        before = 0.0
        for k in range(rows[0], rows[1]):
            without.top[k] = stem.top[k]
            before += packed.stem[k, stem.top[k]]
        if staircase(stem.apps, width, stem.floor, rows, without.top):
            saved = before - rises(packed.stem, rows, without.top, without.rise)
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
        if extra > slack or (room < np.inf and more_memory(packed, rows, stem.top, here, c) > room):
            continue
        # A rounding error above 0 could give any ratio; a move that costs nothing comes first anyway.
        ratio = gain / extra if extra > 1e-12 * own[0, 1] else np.inf
        if ratio > best_ratio or (ratio == best_ratio and gain > best_gain):
            best, best_ratio, best_gain = o, ratio, gain
    return best, best_ratio


@jit
def _sift_down(keys: FloatArray, heap: IntArray, size: int, at: int) -> None:
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


@jit
def _refill(packed: kernels.Packed, slack: float, g: int, climb: _Climb) -> int:
    """Look at all apps of a stream again; returns the number of their options."""
    begin, end, rows = packed.apps[g], packed.apps[g + 1], packed.rows[g : g + 2]
    keys, heap = climb.keys[begin:end], climb.heap[begin:end]
    size = 0
    for i in range(begin, end):
        o, ratio = _best_move(packed, rows, slack, i, climb)
        if o >= 0:
            keys[size] = ratio
            heap[size] = i
            size += 1
    # Floyd's method: building a heap from below takes linear time.
    for at in range(size // 2 - 1, -1, -1):
        _sift_down(keys, heap, size, at)
    climb.size[g] = size
    return int(packed.start[end] - packed.start[begin])


@jit
def _refill_all(packed: kernels.Packed, slack: float, climb: _Climb) -> int:
    """The same for all streams."""
    groups = len(climb.order)
    looked = 0
    for g in range(groups):
        looked += _refill(packed, slack, g, climb)
        climb.order[g] = g
        climb.first[g] = climb.keys[packed.apps[g]] if climb.size[g] > 0 else -1.0
    for at in range(groups // 2 - 1, -1, -1):
        _sift_down(climb.first, climb.order, groups, at)
    climb.counts[_STALE] = 0
    return looked


@jit
def _move(packed: kernels.Packed, rows: IntArray, g: int, i: int, o: int, climb: _Climb) -> bool:
    """Give an app another option; returns whether moves of other apps of its stream may be cheaper now."""
    stem, floats = climb.stem, climb.floats
    width, cost = packed.own.shape[1], floats[_COST]
    old, new = packed.cell[climb.chosen[i]], packed.cell[o]
    taken_before = memory_taken(packed, rows, stem.apps, stem.top)
    climb.counts[_MOVES] += 1
    climb.chosen[i] = o
    stem.apps[old] -= 1
    stem.apps[new] += 1
    floats[_COST] += packed.own[new // width, new % width] - packed.own[old // width, old % width]
    # Leaving a cell can lower the staircase only if the cell is at its edge.
    edge = old % width > 0 and stem.top[old // width] == old % width
    # A segment may take memory and cost nothing.
    beyond = new // width > rows[0] and new % width > stem.top[new // width]
    moved = False
    if beyond or (edge and stem.apps[old] == 0):
        moved = staircase(stem.apps, width, stem.floor, rows, stem.top)
    if moved:
        carried = rises(packed.stem, rows, stem.top, stem.rise)
        floats[_COST] += carried - climb.carried[g]
        climb.carried[g] = carried
    taken = memory_taken(packed, rows, stem.apps, stem.top)
    floats[_ROOM] -= taken - taken_before
    # More budget or memory is left than before, so moves of any stream may now fit.
    if moved and (floats[_COST] < cost or taken < taken_before):
        climb.counts[_STALE] = 1
    # The one app left in a cell at the edge would now save a part of the stem by moving.
    return moved or (edge and stem.apps[old] == 1)


@jit
def _raise(packed: kernels.Packed, corner: int, climb: _Climb) -> None:
    """Raise the stem of a stream up to a cell, so that its apps can move there without paying for the stem."""
    width = packed.own.shape[1]
    floor, before = climb.stem.floor, climb.carried.sum()
    first = packed.rows[group_of(packed.rows, corner // width)]
    for k in range(first + 1, corner // width + 1):
        floor[k] = max(floor[k], corner % width)
    _settle(packed, climb)
    climb.floats[_COST] += climb.carried.sum() - before
    climb.counts[_LOOK] = climb.counts[_MOVES]
    climb.counts[_STALE] = 1


@jit
def _climb(packed: kernels.Packed, allowed: float, climb: _Climb, effort: int) -> bool:
    """Make the best move until none is left, or until `effort` options were looked at; returns whether none is left.

    Now and then, before a move of one app, a stem is raised for several apps if that pays at the ratio of the move;
    `stem.floor` keeps how far.

    While a staircase stays as it is, a ratio can only fall (a move no longer fits), so the app on top is looked at
    again and sinks if it has to. When the staircase moves, or one app is left alone at its edge, moves get cheaper:
    then all apps of the stream are looked at again. A staircase that sinks leaves more for other streams, too, so then
    all apps are looked at again.
    """
    stem, counts, floats, floor = climb.stem, climb.counts, climb.floats, climb.stem.floor
    looked = 0
    while looked <= effort:
        slack = allowed - floats[_COST]
        if counts[_STALE]:
            looked += _refill_all(packed, slack, climb)
        if climb.first[0] < 0.0:
            # Give back, once, the part of a raised stem that no app needs.
            if not counts[_TOGETHER]:
                return True
            counts[_TOGETHER] = 0
            floor[:] = 0
            before = climb.carried.sum()
            if not _settle(packed, climb):
                return True
            floats[_COST] += climb.carried.sum() - before
            counts[_STALE] = 1
            continue
        g = climb.order[0]
        rows, begin = packed.rows[g : g + 2], packed.apps[g]
        keys, heap = climb.keys[begin : packed.apps[g + 1]], climb.heap[begin : packed.apps[g + 1]]
        i = heap[0]
        looked += packed.start[i + 1] - packed.start[i]
        # Lazy evaluation: keys are upper bounds of what the ratios have become, so only the top has to be looked at.
        o, ratio = _best_move(packed, rows, slack, i, climb)
        moved = False
        if o >= 0 and ratio >= keys[0]:
            if counts[_TOGETHER] and counts[_MOVES] >= counts[_LOOK] and ratio < np.inf:
                # A look costs as much as many moves; a few looks a round find nearly all that pays.
                counts[_LOOK] = counts[_MOVES] + len(climb.chosen) // _LOOKS
                looked += SAMPLE * packed.own.size
                corner = corner_to_raise(packed, slack, ratio, climb.chosen, stem)
                if corner >= 0:
                    _raise(packed, corner, climb)
                    continue
            moved = _move(packed, rows, g, i, o, climb)
            if counts[_STALE]:
                continue
            if moved:
                looked += _refill(packed, allowed - floats[_COST], g, climb)
            else:
                o, ratio = _best_move(packed, rows, allowed - floats[_COST], i, climb)
        if not moved:
            if o < 0:
                climb.size[g] -= 1
                heap[0], ratio = heap[climb.size[g]], keys[climb.size[g]]
            keys[0] = ratio
            _sift_down(keys, heap, climb.size[g], 0)
        climb.first[0] = keys[0] if climb.size[g] > 0 else -1.0
        _sift_down(climb.first, climb.order, len(climb.order), 0)
    return False
