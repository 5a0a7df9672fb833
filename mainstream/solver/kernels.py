"""All jitted search code: arrays and scalars in, arrays, scalars and status codes out.

The problem, packed by ``options.py``. App i chooses one of its options o in ``start[i]..start[i+1]-1``; option o is
worth ``value[o]`` and stands in the cell (d, j) = ``divmod(cell[o], R + 1)``: depth d (0 shares nothing, d > 0 shares
the stem's segments 1..d) and rate ``rate[j]`` (``rate[0] = 0``). All options of a cell have the same tail cost
``tail[d] * rate[j]``. The stem is a staircase M: segment k runs at ``rate[M[k]]``, M never rises with k, and an
option fits under it when ``j <= M[d]``. Maximise the sum of the values with

    sum_k seg[k] rate[M[k]] + sum_i tail cost_i <= budget.

A node of the search is a box lo <= M <= hi of staircases. Its bound is the Lagrangian of the budget,

    g(lam) = lam (budget - stem(lo)) + sum_i max_{o open} (value[o] - lam weight[cell[o]]),   lam >= 0,

where a cell is open when j <= hi[d], and weight = tail cost + share * x: x(d, j) = sum_{k<=d} seg[k] max(0, rate[j] -
rate[lo[k]]) is what the option adds to the stem of lo. The stem grows at least by the largest x that anybody needs,
so each app i may be charged a share s_i >= 0 of its own x as long as the shares add up to no more than 1. At first
s_i = 1/N. A tree that grows past some tens of nodes charges each app its own share, the one of least bound
(`_charge`); each option then has a weight of its own, and packed.cell counts the options, while scratch.cell holds
their cells. For one staircase the apps are a multiple-choice knapsack (MCKP); it is closed by a core of the apps whose
choice is in doubt.

Numba's cache on disk sees changes in this file only: nothing here calls or reads a global of another file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from mainstream.solver.jit import jit as _jit

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Cells = NDArray[np.int32]
Staircase = NDArray[np.int64]

_Arguments = ParamSpec("_Arguments")
_Returned = TypeVar("_Returned")

RUNNING = 0
DONE = 1
NEED_SLOTS = 2
NEED_STATES = 3
NEED_SHARES = 4

# Slots of Tree.floats and Tree.counts: the scalars of a search that survive between calls.
INCUMBENT = 0
CLOSED = 1
NODES = 0
HEAP = 1
VISITED = 2
ASIDE = 3
RELAXED = 4

# States of a core up to which it spends none of the gap, and up to which it bounds them at one price only.
_FEW = 64
_MANY = 256

# Marks of a box that is not to be split: not looked at yet, or one staircase whose knapsack is not closed yet.
NEW = -1
LEAF = 0


class Packed(NamedTuple):
    """N apps with M options in all, over D depths beside 0 and R rates beside 0; the file's docstring says what."""

    start: NDArray[np.int64]  # (N + 1,)
    value: NDArray[np.float64]  # (M,)
    cell: NDArray[np.int32]  # (M,); 0, 1, 2, ... where each option has a weight of its own
    tail: NDArray[np.float64]  # (D + 1,) latency behind each depth
    seg: NDArray[np.float64]  # (D + 1,) latency of each segment; seg[0] = 0
    rate: NDArray[np.float64]  # (R + 1,) frames a second; rate[0] = 0


class Terms(NamedTuple):
    """What a search is to keep to."""

    budget: float
    gap: float  # a schedule that is better by no more than this is not looked for
    share: float  # of its own x that each app is charged: 1 / N
    capacity: int  # states of a core after which it gives up
    steps: int  # successors that a core looks at before it gives up
    patience: int  # nodes after which the shares become unequal


class Scratch(NamedTuple):
    """Memory that the functions below share; `choice` and `weight` also carry answers between them."""

    weight: NDArray[np.float64]  # weight under the box at hand, by packed.cell; infinite where closed
    price: NDArray[np.float64]  # the same times the price
    choice: NDArray[np.int64]  # (N,) options that fit the budget
    spare: NDArray[np.int64]  # (N,) options
    order: NDArray[np.int64]  # (N,) apps
    top: NDArray[np.float64]  # (N,) best score of each app
    near: NDArray[np.float64]  # (N + 1,) smallest reduced costs
    states: NDArray[np.float64]  # (2, capacity) weight and loss of the core's states
    links: NDArray[np.int64]  # (2, capacity) their predecessor and option
    needed: NDArray[np.int64]  # (D + 1,) a staircase
    trial: NDArray[np.int32]  # (N,) cells
    cell: NDArray[np.int32]  # (M,)
    plain: NDArray[np.float64]  # (cells,) weight of each cell before any share that is the app's own
    tilt: NDArray[np.float64]  # (tilts,) prices that states are bounded at, in units of the price
    rise: NDArray[np.float64]  # (tilts + 1, N + 1)
    # Empty while all apps have one share:
    x: NDArray[np.float64]  # (cells,) what a cell adds to the stem of the box at hand
    share: NDArray[np.float64]  # (N,) of its own x that each app is charged
    hull: NDArray[
        np.float64
    ]  # (3, M) of the corners of the apps' hulls: x; a, later the share to be gained; -x, sorted
    corner: NDArray[np.int64]  # (3, M) their app, option and order


class Moves(NamedTuple):
    """What one app of a core can do, and a heap of it by the weight of the state that comes next."""

    weight: NDArray[np.float64]  # more than that of the app's option in `choice`
    loss: NDArray[np.float64]
    option: NDArray[np.int64]
    pointer: NDArray[np.int64]  # the state that comes next
    next_weight: NDArray[np.float64]
    heap: NDArray[np.int64]


