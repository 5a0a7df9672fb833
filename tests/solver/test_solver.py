"""The search against an exhaustive oracle, and what has to hold of every answer."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import oracle

import mainstream
from mainstream import Apps, InfeasibleError, InterruptedSearch, ProblemError, prepare, solve
from mainstream.experiments import workloads


def check(result: mainstream.Result, problem: dict[str, Any]) -> None:
    """Value and cost, recomputed from the choices alone."""
    by_id = {app["app_id"]: app for app in problem["apps"]}
    picked = []
    weighted = total = 0.0
    for choice in result.choices:
        app = by_id[choice.app_id]
        every = oracle.options(
            app, problem["video"]["fps_options"], problem["video"]["stream_fps"],
            problem["metric"], problem["mode"], problem["event_model"],
        )  # fmt: skip
        own = [o for o in every if (o.num_frozen, o.fps) == (choice.num_frozen, choice.target_fps)]
        assert len(own) == 1, f"{choice} is not an option of {app}"
        assert choice.value == pytest.approx(own[0].value, abs=1e-12)
        assert choice.value == pytest.approx(
            {"f1": choice.f1, "recall": choice.recall}.get(problem["metric"], choice.value)
        )
        picked.append(own[0])
        weighted += app.get("weight", 1.0) * choice.value
    total = sum(app.get("weight", 1.0) for app in problem["apps"])
    spent = oracle.cost(tuple(picked), problem["model"]["layer_latencies"], problem["mode"])
    assert result.cost == pytest.approx(spent, rel=1e-12)
    assert result.cost <= result.budget * (1 + 1e-9) + 1e-12
    if result.aggregate == "mean":
        assert result.objective == pytest.approx(weighted / total, abs=1e-12)
    assert result.bound >= result.objective
    assert result.gap <= 1e-9 + 1e-12
    assert result.status == "optimal"


@pytest.mark.parametrize("seed", range(250))
def test_the_exhaustive_oracle_agrees(seed: int) -> None:
    problem = oracle.random_problem(seed)
    for budget in oracle.budgets(problem, seed):
        expected = oracle.best(problem, budget)
        if expected.objective is None:
            with pytest.raises(InfeasibleError) as infeasible:
                oracle.run(problem, budget)
            assert infeasible.value.smallest_budget == pytest.approx(expected.smallest, rel=1e-9)
            continue
        result = oracle.run(problem, budget, gap=1e-9)
        check(result, problem)
        assert result.objective == pytest.approx(expected.objective, abs=1.1e-9)


sizes = st.integers(2, 25)
seeds = st.integers(0, 2**31)
relaxed = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def generated(n: int, seed: int) -> tuple[Apps, Any, Any, float]:
    made = workloads.workload(n, seed=seed)
    smallest = made.prepare().smallest_budget()
    return made.apps, made.model, made.video, smallest


@relaxed
@given(sizes, seeds, st.floats(1.0, 4.0))
def test_bound_and_budget_hold(n: int, seed: int, factor: float) -> None:
    apps, model, video, smallest = generated(n, seed)
    result = solve(apps, model, video, smallest * factor)
    assert result.cost <= result.budget * (1 + 1e-9)
    assert result.objective <= result.bound <= result.objective + 1e-6
    assert result.objective == pytest.approx(np.average([c.value for c in result.choices], weights=apps.weight))


@relaxed
@given(sizes, seeds, st.floats(1.0, 3.0), st.floats(1.0, 1.5))
def test_more_budget_is_never_worse(n: int, seed: int, factor: float, more: float) -> None:
    apps, model, video, smallest = generated(n, seed)
    less = solve(apps, model, video, smallest * factor)
    wider = solve(apps, model, video, smallest * factor * more)
    assert wider.objective >= less.objective - 1e-6
    assert wider.bound >= less.objective


@relaxed
@given(st.integers(2, 12), seeds, st.floats(1.0, 3.0), st.randoms(use_true_random=False))
def test_the_order_of_the_apps_does_not_matter(n: int, seed: int, factor: float, random: Any) -> None:
    made = workloads.workload(n, seed=seed)
    apps = list(made.objects())
    smallest = prepare(apps, made.model, made.video).smallest_budget()
    first = solve(apps, made.model, made.video, smallest * factor)
    random.shuffle(apps)
    second = solve(apps, made.model, made.video, smallest * factor)
    assert second.objective == pytest.approx(first.objective, abs=1e-6)


@relaxed
@given(st.integers(2, 15), seeds, st.floats(1.0, 3.0))
def test_a_warm_start_changes_nothing_but_the_way(n: int, seed: int, factor: float) -> None:
    apps, model, video, smallest = generated(n, seed)
    cold = solve(apps, model, video, smallest * factor)
    before = solve(apps, model, video, smallest * factor * 1.1)
    for warm in (before, before.choices, cold):
        again = solve(apps, model, video, smallest * factor, warm_start=warm)
        assert again.objective == pytest.approx(cold.objective, abs=1e-6)


def test_a_warm_start_from_other_apps_chokepoints_and_rates() -> None:
    other = oracle.random_problem(3)
    warm = oracle.run(other, 1e6)
    apps, model, video, smallest = generated(6, 1)
    assert solve(apps, model, video, 2 * smallest, warm_start=warm).objective == pytest.approx(
        solve(apps, model, video, 2 * smallest).objective, abs=1e-6
    )


def test_apps_of_equal_tails_that_leave_a_slack_nobody_can_use() -> None:
    # 3,000 apps at one chokepoint: costs are multiples of one number, and the budget is none.
    n = 3000
    rng = np.random.default_rng(0)
    apps = Apps.from_arrays(
        rng.uniform(0.5, 0.9, (n, 1)), None, [5], event_length_ms=rng.uniform(100, 900, n), correlation=0.2
    )
    model = {"total_layers": 10, "layer_latencies": [0.04] * 10, "frozen_layer_names": {5: "a", 10: "b"}}
    result = solve(apps, model, {"stream_fps": 10}, 1500.03, gap=1e-7)
    assert result.status == "optimal"


def test_apps_worth_nothing_are_scheduled_all_the_same() -> None:
    apps = [{"app_id": i, "accuracies": {0: 0.5, 5: 0.4}, "event_length_ms": 10, "x_vote": 7} for i in range(3)]
    model = {"total_layers": 10, "layer_latencies": [1.0] * 10, "frozen_layer_names": {0: "in", 5: "a", 10: "b"}}
    result = solve(apps, model, {"stream_fps": 3}, 40)
    assert result.objective == 0 and len(result.choices) == 3 and result.cost <= 40


@pytest.mark.parametrize("scatter", [0.0, 1e-6])
@pytest.mark.parametrize("each", [1.2, 1.7, 2.7, 3.3, 5.1])
def test_apps_that_are_alike_in_great_number(each: float, scatter: float) -> None:
    # The two best options of all of them have to be mixed: no price of compute alone tells them apart.
    n = 20_000
    accuracies = np.tile([0.95, 0.9, 0.85, 0.8, 0.7], (n, 1)) + scatter * np.random.default_rng(0).random((n, 5))
    apps = Apps.from_arrays(
        accuracies, np.full((n, 5), 0.04), [0, 3, 5, 8, 9], event_length_ms=700, event_frequency=0.1, correlation=0.3
    )
    names = {f: f"layer{f}" for f in (0, 3, 5, 8, 9, 10)}
    model = {"total_layers": 10, "layer_latencies": [1.0] * 10, "frozen_layer_names": names}
    result = solve(apps, model, {"stream_fps": 6}, each * n)
    assert result.status == "optimal" and result.gap <= 1e-6


def test_a_budget_that_the_stem_uses_up_to_the_last_digit() -> None:
    apps = [{"app_id": i, "accuracies": {0: 0.9, 4: 0.8}, "event_length_ms": 1000} for i in range(2)]
    model = {"total_layers": 4, "layer_latencies": [1.0] * 4, "frozen_layer_names": {0: "a", 2: "b", 4: "c"}}
    result = solve(apps, model, {"stream_fps": 10, "fps_options": [1, 4, 10]}, 40 / (1 + 1e-9))
    assert result.status == "optimal" and [c.target_fps for c in result.choices] == [10, 10]


def test_weights_whose_sum_is_too_large_for_a_float() -> None:
    apps = [{**published(), "app_id": i, "weight": 1e308} for i in range(3)]
    plain = [{**published(), "app_id": i} for i in range(3)]
    heavy = solve(apps, PUBLISHED_MODEL, {"stream_fps": 30}, 700)
    assert heavy.objective == pytest.approx(solve(plain, PUBLISHED_MODEL, {"stream_fps": 30}, 700).objective)


def published(frequency: float | None = None) -> dict[str, Any]:
    app: dict[str, Any] = {
        "app_id": 1,
        "model_path": {0: "/path/to/model.pb", 10: "/path/to/10.pb"},
        "event_length_ms": 10,
        "correlation": 0,
        "accuracies": {1: 1, 10: 0.8, 21: 0.6, 30: 0.6, 40: 0.2},
    }
    if frequency is not None:
        app["correlation_coefficient"] = app.pop("correlation")
        app |= {"event_frequency": frequency, "prob_tnrs": {1: 0.1, 10: 0.1, 21: 0.1, 30: 0.1, 40: 0.2}}
        app |= {"x_vote": 2, "name": "train", "event_length_ms": 500}
    return app


PUBLISHED_MODEL = {
    "total_layers": 41,
    "channels": 3,
    "height": 299,
    "width": 299,
    "layer_latencies": [1] * 41,
    "frozen_layer_names": {1: "input", 10: "conv1", 21: "conv2", 30: "pool", 40: "fc", 41: "softmax"},
}


@pytest.mark.parametrize("strings", [False, True])
@pytest.mark.parametrize("frequency", [None, 0.2])
def test_both_published_forms(frequency: float | None, strings: bool) -> None:
    apps = [published(frequency), {**published(frequency), "app_id": 2}]
    model: dict[str, Any] = dict(PUBLISHED_MODEL)
    if strings:  # as JSON has them
        for app in apps:
            app["accuracies"] = {str(f): rate for f, rate in app["accuracies"].items()}
        model["frozen_layer_names"] = {str(f): name for f, name in model["frozen_layer_names"].items()}
    result = solve(apps, model, {"stream_fps": 30}, 700, gap=1e-9)
    assert result.metric == ("recall" if frequency is None else "f1")
    problem = {
        "apps": [{**published(frequency), "app_id": i} for i in (1, 2)],
        "model": PUBLISHED_MODEL,
        "video": {"stream_fps": 30, "fps_options": [float(r) for r in range(1, 31)]},
        "metric": result.metric,
        "mode": "mainstream",
        "event_model": "windowed",
    }
    for app in problem["apps"]:
        if "prob_tnrs" in app:
            app["false_positive_rates"] = app.pop("prob_tnrs")
            app["correlation"] = app.pop("correlation_coefficient")
    check(result, problem)
    assert result.objective == pytest.approx(oracle.best(problem, 700).objective, abs=2e-9)
    assert {c.num_frozen for c in result.choices} <= {1, 10, 21, 30, 40}


def test_the_objective_follows_from_what_the_apps_have() -> None:
    plain, full = published(), {**published(0.2), "app_id": 2}
    assert solve([plain], PUBLISHED_MODEL, {"stream_fps": 30}, 700).metric == "recall"
    assert solve([full], PUBLISHED_MODEL, {"stream_fps": 30}, 700).metric == "f1"
    assert solve([plain, full], PUBLISHED_MODEL, {"stream_fps": 30}, 700, objective="recall").metric == "recall"
    with pytest.raises(ProblemError, match=r"app 1 lacks false_positive_rates or event_frequency"):
        solve([plain, full], PUBLISHED_MODEL, {"stream_fps": 30}, 700)
    for objective in ("f1", "precision"):
        with pytest.raises(ProblemError, match=r"app 1: missing false_positive_rates and event_frequency"):
            solve([plain, full], PUBLISHED_MODEL, {"stream_fps": 30}, 700, objective=objective)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("budget", 0, "budget: got 0; it has to be a finite number above 0"),
        ("budget", -1, "budget: got -1"),
        ("budget", float("nan"), "budget: got nan"),
        ("budget", float("inf"), "budget: got inf"),
        ("budget", "700", "budget: got '700'"),
        ("budget", 10**400, "budget: got 1000"),
        ("warm_start", "x", "warm_start: got 'x' in the list; it has to hold Choice objects"),
        ("warm_start", 5, "warm_start: got 5; it has to be a Result or a list of Choice"),
        ("gap", -1e-6, "gap: got -1e-06; it has to be a finite number, 0 or more"),
        ("time_limit", 0, "time_limit: got 0"),
        ("objective", "f2", "objective: 'f2' is not known; known: f1, recall, precision"),
        ("mode", "mainstrem", "did you mean 'mainstream'"),
        ("method", "simplex", "method: 'simplex' is not known; known: auto"),
        ("event_model", "window", "did you mean 'windowed'"),
        ("aggregate", "max", "aggregate: 'max' is not known"),
    ],
)
def test_bad_arguments(argument: str, value: Any, message: str) -> None:
    with pytest.raises(ProblemError, match=message.replace("(", r"\(")) as error:
        solve([published()], PUBLISHED_MODEL, {"stream_fps": 30}, **({"budget": 700} | {argument: value}))
    assert "\n" not in str(error.value)


def test_the_smallest_budget_is_enough_and_less_is_not() -> None:
    apps, model, video, smallest = generated(20, 7)
    assert solve(apps, model, video, smallest).cost == pytest.approx(smallest)
    with pytest.raises(InfeasibleError):
        solve(apps, model, video, smallest * 0.999)


def test_out_of_reach_at_any_budget_names_the_apps() -> None:
    apps = [{**published(), "app_id": i, "min_value": 1.0 if i in (3, 5) else 0.0} for i in range(1, 7)]
    with pytest.raises(InfeasibleError, match="app 3, 5") as error:
        solve(apps, PUBLISHED_MODEL, {"stream_fps": 30}, 700)
    assert error.value.smallest_budget is None


def test_progress_and_ctrl_c_keep_the_best_so_far() -> None:
    apps, model, video, smallest = generated(20_000, 3)
    seen = []

    def interrupt(progress: Any) -> None:
        seen.append(progress)
        if progress.objective is not None and np.isfinite(progress.bound):
            raise KeyboardInterrupt

    budget = 1.5 * smallest
    with pytest.raises(InterruptedSearch) as stopped:
        solve(apps, model, video, budget, progress=interrupt)
    result = stopped.value.result
    assert seen and result is not None and result.status == "feasible"
    assert result.cost <= budget * (1 + 1e-9) and result.objective <= result.bound


def test_a_time_limit_returns_the_best_so_far() -> None:
    apps, model, video, smallest = generated(7_000, 4)
    budget = 1.5 * smallest
    result = solve(apps, model, video, budget, time_limit=1e-3)
    assert result.status == "feasible" and result.objective <= result.bound <= 1.0
    assert result.cost <= budget * (1 + 1e-9)


def test_modes_are_nested() -> None:
    apps, model, _, smallest = generated(12, 9)
    best = {}
    for mode in ("mainstream", "max-sharing", "no-sharing"):
        try:
            best[mode] = solve(
                apps, model, {"stream_fps": 10, "fps_options": range(1, 11)}, 12 * smallest, mode=mode
            ).objective
        except InfeasibleError:
            best[mode] = 0.0
    assert best["mainstream"] >= best["max-sharing"] - 1e-6
    assert best["mainstream"] >= best["no-sharing"] - 1e-6


def test_no_sharing_adds_slow_rates_to_the_default() -> None:
    app = {"app_id": 0, "accuracies": {0: 0.9}, "event_length_ms": 5000}
    model = {"total_layers": 1, "layer_latencies": [10.0], "frozen_layer_names": {0: "in", 1: "out"}}
    assert solve([app], model, {"stream_fps": 29.97}, 1.01, mode="no-sharing").choices[0].target_fps == 0.1
    with pytest.raises(InfeasibleError):
        solve([app], model, {"stream_fps": 29.97}, 1.01)
    fastest = solve([{**app, "event_length_ms": 50}], model, {"stream_fps": 29.97}, 1e6).choices[0].target_fps
    assert fastest == 29


def test_same_answer_for_objects_mappings_and_arrays() -> None:
    made = workloads.workload(8, seed=2)
    objects = made.objects()
    mappings = [app.model_dump(exclude_none=True) for app in objects]
    budget = workloads.hard_budget(prepare(objects, made.model, made.video))
    results = [solve(apps, made.model, made.video, budget) for apps in (objects, mappings, Apps.of(objects))]
    for one, other in itertools.pairwise(results):
        assert one.choices == other.choices
