"""frontier(): a hundred budgets."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import median
from typing import Final

import numpy as np

from benchmarks.instances import GAP, Instance
from benchmarks.row import Row
from benchmarks.timing import take_turns
from mainstream import frontier, prepare
from mainstream.problem import FloatArray
from mainstream.schedule import Frontier

_APPS: Final = 30
_BUDGETS: Final = 100


def rows(quick: bool) -> Iterator[Row]:
    """From the smallest budget that has a schedule to the one beyond which nothing is gained, in equal steps."""
    seeds, rounds = (2, 1) if quick else (5, 3)
    instances = {seed: Instance.hard(_APPS, seed) for seed in range(seeds)}
    budgets = {seed: _useful(instance) for seed, instance in instances.items()}

    def walk(seed: int) -> Frontier:
        own = instances[seed]
        return frontier(own.apps, own.model, own.video, budgets[seed], method="branch-and-bound", gap=GAP)

    times = take_turns({seed: partial(walk, seed) for seed in instances}, rounds)
    seconds = [times.median(seed) for seed in instances]
    results = [result for seed in instances for result in times.returned[seed].results]
    open_still = sum(result is None or result.status != "optimal" for result in results)
    nodes = [result.nodes for result in results if result is not None]
    yield Row(
        f"{_BUDGETS} budgets, {_APPS} apps",
        median(seconds),
        "s",
        worst=max(seconds),
        cpu=median(times.median_cpu(seed) for seed in instances),
        figure=2.0,
        verdict=f"missed: {open_still} not proven" if open_still else "",
        notes=f"{seeds} seeds x {rounds}; nodes of a budget {median(nodes):.0f}, at most {max(nodes)}",
    )


def _useful(instance: Instance) -> FloatArray:
    prepared = prepare(instance.apps, instance.model, instance.video)
    return np.linspace(prepared.smallest_budget() * (1 + 1e-9), prepared.useful_budget(), _BUDGETS)
