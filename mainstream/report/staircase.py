"""The plot of a schedule: the stem as a staircase, and the places where apps leave it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mainstream.apps import IntArray
from mainstream.problem import FloatArray
from mainstream.region import written
from mainstream.report.labels import BLUE, GREY, NAMED, SMALL, STEM, label, per, point, rows_beside, spread, style
from mainstream.schedule import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKER: Final = 6.0
"""Size of a named app's marker, in typographic points."""
_LONGEST_LIST: Final = 50


class _Branch(NamedTuple):
    """A place where apps leave the stem: their rows in the schedule, the latency up to there, their rate."""

    rows: IntArray
    start: float
    fps: float


def draw_schedule(
    axes: Axes, schedule: Schedule, prefix: ArrayLike, *, unit: str | None = None, first: int = 0
) -> None:
    """Draw the stem as a staircase, with the places where apps branch off.

    The area of the staircase is the stem's compute a second. Branches of one rate lie on top of each other, with their
    markers side by side. Labels are to the right of the axes and need about 2.7 inches. With more than :data:`NAMED`
    apps, labels count the apps of each rate.

    Parameters
    ----------
    axes : Axes
    schedule : Schedule
    prefix : (total_layers + 1,) array
        Latency of the first k layers, in `unit`, as :attr:`mainstream.Model.prefix`.
    unit : str, optional
        Unit of the latencies.
    first : int
        How many apps run in earlier streams; their colours are not used again.
    """
    latency = np.asarray(prefix, dtype=np.float64)
    end = float(latency[-1])
    running = np.flatnonzero(schedule.admitted)
    top = float(schedule.target_fps.max()) if len(running) else 1.0
    axes.set(xlim=(0.0, end), ylim=(0.0, 1.12 * top))
    axes.set_xlabel(f"latency into the network ({per(unit, 'frame')})")
    axes.set_ylabel("frames a second (fps)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(_headline(schedule), loc="left", fontsize=10, parse_math=False)

    if schedule.stem:
        edges = [0.0, *(float(latency[part.stop]) for part in schedule.stem)]
        axes.stairs([part.target_fps for part in schedule.stem], edges, fill=True, color=STEM, alpha=0.45)
        axes.stairs([part.target_fps for part in schedule.stem], edges, color=GREY, linewidth=1.2)
        cost = sum(part.cost for part in schedule.stem)
        axes.annotate(
            f"stem: {cost:.4g} {per(unit, 'second')}",
            (0.0, schedule.stem[0].target_fps),
            xytext=(4.0, 3.0),
            textcoords="offset points",
            fontsize=SMALL,
            color=GREY,
        )
    if not len(running):
        return
    room = rows_beside(axes)
    if len(running) <= min(NAMED, room):
        branches = _branches(schedule, latency, [np.array([i]) for i in running])
        _name_branches(axes, schedule, branches, end, first)
    else:
        pairs = np.column_stack([_shared(schedule)[running], schedule.target_fps[running]])
        _, group = np.unique(pairs, axis=0, return_inverse=True)
        order = np.argsort(group, kind="stable")
        rows = np.split(running[order], np.flatnonzero(np.diff(group[order])) + 1)
        _count_branches(axes, schedule, _branches(schedule, latency, rows), end, room)


def known_latencies(schedule: Schedule) -> FloatArray:
    """Latency of the first k layers, as far as a schedule's costs tell it; NaN elsewhere.

    With P[k] the latency of the first k layers, a part of the stem costs (P[stop] - P[start]) fps and a tail
    (P[end] - P[num_frozen]) fps: that gives P wherever the stem or an app begins or ends.

    Returns
    -------
    (deepest + 2,) array
        The deepest layer that is shared has number `deepest`; the last element is P[end].
    """
    running = np.flatnonzero(schedule.admitted)
    if not len(running):
        return np.array([0.0, 1.0])
    shared = _shared(schedule)[running]
    tails = schedule.tail_cost[running] / schedule.target_fps[running]
    stem = sum(part.cost / part.target_fps for part in schedule.stem)
    end = stem + tails[shared.argmax()]
    latency = np.full(int(shared.max()) + 2, np.nan)
    latency[shared] = end - tails
    for part in reversed(schedule.stem):
        latency[part.stop] = stem
        stem -= part.cost / part.target_fps
    latency[0], latency[-1] = 0.0, end
    return latency


def _headline(schedule: Schedule) -> str:
    out = np.flatnonzero(~schedule.admitted)
    running = len(schedule) - len(out)
    words = [f"{running:,} app{'s' if running != 1 else ''}"]
    if running and not schedule.stem:
        words.append("nothing is shared")
    if len(out):
        few = [label(schedule, i) for i in out[:3]]
        while len(", ".join(few)) > _LONGEST_LIST:
            few.pop()
        more = f" and {len(out) - len(few):,} more" if len(out) > len(few) else ""
        words.append(f"left out: {', '.join(few)}{more}")
    if schedule.region is not None:
        words.append(f"region {written(schedule.region)}")
    return ("" if schedule.stream is None else f"{schedule.stream}: ") + "; ".join(words)


def _shared(schedule: Schedule) -> IntArray:
    """How many layers each app shares, (N,): none in mode "no-sharing", whatever its `num_frozen`."""
    return np.where((schedule.num_frozen > 1) & bool(schedule.stem), schedule.num_frozen, 0)


def _branches(schedule: Schedule, latency: FloatArray, groups: list[IntArray]) -> list[_Branch]:
    """Branches from the highest rate down; within a rate, the deepest first."""
    first = np.array([rows[0] for rows in groups])
    shared, fps = _shared(schedule)[first], schedule.target_fps[first]
    order = np.lexsort([-shared, -fps]).tolist()
    return [_Branch(groups[k], float(latency[shared[k]]), float(fps[k])) for k in order]


def _aside(axes: Axes, branches: list[_Branch], size: float) -> list[int]:
    """How many marker widths each marker is moved to the left, so that markers of one rate do not overlap."""
    places: list[int] = []
    width = size * point(axes)
    last = (np.nan, np.inf)  # rate and place of the previous marker, on the display
    for branch in branches:
        ideal = float(axes.transData.transform((branch.start, branch.fps))[0])
        free = last[1] - width if branch.fps == last[0] else np.inf
        places.append(int(np.ceil(max(0.0, (ideal - free) / width) - 1e-9)))
        last = (branch.fps, ideal - places[-1] * width)
    return places


def _name_branches(axes: Axes, schedule: Schedule, branches: list[_Branch], end: float, first: int) -> None:
    running = np.flatnonzero(schedule.admitted)
    shared = _shared(schedule)
    heights = spread(axes, np.array([branch.fps for branch in branches]) / axes.get_ylim()[1])
    aside = _aside(axes, branches, _MARKER)
    for branch, height, places in zip(branches, heights.tolist(), aside, strict=True):
        i = int(branch.rows[0])
        colour, marker = style(first + int(np.searchsorted(running, i)))
        _draw_branch(axes, branch, end, colour, marker, _MARKER, places)
        words = f"{label(schedule, i)}: {branch.fps:g} fps"
        if schedule.stem:
            words += f", {shared[i]} shared"
        _write_beside(axes, words, end, branch.fps, height)


def _count_branches(axes: Axes, schedule: Schedule, branches: list[_Branch], end: float, room: int) -> None:
    most = max(len(branch.rows) for branch in branches)
    rates: dict[float, list[_Branch]] = {}
    for branch in branches:
        _draw_branch(axes, branch, end, BLUE, "o", 3.0 + 5.0 * (len(branch.rows) / most) ** 0.5)
        rates.setdefault(branch.fps, []).append(branch)
    counts = {fps: sum(len(branch.rows) for branch in members) for fps, members in rates.items()}
    fullest = sorted(counts, key=lambda fps: -counts[fps])
    kept = fullest if len(fullest) <= room else fullest[: room - 1]
    lines = [(_counted(schedule, rates[fps], counts[fps]), fps, fps) for fps in sorted(kept, reverse=True)]
    rest = sum(counts[fps] for fps in fullest[len(kept) :])
    if rest:
        lines.append((f"{rest:,} more at {len(fullest) - len(kept)} other rates", 0.0, 0.0))
    heights = spread(axes, np.array([ideal for _, ideal, _ in lines]) / axes.get_ylim()[1])
    for (words, _, fps), height in zip(lines, heights.tolist(), strict=True):
        _write_beside(axes, words, end, fps, height)


def _counted(schedule: Schedule, branches: list[_Branch], count: int) -> str:
    words = f"{branches[0].fps:g} fps: {count:,} app{'s' if count > 1 else ''}"
    if not schedule.stem:
        return words
    shared = _shared(schedule)[[branch.rows[0] for branch in branches]]
    low, high = shared.min(), shared.max()
    return f"{words}, {low if low == high else f'{low}-{high}'} shared"


def _draw_branch(
    axes: Axes, branch: _Branch, end: float, colour: str, marker: str, size: float, places: int = 0
) -> None:
    """Draw a line to the end, and a marker at its start or `places` marker widths to the left of it."""
    from matplotlib.transforms import ScaledTranslation

    # Of two lines with one rate the shorter lies on top, so that each is visible up to where the next one starts.
    axes.plot([branch.start, end], [branch.fps] * 2, color=colour, linewidth=1.4, zorder=2 + branch.start / (2 * end))
    axes.plot(
        branch.start,
        branch.fps,
        marker,
        color=colour,
        markersize=size,
        markeredgecolor="white",
        markeredgewidth=0.6,
        clip_on=False,
        zorder=3,
        transform=axes.transData + ScaledTranslation(-places * size / 72, 0.0, axes.figure.dpi_scale_trans),
    )


def _write_beside(axes: Axes, words: str, end: float, start: float, height: float) -> None:
    axes.annotate(
        words,
        (end, start),
        xytext=(1.05, height),
        textcoords="axes fraction",
        fontsize=SMALL,
        va="center",
        parse_math=False,
        annotation_clip=False,
        arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "relpos": (0, 0.5), "shrinkA": 2, "shrinkB": 0},
    )
