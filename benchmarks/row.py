"""One measured figure, the goal, and how the two compare."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_UNITS_OF_TIME: Final = ((1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (0.0, 1e6, "µs"))


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes
    ----------
    what : str
    reached : float or None
        The median, or what the line says; None if it could not be measured.
    unit : str
        "s" is shown as ms or µs where that reads better.
    worst : float or None
        The worst seed, where there are several.
    cpu : float or None
        Seconds computed, for a row of elapsed seconds: other processes on the machine affect it less.
    figure : float, str or None
        The goal; words if it is no number.
    at_least : bool
        Whether more is better.
    verdict : str
        Replaces the comparison of `reached` with `figure`.
    notes : str
    """

    what: str
    reached: float | None
    unit: str
    worst: float | None = None
    cpu: float | None = None
    figure: float | str | None = None
    at_least: bool = False
    verdict: str = ""
    notes: str = ""

    @property
    def against(self) -> str:
        """Met or missed, and by which factor; also the worst seed if only that one misses."""
        if self.verdict or not isinstance(self.figure, float | int):
            return self.verdict
        factor = self._factor(self.reached)
        if factor is None:
            return "not measured"
        if not self.figure or not self.reached:
            return "met" if factor >= 1 else "missed"
        words = f"met, {factor:.3g}x" if factor >= 1 else f"missed, {1 / factor:.3g}x"
        worst = self._factor(self.worst)
        return f"{words}; worst missed, {1 / worst:.3g}x" if worst is not None and worst < 1 <= factor else words

    def _factor(self, measured: float | None) -> float | None:
        """How many times better than the figure."""
        if measured is None or not isinstance(self.figure, float | int):
            return None
        better, than = (measured, self.figure) if self.at_least else (self.figure, measured)
        return better / than if than else float("inf")

    def shown(self, value: float | str | None) -> str:
        """A value in the row's unit; words as they are."""
        if value is None or isinstance(value, str):
            return value or ""
        if self.unit == "s":
            return duration(value)
        if self.unit == "x":
            return f"{value:,.0f}x" if value >= 100 else f"{value:.3g}x"
        number = f"{value:.2e}" if abs(value) >= 1e6 else f"{value:.3g}"
        return f"{number} {self.unit}".strip()


def collect(measured: Iterable[Row], rows: list[Row]) -> bool:
    """Add the rows as they come; a part that fails leaves a row that says so, and the others go on."""
    try:
        for row in measured:
            rows.append(row)
            print(".", end="", file=sys.stderr, flush=True)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        rows.append(Row("the rest of this part", None, "", verdict="FAILED", notes=reason))
        return False
    return True


def duration(seconds: float) -> str:
    """A time with three digits, in s, ms or µs."""
    for least, scale, unit in _UNITS_OF_TIME:
        if seconds >= least:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds:.3g} s"
