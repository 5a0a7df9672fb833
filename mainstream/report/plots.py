"""Plots on a given Axes, from the columns of a schedule or from arrays.

Labels are placed for the size and the limits that the Axes has when it is drawn on, so place it in the figure first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike

from mainstream.apps import IntArray
from mainstream.errors import ProblemError
from mainstream.problem import FloatArray
from mainstream.report.knee import knee
from mainstream.report.labels import (
    BLUE,
    GREY,
    NAMED,
    PALE,
    SKY,
    SMALL,
    STEM,
    VERMILLION,
    label,
    per,
    place,
    point,
    style,
)
from mainstream.schedule import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

_OWN_SEGMENTS: Final = 10
_LABELLED_LOW: Final = 5
_SWARM: Final = 2_000
"""The most apps for which points that would overlap are moved aside."""
_MARKED: Final = 40


def draw_budget(axes: Axes, schedule: Schedule, budget: float, *, unit: str | None = None) -> None:
    """Draw a bar that shows where the budget goes: stem, tails by app, unused.

    Parameters
    ----------
    axes : Axes
    schedule : Schedule
    budget : float
        Compute a second.
    unit : str, optional
        Unit of the latencies.
    """
    from matplotlib.legend_handler import HandlerTuple
    from matplotlib.patches import Patch

    stem = sum(part.cost for part in schedule.stem)
    running = np.flatnonzero(schedule.admitted)
    tails = float(schedule.tail_cost[running].sum())
    unused = max(0.0, budget - stem - tails)
    axes.set(xlim=(0.0, max(budget, stem + tails)), ylim=(-0.5, 0.5), yticks=[])
    axes.set_xlabel(f"compute ({per(unit, 'second')})")
    axes.spines[["top", "right", "left"]].set_visible(False)

    entries: list[tuple[Patch | tuple[Patch, ...], str, float]] = []
    if stem:
        entries.append((axes.barh(0, stem, 1.0, color=STEM)[0], "stem", stem))
    if len(running):
        patches = []
        left = stem
        for words, cost, colour in _segments(schedule, running):
            patch = axes.barh(0, cost, 1.0, left=left, color=colour, edgecolor="white", linewidth=0.6)[0]
            _write_inside(axes, patch, words, colour)
            patches.append(patch)
            left += cost
        entries.append((tuple(patches[:3]), "tails" if len(running) > 1 else "tail", tails))
    left_over = axes.barh(0, unused, 1.0, left=stem + tails, color="white", edgecolor=GREY, hatch="////", linewidth=0.5)
    entries.append((left_over[0], "unused", unused))
    axes.legend(
        [handle for handle, _, _ in entries],
        [f"{words} {cost:.4g} ({cost / budget:.1%})" for _, words, cost in entries],
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0)},
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=len(entries),
        frameon=False,
        fontsize=SMALL,
        borderaxespad=0.2,
        borderpad=0.0,
    )


def draw_choices(axes: Axes, schedule: Schedule) -> None:
    """Draw frame rate against per-frame accuracy: one point for each app that runs.

    Points that would overlap are moved aside. With more than :data:`NAMED` apps, only those with the smallest values
    are labelled.

    Parameters
    ----------
    axes : Axes
    schedule : Schedule
    """
    running = np.flatnonzero(schedule.admitted)
    fps, accuracy = schedule.target_fps[running], schedule.accuracy[running]
    named = len(running) <= NAMED
    radius = 4.0 if named else 2.5
    axes.set_xlabel("frames a second (fps)")
    axes.set_ylabel("accuracy per frame (share)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)
    if not len(running):
        axes.set(xlim=(0.0, 1.0), ylim=(0.0, 1.0))
        return
    margin = max(0.03, 0.12 * float(np.ptp(accuracy)))
    axes.set(xlim=(0.0, 1.2 * float(fps.max())), ylim=(accuracy.min() - margin, accuracy.max() + margin))
    points = np.column_stack([fps, accuracy])
    if len(running) <= _SWARM:
        points = _swarm(axes, points, radius)
    if named:
        for k in range(len(running)):
            colour, marker = style(k)
            axes.plot(*points[k], marker, color=colour, markersize=2 * radius, markeredgecolor="white", zorder=3)
    else:
        axes.plot(
            *points.T,
            "o",
            color=BLUE,
            markersize=2 * radius,
            markeredgewidth=0.0,
            alpha=0.7 if len(running) <= _SWARM else 0.05,
            rasterized=len(running) > _SWARM,
        )
    first = range(len(running)) if named else np.argsort(schedule.value[running], kind="stable")[:_LABELLED_LOW]
    place(axes, points, [(int(k), label(schedule, running[k])) for k in first], radius)
    if not named:
        axes.set_title("labelled: apps with the smallest values", loc="right", fontsize=SMALL, color=GREY)


def draw_frontier(
    axes: Axes,
    budgets: ArrayLike,
    objectives: ArrayLike,
    bounds: ArrayLike,
    *,
    metric: str = "objective",
    unit: str | None = None,
    chosen: float | None = None,
    capacity: float | None = None,
) -> None:
    """Draw the best objective for each budget, and above it the gap to the bounds.

    Parameters
    ----------
    axes : Axes
    budgets : (K,) array
        Compute a second, in any order.
    objectives, bounds : (K,) arrays
        NaN where no schedule fits the budget.
    metric : str
        What the objective is, such as "mean f1".
    unit : str, optional
        Unit of the latencies.
    chosen : float, optional
        A budget to mark.
    capacity : float, optional
        The box's capacity, compute a second.

    Raises
    ------
    ProblemError
        There is no budget, a budget is not finite, or the arrays differ in length.
    """
    columns = [np.atleast_1d(np.asarray(column, dtype=np.float64)) for column in (budgets, objectives, bounds)]
    if not len(columns[0]) or any(column.shape != (len(columns[0]),) for column in columns):
        shapes = ", ".join(str(column.shape) for column in columns)
        raise ProblemError(f"frontier: budgets, objectives, bounds have shapes {shapes}; give arrays of equal length")
    if not np.isfinite(columns[0]).all():
        raise ProblemError("frontier: budgets have to be finite numbers")
    budget, objective, bound = (column[np.argsort(columns[0], kind="stable")] for column in columns)
    nothing = np.isnan(objective)
    axes.set_xlabel(f"budget ({per(unit, 'second')})")
    axes.set_ylabel(metric)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)
    if not nothing.all():
        axes.fill_between(budget, objective, bound, color=VERMILLION, alpha=0.2, linewidth=0.0)
        axes.plot(budget, bound, ".--", color=VERMILLION, markersize=3, linewidth=1.0, label="bound: nothing is above")
        axes.plot(
            budget,
            objective,
            "o-",
            color=BLUE,
            markersize=4 if len(budget) <= _MARKED else 2,
            linewidth=1.6,
            label="schedule found",
        )
    else:
        axes.set(ylim=(0.0, 1.0), yticks=[])
        axes.text(0.5, 0.5, "no schedule fits any of these budgets", transform=axes.transAxes, ha="center", color=GREY)
    if nothing.any():
        axes.plot(
            budget[nothing],
            np.full(nothing.sum(), 0.02),
            "x",
            color="black",
            markersize=5,
            transform=axes.get_xaxis_transform(),
            label="no schedule fits",
        )
    if chosen is not None:
        axes.axvline(chosen, color=GREY, linestyle=":", linewidth=1.2, label=f"budget: {chosen:.4g}")
    bend = knee(budget, objective)
    if bend is not None:
        axes.axvline(bend, color=GREY, linestyle="--", linewidth=1.0, label=f"knee: {bend:.4g}")
    if capacity is not None:
        words = f"the box's capacity: {capacity:.4g}"
        if capacity <= axes.get_xlim()[1]:
            axes.axvline(capacity, color="black", linewidth=1.2, label=words)
        else:
            axes.plot([], [], color="black", linewidth=1.2, label=f"{words}, beyond the right edge")
    axes.legend(frameon=False, fontsize=SMALL, loc="lower right" if not nothing.all() else "upper right")


def _segments(schedule: Schedule, running: IntArray) -> list[tuple[str, float, str]]:
    """Label, cost and colour of each part of the tails; of many apps the dearest ones, and the rest as one."""
    if len(running) <= NAMED:
        costs = schedule.tail_cost[running].tolist()
        return [(label(schedule, i), costs[k], style(k)[0]) for k, i in enumerate(running.tolist())]
    order = running[np.argsort(-schedule.tail_cost[running], kind="stable")]
    own = order[:_OWN_SEGMENTS]
    parts = [(label(schedule, i), float(schedule.tail_cost[i]), BLUE) for i in own.tolist()]
    rest = order[_OWN_SEGMENTS:]
    return [*parts, (f"{len(rest):,} more apps", float(schedule.tail_cost[rest].sum()), SKY)]


def _write_inside(axes: Axes, patch: Rectangle, words: str, colour: str) -> None:
    """Write a label on a segment of the bar if it fits."""
    text = axes.text(
        patch.get_x() + patch.get_width() / 2,
        0.0,
        words,
        ha="center",
        va="center",
        fontsize=SMALL,
        color="black" if colour in PALE else "white",
        parse_math=False,
    )
    if text.get_window_extent().width > patch.get_window_extent().width - 2 * point(axes):
        text.remove()


def _swarm(axes: Axes, points: FloatArray, radius: float) -> FloatArray:
    """Move points of one rate side by side where they would overlap."""
    shown = axes.transData.transform(points)
    size = 2 * radius * point(axes)
    columns = np.unique(points[:, 0])
    places = axes.transData.transform(np.column_stack([columns, np.zeros(len(columns))]))[:, 0]
    frame = axes.get_window_extent()
    gap = float(min([2 * (places[0] - frame.x0), *np.diff(places), 2 * (frame.x1 - places[-1])]))
    for column in columns:
        rows = np.flatnonzero(points[:, 0] == column)
        last: list[float] = []
        slots = []
        for row in rows[np.argsort(shown[rows, 1], kind="stable")].tolist():
            height = float(shown[row, 1])
            free = next((slot for slot, below in enumerate(last) if height - below >= size), len(last))
            last[free : free + 1] = [height]
            slots.append((row, free))
        step = min(size, 0.8 * gap / len(last))
        for row, slot in slots:
            shown[row, 0] += step * ((slot + 1) // 2) * (1 if slot % 2 else -1)
    moved: FloatArray = axes.transData.inverted().transform(shown)
    return moved