class Tree(NamedTuple):
    """The state of a search: the incumbent and the open boxes."""

    best: NDArray[np.int32]  # (N,) cells of the incumbent
    floats: NDArray[np.float64]  # INCUMBENT, CLOSED
    counts: NDArray[np.int64]  # NODES, HEAP, VISITED, ASIDE
    heap: NDArray[np.int64]  # (slots,) slots in heap order by bound, the free ones, and at the end those set aside
    bound: NDArray[np.float64]  # (slots,)
    lam: NDArray[np.float64]  # (slots,)
    lo: NDArray[np.int64]  # (slots, D + 1)
    hi: NDArray[np.int64]  # (slots, D + 1)
    cut: NDArray[np.int64]  # (slots, 2) segment and rate index to split at, or NEW or LEAF
    visited: NDArray[np.uint64]  # (a power of 2,) hashes of the staircases tried


def _inner(function: Callable[_Arguments, _Returned]) -> Callable[_Arguments, _Returned]:
    # Called from jitted code only: without the way in from Python it compiles in half the time.
    options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    jitted: Callable[_Arguments, _Returned] = numba.njit(**options)(function)
    return jitted


def _inlined(function: Callable[_Arguments, _Returned]) -> Callable[_Arguments, _Returned]:
    # Called in one place: as a part of its caller it is optimised once, not twice.
    jitted: Callable[_Arguments, _Returned] = numba.njit(inline="always")(function)
    return jitted


@_inner
def _weigh(packed: Packed, scratch: Scratch, lo: Staircase, hi: Staircase, share: float) -> None:
    """Fill scratch.plain for a box: tail cost + share * x, infinite where closed."""
    tail, seg, rate, weight = packed.tail, packed.seg, packed.rate, scratch.plain
    width = len(rate)
    x = np.zeros(width)
    for j in range(width):
        weight[j] = tail[0] * rate[j]
    for d in range(1, len(tail)):
        for j in range(width):
            x[j] += seg[d] * max(0.0, rate[j] - rate[lo[d]])
            weight[d * width + j] = tail[d] * rate[j] + share * x[j] if 0 < j <= hi[d] else np.inf


@_inner
def _insert(
    weight: FloatArray, worth: FloatArray, option: IntArray, first: int, end: int, w: float, v: float, o: int
) -> int:
    """Put an option in its place in [first, end), by weight, unless a lighter one is worth as much.

    Those that it beats so go; returns the new end.
    """
    at = end
    while at > first and (weight[at - 1] > w or (weight[at - 1] == w and worth[at - 1] < v)):
        at -= 1
    if at > first and worth[at - 1] >= v:
        return end
    beaten = at
    while beaten < end and worth[beaten] <= v:
        beaten += 1
    shift = 1 - (beaten - at)
    if shift > 0:
        for m in range(end - 1, at - 1, -1):
            weight[m + 1] = weight[m]
            worth[m + 1] = worth[m]
            option[m + 1] = option[m]
    else:
        for m in range(beaten, end):
            weight[m + shift] = weight[m]
            worth[m + shift] = worth[m]
            option[m + shift] = option[m]
    weight[at] = w
    worth[at] = v
    option[at] = o
    return end + shift


@_inner
def _charge(packed: Packed, scratch: Scratch, lam: float) -> tuple[float, float]:
    """The shares of least bound for a box at price lam, whose weights without shares are in scratch.weight.

    With a = value - lam weight, app i adds max_o (a - lam s_i x) to the bound. That is convex in its share s_i, with
    the slope -lam x of the option chosen. So at the least sum over s >= 0, sum s <= 1, all apps with s_i > 0 stand at
    one height y of x, between two options that are worth the same: lam s_i is the slope at y of the upper hull of the
    app's points (x, a). The height sinks from the top, corner by corner, until the shares add up to 1.

    Returns (value, weight) of the mixture of options that stands at y: the line value + lam (budget - weight) touches
    the least bound, as a function of lam, from below.
    """
    start, value, cell, weight = packed.start, packed.value, scratch.cell, scratch.plain
    x, share = scratch.x, scratch.share
    hull_x, hull_a, key = scratch.hull[0], scratch.hull[1], scratch.hull[2]
    app, option, order = scratch.corner[0], scratch.corner[1], scratch.corner[2]
    end = 0
    for i in range(len(share)):
        first = end
        for o in range(start[i], start[i + 1]):
            c = cell[o]
            if weight[c] == np.inf:
                continue
            a = value[o] - lam * weight[c]
            end = _insert(hull_x, hull_a, option, first, end, x[c], a, o)
        if end == first:
            return 0.0, np.inf
        top = first
        for m in range(first + 1, end):
            while top > first and (hull_a[top] - hull_a[top - 1]) * (hull_x[m] - hull_x[top]) <= (
                hull_a[m] - hull_a[top]
            ) * (hull_x[top] - hull_x[top - 1]):
                top -= 1
            top += 1
            hull_x[top], hull_a[top], option[top] = hull_x[m], hull_a[m], option[m]
        end = top + 1
        above = 0.0
        for m in range(top, first - 1, -1):
            below = np.inf
            if m > first:
                below = (hull_a[m] - hull_a[m - 1]) / (lam * (hull_x[m] - hull_x[m - 1]))
            hull_a[m] = below - above
            above = below
            app[m] = i
            key[m] = -hull_x[m]
            order[m] = m
        # Until y sinks under it, an app stands at its highest corner.
        scratch.order[i] = top
        share[i] = 0.0
    _sort(key[:end], order[:end])
    left = 1.0 - 1e-12
    height = 0.0
    for m in order[:end]:
        gain = min(left, hull_a[m])
        share[app[m]] += gain
        scratch.order[app[m]] = m
        left -= gain
        if left <= 0.0:
            height = hull_x[m]
            break
    total_value, total_weight = 0.0, height
    for i in range(len(share)):
        m = scratch.order[i]
        o = option[m]
        total_value += value[o]
        total_weight += weight[cell[o]]
        if hull_x[m] > height:
            part = (hull_x[m] - height) / (hull_x[m] - hull_x[m - 1])
            lower = option[m - 1]
            total_value += part * (value[lower] - value[o])
            total_weight += part * (weight[cell[lower]] - weight[cell[o]])
    return total_value, total_weight


