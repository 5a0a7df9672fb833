"""A fleet's streams at the prices of budgets: what :mod:`mainstream.fleet.assignment` works on."""

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
"""First prices, of the fleet's whole weight by its whole budget."""
_LAST: Final = 1e4
"""The last one, at which streams come down to their cheapest schedule."""
_TOLERANCE: Final = 1e-3
"""Of what a stream comes to at a price, by its weight."""
_ROUNDS: Final = 3
"""In which prices are added beside those that count."""


@dataclass(eq=False)
class Pricing:
    """The streams that may be on some boxes, at more and more prices.

    Parameters
    ----------
    problems : FleetProblems
    boxes : sequence of int
        Those that a camera without a place may be on.
    threads : int, optional

    Attributes
    ----------
    loose : list of int
        The cameras to put somewhere.
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
        """The identity of a stream with a profile -> its place, and a box that has the profile."""
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
        """What the cameras choose from, and what no assignment surpasses, at prices that count."""
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
        """Look up what every stream comes to at more prices."""
        from mainstream.solver.prices import at_prices

        def ask(kind: int) -> FloatArray:
            k, b = self._kinds[kind]
            tolerance = _TOLERANCE * self.problems.fleet.cameras[k].weight
            # A box has one precision for all; a stream in its better one is worth no less.
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
    """Prices beside those that are used: in the middle of the steps of the known ones, next to which they lie."""
    after = np.searchsorted(known, used * (1 + 1e-9), side="right")
    steps = {int(k) for k in [*after, *(after - 1)] if 1 < k < len(known)}
    return [float(np.sqrt(known[k - 1] * known[k])) for k in sorted(steps)]
