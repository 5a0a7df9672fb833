"""Unequal shares: each app is charged its own share of what it adds to the stem, so that the bound is least.

A tree that grows past some tens of nodes switches to them; :func:`charge` has the mathematics. Each option then has a
weight of its own: packed.cell numbers the options, and scratch.cell holds their cells.
"""

from __future__ import annotations

import numpy as np

from mainstream._jit import inner, jit
from mainstream.solver.kernels import Packed, Scratch, Staircase
from mainstream.solver.kernels.knapsack import insert, sort
from mainstream.solver.kernels.lagrangian import dual


@inner
def charge(packed: Packed, scratch: Scratch, lam: float) -> tuple[float, float]:
    """The shares of least bound for a box at price lam, whose weights without shares are in scratch.plain.

    Returns (value, weight) of a mixture of options, see :func:`_charge_group`; the weight is infinite when an app has
    no open option.
    """
    total_value, total_weight = 0.0, 0.0
    for g in range(len(packed.rows) - 1):
        value, weight = _charge_group(packed, scratch, lam, packed.apps[g], packed.apps[g + 1])
        total_value += value
        total_weight += weight
    return total_value, total_weight


@inner
def _charge_group(packed: Packed, scratch: Scratch, lam: float, begin: int, stop: int) -> tuple[float, float]:
    """The shares of one group, the apps begin..stop-1.

    With a = value - lam weight, app i adds max_o (a - lam s_i x) to the bound. That is convex in its share s_i, with
    the slope -lam x of the option chosen. So at the least sum over s >= 0, sum s <= 1, all apps with s_i > 0 stand at
    one height y of x, between two options that are worth the same: lam s_i is the slope at y of the upper hull of the
    app's points (x, a). The height sinks from the top, corner by corner, until the shares add up to 1.

    Returns (value, weight) of the mixture of options that stands at y: the line value + lam (budget - weight), summed
    over the groups, touches the least bound, as a function of lam, from below.
    """
    start, value, cell, weight = packed.start, packed.value, scratch.cell, scratch.plain
    x, share = scratch.x, scratch.share
    hull_x, hull_a, key = scratch.hull[0], scratch.hull[1], scratch.hull[2]
    app, option, order = scratch.corner[0], scratch.corner[1], scratch.corner[2]
    end = 0
    for i in range(begin, stop):
        first = end
        for o in range(start[i], start[i + 1]):
            c = cell[o]
            if weight[c] == np.inf:
                continue
            a = value[o] - lam * weight[c]
            # Only points that no other one beats (less x, larger a) can be corners of the upper hull.
            end = insert(hull_x, hull_a, option, first, end, x[c], a, o)
        if end == first:
            return 0.0, np.inf
        # Andrew's monotone chain: the points come sorted by x, and a corner goes when it lies under the chord to the
        # next point.
        top = first
        for m in range(first + 1, end):
            while top > first and (hull_a[top] - hull_a[top - 1]) * (hull_x[m] - hull_x[top]) <= (
                hull_a[m] - hull_a[top]
            ) * (hull_x[top] - hull_x[top - 1]):
                top -= 1
            top += 1
            hull_x[top], hull_a[top], option[top] = hull_x[m], hull_a[m], option[m]
        end = top + 1
        # From here on hull_a holds what the share has to gain for the app to leave a corner for the one below: slopes
        # grow as x falls, so the share is the sum of what its corners need.
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
    sort(key[:end], order[:end])
    # A hair under 1, so that the rounding of a long sum cannot push the shares over 1: then the bound would not hold.
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
    for i in range(begin, stop):
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


@jit
def charge_box(
    packed: Packed, scratch: Scratch, lo: Staircase, budget: float, lam: float, stop: float
) -> tuple[float, int]:
    """Weigh the options of a box, whose weights without shares are in scratch.plain, with the shares of least bound.

    Returns (lam, passes over the options): a price near the least bound's, from a first guess or none, 0.
    """
    stem_additions(packed, scratch, lo)
    passes = 0
    # A box without a known price gets one from even shares, which is close to the price with the best shares.
    if lam <= 0.0:
        for g in range(len(scratch.even)):
            for i in range(packed.apps[g], packed.apps[g + 1]):
                scratch.share[i] = scratch.even[g]
        spread(packed, scratch)
        _, lam, passes = dual(packed, scratch, budget, lam, stop, 0.0)
    if lam > 0.0:
        lam, more = _charged_dual(packed, scratch, budget, lam, stop)
        passes += 3 * more
    spread(packed, scratch)
    return lam, passes


@inner
def _charged_dual(packed: Packed, scratch: Scratch, budget: float, lam: float, stop: float) -> tuple[float, int]:
    """Minimise the bound of a box over lam and the shares, from a first guess; returns (lam, passes).

    As :func:`mainstream.solver.kernels.lagrangian.dual`, but more coarsely, since only the shares matter here.
    """
    heavy_v = heavy_w = light_v = light_w = np.inf
    bound, best_lam = np.inf, lam
    step = 1.1
    # Kelley's cutting planes in one dimension: the two innermost tangents meet at the next price. The best bound is
    # convex in lam as well, as it is jointly convex in lam and the products lam s_i.
    for tries in range(12):
        v, w = charge(packed, scratch, lam)
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
        charge(packed, scratch, best_lam)
        tries += 1
    return best_lam, tries + 1


@inner
def stem_additions(packed: Packed, scratch: Scratch, lo: Staircase) -> None:
    """Fill scratch.x for a box."""
    stem, rows, x = packed.stem, packed.rows, scratch.x
    width = stem.shape[1]
    for g in range(len(rows) - 1):
        for j in range(width):
            x[rows[g] * width + j] = 0.0
        for d in range(rows[g] + 1, rows[g + 1]):
            for j in range(width):
                x[d * width + j] = x[(d - 1) * width + j] + max(0.0, stem[d, j] - stem[d, lo[d]])


@inner
def spread(packed: Packed, scratch: Scratch) -> None:
    """Weigh each option with its app's share."""
    for i in range(len(scratch.share)):
        for o in range(packed.start[i], packed.start[i + 1]):
            c = scratch.cell[o]
            own = scratch.plain[c]
            scratch.weight[o] = own + scratch.share[i] * scratch.x[c] if own < np.inf else np.inf
