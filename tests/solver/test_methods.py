"""Every method, with constraints, optional apps, weights and both aggregates, against the exhaustive oracle."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from support import oracle, streams

from mainstream import Apps, InfeasibleError, ProblemError, Result, solve
from mainstream.experiments import workloads

# CP-SAT counts in units of 2 ** -30.
GAP = {"branch-and-bound": 1e-9, "auto": 1e-9, "cp-sat": 1e-7, "greedy": 1e-9, "greedy-released": 1e-9}


def run(problem: dict[str, Any], budget: float, method: str, aggregate: str = "mean") -> Result:
    return oracle.run(problem, budget, method=method, aggregate=aggregate, gap=GAP[method])


@pytest.mark.parametrize("aggregate", ["mean", "min"])
@pytest.mark.parametrize("method", ["branch-and-bound", "cp-sat", "auto"])
@pytest.mark.parametrize("seed", range(40))
def test_exact_methods_agree_with_the_oracle(seed: int, method: str, aggregate: str) -> None:
    seed = 10_000 + seed
    problem = oracle.random_problem(seed, constraints=True)
    for budget in oracle.budgets(problem, seed):
        expected = oracle.best(problem, budget, aggregate)
        if expected.objective is None:
            with pytest.raises(InfeasibleError) as infeasible:
                run(problem, budget, method, aggregate)
            if expected.smallest < np.inf:
                assert infeasible.value.smallest_budget == pytest.approx(expected.smallest)
            continue
        result = run(problem, budget, method, aggregate)
        assert result.status == "optimal"
        assert result.objective == pytest.approx(expected.objective, abs=1.1 * GAP[method])
        assert result.bound >= expected.objective - 1e-12
        assert result.cost <= budget * (1 + 1e-9)
        admitted = {choice.app_id for choice in result.choices}
        assert admitted.isdisjoint(result.left_out)
        assert len(admitted) + len(result.left_out) == len(problem["apps"])
        for app in problem["apps"]:
            assert app.get("optional") or app["app_id"] in admitted
        if aggregate == "min":
            assert result.mean == pytest.approx(expected.mean, abs=1.1 * GAP[method])
            assert result.mean_bound is not None and result.mean_bound >= expected.mean - 1e-12


def test_out_of_reach_at_any_budget() -> None:
    for seed in range(200):
        problem = oracle.random_problem(seed, constraints=True)
        problem["apps"][0] |= {"min_value": 1.0, "optional": False, "event_length_ms": 1, "x_vote": 7}
        with pytest.raises(InfeasibleError, match="app 0") as infeasible:
            run(problem, 1e6, "auto")
        assert infeasible.value.smallest_budget is None


def middling(seed: int) -> tuple[Any, float]:
    n = int(np.random.default_rng(seed).integers(5, 21))
    made = workloads.workload(n, seed=seed, chokepoints=5, rates=5)
    return made, workloads.hard_budget(made.prepare())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
def test_branch_and_bound_against_cp_sat(seed: int) -> None:
    made, budget = middling(seed)
    tree = solve(made.apps, made.model, made.video, budget, method="branch-and-bound")
    other = solve(made.apps, made.model, made.video, budget, method="cp-sat", time_limit=60)
    assert tree.status == "optimal"
    assert other.bound >= tree.objective - 1e-12
    assert tree.bound >= other.objective - 1e-12
    if other.status == "optimal":
        assert other.objective == pytest.approx(tree.objective, abs=2.1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("library", ["tensorflow", "highspy"])
def test_cp_sat_beside_what_it_crashes_with(library: str) -> None:
    made, budget = middling(5)
    code = f"""
import {library}
from mainstream import InfeasibleError, solve
from mainstream.experiments import workloads
made = workloads.workload({len(made.apps)}, seed=5, chokepoints=5, rates=5)
result = solve(made.apps, made.model, made.video, {budget!r}, method="cp-sat", time_limit=60)
print(result.status, result.method, repr(result.objective))
try:
    solve(made.apps, made.model, made.video, 1e-3, method="cp-sat")
except InfeasibleError as error:
    print(repr(error.smallest_budget))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    status, method, objective, smallest = answer.stdout.split()
    assert (status, method) == ("optimal", "cp-sat")
    assert float(objective) == pytest.approx(solve(made.apps, made.model, made.video, budget).objective, abs=2.1e-6)
    assert float(smallest) == pytest.approx(made.prepare().smallest_budget())


@pytest.mark.parametrize("seed", range(30))
def test_cp_sat_out_of_time_keeps_its_bound_valid(seed: int) -> None:
    made, budget = middling(1000 + seed)
    best = solve(made.apps, made.model, made.video, budget).objective
    hurried = solve(made.apps, made.model, made.video, budget, method="cp-sat", time_limit=0.05)
    assert hurried.objective - 1e-6 <= best <= hurried.bound + 1e-12
    assert hurried.cost <= budget * (1 + 1e-9)


