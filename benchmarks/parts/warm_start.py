"""One app among 30 arrives or leaves: a solve that starts from the schedule before against one from scratch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from statistics import median
from typing import Any, Final

import numpy as np

from benchmarks.instances import Instance
from benchmarks.row import Row, duration
from benchmarks.timing import Timed, take_turns
from mainstream.apps import Apps

_APPS: Final = 30
_FIGURE: Final = 0.5


def rows(quick: bool) -> Iterator[Row]:
    """Cold and warm in turns, whole solve() calls at the hard budget of all 30."""
    seeds, rounds = (4, 5) if quick else (20, 15)
    ratios: dict[str, list[float]] = {"leaves": [], "arrives": []}
    by_cpu: dict[str, list[float]] = {"leaves": [], "arrives": []}
    seconds: dict[str, list[float]] = {"cold": [], "warm": []}
    nodes: dict[str, list[int]] = {"cold": [], "warm": []}
    for seed in range(seeds):
        full = Instance.hard(_APPS, seed)
        fewer = replace(full, apps=without(full.apps, seed % _APPS))
        for change, (before, after) in {"leaves": (full, fewer), "arrives": (fewer, full)}.items():
            times = _times(before, after, rounds)
            ratios[change].append(times.median("warm") / times.median("cold"))
            by_cpu[change].append(times.median_cpu("warm") / times.median_cpu("cold"))
            for start, medians in seconds.items():
                medians.append(times.median(start))
                nodes[start].append(times.returned[start].nodes)
    for change, found in ratios.items():
        yield Row(
            f"one app {change}: warm over cold",
            median(found),
            "x",
            worst=max(found),
            figure=_FIGURE,
            notes=f"{seeds} seeds x {rounds}; by CPU time {median(by_cpu[change]):.3g}x; over both changes: "
            + ", ".join(
                f"{start} {duration(median(medians))} and {median(nodes[start]):.0f} nodes"
                for start, medians in seconds.items()
            ),
        )


def _times(before: Instance, after: Instance, rounds: int) -> Timed[str]:
    known = before.solve()
    return take_turns({"cold": after.solve, "warm": lambda: after.solve(warm_start=known)}, rounds)


def without(apps: Apps, i: int) -> Apps:
    """All apps but number i."""
    left: dict[str, Any] = {}
    for field in fields(apps):
        column: Any = getattr(apps, field.name)
        if isinstance(column, np.ndarray) and field.name != "chokepoints":
            left[field.name] = np.delete(column, i, axis=0)
    return replace(apps, **left)
