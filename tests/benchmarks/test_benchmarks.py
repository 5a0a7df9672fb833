"""The benchmark harness runs, writes what it measured, and goes on where something is missing."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, python: tuple[str, ...] = ("-m", "benchmarks")) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *python, *words], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_measures_and_writes(tmp_path: Path) -> None:
    done = run("--quick", "--only", "simulator", "--only", "one-app", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    with (tmp_path / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["part"] for row in rows} == {"simulator", "one-app"}
    for row in rows:
        assert float(row["reached"]) > 0
        assert row["figure"]
        assert row["against"].startswith(("met", "missed"))
    table = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert table.strip() == done.stdout.strip()
    assert "python -m benchmarks --quick --only simulator" in table
    assert "numba" in table
    for row in rows:
        assert f"| {row['what']} |" in table
    widths = {line.count("|") for line in table.splitlines() if line.startswith("|")}
    assert widths == {8}


def test_without_highs_says_which_extra_and_goes_on(tmp_path: Path) -> None:
    hidden = "import runpy, sys; sys.modules['highspy'] = None; runpy.run_module('benchmarks', run_name='__main__')"
    done = run("--quick", "--only", "highs", "--out", str(tmp_path), python=("-c", hidden))
    assert done.returncode == 0, done.stderr
    assert "pip install 'mainstream[test]'" in (tmp_path / "results.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [("--only", "nothing"), ("--record", "--quick"), ("--record", "--only", "frontier")])
def test_bad_arguments(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
