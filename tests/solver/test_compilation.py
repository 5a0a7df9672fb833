"""The search, compiled by another process while this one compiles what comes first."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numba
import pytest

from mainstream import Result, solve
from mainstream.io import load_problem
from mainstream.solver import compilation, compile_apart
from mainstream.solver.kernels.tree import cheapest, search

CROSSING = Path(__file__).parents[2] / "data" / "problems" / "crossing.yaml"


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the disk held nothing of the search."""
    monkeypatch.setattr(compilation, "is_kept", lambda jitted: False)
    monkeypatch.setattr(compilation, "_apart", None)
    monkeypatch.setattr(compilation.os, "sched_getaffinity", lambda process: {0, 1})


def solved() -> Result:
    problem = load_problem(CROSSING)
    return solve(problem.apps, problem.model, problem.video, budget=problem.budget)


def test_what_is_compiled_apart_is_what_a_solve_needs() -> None:
    assert solved().status == "optimal"
    needed = [function.signatures for function in (cheapest, search)]  # type: ignore[attr-defined]
    compile_apart.main()
    assert needed == [function.signatures for function in (cheapest, search)]  # type: ignore[attr-defined]


def test_where_the_other_process_fails_this_one_compiles(missing: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    assert solved().status == "optimal"
    assert compilation._apart is not None
    assert compilation._apart.returncode == 1


@pytest.mark.parametrize(("kept", "told"), [(False, "the search for this machine"), (True, "several streams")])
def test_what_is_compiled_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kept: bool, told: str
) -> None:
    monkeypatch.setattr(compilation, "is_kept", lambda jitted: kept)
    with compilation.announced():
        numba.njit(lambda x: x + 1)(1)
    (line,) = caplog.messages
    assert line.startswith("compiling ") and told in line


def test_where_the_other_process_does_not_start_this_one_compiles(
    missing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert solved().status == "optimal"
    assert compilation._apart is None


def test_one_that_takes_too_long_is_given_up_and_counts_as_compiling(
    missing: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    monkeypatch.setattr(compilation, "_LONGEST_S", 0.2)
    before = compilation.compiled_s()
    assert solved().status == "optimal"
    assert compilation._apart is not None
    assert compilation._apart.returncode == -9
    assert compilation.compiled_s() - before >= 0.2


def test_with_one_core_nothing_runs_beside(missing: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation.os, "sched_getaffinity", lambda process: {0})
    compilation.begin()
    assert compilation._apart is None
