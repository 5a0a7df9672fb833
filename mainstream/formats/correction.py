"""What a package's curve says of the camera that it was calibrated on, and how sure that is.

A share of n test images has Wilson's interval of 95 %. Where a model of the package was seen on the camera (`seen` of
its event parameters), the curve is moved by what that model did there. With l = log(x / (1 - x)), y the curve's value
at its `num_frozen` and z what was seen, every point x becomes

    l(x') = l(x) + l(z) - l(y),

one shift for all chokepoints, as they share the layers and the images that differ from the camera's; and the interval
of x' is that of z, moved in the same way. Accuracies and false positive rates have a shift each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

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
    shift : (float, float, float) or None
        Value and interval of the shift that they were moved by.
    """

    values: Mapping[int, float]
    intervals: Mapping[int, Ends] | None
    shift: tuple[float, float, float] | None = None


def measured(values: Mapping[int, float], images: int | None) -> Rates:
    """A curve's rates as they were measured on so many test images."""
    if images is None:
        return Rates(values, None)
    found = {f: share_interval(value * images, images) for f, value in values.items()}
    return Rates(values, {f: (min(x, float(found[f].low)), max(x, float(found[f].high))) for f, x in values.items()})


def rates(package: Package, curve: Curve, *, calibrated: bool = True) -> tuple[Rates, Rates | None]:
    """Accuracies and false positive rates of a package, as seen on the camera where that is known and wanted."""
    tested, seen = package.tested, package.events.seen if package.events is not None else None
    accuracies = measured(curve.accuracies, tested.accuracy if tested else None)
    false = curve.false_positive_rates
    alarms = measured(false, tested.false_positive_rate if tested else None) if false is not None else None
    if seen is None or not calibrated:
        return accuracies, alarms
    if seen.accuracy is not None:
        accuracies = _moved(accuracies, seen.num_frozen, seen.accuracy)
    if seen.false_positive_rate is not None and alarms is not None:
        alarms = _moved(alarms, seen.num_frozen, seen.false_positive_rate)
    return accuracies, alarms


def contradictions(package: Package, curve: Curve) -> list[str]:
    """Where the camera and the curve say different things: each lies outside the other's interval."""
    seen = package.events.seen if package.events is not None else None
    if seen is None:
        return []
    accuracies, alarms = rates(package, curve, calibrated=False)
    found = []
    for what, own, here in (
        ("accuracy", accuracies, seen.accuracy),
        ("false positive rate", alarms, seen.false_positive_rate),
    ):
        if own is None or here is None:
            continue
        value = _at(own.values, seen.num_frozen)
        low, high = (value, value) if own.intervals is None else _at(own.intervals, seen.num_frozen)
        if not here.low <= value <= here.high and not low <= here.value <= high:
            ends = f" ({low:.3g} to {high:.3g})" if low < high else ""
            found.append(
                f"{what} at num_frozen {seen.num_frozen}: the curve has {value:.3g}{ends}, "
                f"the camera showed {here.value:.3g} ({here.low:.3g} to {here.high:.3g})"
            )
    return found


def _moved(own: Rates, num_frozen: int, seen: Estimate) -> Rates:
    origin = _logit(_at(own.values, num_frozen))
    shift, low, high = (_logit(share) - origin for share in (seen.value, seen.low, seen.high))
    values = {f: _share(_logit(x) + shift) for f, x in own.values.items()}
    intervals = {f: (_share(_logit(x) + low), _share(_logit(x) + high)) for f, x in own.values.items()}
    return Rates(values, intervals, (shift, low, high))


def _at(by_num_frozen: Mapping[int, _Value], num_frozen: int) -> _Value:
    return next(value for f, value in by_num_frozen.items() if canonical(f) == canonical(num_frozen))


def _logit(share: float) -> float:
    inside = min(1 - _NEAREST, max(_NEAREST, share))
    return math.log(inside / (1 - inside))


def _share(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))
