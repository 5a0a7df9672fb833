"""The frontier: each point is a solve of its own, and more budget never buys less."""

from __future__ import annotations

import csv
import io
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import run_here

from mainstream import InfeasibleError, InterruptedSearch, ProblemError, frontier, solve
from mainstream.experiments import workloads
from mainstream.extensions import METHODS
from mainstream.solver import Prepared
from mainstream.solver.branch_and_bound import SearchTree
from mainstream.solver.search import Outcome, schedule_cost

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


class Recorded:
    """Branch and bound that keeps what it was given."""

    name = "recorded"
    aggregates = ("mean",)
    exact = True

    def __init__(self) -> None:
        self.firsts: list[tuple[float, Any]] = []

    def maximise(self, table: Any, budget: float, limits: Any, aggregate: str, staircases: Any) -> Outcome:
        assert not len(staircases)
        return METHODS["branch-and-bound"].maximise(table, budget, limits, aggregate, staircases)

    def improve(self, table: Any, budget: float, limits: Any, aggregate: str, first: Any) -> Outcome:
        self.firsts.append((budget, first.copy()))
        assert schedule_cost(table.packed, first) <= budget * (1 + 1e-9)
        found = METHODS["branch-and-bound"].improve(table, budget, limits, aggregate, first)
        assert table.share @ table.values(found.cells) >= table.share @ table.values(first) - 1e-12
        return found


@pytest.mark.parametrize("seed", range(3))
def test_each_search_begins_with_the_best_schedule_of_the_smaller_budgets(seed: int) -> None:
    made = workloads.workload(40, seed=seed)
    prepared = made.prepare()
    budgets = prepared.smallest_budget() * np.linspace(0.9, 2.5, 8)
    recorded = Recorded()
    found = prepared.frontier(budgets, method=recorded)
    assert [budget for budget, _ in recorded.firsts] == budgets[2:].tolist()
    for (_, first), before in zip(recorded.firsts, found.results[1:], strict=False):
        assert before is not None
        np.testing.assert_array_equal(prepared.table.values(first), before.schedule.value)


@pytest.mark.parametrize("method", ["auto", "branch-and-bound", "cp-sat", "greedy"])
def test_certificates_of_a_frontier(method: str) -> None:
    made = workloads.workload(8, seed=4)
    prepared = made.prepare()
    budgets = np.linspace(prepared.smallest_budget(), 1.2 * prepared.useful_budget(), 15)
    found = prepared.frontier(budgets, method=method)
    best = [prepared.solve(budget).objective for budget in budgets]
    alone = [prepared.solve(budget, method=method).objective for budget in budgets]
    for budget, result, optimum in zip(budgets, found.results, best, strict=True):
        assert result is not None and result.cost <= budget * (1 + 1e-9)
        assert result.bound >= optimum - 1e-12
        if METHODS[method].exact:
            assert result.status == "optimal" and result.gap <= 1e-6
    assert (np.diff(found.objectives) >= 0).all() and (np.diff(found.bounds) >= 0).all()
    assert (found.objectives >= np.array(alone) - 1e-6).all()


class Pressed(Recorded):
    """Ctrl-C comes within the search at one budget."""

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = at

    def maximise(self, table: Any, budget: float, *rest: Any) -> Outcome:
        if budget == self.at:
            raise KeyboardInterrupt
        return super().maximise(table, budget, *rest)

    def improve(self, table: Any, budget: float, *rest: Any) -> Outcome:
        if budget == self.at:
            raise KeyboardInterrupt
        return super().improve(table, budget, *rest)


@pytest.mark.parametrize("answered", [0, 1, 4])
def test_ctrl_c_keeps_the_budgets_that_were_answered(answered: int) -> None:
    prepared = workloads.workload(6, seed=2).prepare()
    budgets = prepared.smallest_budget() * np.linspace(0.9, 2.5, 6)
    whole = prepared.frontier(budgets)
    with pytest.raises(InterruptedSearch) as stopped:
        prepared.frontier(budgets, method=Pressed(budgets[answered]))
    found = stopped.value.frontier
    if not answered:  # nothing fits the first
        assert found is None or found.results == (None,)
    else:
        assert found is not None and found.budgets.tolist() == budgets[:answered].tolist()
        np.testing.assert_allclose(found.objectives, whole.objectives[:answered], atol=1e-6)


