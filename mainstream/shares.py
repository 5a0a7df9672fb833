"""Shares of independent trials, and their intervals."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z95: Final = 1.959963984540054
"""A normal variable stays within this many standard deviations 95 % of the time."""


class Interval(NamedTuple):
    """What was observed, and the ends of the interval for the true value; NaN where nothing was tried."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def share_interval(count: ArrayLike, of: ArrayLike, z: float = Z95) -> Interval:
    """A share `count` / `of` of independent trials, and Wilson's interval of `z` standard deviations.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    """
    k, n = np.asarray(count, dtype=np.float64), np.asarray(of, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = k / n
        middle = (k + z * z / 2) / (n + z * z)
        half = z / (n + z * z) * np.sqrt(k * (n - k) / n + z * z / 4)
    # At the ends of [0, 1] rounding must not cut the observed share off.
    return Interval(share, np.minimum(middle - half, share).clip(0, 1), np.maximum(middle + half, share).clip(0, 1))


def f1_interval(found: ArrayLike, events: ArrayLike, claims: ArrayLike, z: float = Z95) -> Interval:
    """F1 from counts, and its interval of `z` standard deviations: that of the share J = F1 / (2 - F1)."""
    either = np.asarray(events) + np.asarray(claims) - np.asarray(found)
    return Interval(*(2 * part / (1 + part) for part in share_interval(found, either, z)))
