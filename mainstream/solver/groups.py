"""Several groups, each searched alone at a price of the budget, and which of their staircases can still matter.

With U_g(lam) the largest value - lam cost of group g alone, over all of its staircases,

    F(lam) = lam budget + sum_g U_g(lam),   lam >= 0,

bounds the whole problem. A staircase of a group that comes to c less than U_g(lam) is part of no schedule worth more
than F(lam) - c. F is convex and piecewise linear, so its minimum is found by secant steps, as in
``kernels/lagrangian.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from mainstream.apps import IntArray
from mainstream.solver import kernels
from mainstream.solver.arrays import new_scratch, new_tree, with_shares
from mainstream.solver.kernels.lagrangian import worth
from mainstream.solver.kernels.priced import priced
from mainstream.solver.search import highest_staircase, schedule_cost, staircase_of

_EFFORT: Final = 5_000_000
"""How many options the kernel looks at between two looks at the clock."""
_SLOTS: Final = 1 << 12
"""How many boxes one group may have; if they are not enough, its bound is less sharp."""
_VISITED: Final = 1 << 10
_STEPS: Final = 30


@dataclass(frozen=True, eq=False)
class AtPrice:
    """The best of all groups at one price.

    Attributes
    ----------
    lam : float
    bound : float
        F(lam), or a little more.
    value, cost : float
        The sums over the groups' best schedules.
    staircase : (D,) int
        The staircase that these schedules need.
    """

    lam: float
    bound: float
    value: float
    cost: float
    staircase: IntArray


def groups_of(packed: kernels.Packed) -> Iterator[kernels.Packed]:
    """Each group as a problem of its own."""
    width = packed.own.shape[1]
    for g in range(len(packed.rows) - 1):
        (first, end), (app, last) = packed.rows[g : g + 2].tolist(), packed.apps[g : g + 2].tolist()
        start = packed.start[app : last + 1]
        options = slice(int(start[0]), int(start[-1]))
        yield kernels.Packed(
            start=start - start[0],
            value=packed.value[options],
            cell=(packed.cell[options] - first * width).astype(np.int32),
            own=packed.own[first:end],
            stem=packed.stem[first:end],
            rows=np.array([0, end - first]),
            apps=np.array([0, last - app]),
            own_mb=packed.own_mb[first:end],
            stem_mb=packed.stem_mb[first:end],
            memory_mb=np.inf,
        )


def minimise(
    groups: list[kernels.Packed], budget: float, lam: float, tolerance: float, go_on: Callable[[], bool]
) -> list[AtPrice]:
    """Points of F on the way to its minimum, the last of them within `tolerance` of it unless time runs out.

    Parameters
    ----------
    groups : list of Packed
    budget : float
    lam : float
        A first guess, above 0.
    tolerance : float
        In units of the values.
    go_on : callable
        Says whether there is time left.
    """
    points: list[AtPrice] = []
    heavy: AtPrice | None = None
    light: AtPrice | None = None
    first, step = lam, 1.05
    while len(points) < _STEPS and 1e-12 * first < lam < 1e12 * first:
        point = at_price(groups, budget, lam, 0.25 * tolerance, go_on)
        if point is None:
            break
        points.append(point)
        if point.cost > budget:
            heavy = point
        else:
            light = point
        if heavy is None:
            lam, step = lam / step, step * step
        elif light is None:
            lam, step = lam * step, step * step
        else:
            lam = (heavy.value - light.value) / (heavy.cost - light.cost)
            meet = light.value + lam * (budget - light.cost)
            if min(found.bound for found in points) - meet <= tolerance:
                break
    return points


def at_price(
    groups: list[kernels.Packed], budget: float, lam: float, tolerance: float, go_on: Callable[[], bool]
) -> AtPrice | None:
    """One point of F, unless time runs out."""
    # The most by which sums of such numbers may be off.
    bound = lam * budget + 1e-14 * (1 + lam * budget)
    value = cost = 0.0
    staircases = []
    for group in groups:
        tree = _GroupTree(group, lam)
        if not tree.search(tolerance / len(groups), go_on):
            return None
        bound += tree.bound
        value += worth(group, tree.tree.best)
        cost += schedule_cost(group, tree.tree.best)
        staircases.append(staircase_of(group, tree.tree.best))
    return AtPrice(lam, bound, value, cost, np.concatenate(staircases))


def box_within(
    groups: list[kernels.Packed], lam: float, slack: float, go_on: Callable[[], bool]
) -> tuple[IntArray, IntArray]:
    """The box around all staircases that come within `slack` of the best of their group at a price.

    Returns
    -------
    lo, hi : (D,) int
    """
    boxes = []
    for group in groups:
        tree = _GroupTree(group, lam)
        if tree.search(0.0, go_on):
            tree.search(-slack, go_on)
        boxes.append(tree.box_over(-slack))
    low, high = zip(*boxes, strict=True)
    return np.concatenate(low), np.concatenate(high)


class _GroupTree:
    """The tree of one group at one price."""

    def __init__(self, packed: kernels.Packed, lam: float) -> None:
        self._packed, self._lam = packed, lam
        self._scratch = with_shares(new_scratch(packed), packed)
        self.tree = tree = new_tree(packed, _SLOTS, _VISITED, 0)
        highest = highest_staircase(packed)
        tree.hi[0], tree.bound[0], tree.cut[0], tree.counts[kernels.HEAP] = highest, np.inf, kernels.NEW, 1
        self._low, self._high = highest, np.zeros_like(highest)

    @property
    def bound(self) -> float:
        """An upper bound of the group's best."""
        tree = self.tree
        still_open = tree.bound[tree.heap[0]] if tree.counts[kernels.HEAP] else -np.inf
        return float(max(tree.floats[kernels.INCUMBENT], still_open))

    def search(self, margin: float, go_on: Callable[[], bool]) -> bool:
        """Split boxes that may hold more than the incumbent + margin, as far as there is room; False without time."""
        while True:
            status = priced(self._packed, self._scratch, self.tree, self._lam, margin, self._low, self._high, _EFFORT)
            if status != kernels.RUNNING:
                return True
            if not go_on():
                return False

    def box_over(self, margin: float) -> tuple[IntArray, IntArray]:
        """The box around all staircases that may be worth more than the incumbent + margin."""
        tree, low, high = self.tree, self._low, self._high
        rest = tree.heap[: tree.counts[kernels.HEAP]]
        for slot in rest[tree.bound[rest] > tree.floats[kernels.INCUMBENT] + margin]:
            low, high = np.minimum(low, tree.lo[slot]), np.maximum(high, tree.hi[slot])
        return low, high
