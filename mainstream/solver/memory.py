"""Memory as a second resource: how much a schedule takes, both resources as one, whether any schedule fits both."""

from __future__ import annotations

from typing import Final

import numpy as np

from mainstream.solver import kernels
from mainstream.solver.kernels.lagrangian import root_dual
from mainstream.solver.option_table import CellArray
from mainstream.solver.search import highest_staircase, schedule_cost, staircase_of

_GOLDEN: Final = 0.6180339887498949
_SECTIONS: Final = 12
"""Golden sections that narrow the price of memory."""


def schedule_memory(packed: kernels.Packed, cells: CellArray) -> float:
    """Megabytes of one cell for each app: the segments that run, once each, and the tails.

    Parameters
    ----------
    packed : Packed
    cells : (N,) int
        row * (R + 1) + rate index, as in :mod:`mainstream.solver.kernels`.
    """
    row, rate = np.divmod(cells.astype(np.int64), packed.own.shape[1])
    return float(packed.stem_mb[staircase_of(packed, cells) > 0].sum() + packed.own_mb[row[rate > 0]].sum())


def fits(packed: kernels.Packed, cells: CellArray, allowed: float) -> bool:
    """Whether one cell for each app keeps to a cost and to the memory."""
    return schedule_cost(packed, cells) <= allowed and schedule_memory(packed, cells) <= packed.memory_mb


def only_if_it_counts(packed: kernels.Packed) -> kernels.Packed:
    """The same problem; a limit on memory that no schedule can reach is removed."""
    if np.isinf(packed.memory_mb):
        return packed
    row, rate = np.divmod(packed.cell, packed.own.shape[1])
    takes = np.where(rate > 0, packed.own_mb[row], 0.0)
    most = float(np.maximum.reduceat(takes, packed.start[:-1]).sum() + packed.stem_mb.sum())
    return packed._replace(memory_mb=np.inf) if most <= packed.memory_mb else packed


def together(packed: kernels.Packed, theta: float) -> kernels.Packed:
    """The same problem with cost + theta memory as its costs."""
    own, stem = packed.own.copy(), packed.stem.copy()
    own[:, 1:] += theta * packed.own_mb[:, None]
    stem[:, 1:] += theta * packed.stem_mb[:, None]
    return packed._replace(own=own, stem=stem)


def alone(packed: kernels.Packed) -> kernels.Packed:
    """The same problem with memory in place of costs, and without a limit on memory."""
    own, stem = np.zeros_like(packed.own), np.zeros_like(packed.stem)
    own[:, 1:] = packed.own_mb[:, None]
    stem[:, 1:] = packed.stem_mb[:, None]
    own[np.isinf(packed.own)] = np.inf
    return packed._replace(own=own, stem=stem, memory_mb=np.inf)


def admission(packed: kernels.Packed) -> tuple[kernels.Packed, CellArray]:
    """A problem that asks how few apps can be left out, at -1 each; and the schedule that leaves all of them out."""
    start, n = packed.start, len(packed.start) - 1
    group = np.repeat(np.arange(len(packed.apps) - 1), np.diff(packed.apps))
    out = (packed.rows[group] * packed.own.shape[1]).astype(np.int32)
    # An app that may stay out has one cell `out`, at no loss.
    free = np.zeros(n, np.bool_)
    owner = np.repeat(np.arange(n), np.diff(start))
    free[owner[packed.cell == out[owner]]] = True
    added = np.flatnonzero(~free)
    return packed._replace(
        start=start + np.concatenate([[0], np.cumsum(~free)]),
        value=np.insert(np.zeros(len(packed.value)), start[added], -1.0),
        cell=np.insert(packed.cell, start[added], out[added]),
    ), out


def price(packed: kernels.Packed, scratch: kernels.Scratch, budget: float) -> float:
    """About the theta that gives the smallest bound at the root.

    With mu = lam theta the bound is convex in (lam, mu). So its least value along a ray falls and then rises with
    theta, and a golden section finds the lowest.
    """
    highest, lam = highest_staircase(packed), 0.0

    def bound(theta: float) -> float:
        nonlocal lam
        found, lam = root_dual(together(packed, theta), scratch, budget + theta * packed.memory_mb, highest, lam)
        return found

    def at(x: float) -> float:
        return bound(scale * 10**x)

    scale = budget / packed.memory_mb if packed.memory_mb > 0 else 1.0
    low, high = -3.0, 3.0
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = at(left), at(right)
    for _ in range(_SECTIONS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = at(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = at(right)
    return 0.0 if bound(0.0) <= min(at_left, at_right) else scale * 10 ** (left if at_left < at_right else right)
