"""An assignment improved by what boxes are really worth: single cameras are moved, and two exchanged, while it gains.

Prices do not know what a box loses because no schedule uses up its budget, nor its limit of memory. On small fleets
that is much; on large ones there are more moves than can be tried, and little to gain by them.
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
"""Boxes that are tried for one camera, those that it is worth most on first."""
_GAIN: Final = 1e-9

Cameras = frozenset[int]


class Improving:
    """Which cameras are on which box, and what that is worth.

    Parameters
    ----------
    problems : FleetProblems
    boxes : list of int
        Those of the market, in its order.
    loose : list of int
        The cameras of the market, in its order.
    fixed : mapping of int to list of int
        Box -> the streams that are on it anyway.
    market : Market
    places : (C,) int
        The pair of each camera to begin with.

    Attributes
    ----------
    found : dict
        (box, cameras) -> the best schedule, or why there is none.
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
        """Those of a box with some cameras."""
        return tuple(sorted((*self._fixed[box], *loose)))

    def result(self, box: int) -> Result | InfeasibleError | None:
        """What was found for a box; None where there is nothing on it."""
        return self.found[box, self._on[box]]

    def solve(self, box: int, loose: Cameras | None = None) -> None:
        """Find out what a box is worth with some cameras, by default with those that it has."""
        loose = self._on[box] if loose is None else loose
        if (box, loose) in self.found:
            return
        those = self.cameras(box, loose)
        try:
            self.found[box, loose] = self._problems.solve(box, those, briefly=True) if those else None
        except InfeasibleError as error:
            self.found[box, loose] = error

    def run(self) -> None:
        """Move and exchange; every box has been solved as it is."""
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
        """Whether a change, a camera and a pair each, gained, and is now made."""
        market, places = self._market, self._places
        was = [self._boxes[market.box[places[camera]]] for camera, _ in change]
        wanted = [self._boxes[market.box[pair]] for _, pair in change]
        if was == wanted or len({*was, *wanted}) != 2:
            return False
        after = {b: self._on[b] for b in (*was, *wanted)}
        for (camera, _), before, then in zip(change, was, wanted, strict=True):
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
        """Each camera to the boxes that it is worth most on; first those of boxes that fall short of what they cost."""
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
        """All pairs of cameras, where they are not more than can be tried."""
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
