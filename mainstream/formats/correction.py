"""What a package's curve says of the camera that it was calibrated on, and how sure that is.

A share of n test images has Wilson's interval of 95 %. Where models of the package were seen on the camera (`seen` of
its event parameters), the curve is moved by what they did there. With l = log(x / (1 - x)), y the curve's value at one
of these `num_frozen` and z what was seen, d = l(z) - l(y) is the shift there, and every point x becomes

    l(x') = l(x) + d,

d being that of its own `num_frozen` where that was seen, else on the straight line between those of its neighbours that
were, and beyond the first or last of them theirs: chokepoints that share more layers differ from the camera's images
more alike. The interval of z is moved in the same way. Accuracies and false positive rates have shifts of their own.
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
"""How near to 0 and 1 a share is taken to be, where the logarithm has no end."""

Ends = tuple[float, float]
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Rates:
    """One of the curve's two rates.

    Attributes
    ----------
    values : mapping of int to float
        By `num_frozen`.
    intervals : mapping of int to (float, float), or None
        None where nobody knows how sure they are.
    shifts : mapping of int to (float, float, float)
        `num_frozen` of a model that was seen -> value and interval of the shift there.
    """

    values: Mapping[int, float]
    intervals: Mapping[int, Ends] | None
    shifts: Mapping[int, tuple[float, float, float]] = field(default_factory=dict)


def measured(values: Mapping[int, float], images: int | None) -> Rates:
    """A curve's rates as they were measured on so many test images."""
    if images is None:
        return Rates(values, None)
    found = {f: share_interval(value * images, images) for f, value in values.items()}
    return Rates(values, {f: (min(x, float(found[f].low)), max(x, float(found[f].high))) for f, x in values.items()})


def rates(package: Package, curve: Curve, *, calibrated: bool = True) -> tuple[Rates, Rates | None]:
    """Accuracies and false positive rates of a package, as seen on the camera where that is known and wanted."""
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
    """Where the camera and the curve say different things: each lies outside the other's interval."""
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
