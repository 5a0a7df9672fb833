"""The frontier: each point is a solve of its own, and more budget never buys less."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mainstream import InfeasibleError, ProblemError, frontier, solve
from mainstream.experiments import workloads

COMMAND = str(Path(sys.executable).with_name("mainstream"))
PROBLEMS = Path(__file__).parents[2] / "data" / "problems"


@pytest.mark.parametrize("aggregate", ["mean", "min"])
@pytest.mark.parametrize("seed", range(5))
def test_each_point_is_what_a_solve_finds(seed: int, aggregate: str) -> None:
    made = workloads.workload(12, seed=seed)
    least = made.prepare().smallest_budget()
    budgets = least * np.array([3.0, 0.5, 1.0, 1.3, 1.7, 1.3])
    found = frontier(made.apps, made.model, made.video, budgets, aggregate=aggregate)
    assert found.budgets.tolist() == sorted(set(budgets))
    assert found.results[0] is None
    for budget, result in zip(found.budgets[1:], found.results[1:], strict=True):
        alone = solve(made.apps, made.model, made.video, budget, aggregate=aggregate)
        assert result is not None and result.budget == budget and result.cost <= budget * (1 + 1e-9)
        assert result.objective == pytest.approx(alone.objective, abs=1e-6)
        assert result.objective <= result.bound <= result.objective + 1e-6
    assert (np.diff(found.objectives[1:]) >= -1e-6).all()
    assert np.isnan(found.objectives[0]) and np.isnan(found.bounds[0])


def test_bad_budgets_and_apps_out_of_reach() -> None:
    made = workloads.workload(3, seed=1)
    for budgets, message in (([], "there is none"), ([1.0, -2.0], "got -2.0"), ([float("nan")], "got nan")):
        with pytest.raises(ProblemError, match=f"budgets: {message}"):
            frontier(made.apps, made.model, made.video, budgets)
    stuck = [{**app.model_dump(exclude_none=True), "min_value": 1.0} for app in made.objects()]
    with pytest.raises(InfeasibleError, match="at any budget"):
        frontier(stuck, made.model, made.video, [1.0, 10.0])


def run(*words: str) -> subprocess.CompletedProcess[str]:
    plain = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1"}
    return subprocess.run([COMMAND, *words], capture_output=True, text=True, env=plain, check=False)


def test_the_command_frontier(tmp_path: Path) -> None:
    problem = str(PROBLEMS / "tiny.yaml")
    table = run(
        "frontier", problem, "--points", "5", "--csv", str(tmp_path / "f.csv"), "--plot", str(tmp_path / "f.svg")
    )
    assert table.returncode == 0, table.stderr
    rows = list(csv.DictReader((tmp_path / "f.csv").open()))
    assert len(rows) == 5 and all(row["status"] == "optimal" for row in rows)
    objectives = [float(row["objective"]) for row in rows]
    assert objectives == sorted(objectives)
    assert all(f"{objective:.6f}" in table.stdout for objective in objectives)
    assert (tmp_path / "f.svg").read_text().startswith("<?xml")
    # The last of the default budgets is one that pays for everything.
    richer = run("frontier", problem, "--budgets", f"{2 * float(rows[-1]['budget'])}", "--csv", "-")
    (row,) = csv.DictReader(io.StringIO(richer.stdout))
    assert float(row["objective"]) == pytest.approx(objectives[-1], abs=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--budgets", "1,two"], "it has to be numbers separated by commas"),
        (["--budgets", "0"], "budgets: got 0.0; it has to be a finite number above 0"),
        (["--points", "0"], "greater than or equal to 1"),
        (["--plot", "f.gif"], "f.gif"),
        (["--mode", "sharing"], "'sharing' is not one of"),
    ],
)
def test_bad_words_are_one_line(words: list[str], message: str) -> None:
    answer = run("frontier", str(PROBLEMS / "tiny.yaml"), *words)
    assert answer.returncode == 2 and answer.stdout == ""
    assert message in answer.stderr and answer.stderr.count("\n") == 1


def test_the_command_methods() -> None:
    answer = run("methods", str(PROBLEMS / "tiny.yaml"))
    assert answer.returncode == 0, answer.stderr
    lines = {line.split()[0]: line.split() for line in answer.stdout.splitlines()[2:]}
    assert list(lines) == ["auto", "branch-and-bound", "cp-sat", "greedy", "greedy-released"]
    exact = [float(lines[method][1]) for method in ("auto", "branch-and-bound", "cp-sat")]
    assert max(exact) - min(exact) <= 2e-6
    assert all(float(row[1]) <= float(row[2]) and float(row[3]) >= 0 for row in lines.values())
    assert run("methods", str(PROBLEMS / "tiny.yaml"), "--budget", "0.001").returncode == 3


def test_the_command_frontier_where_every_app_may_be_left_out(tmp_path: Path) -> None:
    text = (PROBLEMS / "tiny.yaml").read_text().replace("../", f"{PROBLEMS.parent}/")
    optional = text.replace("- {app_id:", "- {optional: true, app_id:")
    assert optional.count("optional: true") == 3
    (tmp_path / "optional.yaml").write_text(optional)
    answer = run("frontier", str(tmp_path / "optional.yaml"), "--points", "4", "--csv", "-")
    assert answer.returncode == 0, answer.stderr
    rows = list(csv.DictReader(io.StringIO(answer.stdout)))
    assert [row["status"] for row in rows] == ["optimal"] * 4
