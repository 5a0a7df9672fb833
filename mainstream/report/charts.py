"""Charts as plain values, which a report shows as pictures, tables and tooltips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from mainstream.report.labels import BLUE, COLOURS, GREY, MARKERS, SKY, VERMILLION

_STYLES: Final = {
    "mainstream": (BLUE, "o"),
    "no-sharing": (VERMILLION, "s"),
    "max-sharing": ("#009E73", "^"),
    "max-sharing-best": ("#E69F00", "D"),
    "static-fps": ("#CC79A7", "v"),
    "greedy": (SKY, "P"),
    "greedy-released": (GREY, "X"),
}
"""Version -> its colour and marker, the same in every chart."""
_PARTS: Final = {"stem": BLUE, "tails": "#E69F00", "unused": "#d9d9d9"}
_MORE: Final = ("#882255", "#117733", "#332288", "#aa4499")
"""Colours of other versions, from Paul Tol's palettes, which colour-blind readers can tell apart."""


class Point(NamedTuple):
    """A value, and a note for its tooltip."""

    x: float
    y: float
    note: str = ""


@dataclass(frozen=True)
class Series:
    """Values with one name.

    Attributes
    ----------
    name : str
    points : tuple of Point
        Increasing in x.
    colour : str
    marker : str
        A marker of matplotlib.
    dashed : bool
    """

    name: str
    points: tuple[Point, ...]
    colour: str
    marker: str
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """One figure.

    Attributes
    ----------
    key : str
        The name of its files.
    title, x_label, y_label : str
        With units.
    kind : str
        "lines"; "bars": one bar for each name in `places`, with the series stacked; "points": a cloud with the
        diagonal, for two axes that show the same quantity.
    series : tuple of Series
    note : str
        What a reader has to know.
    places : tuple of str
        Names of x = 0, 1, ...
    scale : str
        Scale of y; "symlog" is linear up to 1 and logarithmic beyond.
    marks : tuple of (float, str)
        Vertical lines: x, and a label.
    """

    key: str
    title: str
    x_label: str
    y_label: str
    kind: Literal["lines", "bars", "points"]
    series: tuple[Series, ...]
    note: str = ""
    places: tuple[str, ...] = ()
    scale: Literal["linear", "log", "symlog"] = "linear"
    marks: tuple[tuple[float, str], ...] = ()

    def said(self, point: Point) -> str:
        """The tooltip of a value, which follows the names of its series and of the axes."""
        place = self.places[int(point.x)] if self.places else f"{point.x:.6g}"
        note = f" ({point.note})" if point.note else ""
        return f"{place}: {point.y:.6g}{note}"


def version_series(name: str, points: tuple[Point, ...], others: int) -> Series:
    """A version's series in its own style; `others` counts the versions before it that have none."""
    if name in _STYLES:
        colour, marker = _STYLES[name]
        return Series(name, points, colour, marker)
    return Series(name, points, _MORE[others % len(_MORE)], MARKERS[others % len(MARKERS)], dashed=True)


def bar_series(name: str, points: tuple[Point, ...], i: int) -> Series:
    """The i-th part of stacked bars; ten parts have different colours."""
    colours = (*COLOURS, *_MORE)
    return Series(name, points, _PARTS.get(name, colours[i % len(colours)]), "s")
