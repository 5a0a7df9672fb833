"""The built-in event models: how many frames see an event, how they depend on each other, where false alarms arise.

"windowed"
    L/1000 r frames see an event of length L at r frames a second, and they form a chain with correlation. For each
    event, (1-e)/e windows of the same length without an event can raise a false alarm.
"paper"
    The same, but the negatives are one gap of length L (1-e)/e for each event. This is our reading of Jiang et al.,
    "Mainstream", USENIX ATC 2018, whose text leaves it open.
"released"
    What the code published with that paper computes: "windowed", but with L/1000 r (r/S) frames for a stream of S
    frames a second, and P(hit | miss) = p when votes are given (also 1).
"measured"
    "windowed" with what calibration measures: the correlation decays with the distance between two analysed frames,
    false alarms have a correlation of their own, and events differ in length and in how well they are seen; see
    :mod:`mainstream.event_windows`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mainstream.apps import NO_VOTE, IntArray
from mainstream.problem import FloatArray

MOST: Final = 1e300
"""The most windows or frames without an event for each with one; with infinitely many the result would be NaN."""


@dataclass(frozen=True)
class Windowed:
    """Negatives are windows of the event's length."""

    name: str = "windowed"

    def frames(self, length_ms: FloatArray, rates: FloatArray, stream_fps: FloatArray | float) -> FloatArray:
        """L/1000 r."""
        return length_ms / 1000 * rates

    def freedom(self, correlation: FloatArray, x_vote: IntArray) -> FloatArray:
        """1 - rho."""
        return 1.0 - correlation

    def negatives(self, frames: FloatArray, odds: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(1-e)/e windows, each with as many frames as an event has."""
        return frames, odds


@dataclass(frozen=True)
class Paper(Windowed):
    """Negatives are the gaps between events."""

    name: str = "paper"

    def negatives(self, frames: FloatArray, odds: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(1-e)/e times as many frames, in one gap."""
        with np.errstate(over="ignore"):
            return np.minimum(frames * odds[:, np.newaxis], MOST), np.where(np.isnan(odds), np.nan, 1.0)


@dataclass(frozen=True)
class Released(Windowed):
    """The published scheduler's sums."""

    name: str = "released"

    def frames(self, length_ms: FloatArray, rates: FloatArray, stream_fps: FloatArray | float) -> FloatArray:
        """L/1000 r (r/S)."""
        frames: FloatArray = length_ms / 1000 * rates * (rates / stream_fps)
        return frames

    def freedom(self, correlation: FloatArray, x_vote: IntArray) -> FloatArray:
        """1 with votes, else 1 - rho."""
        return np.where(x_vote != NO_VOTE, 1.0, 1.0 - correlation)


@dataclass(frozen=True)
class Measured(Windowed):
    """Events and chains as they were measured."""

    name: str = "measured"

    def correlations(self, correlation: FloatArray, correlation_fps: FloatArray, rates: FloatArray) -> FloatArray:
        """It is rho ** (c/r) when measured at c frames a second: exact, as a chain seen every k frames has rho**k."""
        distance = np.where(np.isnan(correlation_fps), 1.0, correlation_fps / rates)
        decayed: FloatArray = correlation**distance
        return decayed


WINDOWED: Final = Windowed()
PAPER: Final = Paper()
RELEASED: Final = Released()
MEASURED: Final = Measured()