@pytest.mark.parametrize("method", ["greedy", "greedy-released"])
@pytest.mark.parametrize("seed", range(60))
def test_greedies_fit_and_stay_below_the_bound(seed: int, method: str) -> None:
    problem = oracle.random_problem(seed, constraints=True)
    for budget in oracle.budgets(problem, seed):
        expected = oracle.best(problem, budget)
        if expected.objective is None:
            with pytest.raises(InfeasibleError):
                run(problem, budget, method)
            continue
        result = run(problem, budget, method)
        assert result.cost <= budget * (1 + 1e-9)
        assert result.objective <= expected.objective + 1e-9 <= result.bound + 2e-9


def released_by_hand(problem: dict[str, Any], budget: float) -> list[oracle.Option]:
    """The published rule, transcribed: no packing, no pruning, the cost layer by layer."""
    given = (problem["video"]["fps_options"], problem["video"]["stream_fps"])
    rest = (problem["metric"], problem["mode"], problem["event_model"])
    latencies, mode = problem["model"]["layer_latencies"], problem["mode"]
    every = [oracle.options(app, *given, *rest) for app in problem["apps"]]
    current = [max(own, key=lambda o: (o.num_frozen, -o.fps)) for own in every]
    if oracle.cost(tuple(current), latencies, mode) > budget * (1 + 1e-9):
        return []
    total = len(latencies)

    def tail(option: oracle.Option) -> float:
        shared = option.num_frozen if option.num_frozen > 1 and mode != "no-sharing" else 0
        return sum(latencies[shared:total]) * option.fps

    while True:
        best, best_score = None, -np.inf
        for i, own in enumerate(every):
            for option in sorted(own, key=lambda o: (o.fps, o.num_frozen)):
                if 1 - option.value >= 1 - current[i].value:
                    continue
                after = (*current[:i], option, *current[i + 1 :])
                if oracle.cost(after, latencies, mode) > budget * (1 + 1e-9):
                    continue
                score = (1 - option.value) / tail(option)
                if score > best_score * (1 + 1e-12):
                    best, best_score = (i, option), score
        if best is None:
            return current
        current[best[0]] = best[1]


def test_greedy_released_follows_the_published_rule() -> None:
    compared = 0
    for seed in range(300):
        problem = oracle.random_problem(seed)
        # Latencies of 0 would leave ties between depths that only the order of sums decides.
        problem["model"]["layer_latencies"] = [x + 0.1 for x in problem["model"]["layer_latencies"]]
        for budget in list(oracle.budgets(problem, seed))[2:]:
            expected = released_by_hand(problem, budget)
            if expected:
                result = run(problem, budget, "greedy-released")
                assert [(c.num_frozen, c.target_fps) for c in result.choices] == [
                    (o.num_frozen, o.fps) for o in expected
                ], f"seed {seed}"
                compared += 1
    assert compared > 300


def climb_by_hand(problems: list[dict[str, Any]], budget: float) -> float:
    """Our greedy's rule, transcribed, for one stream or several; returns the objective."""
    first = problems[0]
    mode, rest = first["mode"], (first["metric"], first["mode"], first["event_model"])
    every, weights, ends = [], [], [0]
    for problem in problems:
        given = (problem["video"]["fps_options"], problem["video"]["stream_fps"])
        every += [oracle.options(app, *given, *rest) for app in problem["apps"]]
        weights += [app.get("weight", 1.0) for app in problem["apps"]]
        ends.append(len(every))

    def cost(picked: list[oracle.Option]) -> float:
        return sum(
            oracle.cost(tuple(picked[begin:end]), problem["model"]["layer_latencies"], mode)
            for problem, begin, end in zip(problems, ends, ends[1:], strict=False)
        )

    current = [max(own, key=lambda o: (o.num_frozen, -o.fps)) for own in every]
    spent = cost(current)
    if spent > budget * (1 + 1e-9):
        return np.nan
    while True:
        best, best_score = None, (0.0, 0.0)
        for i, own in enumerate(every):
            for option in own:
                gain = weights[i] * (option.value - current[i].value)
                extra = cost([*current[:i], option, *current[i + 1 :]]) - spent
                if gain <= 0 or spent + extra > budget * (1 + 1e-9):
                    continue
                score = (gain / extra if extra > 1e-9 else np.inf, gain)
                if score > best_score:
                    best, best_score = (i, option), score
        if best is None:
            return float(np.average([o.value for o in current], weights=weights))
        current[best[0]] = best[1]
        spent = cost(current)


def test_greedy_follows_its_rule() -> None:
    compared = equal = 0
    for seed in range(300):
        problem = oracle.random_problem(seed)
        problem["model"]["layer_latencies"] = [
            x + 0.1 + 1e-3 * np.sin(i) for i, x in enumerate(problem["model"]["layer_latencies"])
        ]
        for budget in list(oracle.budgets(problem, seed))[2:]:
            expected = climb_by_hand([problem], budget)
            if not np.isnan(expected):
                compared += 1
                equal += run(problem, budget, "greedy").objective == pytest.approx(expected, abs=1e-9)
    # Ties between moves may fall either way.
    assert compared > 300 and equal >= 0.98 * compared


