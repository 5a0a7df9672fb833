"""Improve an assignment by what boxes are really worth: move single cameras, or exchange two, as long as that gains.

Prices do not account for the part of a budget that no schedule can use, nor for memory limits. On small fleets that
costs much. On large ones there are more moves than can be tried, but little to gain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from mainstream.errors import InfeasibleError
from mainstream.fleet.assignment import Market, filled
from mainstream.fleet.problems import FleetProblems
from mainstream.schedule import Result

MOST_SOLVES: Final = 500
_NEAR: Final = 4
"""How many boxes are tried for one camera; those on which it is worth most come first."""
_GAIN: Final = 1e-9

Cameras = frozenset[int]


class Improving:
    """Which cameras are on which box, and what the boxes are worth with them.

    Parameters
    ----------
    problems : FleetProblems
    boxes : list of int
        The boxes of the market, in its order.
    loose : list of int
        The cameras of the market, in its order.
    fixed : mapping of int to list of int
        Box -> the streams that are fixed on it.
    market : Market
    places : (C,) int
        The pair of each camera to begin with.

    Attributes
    ----------
    found : dict
        (box, cameras) -> the best schedule, or why there is none; None without streams.
    """

    def __init__(
        self,
        problems: FleetProblems,
        boxes: list[int],
        loose: list[int],
        fixed: Mapping[int, list[int]],
        market: Market,
        places: np.ndarray[tuple[int], np.dtype[np.int64]],
    ) -> None:
        self._problems, self._boxes, self._loose, self._market = problems, boxes, loose, market
        self._places = places.copy()
        self._fixed = {b: tuple(fixed[b]) for b in boxes}
        self.found: dict[tuple[int, Cameras], Result | InfeasibleError | None] = {}
        cameras = problems.fleet.cameras
        self._weight = {k: camera.weight for k, camera in enumerate(cameras)}
        self._nothing = -sum(self._weight.values())
        self._on: dict[int, Cameras] = {
            b: frozenset(loose[c] for c, pair in enumerate(places.tolist()) if market.box[pair] == i)
            for i, b in enumerate(boxes)
        }

    def on(self, box: int) -> tuple[int, ...]:
        """The streams of a box, in the order of the fleet."""
        return self.cameras(box, self._on[box])

    def cameras(self, box: int, loose: Cameras) -> tuple[int, ...]:
        """The streams of a box if it has these cameras, in the order of the fleet."""
        return tuple(sorted((*self._fixed[box], *loose)))

    def result(self, box: int) -> Result | InfeasibleError | None:
        """The result for a box; None if it has no stream."""
        return self.found[box, self._on[box]]

    def solve(self, box: int, loose: Cameras | None = None) -> None:
        """Solve a box with some cameras, by default with those that it has; keep the result in `found`."""
        loose = self._on[box] if loose is None else loose
        if (box, loose) in self.found:
            return
        those = self.cameras(box, loose)
        try:
            self.found[box, loose] = self._problems.solve(box, those, briefly=True) if those else None
        except InfeasibleError as error:
            self.found[box, loose] = error

    def run(self) -> None:
        """Move and exchange cameras; every box must have been solved as it is."""
        until = len(self.found) + MOST_SOLVES
        gained = True
        while gained:
            gained = False
            for change in [*self._moves(), *self._exchanges()]:
                if len(self.found) >= until:
                    return
                gained |= self._try(change)

    def _worth(self, box: int, loose: Cameras) -> float:
        self.solve(box, loose)
        result = self.found[box, loose]
        if isinstance(result, InfeasibleError):
            return self._nothing
        return 0.0 if result is None else result.objective * sum(self._weight[k] for k in self.cameras(box, loose))

    def _try(self, change: tuple[tuple[int, int], ...]) -> bool:
        """Make a change, given as (camera, pair) tuples, if it gains; say whether it did."""
        market, places = self._market, self._places
        was = [self._boxes[market.box[places[camera]]] for camera, _ in change]
        new = [self._boxes[market.box[pair]] for _, pair in change]
        if was == new or len({*was, *new}) != 2:
            return False
        after = {b: self._on[b] for b in (*was, *new)}
        for (camera, _), before, then in zip(change, was, new, strict=True):
            after[before] -= {self._loose[camera]}
            after[then] |= {self._loose[camera]}
        now = sum(self._worth(b, self._on[b]) for b in after)
        if sum(self._worth(b, loose) for b, loose in after.items()) <= now + _GAIN:
            return False
        self._on |= after
        for camera, pair in change:
            places[camera] = pair
        return True

    def _moves(self) -> Iterator[tuple[tuple[int, int], ...]]:
        """Moves of each camera to the boxes where it is worth most.

        Cameras of boxes that are worth much less than prices promise come first.
        """
        market = self._market
        full = filled(market, self._places)
        least = full.min(axis=1)
        short = [least[i] - self._worth(b, self._on[b]) for i, b in enumerate(self._boxes)]
        starts = np.searchsorted(market.camera, np.arange(market.cameras + 1))
        for camera in np.argsort([-short[market.box[pair]] for pair in self._places], kind="stable").tolist():
            pairs = np.arange(starts[camera], starts[camera + 1])
            pairs = pairs[pairs != self._places[camera]]
            gains = (full[market.box[pairs]] + market.most[market.row[pairs]]).min(axis=1) - least[market.box[pairs]]
            for pair in pairs[np.argsort(-gains, kind="stable")[:_NEAR]].tolist():
                yield ((camera, pair),)

    def _exchanges(self) -> Iterator[tuple[tuple[int, int], ...]]:
        """Exchanges of all pairs of cameras; none if there are more pairs than can be tried."""
        market = self._market
        if market.cameras * (market.cameras - 1) // 2 > MOST_SOLVES:
            return
        at = {
            (int(camera), int(box)): pair
            for pair, (camera, box) in enumerate(zip(market.camera, market.box, strict=True))
        }
        for first in range(market.cameras):
            for second in range(first + 1, market.cameras):
                there = at.get((first, int(market.box[self._places[second]])))
                back = at.get((second, int(market.box[self._places[first]])))
                if there is not None and back is not None:
                    yield (first, there), (second, back)
