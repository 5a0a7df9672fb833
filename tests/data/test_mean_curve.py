"""data/mean_curve.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mainstream.io import Curve, load_curve, save_curve

SCRIPT = Path(__file__).parents[2] / "data" / "mean_curve.py"


def run(*given: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *given], capture_output=True, text=True, check=False)


def test_the_mean_of_curves(tmp_path: Path) -> None:
    first, second, other = (tmp_path / f"{n}.csv" for n in range(3))
    save_curve(Curve({0: 0.9, 10: 0.8}, {0: 0.1, 10: 0.2}), first)
    save_curve(Curve({0: 0.8, 10: 0.8}, {0: 0.3, 10: 0.1}), second)
    save_curve(Curve({0: 0.8, 20: 0.8}, {0: 0.3, 20: 0.1}), other)
    done = run(tmp_path / "mean.csv", first, second)
    assert done.returncode == 0, done.stderr
    mean = load_curve(tmp_path / "mean.csv")
    assert mean.accuracies == pytest.approx({0: 0.85, 10: 0.8})
    assert mean.false_positive_rates == pytest.approx({0: 0.2, 10: 0.15})
    for given, message in (
        ([first, other], "mean_curve: the curves are not of the same num_frozen\n"),
        ([tmp_path / "none"], f"mean_curve: {tmp_path / 'none'}: no such file or directory\n"),
    ):
        done = run(tmp_path / "wrong.csv", *given)
        assert (done.returncode, done.stderr) == (1, message)
        assert not (tmp_path / "wrong.csv").exists()
