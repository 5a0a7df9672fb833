"""How an app's events differ from each other: in length, and in how well its model sees them.

**Lengths**. An event that is cut off lasted at least as long as it was seen. So the distribution is estimated by the
method of Kaplan and Meier ("Nonparametric estimation from incomplete observations", JASA 53, 1958); the probability
that it leaves open goes to the longest event that was seen whole. The distribution is cut into slices of equal
probability, each represented by its mean; then all are scaled so that their mean is the measured mean length.

**Spread of accuracy**. Event i has the accuracy x_i, which has a Beta distribution with mean p and variance
s p (1 - p); its frames are the chain of the event model, with correlation rho. Rho and s are found together by maximum
likelihood on a grid, with p free near the measured share and the integral over x taken as a sum. They have to be found
together, since differences between events look like correlation between frames when s is left out. Each interval holds
the values whose likelihood, with the best values of the others, is near enough to the maximum (chi-squared, 1 degree).
A spread whose interval begins at 0 counts as no spread.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mainstream._optional import require
from mainstream.formats.calibration_files import Flags, Frames
from mainstream.formats.package import Estimate

SLICES: Final = 8
"""How many lengths represent the distribution."""

_CELLS: Final = 100
_RHO: Final = np.linspace(0, 0.98, 50)
_NEAR: Final = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Values of p that are tried, in standard errors from the measured share."""
_SPREAD: Final = np.concatenate([[0.0], np.geomspace(0.004, 0.9, 40)])

_Numbers = NDArray[np.float64]


class Differences(NamedTuple):
    """How much events differ in accuracy, and the correlation that remains when this is taken into account."""

    spread: Estimate
    correlation: Estimate


def length_slices(lengths: _Numbers, cut: Flags, mean: float) -> tuple[float, ...] | None:
    """Lengths that represent the distribution of event lengths, each equally often.

    Parameters
    ----------
    lengths : (E,) array
        Lengths as seen, in any unit.
    cut : (E,) bool array
        Which of them are cut off.
    mean : float
        The mean that the returned lengths are scaled to.

    Returns
    -------
    tuple of float, or None
        Increasing; None if all events that were seen whole have the same length.
    """
    whole, count = np.unique(lengths[~cut], return_counts=True)
    if len(whole) < 2:
        return None
    at_risk = (lengths[None, :] >= whole[:, None]).sum(axis=1)
    left = np.cumprod(1 - count / at_risk)
    left[-1] = 0.0
    mass = -np.diff(left, prepend=1.0)
    slices = min(SLICES, int(count.sum()))
    below = np.concatenate([[0.0], np.cumsum(mass)])
    summed = np.interp(np.arange(slices + 1) / slices, below, np.concatenate([[0.0], np.cumsum(mass * whole)]))
    means = np.diff(summed) * slices
    return tuple(round(float(one), 3) for one in means * (mean / means.mean()))


def differences(hits: Flags, pairs: Flags, wanted: Flags, run: Frames, z: float) -> Differences | None:
    """Estimate how much events differ in accuracy.

    Parameters
    ----------
    hits : (m,) bool array
        The decisions.
    pairs : (m - 1,) bool array
        Whether a frame and the next are successive frames of one run.
    wanted : (m,) bool array
        Which frames are in events.
    run : (m,) int array
        The run of each frame.
    z : float
        Half width of the intervals, in standard deviations.

    Returns
    -------
    Differences, or None
        None if the data does not show that events differ.
    """
    require("scipy", "train")
    events = _tallies(hits, pairs, wanted, run)
    p = float(hits[wanted].mean()) if wanted.any() else 0.0
    if events.sum(axis=0)[-1] < 3 or not 0 < p < 1:
        return None
    means = np.bincount(run[wanted], hits[wanted]) / np.maximum(1, np.bincount(run[wanted]))
    error = float(means[np.unique(run[wanted])].std()) / math.sqrt(events.sum(axis=0)[-1])
    likelihood = np.full((len(_RHO), len(_SPREAD)), -np.inf)
    for near in (p + step * error for step in _NEAR if 0 < p + step * error < 1):
        x, weights = _accuracies(near)
        each = np.array([_likelihoods(events, x, weights, rho) for rho in _RHO])
        likelihood = np.maximum(likelihood, each)
    spread = _profile(_SPREAD, likelihood.max(axis=0), z)
    if spread.low == 0:
        return None
    return Differences(spread, _profile(_RHO, likelihood.max(axis=1), z))


def _tallies(hits: Flags, pairs: Flags, wanted: Flags, run: Frames) -> _Numbers:
    """Distinct tallies of events (K, 7): first hits, first misses, hit-hit, hit-miss, miss-hit, miss-miss, events."""
    follows = np.concatenate([[False], pairs])
    before = np.concatenate([[False], hits[:-1]])
    kind = np.where(follows, 2 + 2 * ~before + ~hits, ~hits)[wanted]
    _, event = np.unique(run[wanted], return_inverse=True)
    tally = np.bincount(event * 6 + kind, minlength=6 * (event.max(initial=-1) + 1)).reshape(-1, 6)
    rows, count = np.unique(tally, axis=0, return_counts=True)
    return np.column_stack([rows, count]).astype(np.float64)


def _accuracies(p: float) -> tuple[_Numbers, _Numbers]:
    """Accuracies that an event may have (X,), and the probability of each at each spread (X, S)."""
    from scipy.special import betainc

    edges = np.linspace(0, 1, _CELLS + 1)
    x = np.append((edges[1:] + edges[:-1]) / 2, p)
    weights = np.zeros((len(x), len(_SPREAD)))
    weights[-1, 0] = 1.0
    certain = (1 - _SPREAD[1:]) / _SPREAD[1:]
    weights[:-1, 1:] = np.diff(betainc(p * certain, (1 - p) * certain, edges[:, None]), axis=0)
    return x, weights


def _likelihoods(events: _Numbers, x: _Numbers, weights: _Numbers, rho: float) -> _Numbers:
    """Log-likelihood at each spread (S,)."""
    tiny = np.finfo(float).tiny
    chances = np.array([x, 1 - x, x + (1 - x) * rho, (1 - x) * (1 - rho), x * (1 - rho), 1 - x + x * rho])
    each = events[:, :6] @ np.log(np.maximum(chances, tiny))
    top = each.max(axis=1, keepdims=True)
    mean = np.maximum(np.exp(each - top) @ weights, tiny)
    found: _Numbers = events[:, 6] @ (np.log(mean) + top)
    return found


def _profile(values: _Numbers, likelihood: _Numbers, z: float) -> Estimate:
    best = int(likelihood.argmax())
    near = np.flatnonzero(likelihood[best] - likelihood <= z * z / 2)
    return Estimate(value=float(values[best]), low=float(values[near[0]]), high=float(values[near[-1]]))
