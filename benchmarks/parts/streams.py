"""Times of several streams on one budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any, Final

import numpy as np

from benchmarks.instances import VOTING
from benchmarks.row import Row, duration
from benchmarks.timing import take_turns
from mainstream import Stream, solve
from mainstream.experiments.workloads import hard_budget, workload

APPS: Final = 30
GAP: Final = 1e-5
FIGURES_S: Final = {2: None, 10: None, 100: 10.0}
"""Goal: seconds for so many streams."""
SEEDS: Final = 3
ROUNDS: Final = 3


def cameras(count: int, seed: int) -> tuple[list[Stream], float]:
    """Workloads of different seeds, app ids different, and the sum of their hard budgets."""
    made = [workload(APPS, seed=1000 * seed + g, voting=VOTING["auto"]) for g in range(count)]
    ids = np.arange(count * APPS).reshape(count, APPS)
    streams = [Stream(replace(one.apps, app_ids=ids[g]), one.model, one.video) for g, one in enumerate(made)]
    return streams, sum(hard_budget(one.prepare()) for one in made)


def rows(quick: bool) -> Iterator[Row]:
    """2 to 100 streams of 30 apps, the seeds in turns."""
    seeds = 1 if quick else SEEDS
    for count, figure in FIGURES_S.items():
        given = {seed: cameras(count, seed) for seed in range(seeds)}
        calls: dict[int, Any] = {
            seed: partial(solve, streams, budget=budget, method="branch-and-bound", gap=GAP)
            for seed, (streams, budget) in given.items()
        }
        times = take_turns(calls, 1 if quick else ROUNDS)
        results = [times.returned[seed] for seed in given]
        cpu = [times.median_cpu(seed) for seed in given]
        unproven = sum(result.status != "optimal" for result in results)
        yield Row(
            f"{count} streams x {APPS} apps, to {GAP:g}",
            median(times.median(seed) for seed in given),
            "s",
            worst=max(times.median(seed) for seed in given),
            cpu=median(cpu),
            figure=figure,
            verdict=f"missed: {unproven} not proven" if unproven else "",
            notes=f"{seeds} seeds; CPU at most {duration(max(cpu))}; nodes at most "
            f"{max(result.nodes for result in results)}",
        )