@_inner
def _charged_dual(packed: Packed, scratch: Scratch, budget: float, lam: float, stop: float) -> tuple[float, int]:
    """Minimise the bound of a box over lam and the shares, from a first guess; returns (lam, passes).

    As :func:`_dual`, but coarsely: it is the shares that are wanted.
    """
    heavy_v = heavy_w = light_v = light_w = np.inf
    bound, best_lam = np.inf, lam
    step = 1.1
    for tries in range(12):
        v, w = _charge(packed, scratch, lam)
        if w == np.inf:
            return lam, tries
        g = v + lam * (budget - w)
        if g < bound:
            bound, best_lam = g, lam
        if w > budget:
            heavy_v, heavy_w = v, w
        else:
            light_v, light_w = v, w
        if bound <= stop:
            break
        if light_w == np.inf:
            lam *= step
            step *= step
        elif heavy_w == np.inf:
            lam /= step
            step *= step
        else:
            lam = (heavy_v - light_v) / (heavy_w - light_w)
            meet = light_v + lam * (budget - light_w)
            if lam <= 0.0 or (meet > stop and bound - meet <= 0.05 * (meet - stop)):
                break
    if lam != best_lam:
        _charge(packed, scratch, best_lam)
        tries += 1
    return best_lam, tries + 1


@_inner
def _stem_additions(packed: Packed, scratch: Scratch, lo: Staircase) -> None:
    """Fill scratch.x for a box."""
    seg, rate, x = packed.seg, packed.rate, scratch.x
    width = len(rate)
    for j in range(width):
        x[j] = 0.0
    for d in range(1, len(seg)):
        for j in range(width):
            x[d * width + j] = x[(d - 1) * width + j] + seg[d] * max(0.0, rate[j] - rate[lo[d]])


@_inner
def _spread(packed: Packed, scratch: Scratch) -> None:
    """Weigh each option with its app's share."""
    for i in range(len(scratch.share)):
        for o in range(packed.start[i], packed.start[i + 1]):
            c = scratch.cell[o]
            own = scratch.plain[c]
            scratch.weight[o] = own + scratch.share[i] * scratch.x[c] if own < np.inf else np.inf


@_inner
def _copy(source: IntArray, target: IntArray) -> None:
    # An assignment target[:] = source compiles to the same, and two seconds of code for its error message.
    for i in range(len(target)):
        target[i] = source[i]


@_inner
def _stem_cost(packed: Packed, staircase: Staircase) -> float:
    cost = 0.0
    for k in range(1, len(packed.seg)):
        cost += packed.seg[k] * packed.rate[staircase[k]]
    return cost


@_inner
def _price(packed: Packed, scratch: Scratch, lam: float) -> tuple[float, float]:
    """One point of the Lagrangian: each app's best option at price lam into scratch.spare.

    Returns (value, weight) of that choice; the weight is infinite when an app has no open option.
    """
    start, value, cell = packed.start, packed.value, packed.cell
    weight, price = scratch.weight, scratch.price
    for c in range(len(weight)):
        price[c] = lam * weight[c] if weight[c] < np.inf else np.inf
    total_value = 0.0
    total_weight = 0.0
    for i in range(len(start) - 1):
        best = -np.inf
        chosen = -1
        for o in range(start[i], start[i + 1]):
            score = value[o] - price[cell[o]]
            if score > best:
                best = score
                chosen = o
        if chosen < 0:
            return 0.0, np.inf
        scratch.spare[i] = chosen
        total_value += value[chosen]
        total_weight += weight[cell[chosen]]
    return total_value, total_weight


@_inner
def _lightest(packed: Packed, scratch: Scratch) -> tuple[float, float]:
    """Each app's option of least weight (of those the most valuable) into scratch.spare; (value, weight)."""
    start, value, cell, weight = packed.start, packed.value, packed.cell, scratch.weight
    total_value = 0.0
    total_weight = 0.0
    for i in range(len(start) - 1):
        least = np.inf
        chosen = -1
        for o in range(start[i], start[i + 1]):
            w = weight[cell[o]]
            if w < least or (w == least < np.inf and value[o] > value[chosen]):
                least = w
                chosen = o
        if chosen < 0:
            return 0.0, np.inf
        scratch.spare[i] = chosen
        total_value += value[chosen]
        total_weight += least
    return total_value, total_weight


@_jit
def worth(packed: Packed, cells: Cells) -> float:
    """The value of one cell for each app; -inf when an app has no such option."""
    total = 0.0
    for i in range(len(cells)):
        chosen = -1
        for o in range(packed.start[i], packed.start[i + 1]):
            if packed.cell[o] == cells[i]:
                chosen = o
        if chosen < 0:
            return -np.inf
        total += packed.value[chosen]
    return total


