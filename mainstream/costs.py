"""Cost model: choices -> stem, tails, total compute a second.

With P[k] the latency of the first k layers and T(f) = P[total] - P[f], an app that analyses r frames a second
pays T(f) r for its tail. The frozen layers run once for all apps that share them: layer k runs at the largest
rate of the apps whose `num_frozen` lies beyond it. An app with `num_frozen` 0 or 1 shares nothing: it takes no
part in the stem and pays P[total] r. Source: Jiang et al., "Mainstream", USENIX ATC 2018.

The memory that the models take is the sum of their layers, whatever their rates: the stem counts once, down to the
deepest layer that any app shares, and so does each app's tail.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mainstream.problem import FloatArray, Model


@dataclass(frozen=True)
class StemPart:
    """Consecutive layers of the stem that run at one rate.

    Attributes
    ----------
    start, stop : int
        The layers start..stop-1; `stop` is a chokepoint.
    target_fps : float
        The largest rate of the apps that use it, frames a second.
    cost : float
        Compute a second.
    """

    start: int
    stop: int
    target_fps: float
    cost: float


def tail_costs(
    model: Model, num_frozen: ArrayLike, target_fps: ArrayLike, *, sharing: bool = True
) -> NDArray[np.float64]:
    """Compute a second of each app's own layers; with ``sharing=False`` that is the whole network.

    Parameters
    ----------
    num_frozen, target_fps : (N,) arrays
    sharing : bool
        False in mode "no-sharing".

    Returns
    -------
    (N,) array
    """
    frozen = np.asarray(num_frozen, dtype=np.int64)
    shared = np.where(frozen > 1, model.prefix[frozen], 0.0) if sharing else np.zeros(frozen.shape)
    costs: FloatArray = (model.prefix[-1] - shared) * np.asarray(target_fps, dtype=np.float64)
    return costs


def memory_of(model: Model, num_frozen: ArrayLike, stem: tuple[StemPart, ...], *, sharing: bool = True) -> float | None:
    """Megabytes that the running models take: the stem's layers once, and each app's own layers.

    Parameters
    ----------
    model : Model
    num_frozen : (N,) array
        Of the apps that run.
    stem : tuple of StemPart
    sharing : bool
        False in mode "no-sharing".

    Returns
    -------
    float, or None where the model does not say how much memory its layers take
    """
    if model.prefix_mb is None:
        return None
    frozen = np.asarray(num_frozen, dtype=np.int64)
    shared = np.where(frozen > 1, model.prefix_mb[frozen], 0.0) if sharing else np.zeros(frozen.shape)
    return float(model.prefix_mb[stem[-1].stop if stem else 0] + (model.prefix_mb[-1] - shared).sum())


def stem_parts(model: Model, num_frozen: ArrayLike, target_fps: ArrayLike) -> tuple[StemPart, ...]:
    """The stem of a schedule. Rates never rise with depth; neighbouring layers with the same rate make one part.

    Parameters
    ----------
    num_frozen, target_fps : (N,) arrays
        A left-out app has target_fps 0.
    """
    frozen = np.asarray(num_frozen, dtype=np.int64)
    fps = np.asarray(target_fps, dtype=np.float64)
    shares = (frozen > 1) & (fps > 0)
    fastest = np.zeros(model.total_layers + 1)
    np.maximum.at(fastest, frozen[shares], fps[shares])
    staircase = np.maximum.accumulate(fastest[::-1])[::-1]
    stops = np.flatnonzero(staircase > np.append(staircase[1:], 0.0))
    parts = []
    start = 0
    for stop in stops.tolist():
        rate = float(staircase[stop])
        parts.append(StemPart(start, stop, rate, float(model.prefix[stop] - model.prefix[start]) * rate))
        start = stop
    return tuple(parts)
