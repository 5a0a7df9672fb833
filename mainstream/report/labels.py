"""What the plots share: names, colours and markers of apps, and labels that do not overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from mainstream.problem import FloatArray
from mainstream.schedule import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE: Final = "#0072B2"
VERMILLION: Final = "#D55E00"
SKY: Final = "#56B4E9"
COLOURS: Final = (BLUE, VERMILLION, "#009E73", "#E69F00", "#CC79A7", SKY)
"""Okabe and Ito's palette, which colour-blind readers can tell apart, without yellow, which is faint on white."""
PALE: Final = COLOURS[2:]
"""The colours on which black text is easier to read than white."""
MARKERS: Final = "os^DvP"
GREY: Final = "#666666"
STEM: Final = "#BDBDBD"
SMALL: Final = 8.0
"""Font size of labels, in points."""
NAMED: Final = 16
"""The most apps that each have their own colour, marker and label."""

_LONGEST_NAME: Final = 24
_DISTANCES: Final = (6.0, 14.0, 24.0, 36.0, 54.0)
_DIRECTIONS: Final = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))


def style(i: int) -> tuple[str, str]:
    """Colour and marker of the i-th app; neighbours differ in both, and the first 36 apps all look different."""
    rounds, place = divmod(i, len(COLOURS))
    return COLOURS[place], MARKERS[(rounds + place) % len(MARKERS)]


def label(schedule: Schedule, i: int) -> str:
    """The i-th app's name, shortened if it is long, or its id."""
    name = " ".join((schedule.names[i] or "").split()) if schedule.names else ""
    if not name:
        return f"app {schedule.app_ids[i]}"
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1].rstrip()}…"


def per(unit: str | None, what: str) -> str:
    """A unit for an axis, such as "ms per second"."""
    return f"{unit or 'model units'} per {what}"


def point(axes: Axes) -> float:
    """The size of a typographic point in display coordinates."""
    return axes.figure.dpi / 72.0


def rows_beside(axes: Axes) -> int:
    """How many lines of labels fit beside the axes."""
    return max(1, int(axes.get_window_extent().height / _line(axes)))


def spread(axes: Axes, ideal: FloatArray) -> FloatArray:
    """Heights for lines of text beside the axes: as near to the `ideal` ones as possible without overlaps.

    Parameters
    ----------
    ideal : (K,) array
        Heights as fractions of the axes, decreasing; at most :func:`rows_beside` of them.

    Returns
    -------
    (K,) array
        Fractions of the axes, decreasing.
    """
    apart = min(_line(axes) / axes.get_window_extent().height, 1.0 / len(ideal))
    steps = apart * np.arange(len(ideal))
    # Heights plus steps must not increase. Least squares under this constraint is solved by pooling neighbours.
    pools: list[tuple[float, int]] = []
    for height in (ideal + steps).tolist():
        pools.append((height, 1))
        while len(pools) > 1 and pools[-1][0] > pools[-2][0]:
            (upper, m), (lower, n) = pools[-2:]
            pools[-2:] = [((upper * m + lower * n) / (m + n), m + n)]
    level = np.repeat([height for height, _ in pools], [count for _, count in pools])
    highest = 1.0 - apart / 2
    lowest = apart / 2 + steps[-1]
    heights: FloatArray = level.clip(min(lowest, highest), highest) - steps
    return heights


def place(axes: Axes, points: FloatArray, texts: Sequence[tuple[int, str]], radius: float) -> None:
    """Write labels beside points; a label without a free place near its point is left out.

    Parameters
    ----------
    axes : Axes
        Its limits and size have to be final.
    points : (N, 2) array
        In data coordinates; no label covers a point.
    texts : sequence of (int, str)
        Row in `points`, and its label; earlier labels choose their place first.
    radius : float
        Radius of the points' markers, in typographic points.
    """
    scale = point(axes)
    shown = axes.transData.transform(points)
    taken = np.hstack([shown - radius * scale, shown + radius * scale])
    frame = axes.get_window_extent()
    leader = {"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "shrinkA": 0, "shrinkB": radius}
    for i, words in texts:
        trial = axes.text(0.0, 0.0, words, fontsize=SMALL, parse_math=False)
        size = trial.get_window_extent()
        trial.remove()
        for dx, dy, distance, box in _places(shown[i], (size.width, size.height), scale):
            inside = frame.x0 <= box[0] and frame.y0 <= box[1] and box[2] <= frame.x1 and box[3] <= frame.y1
            covers = (box[0] < taken[:, 2]) & (taken[:, 0] < box[2]) & (box[1] < taken[:, 3]) & (taken[:, 1] < box[3])
            if inside and not covers.any():
                axes.annotate(
                    words,
                    (points[i, 0], points[i, 1]),
                    xytext=(dx * distance, dy * distance),
                    textcoords="offset points",
                    ha=("center", "left", "right")[dx],
                    va=("center", "bottom", "top")[dy],
                    fontsize=SMALL,
                    parse_math=False,
                    arrowprops=leader if distance > _DISTANCES[0] else None,
                )
                taken = np.vstack([taken, box])
                break


def _places(at: FloatArray, size: tuple[float, float], scale: float) -> Iterator[tuple[int, int, float, FloatArray]]:
    """Possible places of a label, best first: direction, distance in points, box in display coordinates."""
    for distance in _DISTANCES:
        for dx, dy in _DIRECTIONS:
            left = at[0] + dx * distance * scale - size[0] * (1 - dx) / 2
            bottom = at[1] + dy * distance * scale - size[1] * (1 - dy) / 2
            yield dx, dy, distance, np.array([left, bottom, left + size[0], bottom + size[1]])


def _line(axes: Axes) -> float:
    return 1.3 * SMALL * point(axes)
