"""Memory as a second resource: against every schedule there is, and what can be wrong with it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from support import oracle, streams

from mainstream import InfeasibleError, ProblemError, Stream, frontier, prepare, solve
from mainstream.experiments import workloads
from mainstream.schedule import Result
from mainstream.solver import branch_and_bound

MODEL = {
    "total_layers": 4,
    "layer_latencies": [1, 2, 3, 4],
    "layer_memory_mb": [10, 10, 30, 50],
    "frozen_layer_names": {2: "a", 3: "b"},
}
VIDEO = {"stream_fps": 2}


def app(app_id: int, **keys: Any) -> dict[str, Any]:
    return {"app_id": app_id, "accuracies": {0: 0.9, 2: 0.8, 3: 0.6}, "event_length_ms": 700, **keys}


def problem_of(seed: int) -> list[dict[str, Any]]:
    """One stream or several, with megabytes: whole ones now and then, so that many schedules take as much."""
    rng = np.random.default_rng([seed, 2])
    problems = streams.random_streams(seed)
    if seed % 2:
        problems = [oracle.random_problem(seed, constraints=seed % 4 == 1)]
    for problem in problems:
        layers = problem["model"]["total_layers"]
        mb = rng.integers(0, 5, layers) if rng.random() < 0.4 else rng.uniform(0, 3, layers)
        problem["model"] = {**problem["model"], "layer_memory_mb": [float(x) for x in mb]}
    return problems


def limits_of(seed: int, tried: streams.Tried) -> list[tuple[float, float]]:
    """Budgets and megabytes near what some schedule takes of both."""
    rng = np.random.default_rng([seed, 3])
    chosen = rng.integers(len(tried.cost), size=3)
    return [
        (
            float(tried.cost[k] * rng.choice([1, 1, 1.1, 0.98, 2])),
            float(tried.memory[k] * rng.choice([1, 1, 1.05, 0.97, 1.5])),
        )
        for k in chosen
        if tried.cost[k] > 0 and tried.memory[k] > 0
    ]


@pytest.mark.parametrize("patience", [30, -1])  # -1: unequal shares from the root on
@pytest.mark.parametrize("seed", range(40))
def test_the_oracle_agrees(seed: int, patience: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branch_and_bound, "_PATIENCE", patience)
    problems = problem_of(seed)
    tried = streams.every_schedule(problems)
    if not len(tried.cost):
        return
    for budget, memory in limits_of(seed, tried):
        for aggregate in ("mean", "min"):
            best = streams.best(tried, budget, aggregate, memory)
            try:
                found = streams.run(problems, budget, memory_mb=memory, aggregate=aggregate, gap=1e-9)
            except InfeasibleError as error:
                assert best is None
                lean = tried.cost[tried.memory <= memory * (1 + 1e-9)]
                assert (error.smallest_budget is None) == (not len(lean))
                if len(lean):
                    assert error.smallest_budget == pytest.approx(lean.min(), rel=2e-9)
                continue
            assert best is not None
            assert found.cost <= budget * (1 + 2e-9) and (found.memory or 0) <= memory * (1 + 2e-9)
            assert found.objective == pytest.approx(best[0], abs=1e-8) and found.bound >= best[0] - 1e-9
            if aggregate == "min":
                assert found.mean == pytest.approx(best[1], abs=1e-7)


@pytest.mark.parametrize("method", ["cp-sat", "greedy", "greedy-released"])
@pytest.mark.parametrize("seed", range(0, 30, 3))
def test_every_method_keeps_to_the_memory(seed: int, method: str) -> None:
    problems = problem_of(seed)
    tried = streams.every_schedule(problems)
    if not len(tried.cost):
        return
    for budget, memory in limits_of(seed, tried):
        best = streams.best(tried, budget, "mean", memory)
        try:
            found = streams.run(problems, budget, memory_mb=memory, method=method)
        except InfeasibleError:
            assert best is None
            continue
        assert best is not None
        assert found.cost <= budget * (1 + 2e-9) and (found.memory or 0) <= memory * (1 + 2e-9)
        assert found.bound >= best[0] - 1e-9 and found.objective <= best[0] + 1e-9
        if method == "cp-sat":
            assert found.objective == pytest.approx(best[0], abs=2e-6)


def test_greedy_counts_the_memory_of_layers_that_cost_nothing() -> None:
    for seed in range(30):
        problems = problem_of(seed)
        for problem in problems:
            problem["model"] = {
                **problem["model"],
                "layer_latencies": [0.0] * (problem["model"]["total_layers"] - 1) + [1.0],
            }
        tried = streams.every_schedule(problems)
        for budget, memory in limits_of(seed, tried) if len(tried.cost) else []:
            if streams.best(tried, budget, "mean", memory) is not None:
                found = streams.run(problems, budget, memory_mb=memory, method="greedy")
                assert (found.memory or 0) <= memory * (1 + 2e-9)


def with_memory(n: int, seed: int) -> tuple[list[Any], dict[str, Any], Any, float]:
    """A workload whose layers take megabytes, more of them the deeper they are; and its hard budget."""
    made = workloads.workload(n, seed=seed)
    mb = np.linspace(1, 3, made.model.total_layers).round(2).tolist()
    model = {**made.model.model_dump(exclude_none=True), "layer_memory_mb": mb}
    return list(made.objects()), model, made.video, workloads.hard_budget(made.prepare())


@pytest.mark.parametrize("seed", range(3))
def test_cp_sat_and_the_search_agree_on_ten_apps(seed: int) -> None:
    apps, model, video, budget = with_memory(10, seed)
    free = solve(apps, model, video, budget)
    assert free.memory is not None
    for share in (0.9, 0.7):
        ours = solve(apps, model, video, budget, memory_mb=share * free.memory, method="branch-and-bound")
        theirs = solve(apps, model, video, budget, memory_mb=share * free.memory, method="cp-sat")
        assert ours.status == theirs.status == "optimal"
        assert ours.objective == pytest.approx(theirs.objective, abs=2e-6)
        assert ours.objective < free.objective
        assert ours.nodes <= 3000


def test_memory_that_is_enough_changes_nothing() -> None:
    apps, model, video, budget = with_memory(10, 5)
    free = solve(apps, model, video, budget)
    assert free.memory is not None and free.memory_mb is None
    for enough in (free.memory, 1e9):
        again = solve(apps, model, video, budget, memory_mb=enough)
        assert again.objective == pytest.approx(free.objective, abs=2e-6)


def test_a_frontier_keeps_to_the_memory() -> None:
    budgets = [9.0, 12.0, 30.0, 60.0]
    curve = frontier([app(0), app(1)], MODEL, VIDEO, budgets, memory_mb=150)
    for budget, found in zip(budgets, curve.results, strict=True):
        if found is not None:
            assert found.memory is not None and found.memory <= 150
            alone = solve([app(0), app(1)], MODEL, VIDEO, budget, memory_mb=150)
            assert found.objective == pytest.approx(alone.objective, abs=2e-6)
    assert curve.results[0] is None and curve.results[-1] is not None


def test_the_result_says_what_the_models_take() -> None:
    result = solve([app(0), app(1)], MODEL, VIDEO, 60, memory_mb=150)
    assert result.memory == 150  # the stem's three layers, 50 MB, and two tails of 50 MB
    assert [choice.num_frozen for choice in result.choices] == [3, 3]
    assert "memory     150 of 150 MB" in str(result)
    assert Result.from_json(result.to_json()) == result
    assert Result.from_json(result.to_json()).memory == 150
    looser = prepare([app(0), app(1)], MODEL, VIDEO, 60, memory_mb=180).solve()
    assert looser.objective > result.objective and looser.memory == 180
    old = result.to_dict()
    del old["memory_mb"], old["stream_memory_mb"]
    assert Result.from_json(json.dumps(old)).memory is None


def test_an_app_that_comes_is_under_the_same_limit() -> None:
    made = prepare([app(0)], MODEL, VIDEO, 60, memory_mb=150)
    both = made.with_app(app(1))
    assert both.solve().objective == pytest.approx(solve([app(0), app(1)], MODEL, VIDEO, 60, memory_mb=150).objective)
    assert both.without(0).memory_mb == 150


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda: solve([app(0)], {**MODEL, "layer_memory_mb": None}, VIDEO, 60, memory_mb=9),
            "memory_mb: the model has no layer_memory_mb; give the megabytes of each layer there",
        ),
        (
            lambda: solve(
                [Stream([app(0)], MODEL, VIDEO), Stream([app(1)], {**MODEL, "layer_memory_mb": None}, VIDEO)],
                budget=60,
                memory_mb=9,
            ),
            r"memory_mb: the model of streams\[1\] has no layer_memory_mb",
        ),
        (
            lambda: solve([app(0)], {**MODEL, "layer_memory_mb": [1, 2]}, VIDEO, 60),
            "layer_memory_mb has 2 values, total_layers is 4; there has to be one for each layer",
        ),
        (lambda: solve([app(0)], {**MODEL, "layer_memory_mb": [1, 2, 3, -4]}, VIDEO, 60), "layer_memory_mb"),
        (lambda: solve([app(0)], MODEL, VIDEO, 60, memory_mb=0), "memory_mb"),
        (lambda: solve([app(0)], MODEL, VIDEO, 60, memory_mb=float("nan")), "memory_mb"),
        (
            lambda: solve([app(0), app(1)], MODEL, VIDEO, 60, memory_mb=149),
            r"no schedule fits memory_mb 149(\.\d+)?; the smallest that would do is 150",
        ),
        (
            lambda: solve([app(0), app(1)], MODEL, VIDEO, 5, memory_mb=150),
            "no schedule fits the budget 5.*; the smallest budget that would do is 14",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(ask: Any, message: str) -> None:
    with pytest.raises((ProblemError, InfeasibleError), match=message) as error:
        ask()
    assert "\n" not in str(error.value)
