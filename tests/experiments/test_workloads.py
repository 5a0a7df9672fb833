"""Generated problems: the same again from the same seed, realistic, and hard at the budget that is called so."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import run_here

from mainstream import Apps, InfeasibleError, ProblemError, prepare, solve
from mainstream.apps import AUTO_VOTE
from mainstream.experiments.workloads import Workload, hard_budget, workload
from mainstream.io import load_curve, load_problem, load_profile

DATA = Path(__file__).parents[2] / "data"


def assert_same(apps: Apps, others: Apps) -> None:
    for column, values in vars(apps).items():
        np.testing.assert_array_equal(values, getattr(others, column), err_msg=column)


def test_the_same_arguments_give_the_same_workload() -> None:
    first, again = (workload(20, seed=5) for _ in range(2))
    assert_same(first.apps, again.apps)
    assert first.model == again.model
    for other in (workload(20, seed=6), workload(20, seed=5, voting=1.0)):
        assert not np.array_equal(first.apps.x_vote, other.apps.x_vote)


@pytest.mark.parametrize("curves", [False, True])
def test_objects_and_columns_are_the_same_apps(curves: bool) -> None:
    files = sorted((DATA / "curves").glob("*.csv"))
    made = workload(12, seed=2, curves=[load_curve(file) for file in files] if curves else [])
    assert_same(made.apps, Apps.of(made.objects()))


def test_curves_fall_with_noise() -> None:
    made = workload(500, seed=1, chokepoints=16, rates=12, voting=0.25)
    accuracies = made.apps.accuracies
    assert accuracies.shape == made.apps.false_positive_rates.shape == (500, 16)
    assert made.video.rates("mainstream").tolist() == list(range(1, 13))
    steps = np.diff(accuracies, axis=1)
    assert 0.6 < (steps < 0).mean() < 0.95
    assert (accuracies[:, 0] > accuracies[:, -1]).mean() > 0.95
    assert (made.apps.false_positive_rates < 1.0001 - accuracies).all()
    assert (made.apps.x_vote == AUTO_VOTE).mean() == pytest.approx(0.25, abs=0.06)
    assert set(np.unique(made.apps.x_vote)) == {AUTO_VOTE, 0, 1, 2, 3}
    assert made.model.prefix[-1] == pytest.approx(4.0, rel=1e-3)


def test_measured_curves_keep_their_shape() -> None:
    curves = [load_curve(DATA / "curves" / f"{name}.csv") for name in ("pedestrian", "produce")]
    model = load_profile(DATA / "profiles" / "mobilenetv2-96.json")
    made = workload(200, seed=1, model=model, curves=curves)
    made.apps.check(made.model, made.video, "mainstream")
    measured = np.array([list(curve.accuracies.values()) for curve in curves])
    nearest = np.abs(made.apps.accuracies[:, None, :] - measured).mean(axis=2).min(axis=1)
    assert 0.0 < nearest.mean() < 0.05
    assert nearest.max() < 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n: got 0; it has to be at least 1"),
        ({"n": 10**8}, "n: got 100000000; it has to be at most 10000000"),
        ({"n": 2.5}, "n: got 2.5; it has to be a whole number, 1 to 10000000"),
        ({"rates": 1001}, "rates: got 1001; it has to be at most 1000"),
        ({"voting": np.nan}, "voting: got nan; it has to be a number in [0, 1]"),
        ({"seed": -1}, "seed: got -1; it has to be at least 0"),
        ({"chokepoints": 1}, "chokepoints: got 1; it has to be at least 2"),
        ({"rates": 0}, "rates: got 0; it has to be at least 1"),
        ({"voting": 1.5}, "voting: got 1.5; it has to be a number in [0, 1]"),
        ({"chokepoints": 30, "model": "profile"}, "chokepoints: got 30; the model has only 21"),
        ({"curves": [load_curve(DATA / "curves" / "animals.csv")._replace(false_positive_rates=None)]}, "curves: all"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    if arguments.get("model") == "profile":
        arguments = {**arguments, "model": load_profile(DATA / "profiles" / "mobilenetv2-96.json")}
    with pytest.raises(ProblemError) as refusal:
        workload(**{"n": 3, "seed": 1, **arguments})
    assert str(refusal.value).startswith(message)


def objective(made: Workload, budget: float) -> float:
    return solve(made.apps, made.model, made.video, budget).objective


@pytest.mark.parametrize(("n", "seed"), [(5, 1), (30, 2), (200, 3)])
def test_the_hard_budget_is_between_the_smallest_and_twice_that(n: int, seed: int) -> None:
    made = workload(n, seed=seed)
    least = made.prepare().smallest_budget()
    with pytest.raises(InfeasibleError):
        solve(made.apps, made.model, made.video, 0.999 * least)
    budget = hard_budget(made.prepare())
    assert least < budget < 2 * least
    assert budget == float(f"{budget:.4g}")
    assert objective(made, least) < objective(made, budget) < objective(made, 2 * least)


def test_an_infeasible_problem_has_no_smallest_budget() -> None:
    made = workload(3, seed=1)
    apps = [app.model_copy(update={"min_value": 1.0}) for app in made.objects()]
    with pytest.raises(InfeasibleError):
        prepare(apps, made.model, made.video).smallest_budget()


def test_generate_writes_the_district_as_it_stands(tmp_path: Path) -> None:
    district = (DATA / "problems" / "district.yaml").read_text(encoding="utf-8")
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^      (mainstream workloads generate (?:.*\\\n)*.*)$", readme, flags=re.MULTILINE)
    assert len(commands) == 1
    words = shlex.split(commands[0].replace("\\\n", " "))
    for folder in ("curves", "profiles"):
        shutil.copytree(DATA / folder, tmp_path / "data" / folder)
    (tmp_path / "data" / "problems").mkdir()
    run_here(*words[1:], cwd=tmp_path).check_returncode()
    assert (tmp_path / "data" / "problems" / "district.yaml").read_text(encoding="utf-8") == district


def test_generate_writes_a_hard_problem_that_solves(tmp_path: Path) -> None:
    path = tmp_path / "made.yaml"
    arguments = [
        "workloads",
        "generate",
        "-n",
        "7",
        "--seed",
        "4",
        "--num-chokepoints",
        "5",
        "--stream-fps",
        "3",
        "-o",
        str(path),
    ]
    run_here(*arguments).check_returncode()
    made = workload(7, seed=4, chokepoints=5, rates=3)
    problem = load_problem(path)
    assert (problem.apps, problem.model, problem.video) == (made.objects(), made.model, made.video)
    assert problem.budget == hard_budget(made.prepare())
    done = run_here("workloads", "generate", "-n", "0", "-o", path)
    assert (done.returncode, done.stderr) == (2, "mainstream: n: got 0; it has to be at least 1\n")
