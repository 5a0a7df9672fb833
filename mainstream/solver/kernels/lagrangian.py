"""The bound of a box of staircases: the Lagrangian of the budget, and its minimum over the price.

For a box lo <= M <= hi it is

    g(lam) = lam (budget - stem(lo)) + sum_i max_{o open} (value[o] - lam weight[cell[o]]),   lam >= 0,

where a cell is open when j <= hi[d], and weight = tail cost + share * x: x(d, j) = sum_{k<=d} max(0, stem[k, j] -
stem[k, lo[k]]) is what the option adds to its group's stem in lo. That stem grows at least by the largest x that
anybody in the group needs, so each app i may be charged a share s_i >= 0 of its own x as long as the shares of a group
add up to no more than 1. At first s_i = 1 / (apps of the group); ``charges.py`` finds better ones.
"""

from __future__ import annotations

import numpy as np

from mainstream._jit import inner, jit
from mainstream.solver.kernels import Cells, IntArray, Packed, Scratch, Staircase


@inner
def weigh(packed: Packed, scratch: Scratch, lo: Staircase, hi: Staircase, charged: float) -> None:
    """Fill scratch.plain for a box: tail cost + charged * even share * x, infinite where closed."""
    own, stem, rows, weight = packed.own, packed.stem, packed.rows, scratch.plain
    width = own.shape[1]
    for g in range(len(rows) - 1):
        first = rows[g]
        share = charged * scratch.even[g]
        for j in range(width):
            weight[first * width + j] = own[first, j]
            x = 0.0
            for d in range(first + 1, rows[g + 1]):
                # What lo pays for already is free; a segment that the option runs slower than lo does adds nothing.
                x += max(0.0, stem[d, j] - stem[d, lo[d]])
                weight[d * width + j] = own[d, j] + share * x if 0 < j <= hi[d] else np.inf


@inner
def copy(source: IntArray, target: IntArray) -> None:
    # An assignment target[:] = source compiles to the same, and two seconds of code for its error message.
    for i in range(len(target)):
        target[i] = source[i]


@inner
def stem_cost(packed: Packed, staircase: Staircase) -> float:
    cost = 0.0
    for k in range(len(staircase)):
        cost += packed.stem[k, staircase[k]]
    return cost


@inner
def room_beside(packed: Packed, staircase: Staircase) -> float:
    """The memory that a staircase leaves for the tails."""
    room = packed.memory_mb
    for k in range(len(staircase)):
        if staircase[k] > 0:
            room -= packed.stem_mb[k]
    return room


@inner
def at_price(packed: Packed, scratch: Scratch, lam: float) -> tuple[float, float]:
    """One point of the Lagrangian: put each app's best option at price lam into scratch.spare.

    Returns (value, weight) of that choice; the weight is infinite when an app has no open option.
    """
    start, value, cell = packed.start, packed.value, packed.cell
    weight, price = scratch.weight, scratch.price
    # Many options share a cell: one product for each cell is cheaper than one for each option.
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


@inner
def _price_doubtful(packed: Packed, scratch: Scratch, lam: float, size: int) -> tuple[float, float]:
    """As :func:`at_price`, but only for the first apps of scratch.doubt."""
    start, value, cell, weight = packed.start, packed.value, packed.cell, scratch.weight
    total_value = 0.0
    total_weight = 0.0
    for i in scratch.doubt[:size]:
        best = -np.inf
        chosen = scratch.choice[i]
        for o in range(start[i], start[i + 1]):
            w = weight[cell[o]]
            score = value[o] - lam * w if w < np.inf else -np.inf
            if score > best:
                best = score
                chosen = o
        scratch.spare[i] = chosen
        total_value += value[chosen]
        total_weight += weight[cell[chosen]]
    return total_value, total_weight


@inner
def _settle(packed: Packed, scratch: Scratch, size: int) -> tuple[float, float, int]:
    """Remove from scratch.doubt the apps that choose the same option on both sides.

    scratch.choice and scratch.order hold the options of the two sides. Returns (value, weight) of the removed apps and
    the number of those that stay.
    """
    total_value = 0.0
    total_weight = 0.0
    kept = 0
    for t in range(size):
        i = scratch.doubt[t]
        o = scratch.choice[i]
        if o == scratch.order[i]:
            total_value += packed.value[o]
            total_weight += scratch.weight[packed.cell[o]]
        else:
            scratch.doubt[kept] = i
            kept += 1
    return total_value, total_weight, kept


@inner
def lightest(packed: Packed, scratch: Scratch) -> tuple[float, float]:
    """Put each app's lightest option, the most valuable of equal ones, into scratch.spare; returns (value, weight)."""
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


@jit
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