def test_greedy_follows_its_rule_over_streams() -> None:
    compared = equal = 0
    for seed in range(60):
        problems = streams.random_streams(seed)
        for g, problem in enumerate(problems):
            latencies = [x + 0.1 + 1e-3 * np.sin(i + g) for i, x in enumerate(problem["model"]["layer_latencies"])]
            problem["model"] = {**problem["model"], "layer_latencies": latencies}
        costs = streams.every_schedule(problems).cost
        for budget in [] if not len(costs) else [f * float(costs.min()) for f in (1.2, 2.0, 5.0)]:
            expected = climb_by_hand(problems, budget)
            if not np.isnan(expected):
                compared += 1
                found = streams.run(problems, budget, method="greedy").objective
                equal += found == pytest.approx(expected, abs=1e-9)
    assert compared > 60 and equal >= 0.98 * compared


def test_greedies_take_no_other_aggregate() -> None:
    with pytest.raises(ProblemError, match="only takes aggregate 'mean'"):
        run(oracle.random_problem(1), 1e6, "greedy", "min")


def test_auto_hands_a_small_case_that_meets_its_limit_to_cp_sat(monkeypatch: pytest.MonkeyPatch) -> None:
    from mainstream.solver import branch_and_bound

    made, budget = middling(3)
    best = solve(made.apps, made.model, made.video, budget).objective
    # No states for the cores, no slots to grow into: a search that soon has to give up.
    monkeypatch.setattr(branch_and_bound, "_FIRST_STATES", 1)
    monkeypatch.setattr(branch_and_bound, "_MOST_STATES", 0)
    monkeypatch.setattr(branch_and_bound, "_FIRST_SLOTS", 2)
    alone = solve(made.apps, made.model, made.video, budget, method="branch-and-bound")
    together = solve(made.apps, made.model, made.video, budget)
    assert alone.status == "feasible" and alone.bound >= best - 1e-12
    assert together.status == "optimal" and together.objective == pytest.approx(best, abs=1e-6)
    assert together.method == "branch-and-bound, cp-sat"


def test_greedy_on_many_apps() -> None:
    made = workloads.workload(20_000, seed=5)
    least = made.prepare().smallest_budget()
    quick = solve(made.apps, made.model, made.video, 2 * least, method="greedy")
    assert quick.cost <= 2 * least * (1 + 1e-9)
    assert solve(made.apps, made.model, made.video, least).objective < quick.objective <= quick.bound
    # Nothing that gains anything still fits: no app can move up within the stem that is there.
    choices, rates = quick.schedule, made.video.rates("mainstream")
    slack = quick.budget - quick.cost
    cheapest_step = (made.model.prefix[-1] - made.model.prefix[choices.num_frozen]) * np.diff(
        rates, append=np.inf
    ).min()
    assert slack < cheapest_step.max()


@pytest.mark.parametrize("seed", range(3))
def test_greedy_loses_little_on_hundreds_of_apps(seed: int) -> None:
    made = workloads.workload(300, seed=seed)
    problem = (made.apps, made.model, made.video, workloads.hard_budget(made.prepare()))
    best, quick = solve(*problem), solve(*problem, method="greedy")
    assert quick.cost <= quick.budget * (1 + 1e-9)
    # Moves of one app each lose about 8 %: none of them pays for a faster stem.
    assert quick.objective >= 0.98 * best.objective


def test_columns_carry_the_constraints() -> None:
    accuracies = np.tile([0.9, 0.8, 0.6], (4, 1))
    model = {"total_layers": 10, "layer_latencies": [1.0] * 10, "frozen_layer_names": {0: "a", 4: "b", 8: "c"}}
    apps = Apps.from_arrays(
        accuracies, None, [0, 4, 8], event_length_ms=300, min_fps=[2, 0, 0, 0], max_fps=[10, 1, 10, 10],
        min_value=[0, 0, 0.5, 0], optional=[False, False, False, True],
    )  # fmt: skip
    result = solve(apps, model, {"stream_fps": 5}, 60)
    by_id = {choice.app_id: choice for choice in result.choices}
    assert by_id[0].target_fps >= 2 and by_id[1].target_fps == 1 and by_id[2].value >= 0.5


def test_greedy_follows_its_rule_on_more_apps() -> None:
    for seed in range(3):
        made = workloads.workload(9, seed=seed, chokepoints=5, rates=5)
        problem = {
            "apps": [{k: v for k, v in app.model_dump().items() if v is not None} for app in made.objects()],
            "model": {"layer_latencies": made.model.layer_latencies},
            "video": {"stream_fps": 5, "fps_options": [1.0, 2.0, 3.0, 4.0, 5.0]},
            "metric": "f1",
            "mode": "mainstream",
            "event_model": "windowed",
        }
        budget = (1.2 + 0.2 * (seed % 5)) * made.prepare().smallest_budget()
        result = solve(made.apps, made.model, made.video, budget, method="greedy")
        assert result.objective == pytest.approx(climb_by_hand([problem], budget), abs=1e-9), f"seed {seed}"
