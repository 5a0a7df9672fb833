"""Which box each camera goes to, and how far that is from the best, by prices of the boxes' budgets.

With g_cb(lam) what camera c comes to on box b at the price lam (:mod:`mainstream.solver.prices`), own_b that of the
streams which are on b anyway, and B_b the budget of b, any prices lam_b >= 0 bound what the fleet can be worth:

    D(lam) = sum_b (lam_b B_b + own_b(lam_b)) + sum_c max_b g_cb(lam_b),

for at these prices each camera chooses the box that it is worth most on, and no box has to keep to its budget. D is
convex; its least value is looked for by subgradient steps of Polyak's length. Between two prices at which g is known it
is taken to be the chord, which a convex function is nowhere above.

What one box with some cameras is worth is bounded in the same way by a price of its own. By that measure cameras are
put into boxes, the largest first, and then moved for as long as it gains. Limits of memory count where cameras are put,
not in D.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mainstream.apps import IntArray
from mainstream.problem import FloatArray

_STEPS: Final = 200
_PATIENCE: Final = 10
"""Steps without a better bound; then they are halved."""
_PASSES: Final = 20
_GAIN: Final = 1e-9
_OVER: Final = 1e100
"""What a place without enough memory falls behind the others."""


@dataclass(frozen=True, eq=False)
class Market:
    """Cameras and boxes: who may go where, and what for at each of K prices.

    Attributes
    ----------
    prices : (K,) float
        Increasing, from 0.
    budgets : (N,) float
        Of the boxes.
    own : (N, K) float
        What the streams that are on a box anyway come to, together.
    camera, box, row : (P,) int
        The pairs that are allowed: a camera, a box, and the row of `most`; all pairs of a camera in one go.
    most : (R, K) float
        What a camera comes to on a box of a kind.
    memory_left : (N,) float
        Megabytes that the boxes have for cameras; infinite where there is no limit.
    memory : (R,) float
        Megabytes that a camera takes at least.
    """

    prices: FloatArray
    budgets: FloatArray
    own: FloatArray
    camera: IntArray
    box: IntArray
    row: IntArray
    most: FloatArray
    memory_left: FloatArray
    memory: FloatArray

    @property
    def cameras(self) -> int:
        """How many there are."""
        return int(self.camera[-1]) + 1

    def empty(self) -> FloatArray:
        """What the boxes come to with their own streams alone, the budget included; (N, K)."""
        alone: FloatArray = self.budgets[:, None] * self.prices + self.own
        return alone


@dataclass(frozen=True, eq=False)
class Bound:
    """What no assignment surpasses.

    Attributes
    ----------
    bound : float
        In units of the weighted values.
    prices : (N,) float
        Of the boxes' budgets, by which it was found.
    """

    bound: float
    prices: FloatArray


def filled(market: Market, places: IntArray) -> FloatArray:
    """What the boxes come to with their cameras, the budget included, (N, K); each is worth no more than its least.

    Parameters
    ----------
    market : Market
    places : (C,) int
        The pair of each camera.
    """
    full = market.empty()
    np.add.at(full, market.box[places], market.most[market.row[places]])
    return full


def bound(market: Market, places: IntArray) -> Bound:
    """The least D that is found; as good as an assignment is near to the best.

    Parameters
    ----------
    market : Market
    places : (C,) int
        The pair of each camera in an assignment, for prices to begin with.
    """
    full = filled(market, places)
    reached = float(full.min(axis=1).sum())
    starts = [market.prices[full.argmin(axis=1)], *(np.full(len(market.budgets), p) for p in market.prices)]
    best = min((Bound(_dual(market, prices)[0], prices) for prices in starts), key=lambda one: one.bound)
    prices, length, since = best.prices, 1.0, 0
    for _ in range(_STEPS):
        value, slope = _dual(market, prices)
        if value < best.bound - 1e-12 * abs(best.bound):
            best, since = Bound(value, prices), 0
        else:
            since += 1
        if since == _PATIENCE:
            prices, length, since = best.prices, 0.5 * length, 0
            value, slope = _dual(market, prices)
        # In units of the boxes' whole budgets, so that a step is as long for a large box as for a small one.
        relative = slope / market.budgets
        square = float(relative @ relative)
        if square < 1e-24 or value - reached <= 1e-9 * abs(value) or length < 1e-3:
            break
        step = length * (value - reached) / square
        prices = np.clip(prices - step * relative / market.budgets, 0.0, market.prices[-1])
    return Bound(best.bound + 1e-9 * (1.0 + abs(best.bound)), best.prices)


def _dual(market: Market, prices: FloatArray) -> tuple[float, FloatArray]:
    """D, and how it changes with each price; cameras that several boxes are worth as much to are shared out."""
    known = market.prices
    at = np.clip(np.searchsorted(known, prices, side="right") - 1, 0, len(known) - 2)
    wide = known[at + 1] - known[at]
    part = (prices - known[at]) / wide
    boxes = np.arange(len(prices))
    own, next_own = market.own[boxes, at], market.own[boxes, at + 1]
    value = float(prices @ market.budgets + ((1 - part) * own + part * next_own).sum())
    slope = market.budgets + (next_own - own) / wide
    there = market.box
    here, after = market.most[market.row, at[there]], market.most[market.row, at[there] + 1]
    comes_to = (1 - part[there]) * here + part[there] * after
    starts = np.searchsorted(market.camera, np.arange(market.cameras))
    most = np.maximum.reduceat(comes_to, starts)
    chosen = comes_to >= most[market.camera] - 1e-12
    share = chosen / np.add.reduceat(chosen.astype(float), starts)[market.camera]
    slope = slope + np.bincount(there, share * (after - here) / wide[there], minlength=len(prices))
    return value + float(most.sum()), slope


def assign(market: Market) -> IntArray:
    """A good assignment: the pair of each camera, (C,). It may be one that cannot be, where none is found that can."""
    filling = _Filling(market)
    needed = np.zeros(market.cameras)
    np.maximum.at(needed, market.camera, -market.most[market.row, -1] / market.budgets[market.box])
    for camera in np.argsort(-needed, kind="stable").tolist():
        filling.put(camera)
    for _ in range(_PASSES):
        if not any([filling.move(camera) for camera in range(market.cameras)]):
            break
    return filling.places


class _Filling:
    """Boxes that are being filled.

    Parameters
    ----------
    market : Market
    """

    def __init__(self, market: Market) -> None:
        self._market = market
        self._full = market.empty()
        self._worth = self._full.min(axis=1)
        self._memory = market.memory_left.copy()
        self._starts = np.searchsorted(market.camera, np.arange(market.cameras + 1))
        self.places = np.full(market.cameras, -1)

    def put(self, camera: int) -> None:
        """Put a camera where it gains most."""
        self._put(int(self._starts[camera] + self._gains(camera).argmax()))

    def move(self, camera: int) -> bool:
        """Whether there was a better place for a camera, which it then has."""
        before = int(self.places[camera])
        self._put(before, -1)
        gains = self._gains(camera)
        own = before - int(self._starts[camera])
        best = int(gains.argmax())
        better = gains[best] > gains[own] + _GAIN
        self._put(int(self._starts[camera]) + (best if better else own))
        return bool(better)

    def _gains(self, camera: int) -> FloatArray:
        """What each pair of a camera would add; where its memory does not fit, that comes after all others."""
        market, pairs = self._market, slice(self._starts[camera], self._starts[camera + 1])
        boxes, rows = market.box[pairs], market.row[pairs]
        gains = (self._full[boxes] + market.most[rows]).min(axis=1) - self._worth[boxes]
        over = market.memory[rows] > self._memory[boxes]
        found: FloatArray = np.where(over, gains - _OVER, gains)
        return found

    def _put(self, pair: int, sign: int = 1) -> None:
        market = self._market
        box, row = market.box[pair], market.row[pair]
        self._full[box] += sign * market.most[row]
        self._worth[box] = self._full[box].min()
        self._memory[box] -= sign * market.memory[row]
        self.places[market.camera[pair]] = pair
