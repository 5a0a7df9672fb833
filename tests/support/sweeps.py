"""Small experiments, and whether two of them say the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mainstream.experiments.workloads import workload, workload_problem
from mainstream.formats.sweep import SweepRow
from mainstream.io import save_workloads


def small_workloads(path: Path, count: int) -> Path:
    made = [workload(1 + k % 4, seed=k, chokepoints=4, rates=4) for k in range(count)]
    save_workloads([workload_problem(one.objects(), one.model, one.video, None) for one in made], path)
    return path


def same(rows: Iterable[SweepRow], others: Iterable[SweepRow]) -> bool:
    """Whether rows are the same but for the time that they took."""
    one, other = ([replace(row, runtime_s=None) for row in some] for some in (rows, others))
    return one == other
