"""frontier(): a hundred budgets, and against a solve of its own for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Final

import numpy as np

from benchmarks.instances import GAP, Instance
from benchmarks.row import Row
from benchmarks.timing import take_turns
from mainstream import frontier, prepare
from mainstream.frontiers import Frontier
from mainstream.problem import FloatArray

_APPS: Final = 30
_BUDGETS: Final = 100
_MANY: Final = 1_000
_FEW_BUDGETS: Final = 12


def rows(quick: bool) -> Iterator[Row]:
    """From the smallest budget that has a schedule to the one beyond which nothing is gained, in equal steps."""
    seeds, rounds = (2, 1) if quick else (5, 3)
    instances = {seed: Instance.hard(_APPS, seed) for seed in range(seeds)}
    budgets = {seed: _useful(instance, _BUDGETS) for seed, instance in instances.items()}

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

    yield _against_single(_APPS, _FEW_BUDGETS, quick)
    yield _against_single(_MANY, _FEW_BUDGETS, quick, figure=0.5)


def _against_single(n: int, budgets: int, quick: bool, figure: float | None = None) -> Row:
    """CPU time of a frontier over that of solve() from scratch for each of its budgets."""
    seeds, rounds = (1, 1) if quick else (3, 3)
    shares = []
    apart = 0.0
    for seed in range(seeds):
        own = Instance.hard(n, seed)
        steps = _useful(own, budgets)
        times = take_turns({"frontier": partial(_frontier, own, steps), "single": partial(_single, own, steps)}, rounds)
        shares.append(times.median_cpu("frontier") / times.median_cpu("single"))
        found = [times.returned[key] for key in ("frontier", "single")]
        apart = max(apart, float(np.abs(np.subtract(*found)).max()))
    return Row(
        f"{budgets} budgets, {n:,} apps: over a solve() for each",
        median(shares),
        "x",
        worst=max(shares),
        figure=figure,
        verdict="" if apart <= 2 * GAP else "THE TWO DISAGREE",
        notes=f"CPU time, {seeds} seeds x {rounds}; objectives differ by {apart:.1g} at most",
    )


def _frontier(own: Instance, budgets: FloatArray) -> FloatArray:
    return frontier(own.apps, own.model, own.video, budgets, method="branch-and-bound", gap=GAP).objectives


def _single(own: Instance, budgets: FloatArray) -> FloatArray:
    return np.array([replace(own, budget=float(budget)).solve().objective for budget in budgets])


def _useful(instance: Instance, budgets: int) -> FloatArray:
    prepared = prepare(instance.apps, instance.model, instance.video)
    return np.linspace(prepared.smallest_budget() * (1 + 1e-9), prepared.useful_budget(), budgets)
