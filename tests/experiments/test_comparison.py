"""Versions are compared where all of them have a schedule."""

from __future__ import annotations

import pytest

from mainstream.experiments.comparison import compare
from mainstream.formats.sweep import SweepRow


def row(workload: str, version: str, objective: float | None) -> SweepRow:
    status = "infeasible" if objective is None else "optimal"
    kind = ("windowed", "f1", "mean")
    gap = None if objective is None else 1e-7 * objective
    return SweepRow(workload, 1, 1, version, "5", 5.0, status, *kind, objective=objective, gap=gap, runtime_s=0.5)


def test_a_version_gains_nothing_by_giving_up_on_what_is_hard() -> None:
    rows = [row("easy", "mainstream", 0.9), row("easy", "no-sharing", 0.6), row("hard", "mainstream", 0.3)]
    own, other = compare([*rows, row("hard", "no-sharing", None)])
    assert (own.version, own.schedules, own.infeasible) == ("mainstream", 2, 0)
    assert (other.version, other.schedules, other.infeasible) == ("no-sharing", 1, 1)
    assert (own.objective, other.objective) == (pytest.approx(0.9), pytest.approx(0.6))
    assert (own.gain, other.gain) == (pytest.approx(0.0), pytest.approx(0.5))
    assert own.gap == pytest.approx(0.9e-7)
    assert other.runtime_s == 0.5


def test_where_nothing_is_comparable_nothing_is_said() -> None:
    (own, other) = compare([row("one", "mainstream", None), row("one", "greedy", 0.5)])
    assert (own.objective, own.gain, own.gap, own.runtime_s) == (None, None, None, None)
    assert (other.objective, other.gain, other.schedules) == (None, None, 1)
