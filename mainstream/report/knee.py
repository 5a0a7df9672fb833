"""The knee of a curve of diminishing returns: from there on, more budget gains little."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def knee(x: ArrayLike, y: ArrayLike) -> float | None:
    """The x at which a curve is farthest above the straight line between its ends, both axes scaled from 0 to 1.

    Source: Satopaa et al., "Finding a 'Kneedle' in a Haystack", ICDCS Workshops 2011, without its smoothing.

    Parameters
    ----------
    x : (K,) array
        Increasing.
    y : (K,) array
        NaN where there is no value.

    Returns
    -------
    float or None
        None if fewer than three values are known, or none is above the line.
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    xs, ys = xs[~np.isnan(ys)], ys[~np.isnan(ys)]
    if len(xs) < 3 or not ys[-1] > ys[0]:
        return None
    above = (ys - ys[0]) / (ys[-1] - ys[0]) - (xs - xs[0]) / (xs[-1] - xs[0])
    place = int(above.argmax())
    return float(xs[place]) if above[place] > 1e-9 else None