class Careless:
    """Exact at some budgets; at the others the cheapest schedule and no bound to speak of."""

    name = "careless"
    aggregates = ("mean",)
    exact = False

    def __init__(self, careful: set[float]) -> None:
        self.careful = careful

    def maximise(self, table: Any, budget: float, limits: Any, aggregate: str, staircases: Any) -> Outcome:
        if budget in self.careful:
            return METHODS["branch-and-bound"].maximise(table, budget, limits, aggregate, staircases)
        tree = SearchTree(table.packed)
        tree.cheapest(0.0)
        return Outcome(cells=tree.tree.best, bound=1.0, nodes=0, finished=False, method=self.name)


def test_schedules_serve_larger_budgets_and_bounds_smaller_ones() -> None:
    made = workloads.workload(6, seed=2)
    prepared = made.prepare()
    low, high = 1.2 * prepared.smallest_budget(), prepared.useful_budget()
    budgets = [low, 1.1 * low, 0.9 * high, high, 2 * high, 3 * high]
    results = prepared.frontier(budgets, method=Careless({low, high, 3 * high})).results
    first, second, third, fourth, fifth, last = results
    # A schedule found once is good for all larger budgets, and the bound for all smaller ones.
    assert second.objective == third.objective == first.objective and third.cost <= low * (1 + 1e-9)
    assert second.bound == third.bound == fourth.bound < 1
    assert [result.status for result in results] == ["optimal", "feasible", "feasible", *["optimal"] * 3]
    assert fifth.objective == fourth.objective and fifth.bound == last.bound


def test_bad_budgets_and_apps_out_of_reach() -> None:
    made = workloads.workload(3, seed=1)
    for budgets, message in (([], "there is none"), ([1.0, -2.0], "got -2.0"), ([float("nan")], "got nan")):
        with pytest.raises(ProblemError, match=f"budgets: {message}"):
            frontier(made.apps, made.model, made.video, budgets)
    stuck = [{**app.model_dump(exclude_none=True), "min_value": 1.0} for app in made.objects()]
    with pytest.raises(InfeasibleError, match="at any budget"):
        frontier(stuck, made.model, made.video, [1.0, 10.0])


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return run_here(*words, COLUMNS="120", NO_COLOR="1")


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
        (["--mode", "sharing"], "mode: got 'sharing'; it has to be 'mainstream', 'no-sharing' or 'max-sharing'"),
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


def test_ctrl_c_in_the_command_shows_and_saves_the_budgets_that_were_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    press_at(monkeypatch, budget=60)
    arguments = "frontier", PROBLEMS / "tiny.yaml", "--budgets", "20,40,60,80"
    done = run_here(*arguments, "--csv", tmp_path / "f.csv", "--plot", tmp_path / "f.svg")
    said = done.stderr.splitlines()[-1]  # the first may be of compiling
    assert (done.returncode, said) == (130, "mainstream: interrupted; 2 of 4 budgets are answered:")
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["20", "40"]
    with (tmp_path / "f.csv").open(newline="") as file:
        assert [float(row["budget"]) for row in csv.DictReader(file)] == [20, 40]
    assert (tmp_path / "f.svg").is_file()
    done = run_here(*arguments[:2], "--budgets", "60,80", "--csv", tmp_path / "none.csv")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "mainstream: interrupted\n")
    assert not (tmp_path / "none.csv").exists()


def press_at(monkeypatch: pytest.MonkeyPatch, budget: float) -> None:
    """Ctrl-C at the beginning of each search within this budget."""
    plain = Prepared._answer

    def press(self: Prepared, asked: float, *given: Any, **how: Any) -> Any:
        if asked == budget:
            signal.raise_signal(signal.SIGINT)
        return plain(self, asked, *given, **how)

    monkeypatch.setattr(Prepared, "_answer", press)


def test_ctrl_c_in_methods_keeps_those_that_have_come_to_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, ended = Prepared.solve, []

    def press(self: Prepared, *given: Any, **how: Any) -> Any:
        if how["time_limit"] > 1e-3:  # no warming up
            if len(ended) == 2:
                signal.raise_signal(signal.SIGINT)
            ended.append(how["method"])
        return plain(self, *given, **how)

    monkeypatch.setattr(Prepared, "solve", press)
    done = run_here("methods", PROBLEMS / "tiny.yaml")
    assert done.returncode == 130
    said = done.stderr.splitlines()[-1]  # the first may be of compiling
    assert said == f"mainstream: interrupted; 2 of {len(METHODS)} methods have come to their end:"
    assert [line.split()[0] for line in done.stdout.splitlines()[2:]] == ended
