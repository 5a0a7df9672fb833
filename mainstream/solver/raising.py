"""Raises a stem for several apps at once: where there are many, no single app gains enough to pay for it."""

from __future__ import annotations

from typing import Final

import numpy as np

from mainstream._jit import jit
from mainstream.solver import kernels
from mainstream.solver.stems import IntArray, Stem

MANY: Final = 100
"""With this many apps in a stream or more, a move may raise its stem for several; with fewer, one app pays for it."""
SAMPLE: Final = 200
"""How many apps, of more than that, are looked at to see whether raising pays."""


@jit
def corner_to_raise(packed: kernels.Packed, slack: float, price: float, chosen: IntArray, stem: Stem) -> int:
    """The cell up to which to raise its group's stem for several apps at once; -1 when no cell pays.

    If the stem is raised up to (k, j), each app can take the new option with the largest gain minus price times extra
    tail cost. Raising pays if the sum of these exceeds price times the extra cost of the stem. If the slack is not
    enough for all of them, those of a higher price count. With many apps, a sample is looked at.
    """
    best, best_surplus = -1, 0.0
    for g in range(len(packed.rows) - 1):
        if packed.apps[g + 1] - packed.apps[g] < MANY:
            continue
        for k in range(packed.rows[g] + 1, packed.rows[g + 1]):
            for j in range(stem.top[k] + 1, packed.own.shape[1]):
                surplus = _surplus(packed, g, k, j, slack, price, chosen, stem)
                if surplus > best_surplus:
                    best, best_surplus = k * packed.own.shape[1] + j, surplus
    return best


@jit
def _surplus(
    packed: kernels.Packed, g: int, k: int, j: int, slack: float, price: float, chosen: IntArray, stem: Stem
) -> float:
    """The net gain of raising the stem of a group up to (k, j); -inf when the slack is too small."""
    value, cell, own = packed.value, packed.cell, packed.own
    width = own.shape[1]
    first, end = packed.apps[g], packed.apps[g + 1]
    stride = max(1, (end - first) // SAMPLE)
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