@_inner
def _dual(
    packed: Packed, scratch: Scratch, budget: float, lam: float, stop: float, rough: float
) -> tuple[float, float, int]:
    """Minimise the Lagrangian over lam, from a first guess; returns (bound, lam, passes over the options).

    It is convex and piecewise linear in lam, and each pass gives one line V + lam (budget - W) of it: too heavy
    (W > budget) left of the minimum, light enough right of it. Where the two innermost lines meet is the next lam.
    It ends early when the bound falls to `stop`, and when its distance from the minimum is known to be at most
    `rough` times the minimum's distance from `stop`.

    scratch.choice gets a choice that fits the budget, unless the bound is at most `stop`.
    """
    v, w = _price(packed, scratch, lam)
    passes = 1
    if w == np.inf:
        return -np.inf, lam, passes
    bound = v + lam * (budget - w)
    best_lam = lam
    if bound <= stop:
        return bound, best_lam, passes
    # The first guess is mostly a good one, so the steps away from it begin small.
    step = 1.02
    heavy_v = light_v = v
    heavy_w = light_w = w
    if w > budget:
        for _ in range(9):
            lam = lam * step if lam > 0.0 else (v / budget if budget > 0.0 else 1.0)
            step *= step
            v, w = _price(packed, scratch, lam)
            passes += 1
            g = v + lam * (budget - w)
            if g < bound:
                bound, best_lam = g, lam
            if w <= budget:
                break
            heavy_v, heavy_w = v, w
        else:
            v, w = _lightest(packed, scratch)
            passes += 1
            if w > budget:
                return -np.inf, lam, passes
        light_v, light_w = v, w
        _copy(scratch.spare, scratch.choice)
    else:
        _copy(scratch.spare, scratch.choice)
        while w <= budget:
            light_v, light_w = v, w
            _copy(scratch.spare, scratch.choice)
            if lam == 0.0:
                return bound, best_lam, passes
            lam = lam / step if step < 100.0 else 0.0
            step *= step
            v, w = _price(packed, scratch, lam)
            passes += 1
            g = v + lam * (budget - w)
            if g < bound:
                bound, best_lam = g, lam
        heavy_v, heavy_w = v, w
    for _ in range(60):
        lam = (heavy_v - light_v) / (heavy_w - light_w)
        meet = light_v + lam * (budget - light_w)
        if bound <= stop or lam <= 0.0 or (meet > stop and bound - meet <= rough * (meet - stop)):
            break
        v, w = _price(packed, scratch, lam)
        passes += 1
        g = v + lam * (budget - w)
        if g < bound:
            bound, best_lam = g, lam
        if g <= meet + 1e-14 * (1.0 + abs(meet)):
            break
        if w > budget:
            heavy_v, heavy_w = v, w
        else:
            light_v, light_w = v, w
            _copy(scratch.spare, scratch.choice)
    return bound, best_lam, passes


@_inner
def _fill(packed: Packed, scratch: Scratch, budget: float, lam: float) -> float:
    """Bring each app of the choice to its best score at lam, as far as the budget goes; returns what is left of it.

    The choice fits, as one made for a somewhat larger lam does; of equal scores the heavier uses up more. Also fills
    scratch.top, each app's best score.
    """
    choice, weight = scratch.choice, scratch.weight
    start, value, cell = packed.start, packed.value, packed.cell
    slack = budget
    for i in range(len(choice)):
        slack -= weight[cell[choice[i]]]
    for i in range(len(choice)):
        base = choice[i]
        base_weight = weight[cell[base]]
        score = value[base] - lam * base_weight
        best = score
        for o in range(start[i], start[i + 1]):
            w = weight[cell[o]]
            if w < np.inf:
                own = value[o] - lam * w
                best = max(best, own)
                better = own > score + 1e-13 or (own >= score - 1e-13 and value[o] > value[base])
                if better and w <= base_weight + slack:
                    slack -= w - base_weight
                    base = o
                    base_weight = w
                    score = own
        choice[i] = base
        scratch.top[i] = best
    return slack


@_inner
def _total(packed: Packed, scratch: Scratch, lam: float) -> tuple[float, float, float]:
    """The value, weight and loss of the choice."""
    value, weight, loss = 0.0, 0.0, 0.0
    for i in range(len(scratch.choice)):
        o = scratch.choice[i]
        w = scratch.weight[packed.cell[o]]
        value += packed.value[o]
        weight += w
        loss += scratch.top[i] - (packed.value[o] - lam * w)
    return value, weight, loss


@_inner
def _sort(keys: FloatArray, items: IntArray) -> None:
    # Shell's: NumPy's argsort takes a second to compile.
    step = 1
    while step < len(items) // 3:
        step = 3 * step + 1
    while step > 0:
        for a in range(step, len(items)):
            key, item = keys[a], items[a]
            b = a
            while b >= step and keys[b - step] > key:
                keys[b], items[b] = keys[b - step], items[b - step]
                b -= step
            keys[b], items[b] = key, item
        step //= 3


@_inner
def _spend(packed: Packed, scratch: Scratch, lam: float, slack: float) -> None:
    """Spend the budget that the choice leaves on moves to heavier, better options, those of least loss at lam first.

    Where many apps are alike, the choices on both sides of the best lam lie far apart and the budget in between.
    """
    start, value, cell = packed.start, packed.value, packed.cell
    choice, weight = scratch.choice, scratch.weight
    size = 0
    for i in range(len(choice)):
        base = choice[i]
        base_weight = weight[cell[base]]
        least = np.inf
        for o in range(start[i], start[i + 1]):
            extra = weight[cell[o]] - base_weight
            gain = value[o] - value[base]
            if gain > 0.0 and extra <= slack and lam * extra - gain < least:
                least = lam * extra - gain
                scratch.spare[i] = o
        if least < np.inf:
            scratch.near[size] = least
            scratch.order[size] = i
            size += 1
    _sort(scratch.near[:size], scratch.order[:size])
    for i in scratch.order[:size]:
        extra = weight[cell[scratch.spare[i]]] - weight[cell[choice[i]]]
        if extra <= slack:
            slack -= extra
            choice[i] = scratch.spare[i]


