"""Put figures together from plots, and save them as .png or .svg without a display."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from numpy.typing import ArrayLike

from mainstream._optional import require
from mainstream.errors import ProblemError
from mainstream.files import write_bytes
from mainstream.report.plots import draw_budget, draw_choices, draw_frontier
from mainstream.report.staircase import draw_schedule, known_latencies
from mainstream.schedule import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PICTURE_SUFFIXES: Final = (".png", ".svg")
_DPI: Final = 110
_LEFT: Final = 0.85
_RIGHT: Final = 0.2
_WIDTH: Final = 9.0
_ALONE: Final = 3.75
_ONE_OF_SEVERAL: Final = 2.5
_BETWEEN: Final = 0.95
"""The space between two staircases; all sizes here are inches."""
STAIRCASES: Final = 12
"""The most staircases in a picture; other streams are only counted."""


class FrontierCurve(NamedTuple):
    """Best objective and bound for each budget, columns of equal length; NaN where no schedule fits."""

    budgets: ArrayLike
    objectives: ArrayLike
    bounds: ArrayLike


def check_picture(path: str | os.PathLike[str]) -> Path:
    """Check that a figure can be saved there, before the work to make it.

    Raises
    ------
    ProblemError
        The name ends in neither .png nor .svg.
    MissingExtraError
        matplotlib is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise ProblemError(
            f"{path}: a plot is saved as a picture; its name has to end in {' or '.join(PICTURE_SUFFIXES)}"
        )
    require("matplotlib", "report")
    return path


def result_figure(
    result: Result,
    prefixes: Sequence[ArrayLike] | None = None,
    *,
    title: str = "",
    frontier: FrontierCurve | None = None,
) -> Figure:
    """Draw a result: its schedule, where the budget goes, rates against accuracies and, if given, a frontier.

    Parameters
    ----------
    result : Result
        Each of its streams has a staircase, up to :data:`STAIRCASES`.
    prefixes : sequence of (total_layers + 1,) array, optional
        For each stream the latency of the first k layers, as :attr:`mainstream.Model.prefix`. Default: what the
        result's costs tell of them, which is all that the picture needs.
    title : str
        Title above the picture.
    frontier : FrontierCurve, optional
        The best for other budgets; the result's own budget is marked in it.

    Raises
    ------
    ProblemError
        The frontier's columns are wrong.
    MissingExtraError
        matplotlib is not installed.
    """
    schedules, unit, schedule = result.schedules[:STAIRCASES], result.unit, result.together
    height = _ALONE if len(schedules) == 1 else _ONE_OF_SEVERAL
    more = len(result.schedules) - len(schedules)
    latencies = [known_latencies(one) for one in schedules] if prefixes is None else prefixes
    page = _Page(3.75 + len(schedules) * (height + _BETWEEN), f"{title}; {more:,} more streams" if more else title)
    first = 0
    for k, (one, own) in enumerate(zip(schedules, latencies, strict=False)):
        bottom = 4.15 + (len(schedules) - 1 - k) * (height + _BETWEEN)
        draw_schedule(page.axes(bottom, height, right=2.75), one, own, unit=unit, first=first)
        first += int(one.admitted.sum())
    draw_budget(page.axes(3.15, 0.28), schedule, result.budget, unit=unit)
    if frontier is None:
        draw_choices(page.axes(0.5, 1.9), schedule)
        return page.figure
    draw_choices(page.axes(0.5, 1.9, right=4.5), schedule)
    draw_frontier(page.axes(0.5, 1.9, left=5.45), *frontier, metric=result.goal, unit=unit, chosen=result.budget)
    return page.figure


def frontier_figure(
    frontier: FrontierCurve,
    *,
    metric: str = "objective",
    unit: str | None = None,
    title: str = "",
    chosen: float | None = None,
    capacity: float | None = None,
) -> Figure:
    """Draw a frontier alone, with its knee.

    Parameters
    ----------
    frontier : FrontierCurve
    metric : str
        What the objective is, such as "mean f1".
    unit : str, optional
        Unit of the latencies.
    title : str
        Title above the picture.
    chosen, capacity : float, optional
        A budget to mark, and the box's capacity; compute a second.

    Raises
    ------
    ProblemError
        The frontier's columns are wrong.
    MissingExtraError
        matplotlib is not installed.
    """
    page = _Page(4.6, title)
    draw_frontier(page.axes(0.55, 3.6), *frontier, metric=metric, unit=unit, chosen=chosen, capacity=capacity)
    return page.figure


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure, whole or not at all; the same figure always gives the same file.

    Raises
    ------
    ProblemError
        The name ends in neither .png nor .svg, or the file cannot be written.
    """
    path = check_picture(path)
    import matplotlib as mpl

    kind = path.suffix.lower().removeprefix(".")
    drawn = BytesIO()
    with mpl.rc_context({"svg.hashsalt": "mainstream"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(drawn, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
    write_bytes(path, drawn.getvalue())


@cache
def _figure_class() -> type[Figure]:
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A figure that a notebook shows, also where nobody has loaded pyplot, which tells notebooks of figures."""

        def _repr_png_(self) -> bytes:
            drawn = BytesIO()
            self.savefig(drawn, format="png")
            return drawn.getvalue()

    return Picture


class _Page:
    """A figure whose axes are placed in inches, so that their size is known when labels are placed."""

    def __init__(self, height: float, title: str) -> None:
        require("matplotlib", "report")
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        self._height = height
        self.figure = _figure_class()(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
        FigureCanvasAgg(self.figure)
        words = " ".join(title.split())
        self.figure.text(_LEFT / _WIDTH, 1.0 - 0.2 / height, words, va="center", fontsize=11, parse_math=False)

    def axes(self, bottom: float, height: float, *, left: float = _LEFT, right: float = _RIGHT) -> Axes:
        """Add axes with these margins, in inches."""
        width = _WIDTH - left - right
        return self.figure.add_axes((left / _WIDTH, bottom / self._height, width / _WIDTH, height / self._height))
