"""Times of the exact search by number of apps."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from time import perf_counter
from typing import Any, Final

from benchmarks.instances import VOTES, VOTING, Instance
from benchmarks.processes import apart
from benchmarks.row import Row, duration
from benchmarks.timing import take_turns

FIGURES_S: Final = {10: 0.005, 30: 0.015, 1_000: 0.1, 10_000: 0.6, 100_000: 6.0}
"""Goal: seconds for so many apps."""
LARGE: Final = 100_000
LARGE_GB: Final = 2.0
SEEDS: Final = {10: 10, 30: 10, 1_000: 5, 10_000: 3, LARGE: 3}
ROUNDS: Final = {10: 9, 30: 9, 1_000: 5, 10_000: 3, LARGE: 3}
_QUICK_SEEDS: Final = {10: 5, 30: 5, 1_000: 2, 10_000: 1, LARGE: 1}
_QUICK_ROUNDS: Final = {10: 5, 30: 5, 1_000: 3, 10_000: 1, LARGE: 1}


def rows(quick: bool) -> Iterator[Row]:
    """10 to 10,000 apps, the seeds in turns."""
    seeds, rounds = (_QUICK_SEEDS, _QUICK_ROUNDS) if quick else (SEEDS, ROUNDS)
    for n in (n for n in FIGURES_S if n < LARGE):
        for voting in VOTING:
            instances = {seed: Instance.hard(n, seed, voting) for seed in range(seeds[n])}
            times = take_turns({seed: instance.solve for seed, instance in instances.items()}, rounds[n])
            results = [times.returned[seed] for seed in instances]
            yield _row(
                n,
                voting,
                wall=[times.median(seed) for seed in instances],
                cpu=[times.median_cpu(seed) for seed in instances],
                nodes=[result.nodes for result in results],
                proven=sum(result.status == "optimal" for result in results),
                rounds=rounds[n],
            )


def large_rows(quick: bool) -> Iterator[Row]:
    """100,000 apps: time and memory."""
    seeds, rounds = (_QUICK_SEEDS, _QUICK_ROUNDS) if quick else (SEEDS, ROUNDS)
    for voting in VOTING:
        runs = [apart(large, n=LARGE, seed=seed, voting=voting, rounds=rounds[LARGE]) for seed in range(seeds[LARGE])]
        yield _row(
            LARGE,
            voting,
            wall=[median(run["wall"]) for run in runs],
            cpu=[median(run["cpu"]) for run in runs],
            nodes=[run["nodes"] for run in runs],
            proven=sum(run["proven"] for run in runs),
            rounds=rounds[LARGE],
        )
        peaks = [run["peak_gb"] for run in runs]
        yield Row(
            f"{LARGE:,} apps, {VOTES[voting]}: peak memory",
            median(peaks),
            "GB",
            worst=max(peaks),
            figure=LARGE_GB,
            notes=f"of the whole process, the generator of the apps included; {len(runs)} seeds",
        )


def large(n: int, seed: int, voting: str, rounds: int) -> dict[str, Any]:
    """One seed of many apps; runs in its own process."""
    Instance.hard(10, seed, voting).solve()  # loads the compiled search
    instance = Instance.hard(n, seed, voting)
    times = take_turns({"solve": instance.solve}, rounds, warm_up=False)
    result = times.returned["solve"]
    return {
        "wall": times.wall["solve"],
        "cpu": times.cpu["solve"],
        "nodes": result.nodes,
        "proven": result.status == "optimal",
    }


def _row(
    n: int, voting: str, *, wall: list[float], cpu: list[float], nodes: list[int], proven: int, rounds: int
) -> Row:
    unproven = len(wall) - proven
    return Row(
        f"{n:,} apps, {VOTES[voting]}",
        median(wall),
        "s",
        worst=max(wall),
        cpu=median(cpu),
        figure=FIGURES_S[n],
        verdict=f"missed: {unproven} not proven" if unproven else "",
        notes=f"{len(wall)} seeds x {rounds}; CPU at most {duration(max(cpu))}; nodes "
        f"{median(nodes):.0f}, at most {max(nodes)}",
    )


def seconds_of_one(instance: Instance, method: str, **options: Any) -> tuple[float, Any]:
    """Elapsed seconds of one solve, and its result."""
    begin = perf_counter()
    result = instance.solve(method, **options)
    return perf_counter() - begin, result
