"""Choose a box for each camera by prices of the boxes' budgets, and bound how far the choice is from the best.

Let g_cb(lam) be the worth of camera c on box b less its cost at the price lam (:mod:`mainstream.solver.prices`), own_b
the same for the streams that are fixed on b, and B_b the budget of b. Any prices lam_b >= 0 bound the worth of the
fleet:

    D(lam) = sum_b (lam_b B_b + own_b(lam_b)) + sum_c max_b g_cb(lam_b),

since at these prices each camera chooses its best box, and no box has to keep within its budget. D is convex; its
minimum is searched for by subgradient steps of Polyak's length. Between two prices at which g is known, the chord is
used, since a convex function is nowhere above it.

The worth of one box with some cameras is bounded in the same way, by a price of its own. By that measure cameras are
put on boxes, the largest first, and then moved as long as that gains. Memory limits matter when cameras are put on
boxes, but not in D.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mainstream.apps import IntArray
from mainstream.problem import FloatArray

_STEPS: Final = 200
_PATIENCE: Final = 10
"""After so many steps without a better bound, the steps are halved."""
_PASSES: Final = 20
_GAIN: Final = 1e-9
_OVER: Final = 1e100
"""Subtracted from the gain of a box without enough memory, so that it comes after all others."""


@dataclass(frozen=True, eq=False)
class Market:
    """Cameras and boxes: which camera may go to which box, and its worth there at each of K prices.

    Attributes
    ----------
    prices : (K,) float
        Increasing, from 0.
    budgets : (N,) float
        Budgets of the boxes.
    own : (N, K) float
        Worth less cost of all streams that are fixed on a box.
    camera, box, row : (P,) int
        The allowed pairs: a camera, a box, and the row of `most`. The pairs of a camera are next to each other.
    most : (R, K) float
        The largest worth less cost of a camera on a kind of box.
    memory_left : (N,) float
        Megabytes that each box has left for cameras; infinite if there is no limit.
    memory : (R,) float
        Megabytes that a camera needs at least.
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
        """The number of cameras."""
        return int(self.camera[-1]) + 1

    def empty(self) -> FloatArray:
        """Bounds on the worth of the boxes with their fixed streams alone, the price of the budget included; (N, K)."""
        alone: FloatArray = self.budgets[:, None] * self.prices + self.own
        return alone


@dataclass(frozen=True, eq=False)
class Bound:
    """A bound that no assignment exceeds.

    Attributes
    ----------
    bound : float
        In units of the weighted values.
    prices : (N,) float
        The prices of the boxes' budgets that gave the bound.
    """

    bound: float
    prices: FloatArray


def filled(market: Market, places: IntArray) -> FloatArray:
    """Bounds on the worth of the boxes with their cameras, (N, K): no box is worth more than the least of its row.

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
    """Search for the smallest D; the better the assignment in `places` is, the better the bound.

    Parameters
    ----------
    market : Market
    places : (C,) int
        The pair of each camera in an assignment; the search begins with its prices.
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
        # In units of the boxes' budgets, so that large and small boxes take equal steps.
        relative = slope / market.budgets
        square = float(relative @ relative)
        if square < 1e-24 or value - reached <= 1e-9 * abs(value) or length < 1e-3:
            break
        step = length * (value - reached) / square
        prices = np.clip(prices - step * relative / market.budgets, 0.0, market.prices[-1])
    return Bound(best.bound + 1e-9 * (1.0 + abs(best.bound)), best.prices)


def _dual(market: Market, prices: FloatArray) -> tuple[float, FloatArray]:
    """D and its subgradient by the prices; a camera that is worth the same on several boxes is divided among them."""
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
    """A good assignment: the pair of each camera, (C,). If none is found that fits, it is one that does not fit."""
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
    """Boxes that are being filled with cameras.

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
        """Put a camera on the box where it gains most."""
        self._put(int(self._starts[camera] + self._gains(camera).argmax()))

    def move(self, camera: int) -> bool:
        """Move a camera if there is a better box for it; say whether it was moved."""
        before = int(self.places[camera])
        self._put(before, -1)
        gains = self._gains(camera)
        own = before - int(self._starts[camera])
        best = int(gains.argmax())
        better = gains[best] > gains[own] + _GAIN
        self._put(int(self._starts[camera]) + (best if better else own))
        return bool(better)

    def _gains(self, camera: int) -> FloatArray:
        """The gain of each pair of a camera; pairs whose memory does not fit come after all others."""
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
