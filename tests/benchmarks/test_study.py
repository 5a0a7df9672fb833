"""The study's commands work, and its tables say what is in its files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.study import RIVALS, Study
from mainstream.formats.sweep import SweepRow

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_small_study(tmp_path: Path) -> None:
    folder = Path(sys.executable).parent
    quick = {**os.environ, "APPS": "1 4", "SETUPS": "2", "PATH": f"{folder}:{os.environ['PATH']}"}
    subprocess.run([ROOT / "benchmarks" / "study.sh", tmp_path], env=quick, check=True, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.study", tmp_path], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout.count('### Event model "') == 2
    assert "140 schedules; 0 pairs" in done.stdout
    assert (tmp_path / "study.html").stat().st_size < 2_000_000
    again = subprocess.run([ROOT / "benchmarks" / "study.sh", tmp_path], env=quick, check=True, capture_output=True)
    assert b"s left" not in again.stderr


@pytest.mark.slow
def test_the_published_curves(tmp_path: Path) -> None:
    folder = Path(sys.executable).parent
    quick = {**os.environ, "APPS": "2", "SETUPS": "2", "PATH": f"{folder}:{os.environ['PATH']}"}
    command = [ROOT / "benchmarks" / "published_curves.sh", tmp_path]
    done = subprocess.run(command, env=quick, check=True, capture_output=True, text=True)
    assert "48 rows in" in done.stdout


def test_gains_are_of_means_over_workloads_that_all_can_schedule() -> None:
    def row(workload: str, version: str, objective: float | None) -> SweepRow:
        status = "infeasible" if objective is None else "optimal"
        kind = ("windowed", "f1", "mean")
        return SweepRow(workload, 2, 1, version, "5%", 1.0, status, *kind, objective=objective)

    rows = []
    for workload, own, others in (("a", 0.9, 0.6), ("b", 0.6, 0.4), ("c", 0.5, None)):
        rows += [row(workload, "mainstream", own), *(row(workload, rival, others) for rival in RIVALS)]
    study = Study(rows)
    assert study.left_out == 1
    gain, error = study.gain("5%", "max-sharing")
    assert gain == pytest.approx(50) and error == pytest.approx(0)
    assert study.largest("no-sharing") == (pytest.approx(50), 2, "5%")
    assert study.single("greedy") == pytest.approx(50)
