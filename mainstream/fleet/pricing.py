"""The worth of a fleet's streams at several prices of budgets: the input of :mod:`mainstream.fleet.assignment`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from mainstream.fleet.assignment import Bound, Market, assign, bound
from mainstream.fleet.problems import FleetProblems
from mainstream.fleet.side_by_side import side_by_side
from mainstream.problem import FloatArray

_FIRST: Final = tuple(9.0**k for k in range(-4, 1))
"""The first prices, in units of the fleet's total weight over its total budget."""
_LAST: Final = 1e4
"""The highest price, in the same units; every stream then chooses its cheapest schedule."""
_TOLERANCE: Final = 1e-3
"""Tolerance of a stream's worth at a price, as a share of its weight."""
_ROUNDS: Final = 3
"""How often prices are added next to those that the bound uses."""


@dataclass(eq=False)
class Pricing:
    """The streams that may be on some boxes, and their worth at more and more prices.

    Parameters
    ----------
    problems : FleetProblems
    boxes : sequence of int
        The boxes that a camera with a choice may be on.
    threads : int, optional

    Attributes
    ----------
    loose : list of int
        The cameras that have a choice of boxes.
    """

    problems: FleetProblems
    boxes: Sequence[int]
    threads: int | None
    _prices: list[float] = field(default_factory=list)
    _most: dict[tuple[int, float], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fleet = self.problems.fleet
        self._here = {b: i for i, b in enumerate(self.boxes)}
        self.loose = [k for k, camera in enumerate(fleet.cameras) if len(camera.on) > 1]
        self._fixed: list[list[int]] = [[] for _ in self.boxes]
        self._kinds: dict[int, tuple[int, int]] = {}
        """The identity of a stream with a profile -> its index, and a box that has the profile."""
        for k, camera in enumerate(fleet.cameras):
            for b, named in camera.on.items():
                if b in self._here:
                    self._kinds.setdefault(id(named), (k, b))
                    if len(camera.on) == 1:
                        self._fixed[self._here[b]].append(id(named))
        self._memory = dict.fromkeys(self._kinds, 0.0)
        if any(fleet.boxes[b].memory_mb is not None for b in self.boxes):
            known = [kind for kind, (k, b) in self._kinds.items() if fleet.cameras[k].on[b].model.layer_memory_mb]
            self._memory |= zip(known, side_by_side(self._least_memory, known, self.threads), strict=True)

    def market(self) -> tuple[Market, Bound]:
        """The market, and a bound on all assignments, with more prices near those that the bound uses."""
        fleet = self.problems.fleet
        budget = sum(fleet.boxes[b].budget for b in self.boxes)
        weight = sum(fleet.cameras[k].weight for k, _ in self._kinds.values())
        usual = weight / budget
        self._add([0.0, *(usual * factor for factor in _FIRST), usual * _LAST])
        market = self._market()
        found = bound(market, assign(market))
        for _ in range(_ROUNDS):
            self._add(_between(market.prices, found.prices))
            market = self._market()
            found = bound(market, assign(market))
        return market, found

    def _least_memory(self, kind: int) -> float:
        from mainstream.solver.prices import least_memory

        k, b = self._kinds[kind]
        return min(least_memory(one) for one in self.problems.prepared(b, [k], memory_mb=1.0).values())

    def _add(self, prices: Sequence[float]) -> None:
        """Compute the worth of every stream at more prices."""
        from mainstream.solver.prices import at_prices

        def ask(kind: int) -> FloatArray:
            k, b = self._kinds[kind]
            tolerance = _TOLERANCE * self.problems.fleet.cameras[k].weight
            # A box has one precision for all streams. Taking each stream's better one can only raise the bound.
            each = self.problems.prepared(b, [k], memory_mb=None).values()
            most: FloatArray = np.max([at_prices(one, prices, tolerance).most for one in each], axis=0)
            return most

        for kind, most in zip(self._kinds, side_by_side(ask, self._kinds, self.threads), strict=True):
            self._most.update({(kind, price): float(one) for price, one in zip(prices, most, strict=True)})
        self._prices = sorted({*self._prices, *prices})

    def _market(self) -> Market:
        fleet = self.problems.fleet
        boxes = [fleet.boxes[b] for b in self.boxes]
        rows = {kind: row for row, kind in enumerate(self._kinds)}
        most = np.array([[self._most[kind, price] for price in self._prices] for kind in self._kinds])
        memory = np.array([self._memory[kind] for kind in self._kinds])
        fixed = [[rows[kind] for kind in kinds] for kinds in self._fixed]
        limits = [np.inf if box.memory_mb is None else box.memory_mb for box in boxes]
        pairs = [
            (c, self._here[b], rows[id(named)])
            for c, k in enumerate(self.loose)
            for b, named in fleet.cameras[k].on.items()
        ]
        camera, box, row = np.array(pairs, dtype=np.int64).T
        return Market(
            prices=np.array(self._prices),
            budgets=np.array([box.budget for box in boxes]),
            own=np.array([most[those].sum(axis=0) for those in fixed]),
            camera=camera,
            box=box,
            row=row,
            most=most,
            memory_left=np.array([limit - memory[those].sum() for limit, those in zip(limits, fixed, strict=True)]),
            memory=memory,
        )


def _between(known: FloatArray, used: FloatArray) -> list[float]:
    """New prices next to the used ones: the geometric middle of each step between known prices around them."""
    after = np.searchsorted(known, used * (1 + 1e-9), side="right")
    steps = {int(k) for k in [*after, *(after - 1)] if 1 < k < len(known)}
    return [float(np.sqrt(known[k - 1] * known[k])) for k in sorted(steps)]
