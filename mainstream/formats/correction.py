"""A package's curve, corrected for the camera that the package was calibrated on, with intervals.

A share of n test images has Wilson's interval of 95 %. If models of the package were seen on the camera (`seen` of its
event parameters), the curve is moved by what they did there. Let l(x) = log(x / (1 - x)). If the curve has y at a
`num_frozen` and z was seen there, then d = l(z) - l(y) is the shift at that place. Every point x of the curve becomes

    l(x') = l(x) + d,

with d at its own `num_frozen` if that was seen. Otherwise d lies on the straight line between the neighbours that were
seen; beyond the first and last of them it is theirs. The idea is that chokepoints close to each other differ from the
camera in similar ways. The interval of z is moved in the same way. Accuracies and false positive rates have separate
shifts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np

from mainstream.formats.curve import Curve
from mainstream.formats.package import Estimate, Package
from mainstream.problem import canonical
from mainstream.shares import share_interval

_NEAREST: Final = 1e-4
"""How near to 0 and 1 a share may come, since l(x) is infinite there."""

Ends = tuple[float, float]
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Rates:
    """One of the curve's two rates.

    Attributes
    ----------
    values : mapping of int to float
        `num_frozen` -> rate.
    intervals : mapping of int to (float, float), or None
        `num_frozen` -> low and high end; None if they are not known.
    shifts : mapping of int to (float, float, float)
        `num_frozen` of a model that was seen -> the shift there, and the low and high end of its interval.
    """

    values: Mapping[int, float]
    intervals: Mapping[int, Ends] | None
    shifts: Mapping[int, tuple[float, float, float]] = field(default_factory=dict)


def measured(values: Mapping[int, float], images: int | None) -> Rates:
    """A curve's rates as measured on this number of test images."""
    if images is None:
        return Rates(values, None)
    found = {f: share_interval(value * images, images) for f, value in values.items()}
    return Rates(values, {f: (min(x, float(found[f].low)), max(x, float(found[f].high))) for f, x in values.items()})


def rates(package: Package, curve: Curve, *, calibrated: bool = True) -> tuple[Rates, Rates | None]:
    """Accuracies and false positive rates of a package; with `calibrated`, moved by what was seen on the camera."""
    tested = package.tested
    accuracies = measured(curve.accuracies, tested.accuracy if tested else None)
    false = curve.false_positive_rates
    alarms = measured(false, tested.false_positive_rate if tested else None) if false is not None else None
    if not calibrated:
        return accuracies, alarms
    accuracies = _moved(accuracies, {one.num_frozen: one.accuracy for one in package.seen if one.accuracy})
    if alarms is not None:
        false_seen = {one.num_frozen: one.false_positive_rate for one in package.seen if one.false_positive_rate}
        alarms = _moved(alarms, false_seen)
    return accuracies, alarms


def contradictions(package: Package, curve: Curve) -> list[str]:
    """Lines about each place where camera and curve disagree: each lies outside the other's interval."""
    accuracies, alarms = rates(package, curve, calibrated=False)
    each = [("accuracy", accuracies, one.num_frozen, one.accuracy) for one in package.seen]
    each += [("false positive rate", alarms, one.num_frozen, one.false_positive_rate) for one in package.seen if alarms]
    found = []
    for what, own, f, here in each:
        if here is None:
            continue
        value = _at(own.values, f)
        low, high = (value, value) if own.intervals is None else _at(own.intervals, f)
        if not here.low <= value <= here.high and not low <= here.value <= high:
            ends = f" ({low:.3g} to {high:.3g})" if low < high else ""
            found.append(
                f"{what} at num_frozen {f}: the curve has {value:.3g}{ends}, "
                f"the camera showed {here.value:.3g} ({here.low:.3g} to {here.high:.3g})"
            )
    return found


def _moved(own: Rates, seen: Mapping[int, Estimate]) -> Rates:
    if not seen:
        return own
    shifts = {}
    for f in sorted(seen):
        shares = seen[f].value, seen[f].low, seen[f].high
        shift, low, high = (_logit(share) - _logit(_at(own.values, f)) for share in shares)
        shifts[f] = shift, low, high
    values, intervals = {}, {}
    for f, x in own.values.items():
        columns = zip(*shifts.values(), strict=True)
        shift, low, high = (float(np.interp(f, list(shifts), column)) for column in columns)
        values[f] = _share(_logit(x) + shift)
        intervals[f] = _share(_logit(x) + low), _share(_logit(x) + high)
    return Rates(values, intervals, shifts)


def _at(by_num_frozen: Mapping[int, _Value], num_frozen: int) -> _Value:
    return next(value for f, value in by_num_frozen.items() if canonical(f) == canonical(num_frozen))


def _logit(share: float) -> float:
    inside = min(1 - _NEAREST, max(_NEAREST, share))
    return math.log(inside / (1 - inside))


def _share(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))
