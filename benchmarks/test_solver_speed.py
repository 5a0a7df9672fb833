"""The exact search with pytest-benchmark: ``pytest benchmarks/test_solver_speed.py``.

Times include the making of options; one core, gap 1e-6, 16 chokepoints x 10 rates, hard budgets. The name of a line's
group has its goal. Times are not asserted, since a busy machine is no fault of the code. ``python -m benchmarks``
gives a summary.
"""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.instances import VOTING, Instance
from benchmarks.parts.solver import FIGURES_S, ROUNDS, SEEDS
from benchmarks.row import duration

CASES = [
    pytest.param(
        n,
        voting,
        seed,
        marks=pytest.mark.benchmark(group=f"{n:,} apps, goal: {duration(figure)}"),
        id=f"{n}-{voting}-seed{seed}",
    )
    for n, figure in FIGURES_S.items()
    for voting in VOTING
    for seed in range(min(SEEDS[n], 3))
]


@pytest.mark.parametrize(("n", "voting", "seed"), CASES)
def test_solve(benchmark: Any, n: int, voting: str, seed: int) -> None:
    """Proven to the gap, in the time that the table shows."""
    instance = Instance.hard(n, seed, voting)
    benchmark.extra_info["figure_s"] = FIGURES_S[n]
    result = benchmark.pedantic(instance.solve, rounds=ROUNDS[n], warmup_rounds=1)
    assert result.status == "optimal"