@_inner
def _find_core(
    packed: Packed, scratch: Scratch, lam: float, limit: float
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """The apps whose choice is in doubt: those with another option of reduced cost under `limit`.

    Returns core (C,), apps by their smallest such reduced cost; least (C + 1,), those costs, then infinity; and what
    the apps core[t:] can still do: relief (C + 1,), make a choice lighter by so much; pending (C + 1,), the loss that
    they stand for as they are.
    """
    start, value, cell = packed.start, packed.value, packed.cell
    choice, weight, top = scratch.choice, scratch.weight, scratch.top
    size = 0
    for i in range(len(choice)):
        smallest = np.inf
        for o in range(start[i], start[i + 1]):
            w = weight[cell[o]]
            if w < np.inf and o != choice[i]:
                smallest = min(smallest, top[i] - (value[o] - lam * w))
        if smallest < limit:
            scratch.near[size] = smallest
            scratch.order[size] = i
            size += 1
    core, least = scratch.order[:size], scratch.near[: size + 1]
    least[size] = np.inf
    _sort(least, core)
    relief = np.zeros(size + 1)
    pending = np.zeros(size + 1)
    for t in range(size - 1, -1, -1):
        i = core[t]
        own = weight[cell[choice[i]]]
        lightest = own
        for o in range(start[i], start[i + 1]):
            w = weight[cell[o]]
            if w < lightest and top[i] - (value[o] - lam * w) < limit:
                lightest = w
        relief[t] = relief[t + 1] + own - lightest
        pending[t] = pending[t + 1] + top[i] - (value[choice[i]] - lam * own)
    return core, least, relief, pending


@_inner
def _find_moves(packed: Packed, scratch: Scratch, moves: Moves, lam: float, i: int, limit: float) -> int:
    """The options of an app that a core looks at, by weight: no lighter one is worth as much. Returns their number."""
    base = scratch.choice[i]
    own = scratch.weight[packed.cell[base]]
    top = scratch.top[i]
    weight, worth, loss, option = moves.weight, moves.next_weight, moves.loss, moves.option
    size = 0
    for o in range(packed.start[i], packed.start[i + 1]):
        w = scratch.weight[packed.cell[o]]
        v = packed.value[o]
        if w == np.inf or (top - (v - lam * w) >= limit and o != base):
            continue
        size = _insert(weight, worth, option, 0, size, w, v, o)
    for m in range(size):
        loss[m] = top - (worth[m] - lam * weight[m])
        weight[m] -= own
    return size


@_inner
def _sift(moves: Moves, size: int) -> None:
    """Let the move on top of the heap sink to its place."""
    keys, heap = moves.next_weight, moves.heap
    at = 0
    while True:
        down = 2 * at + 1
        if down >= size:
            break
        if down + 1 < size and keys[heap[down + 1]] < keys[heap[down]]:
            down += 1
        if keys[heap[at]] <= keys[heap[down]]:
            break
        heap[at], heap[down] = heap[down], heap[at]
        at = down


@_inner
def _core(
    packed: Packed, scratch: Scratch, terms: Terms, budget: float, lam: float, bound: float, goal: float, best: Cells
) -> tuple[float, bool, int]:
    """Close a multiple-choice knapsack: is there a choice worth more than `goal`, and if so the best one.

    With r(o) = max_o' (value - lam weight) - (value - lam weight)(o) >= 0 the reduced cost of an option, a choice of
    loss L (sum of its r) and weight W is worth bound - L - lam (budget - W), bound being the Lagrangian at lam. So
    only options with r < bound - goal can be part of a better one. The core's apps are added to scratch.choice, which
    fits the budget, one after the other; a state is (weight, loss so far), kept while no lighter one is worth as much
    and while it can still come to fit and to beat the goal. Where states are many, that is also asked at other prices
    mu: what is chosen so far is worth V and weighs W, so the whole is worth at most
    V + mu (budget - W) + sum over the apps to come of max_o (value - mu weight).

    Dominance within the gap. Write worth = lam weight - loss. Step t drops a state when a lighter one, kept, has a
    worth of at least its own less e_t. The e_t are taken out of `left` = gap / 2, so sum e_t <= gap / 2. Claim: for
    every choice C and every t some kept state of step t is no heavier than C's own state there, its worth is at least
    C's less e_1 + ... + e_t, or a bound dropped it or one it came from. By induction: follow C's option from the state
    claimed for t - 1; weight and worth change as C's do, and step t costs at most e_t. (The filter on options in
    `_find_moves` costs nothing: there a lighter option is worth as much.) So C's end is matched within gap / 2. Bounds
    drop only what cannot come to more than the incumbent + gap / 2, `goal` here. Hence if C is worth more than the
    incumbent + gap, its match is worth more than that and is never dropped, and the core finds it. What a core leaves
    is so worth at most the incumbent + gap, and never more is spent than the gap asked for.

    best : (N,) cells, overwritten when there is a better choice

    Returns (value of the better choice or -inf, whether the search was complete, options looked at).
    """
    start, value, cell = packed.start, packed.value, packed.cell
    choice, weight, top = scratch.choice, scratch.weight, scratch.top
    states, links = scratch.states, scratch.links
    found = -np.inf
    slack = _fill(packed, scratch, budget, lam)
    if lam * slack > terms.gap:
        _spend(packed, scratch, lam, slack)
    total, total_weight, loss = _total(packed, scratch, lam)
    left = 0.5 * terms.gap
    margin = terms.gap - left
    goal -= left
    if total > goal:
        goal = total + margin
        found = total
        for i in range(len(choice)):
            best[i] = scratch.cell[choice[i]]
    core, least, relief, pending = _find_core(packed, scratch, lam, bound - goal)
    work: int = 5 * start[-1]
    patience = work + terms.steps
    most = 1
    for i in core:
        most = max(most, start[i + 1] - start[i])
    moves = Moves(
        np.empty(most),
        np.empty(most),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.empty(most),
        np.empty(most, np.int64),
    )
    states[0, 0] = total_weight
    states[1, 0] = loss - pending[0]
    links[0, 0] = -1
    begin, end, last = 0, 1, -1
    closed = True
    tilted = False
    before, tilting = work, 6 * start[-1] * len(core) // len(choice)
    tilt, rise = scratch.tilt, scratch.rise
    tilts = len(tilt)
    for t in range(len(core)):
        if least[t] >= bound - goal or begin == end:
            break
        size = _find_moves(packed, scratch, moves, lam, core[t], bound - goal)
        work += start[core[t] + 1] - start[core[t]]
        for m in range(size):
            moves.pointer[m] = begin
            moves.next_weight[m] = states[0, begin] + moves.weight[m]
            moves.heap[m] = m
        few = size <= 8
        next_weight, pointer = moves.next_weight, moves.pointer
        extra_weight, extra_loss = moves.weight, moves.loss
        if not tilted and end - begin > _MANY and work - before > tilting:
            tilted = True
            for k in range(tilts + 1):
                rise[k, len(core)] = 0.0
            for u in range(len(core) - 1, t, -1):
                i = core[u]
                rise[tilts, u] = rise[tilts, u + 1] + weight[cell[choice[i]]]
                for k in range(tilts):
                    best_score = -np.inf
                    for o in range(start[i], start[i + 1]):
                        w = weight[cell[o]]
                        if w < np.inf and (top[i] - (value[o] - lam * w) < bound - goal or o == choice[i]):
                            best_score = max(best_score, value[o] - lam * tilt[k] * w)
                    rise[k, u] = rise[k, u + 1] + best_score - top[i]
        at = end
        most_worth = -np.inf
        allowance = left / (len(core) - t) if end - begin > _FEW else 0.0
        left -= allowance
        while size > 0:
            # The lightest successor not yet looked at: each move's successors come sorted by weight.
            m = moves.heap[0]
            if few:
                w = np.inf
                for k in range(size):
                    if pointer[k] < end and states[0, pointer[k]] + extra_weight[k] < w:
                        w = states[0, pointer[k]] + extra_weight[k]
                        m = k
                if w == np.inf:
                    break
            else:
                w = next_weight[m]
            source = pointer[m]
            so_far = states[1, source] + extra_loss[m]
            pointer[m] = source + 1
            if not few:
                if source + 1 < end:
                    next_weight[m] = states[0, source + 1] + extra_weight[m]
                else:
                    size -= 1
                    moves.heap[0] = moves.heap[size]
                _sift(moves, size)
            work += 1
            worth = lam * w - so_far
            if worth <= most_worth or so_far >= bound - goal or w - relief[t + 1] > budget:
                continue
            total = bound - so_far - pending[t + 1] - lam * (budget - w)
            better = w <= budget and total > goal
            if tilted and not better:
                free = lam * (budget - w + rise[tilts, t + 1])
                ahead = bound - so_far - goal
                hopeless = False
                for k in range(tilts):
                    hopeless = hopeless or ahead + (tilt[k] - 1.0) * free + rise[k, t + 1] <= 0.0
                if hopeless:
                    continue
            if not better and so_far + least[t + 1] >= bound - goal:
                continue
            # Sums of equal weights differ in their last digits; two states would be kept where one will do.
            if at > end and w - states[0, at - 1] <= 1e-12 * budget and last != at - 1:
                at -= 1
            if at == terms.capacity or work > patience:
                closed = False
                break
            most_worth = worth + allowance
            states[0, at] = w
            states[1, at] = so_far
            links[0, at] = source
            links[1, at] = moves.option[m]
            if better:
                goal = total + margin
                found = total
                last = at
            at += 1
        begin, end = end, at
        if not closed:
            break
    if last >= 0:
        _trace(packed, scratch, core, last, best)
    return found, closed, work


@_inner
def _trace(packed: Packed, scratch: Scratch, core: IntArray, last: int, best: Cells) -> None:
    """Write the cells of the choice that ends in the state `last`."""
    links = scratch.links
    for i in range(len(best)):
        best[i] = scratch.cell[scratch.choice[i]]
    t = 0
    state = last
    while links[0, state] >= 0:
        state = links[0, state]
        t += 1
    while t > 0:
        t -= 1
        best[core[t]] = scratch.cell[links[1, last]]
        last = links[0, last]


@_inner
def _staircase(cells: Cells, width: int, staircase: Staircase) -> None:
    """The staircase that these cells need: staircase[k] = their largest rate index at depth k or beyond."""
    for k in range(len(staircase)):
        staircase[k] = 0
    for c in cells:
        d = c // width
        j = c - d * width
        if d > 0 and j > staircase[d]:
            staircase[d] = j
    for k in range(len(staircase) - 2, 0, -1):
        staircase[k] = max(staircase[k], staircase[k + 1])


@_inner
def _seen(staircase: Staircase, tree: Tree) -> bool:
    """Whether this staircase was tried before; remembers it. Two staircases of one hash count as one."""
    visited = tree.visited
    key = np.uint64(1469598103934665603)
    for k in range(1, len(staircase)):
        key = (key ^ np.uint64(staircase[k] + 1)) * np.uint64(1099511628211)
    key |= np.uint64(1)
    mask = np.uint64(len(visited) - 1)
    at = (key >> np.uint64(20)) & mask
    while visited[at] != 0:
        if visited[at] == key:
            return True
        at = (at + np.uint64(1)) & mask
    if 2 * tree.counts[VISITED] < len(visited):
        visited[at] = key
        tree.counts[VISITED] += 1
    return False


@_inner
def _push(tree: Tree) -> None:
    """Put the slot heap[size], already filled, into the heap; heap[size:] are the free slots."""
    bound, heap, counts = tree.bound, tree.heap, tree.counts
    at = counts[HEAP]
    counts[HEAP] += 1
    while at > 0:
        up = (at - 1) // 2
        if bound[heap[up]] >= bound[heap[at]]:
            break
        heap[up], heap[at] = heap[at], heap[up]
        at = up


@_inner
def _pop(tree: Tree) -> int:
    """Take the slot of the largest bound off the heap; it is free again, and stands at heap[size]."""
    bound, heap, counts = tree.bound, tree.heap, tree.counts
    counts[HEAP] -= 1
    size = counts[HEAP]
    heap[0], heap[size] = heap[size], heap[0]
    at = 0
    while True:
        down = 2 * at + 1
        if down >= size:
            break
        if down + 1 < size and bound[heap[down + 1]] > bound[heap[down]]:
            down += 1
        if bound[heap[at]] >= bound[heap[down]]:
            break
        heap[at], heap[down] = heap[down], heap[at]
        at = down
    return int(heap[size])


@_inner
def _close(tree: Tree, terms: Terms, bound: float) -> None:
    """Note that a part of the tree with this bound holds nothing that beats the incumbent by more than the gap."""
    tree.floats[CLOSED] = max(tree.floats[CLOSED], min(bound, tree.floats[INCUMBENT] + terms.gap))


@_inner
def _try_staircase(
    packed: Packed, scratch: Scratch, tree: Tree, terms: Terms, staircase: Staircase, lam: float
) -> tuple[float, bool, int]:
    """Solve the MCKP under one staircase and keep what beats the incumbent; returns (bound, closed, work)."""
    left = terms.budget - _stem_cost(packed, staircase)
    goal = tree.floats[INCUMBENT] + terms.gap
    if left < 0.0:
        return -np.inf, True, 1
    _weigh(packed, scratch, staircase, staircase, 0.0)
    if len(scratch.share) > 0:
        for i in range(len(scratch.share)):
            scratch.share[i] = 0.0
        _spread(packed, scratch)
    bound, lam, passes = _dual(packed, scratch, left, lam, goal, 0.01)
    work: int = passes * packed.start[-1]
    if bound <= goal:
        return bound, True, work
    found, closed, more = _core(packed, scratch, terms, left, lam, bound, goal, tree.best)
    if found > -np.inf:
        tree.floats[INCUMBENT] = found
    return bound, closed, work + more


@_inner
def _briefly(terms: Terms, capacity: int) -> Terms:
    """The same terms with a core of no more than so many states."""
    capacity = min(capacity, terms.capacity)
    return Terms(terms.budget, terms.gap, terms.share, capacity, min(terms.steps, 100 * capacity), terms.patience)


@_inner
def _where_to_cut(packed: Packed, lo: Staircase, hi: Staircase, needed: Staircase) -> tuple[int, int]:
    """The segment k and rate index m at which to split a box into M[k] <= m and M[k] > m.

    That is at the corner of the needed staircase that adds most to the stem of lo, by itself, at the middle. Where no
    more than lo is needed, right above lo at the first segment that is open: the part below is then often lo alone.
    """
    seg, rate = packed.seg, packed.rate
    best_k, best_m, best_cost = 0, 0, -1.0
    first = 0
    for k in range(len(lo) - 1, 0, -1):
        if hi[k] > lo[k]:
            first = k
        if needed[k] > lo[k]:
            cost = 0.0
            for d in range(1, k + 1):
                cost += seg[d] * max(0.0, rate[needed[k]] - rate[lo[d]])
            if cost >= best_cost:
                best_k, best_m, best_cost = k, (lo[k] + needed[k]) // 2, cost
    if best_k == 0:
        return first, lo[first]
    return best_k, best_m


@_inner
def _halves(tree: Tree, slot: int) -> IntArray:
    """The boxes (side, lo and hi, D + 1) to go on with: the part M[k] <= m and that of M[k] > m, or the box alone."""
    k, m = tree.cut[slot, 0], tree.cut[slot, 1]
    depths = tree.lo.shape[1]
    boxes = np.empty((2 if k > 0 else 1, 2, depths), np.int64)
    for side in range(len(boxes)):
        _copy(tree.lo[slot], boxes[side, 0])
        _copy(tree.hi[slot], boxes[side, 1])
    if k > 0:
        for d in range(k, depths):
            boxes[0, 1, d] = min(boxes[0, 1, d], m)
        for d in range(1, k + 1):
            boxes[1, 0, d] = max(boxes[1, 0, d], m + 1)
    return boxes


@_inlined
def _add_node(
    packed: Packed,
    scratch: Scratch,
    tree: Tree,
    terms: Terms,
    lo: Staircase,
    hi: Staircase,
    bound: float,
    lam: float,
) -> int:
    """Bound a box, try the staircase its bound suggests, put it on the heap unless that closes it; returns work."""
    tree.counts[NODES] += 1
    left = terms.budget - _stem_cost(packed, lo)
    if left < 0.0:
        return 1
    slot = tree.heap[tree.counts[HEAP]]
    leaf = True
    for k in range(1, len(lo)):
        leaf = leaf and lo[k] == hi[k]
    if leaf:
        leaf_bound, closed, work = _try_staircase(packed, scratch, tree, terms, lo, lam)
        bound = min(bound, leaf_bound)
        if closed:
            _close(tree, terms, bound)
            return work
        tree.cut[slot, 0] = LEAF
    else:
        goal = tree.floats[INCUMBENT] + terms.gap
        unequal = len(scratch.share) > 0
        _weigh(packed, scratch, lo, hi, 0.0 if unequal else terms.share)
        passes = 0
        if unequal:
            _stem_additions(packed, scratch, lo)
            if lam <= 0.0:
                for i in range(len(scratch.share)):
                    scratch.share[i] = terms.share
                _spread(packed, scratch)
                _, lam, passes = _dual(packed, scratch, left, lam, goal, 0.0)
            if lam > 0.0:
                lam, more = _charged_dual(packed, scratch, left, lam, goal)
                passes += 3 * more
            _spread(packed, scratch)
        own_bound, lam, more = _dual(packed, scratch, left, lam, goal, 0.01)
        passes += more
        work = int(passes * packed.start[-1])
        bound = min(bound, own_bound)
        if bound <= goal:
            _close(tree, terms, bound)
            return work
        for i in range(len(scratch.trial)):
            scratch.trial[i] = scratch.cell[scratch.choice[i]]
        capacity = min(terms.capacity, tree.counts[RELAXED] if unequal else 4096)
        brief = _briefly(terms, capacity)
        found, closed, more = _core(packed, scratch, brief, left, lam, own_bound, goal, scratch.trial)
        work += more
        if unequal:
            # As many states as lately were enough.
            tree.counts[RELAXED] = min(1 << 17, 2 * capacity) if closed else max(4096, capacity // 2)
        if closed:
            # The box's relaxation is itself solved: sharper than its Lagrangian.
            if found == -np.inf:
                _close(tree, terms, bound)
                return work
            bound = min(bound, found + terms.gap)
        needed = scratch.needed
        _staircase(scratch.trial, len(packed.rate), needed)
        tree.cut[slot, 0], tree.cut[slot, 1] = _where_to_cut(packed, lo, hi, needed)
        if not _seen(needed, tree):
            _, _, more = _try_staircase(packed, scratch, tree, _briefly(terms, 1 << 16), needed, lam)
            work += more
            if bound <= tree.floats[INCUMBENT] + terms.gap:
                _close(tree, terms, bound)
                return work
    _copy(lo, tree.lo[slot])
    _copy(hi, tree.hi[slot])
    tree.bound[slot] = bound
    tree.lam[slot] = lam
    if leaf:
        # Its knapsack needs more states than there are; whether it counts at all, the rest of the tree tells.
        tree.counts[ASIDE] += 1
        last = len(tree.heap) - tree.counts[ASIDE]
        tree.heap[tree.counts[HEAP]] = tree.heap[last]
        tree.heap[last] = slot
    else:
        _push(tree)
    return work


@_jit
def search(packed: Packed, scratch: Scratch, tree: Tree, terms: Terms, effort: int) -> int:
    """Go on with a search, best bound first, for about `effort` options looked at; returns a status code."""
    heap, counts = tree.heap, tree.counts
    work = 0
    while counts[HEAP] > 0:
        if work > effort:
            return RUNNING
        if counts[HEAP] + counts[ASIDE] + 2 > len(heap):
            return NEED_SLOTS
        if counts[NODES] > terms.patience and len(scratch.share) == 0:
            return NEED_SHARES
        slot = _pop(tree)
        bound, lam = tree.bound[slot], tree.lam[slot]
        if bound <= tree.floats[INCUMBENT] + terms.gap:
            # Best first: what is left is no better.
            _close(tree, terms, bound)
            counts[HEAP] = 0
            break
        boxes = _halves(tree, slot)
        for side in range(len(boxes)):
            work += _add_node(packed, scratch, tree, terms, boxes[side, 0], boxes[side, 1], bound, lam)
    for at in range(len(heap) - counts[ASIDE], len(heap)):
        if tree.bound[heap[at]] > tree.floats[INCUMBENT] + terms.gap:
            return NEED_STATES
        _close(tree, terms, tree.bound[heap[at]])
    counts[ASIDE] = 0
    return DONE


@_inner
def _add_cheap_node(packed: Packed, scratch: Scratch, tree: Tree, lo: Staircase, hi: Staircase, share: float) -> None:
    """As :func:`_add_node` when only cost counts: bounds and incumbent are costs with a minus sign."""
    tree.counts[NODES] += 1
    _weigh(packed, scratch, lo, hi, share)
    _, weight = _lightest(packed, scratch)
    bound = -(weight + _stem_cost(packed, lo))
    if bound <= tree.floats[INCUMBENT]:
        return
    width = len(packed.rate)
    for i in range(len(scratch.trial)):
        scratch.trial[i] = packed.cell[scratch.spare[i]]
    _staircase(scratch.trial, width, scratch.needed)
    cost = _stem_cost(packed, scratch.needed)
    for c in scratch.trial:
        cost += packed.tail[c // width] * packed.rate[c % width]
    if -cost > tree.floats[INCUMBENT]:
        tree.floats[INCUMBENT] = -cost
        for i in range(len(scratch.trial)):
            tree.best[i] = scratch.trial[i]
    if bound <= tree.floats[INCUMBENT] * (1.0 - 1e-12):
        return
    slot = tree.heap[tree.counts[HEAP]]
    tree.cut[slot, 0], tree.cut[slot, 1] = _where_to_cut(packed, lo, hi, scratch.needed)
    _copy(lo, tree.lo[slot])
    _copy(hi, tree.hi[slot])
    tree.bound[slot] = bound
    _push(tree)


@_jit
def cheapest(
    packed: Packed, scratch: Scratch, tree: Tree, share: float, enough: float, hopeless: float, effort: int
) -> int:
    """Look for the schedule of least cost, or for one of at most `enough`; returns a status code.

    It also ends when there is none of at most `hopeless`. The heap holds the root box; tree.floats[INCUMBENT] comes
    back as minus the cost of tree.best.
    """
    heap, counts = tree.heap, tree.counts
    done = 0
    while counts[HEAP] > 0 and -tree.floats[INCUMBENT] > enough:
        if counts[HEAP] + 2 > len(heap):
            return NEED_SLOTS
        if done > effort:
            return RUNNING
        slot = _pop(tree)
        bound = tree.bound[slot]
        if bound <= tree.floats[INCUMBENT] * (1.0 - 1e-12) or -bound > hopeless:
            break
        boxes = _halves(tree, slot)
        for side in range(len(boxes)):
            _add_cheap_node(packed, scratch, tree, boxes[side, 0], boxes[side, 1], share)
        done += packed.start[-1]
    return DONE
