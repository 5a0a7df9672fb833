"""One app among 30 arrives or leaves: a problem that takes over what did not change against a solve from objects."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Final

from benchmarks.instances import GAP
from benchmarks.row import Row, duration
from benchmarks.timing import Timed, take_turns
from mainstream import Prepared, Result, prepare, solve
from mainstream.experiments.workloads import hard_budget, workload
from mainstream.problem import App

_APPS: Final = 30
_FIGURE: Final = 0.5
_WAYS: Final = ("taken over", "warm start")


def rows(quick: bool) -> Iterator[Row]:
    """Cold from objects, taken over, and with a warm start, in turns, at the hard budget of all 30."""
    seeds, rounds = (4, 5) if quick else (20, 15)
    ratios: dict[tuple[str, str], list[float]] = {}
    seconds: dict[str, list[float]] = {way: [] for way in ("cold", *_WAYS)}
    for seed in range(seeds):
        made = workload(_APPS, seed=seed)
        apps, parts = made.objects(), (made.model, made.video, hard_budget(made.prepare()))
        full, fewer = prepare(apps, *parts), prepare(apps[:-1], *parts)
        for change, times in {
            "arrives": _times(fewer, apps, fewer.with_app, apps[-1], rounds),
            "leaves": _times(full, apps[:-1], full.without, apps[-1].app_id, rounds),
        }.items():
            for way in _WAYS:
                ratios.setdefault((way, change), []).append(times.median(way) / times.median("cold"))
            for way, medians in seconds.items():
                medians.append(times.median(way))
    for change in ("arrives", "leaves"):
        found = ratios["taken over", change]
        yield Row(
            f"one app {change}: with_app() or without(), then solve(), over a solve from objects",
            median(found),
            "x",
            worst=max(found),
            figure=_FIGURE,
            notes=f"{seeds} seeds x {rounds}; a warm start of the solve from objects "
            f"{median(ratios['warm start', change]):.3g}x; over both changes: "
            + ", ".join(f"{way} {duration(median(medians))}" for way, medians in seconds.items()),
        )


def _times(before: Prepared, apps: tuple[App, ...], change: object, given: object, rounds: int) -> Timed[str]:
    """Seconds of each way from the problem `before` to the answer for `apps`."""
    assert callable(change)
    known = before.solve(method="branch-and-bound", gap=GAP)

    def cold(warm_start: Result | None = None) -> Result:
        parts = (before.model, before.video, before.budget or 0.0)
        return solve(apps, *parts, method="branch-and-bound", gap=GAP, warm_start=warm_start)

    return take_turns(
        {
            "cold": cold,
            "taken over": lambda: change(given).solve(method="branch-and-bound", gap=GAP),
            "warm start": lambda: cold(known),
        },
        rounds,
    )
