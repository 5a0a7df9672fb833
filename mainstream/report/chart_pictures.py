"""Charts as pictures: a matplotlib figure that fits a telephone, and its SVG, in which each value has a tooltip."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from io import StringIO
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from mainstream._optional import require
from mainstream.report.charts import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK: Final = "#1a1a1a"
FAINT: Final = "#d9d9d9"
_WIDTH: Final = 4.4
"""Inches; at this size it fills a telephone's screen."""
_AXES: Final = 2.5
_LEGEND_LINE: Final = 0.18
_BELOW: Final = 0.5
_TILTED: Final = 0.7
_SMALL: Final = 9.0


def chart_figure(chart: Chart, *, titled: bool = True) -> Figure:
    """Draw a chart as a figure, with its legend below so that it hides nothing.

    Parameters
    ----------
    chart : Chart
    titled : bool
        Whether the title is part of the picture.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    require("matplotlib", "report")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [series for series in chart.series if series.points]
    columns = 2
    legend = _LEGEND_LINE * math.ceil((len(shown) + len(chart.marks)) / columns)
    below = _BELOW + legend + (_TILTED if chart.places else 0.0)
    above = 0.4 if titled else 0.12
    height = _AXES + below + above
    figure = Figure(figsize=(_WIDTH, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.78 / _WIDTH, below / height, (_WIDTH - 0.98) / _WIDTH, _AXES / height))
    if titled:
        figure.text(0.15 / _WIDTH, 1 - 0.2 / height, chart.title, va="center", fontsize=10, color=INK, parse_math=False)
    _dress(axes, chart)
    if chart.kind == "bars":
        _bars(axes, chart)
    else:
        _curves(axes, chart)
    for x, words in chart.marks:
        axes.axvline(x, color=INK, linestyle=":", linewidth=1.0, label=f"{words}: {x:.4g}")
    figure.legend(
        loc="lower left",
        bbox_to_anchor=(0.1 / _WIDTH, 0.04 / height),
        ncols=columns,
        frameon=False,
        fontsize=_SMALL,
        labelcolor=INK,
        borderaxespad=0.0,
        borderpad=0.0,
        labelspacing=0.25,
        columnspacing=1.2,
    )
    return figure


def chart_svg(chart: Chart, prefix: str) -> str:
    """Draw a chart as an ``<svg>`` element for a page; each value has a ``<title>``, which is its tooltip.

    Parameters
    ----------
    chart : Chart
    prefix : str
        Prefix of all its ids, so that several pictures can be on one page.
    """
    figure = chart_figure(chart, titled=False)
    import matplotlib as mpl

    drawn = StringIO()
    with mpl.rc_context({"svg.hashsalt": "mainstream", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    svg = drawn.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|\n\s*", " ", svg[svg.index("<svg ") :], flags=re.DOTALL)
    svg = re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", svg)
    svg = re.sub(r'\b(id="|href="#|url\(#)', rf"\1{prefix}-", svg)
    size = f"0 0 {_points(figure, 0)} {_points(figure, 1)}"
    labels = f"aria-label={quoteattr(chart.title)} data-x={quoteattr(chart.x_label)} data-y={quoteattr(chart.y_label)}"
    svg = re.sub(r"<svg [^>]*>", lambda _: f'<svg viewBox="{size}" role="img" {labels}>', svg)
    return svg.replace("</svg>", f"{''.join(_values(chart, figure))}</svg>")


def _points(figure: Figure, axis: int) -> str:
    """Width (0) or height (1) of a figure in typographic points, which are the units of its SVG."""
    return f"{72 * figure.get_size_inches()[axis]:.4g}"


def _values(chart: Chart, figure: Figure) -> Iterator[str]:
    """An invisible shape for each value, with its tooltip, in a group for each series."""
    axes = figure.axes[0]
    scale = 72 / figure.dpi
    height = 72 * float(figure.get_size_inches()[1])
    bottom = np.zeros(len(chart.places))
    for series in chart.series:
        yield f'<g class="values" fill="transparent" data-series={quoteattr(series.name)}>'
        for point in series.points:
            title = f"<title>{escape(chart.said(point))}</title>"
            if chart.kind == "bars":
                low = bottom[int(point.x)]
                bottom[int(point.x)] += point.y
                (x0, y0), (x1, y1) = axes.transData.transform([(point.x - 0.35, low), (point.x + 0.35, low + point.y)])
                place = f'x="{x0 * scale:.1f}" y="{height - y1 * scale:.1f}" width="{(x1 - x0) * scale:.1f}"'
                yield f'<rect {place} height="{(y1 - y0) * scale:.1f}">{title}</rect>'
            else:
                x, y = axes.transData.transform((point.x, point.y)) * scale
                yield f'<circle cx="{x:.1f}" cy="{height - y:.1f}" r="5">{title}</circle>'
        yield "</g>"


def _dress(axes: Axes, chart: Chart) -> None:
    axes.set_facecolor("none")
    axes.set_xlabel(chart.x_label, fontsize=_SMALL, color=INK, parse_math=False)
    axes.set_ylabel(chart.y_label, fontsize=_SMALL, color=INK, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(labelsize=_SMALL, colors=INK)
    axes.grid(color=FAINT, linewidth=0.6, axis="y" if chart.kind == "bars" else "both")
    axes.set_axisbelow(True)
    if chart.scale == "linear":
        return
    axes.set_yscale(chart.scale, **({"linthresh": 1.0} if chart.scale == "symlog" else {}))
    axes.yaxis.set_major_formatter("{x:g}")


def _curves(axes: Axes, chart: Chart) -> None:
    from matplotlib.ticker import MaxNLocator

    lines = chart.kind == "lines"
    if not lines:
        values = [value for series in chart.series for point in series.points for value in (point.x, point.y)]
        ends = [min(values), max(values)]
        axes.plot(ends, ends, color=INK, linewidth=0.8, linestyle=":")
    for series in chart.series:
        if not series.points:
            continue
        xs, ys = [point.x for point in series.points], [point.y for point in series.points]
        style = ("--" if series.dashed else "-") if lines else "none"
        axes.plot(
            xs,
            ys,
            linestyle=style,
            linewidth=1.4,
            color=series.colour,
            marker=series.marker,
            markersize=5.0,
            markeredgewidth=0.0,
            label=series.name,
            zorder=3,
        )
    if chart.x_label == "apps":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _bars(axes: Axes, chart: Chart) -> None:
    bottom = np.zeros(len(chart.places))
    for series in chart.series:
        heights = np.array([point.y for point in series.points])
        axes.bar(range(len(heights)), heights, 0.7, bottom=bottom, color=series.colour, label=series.name)
        bottom += heights
    axes.set_xticks(range(len(chart.places)), chart.places, rotation=35, ha="right", rotation_mode="anchor")