@jit
def root_dual(packed: Packed, scratch: Scratch, budget: float, highest: Staircase, lam: float) -> tuple[float, float]:
    """The bound of the box of all staircases, all apps of a group with one share, and its price."""
    for k in range(len(highest)):
        scratch.needed[k] = 0
    weigh(packed, scratch, scratch.needed, highest, 1.0)
    bound, lam, _ = dual(packed, scratch, budget, lam, -np.inf, 0.01)
    return bound, lam


@inner
def dual(
    packed: Packed, scratch: Scratch, budget: float, lam: float, stop: float, rough: float
) -> tuple[float, float, int]:
    """Minimise the Lagrangian over lam, from a first guess; returns (bound, lam, passes over the options).

    It is convex and piecewise linear in lam, and each pass gives one line V + lam (budget - W) of it: too heavy
    (W > budget) left of the minimum, light enough right of it. Where the two innermost lines meet is the next lam.
    An app's scores are lines in lam: an option that is its best at two prices is so at all prices in between. So once
    the minimum lies between two prices, only the apps whose options there differ are looked at, fewer with each step.

    It ends early when the bound falls to `stop`, and when its distance from the minimum is known to be at most
    `rough` times the minimum's distance from `stop`.

    scratch.choice gets a choice that fits the budget, and scratch.doubt the apps that may do better at lam, unless the
    bound is at most `stop` or scratch.stop is set.
    """
    v, w = at_price(packed, scratch, lam)
    passes = 1
    if w == np.inf:
        return -np.inf, lam, passes
    size = len(scratch.choice)
    for i in range(size):
        scratch.doubt[i] = i
    scratch.doubt[size] = size
    bound = v + lam * (budget - w)
    best_lam = lam
    if bound <= stop:
        return bound, best_lam, passes
    # The first guess is mostly a good one, so the steps away from it begin small.
    step = 1.02
    heavy_v = light_v = v
    heavy_w = light_w = w
    if w > budget:
        copy(scratch.spare, scratch.order)
        for _ in range(9):
            if scratch.stop[0] != 0:
                return bound, best_lam, passes
            # Each step is the square of the one before, so that 9 of them raise the price some 20,000 times.
            lam = lam * step if lam > 0.0 else (v / budget if budget > 0.0 else 1.0)
            step *= step
            v, w = at_price(packed, scratch, lam)
            passes += 1
            g = v + lam * (budget - w)
            if g < bound:
                bound, best_lam = g, lam
            if w <= budget:
                break
            heavy_v, heavy_w = v, w
            copy(scratch.spare, scratch.order)
        else:
            # No finite price was high enough, so ask for the least weight itself: when that does not fit, nothing does.
            v, w = lightest(packed, scratch)
            passes += 1
            if w > budget:
                return -np.inf, lam, passes
        light_v, light_w = v, w
        copy(scratch.spare, scratch.choice)
    else:
        copy(scratch.spare, scratch.choice)
        while w <= budget:
            light_v, light_w = v, w
            copy(scratch.spare, scratch.choice)
            if lam == 0.0 or scratch.stop[0] != 0:
                return bound, best_lam, passes
            # At price 0 the budget does not bind, and every app has the best of its options.
            lam = lam / step if step < 100.0 else 0.0
            step *= step
            v, w = at_price(packed, scratch, lam)
            passes += 1
            g = v + lam * (budget - w)
            if g < bound:
                bound, best_lam = g, lam
        heavy_v, heavy_w = v, w
        copy(scratch.spare, scratch.order)
    # The minimum is between two prices now: apps that choose alike at both are settled for good.
    fixed_v, fixed_w, size = _settle(packed, scratch, size)
    for _ in range(60):
        lam = (heavy_v - light_v) / (heavy_w - light_w)
        meet = light_v + lam * (budget - light_w)
        if bound <= stop or lam <= 0.0 or (meet > stop and bound - meet <= rough * (meet - stop)):
            break
        if scratch.stop[0] != 0:
            break
        v, w = _price_doubtful(packed, scratch, lam, size)
        v, w = v + fixed_v, w + fixed_w
        g = v + lam * (budget - w)
        if g < bound:
            bound, best_lam = g, lam
        # No part of the curve lies under the point where the two lines meet, so the minimum is reached.
        if g <= meet + 1e-14 * (1.0 + abs(meet)):
            break
        if w > budget:
            heavy_v, heavy_w = v, w
            for i in scratch.doubt[:size]:
                scratch.order[i] = scratch.spare[i]
        else:
            light_v, light_w = v, w
            for i in scratch.doubt[:size]:
                scratch.choice[i] = scratch.spare[i]
        v, w, size = _settle(packed, scratch, size)
        fixed_v, fixed_w = fixed_v + v, fixed_w + w
    scratch.doubt[len(scratch.choice)] = size
    return bound, best_lam, passes
