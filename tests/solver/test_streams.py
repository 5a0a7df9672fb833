"""Several streams on one budget: against every schedule there is, and what can be wrong with them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support import streams

from mainstream import App, Apps, InfeasibleError, OutOfTimeError, ProblemError, Stream, frontier, prepare, solve
from mainstream.experiments import workloads
from mainstream.schedule import Result
from mainstream.solver import branch_and_bound
from mainstream.solver.branch_and_bound import SearchTree
from mainstream.solver.search import schedule_cost

MODEL = {"total_layers": 4, "layer_latencies": [1, 2, 3, 4], "frozen_layer_names": {2: "a", 3: "b"}, "unit": "ms"}
OTHER = {"total_layers": 2, "layer_latencies": [5, 5], "frozen_layer_names": {1: "a"}}
VIDEO = {"stream_fps": 3}
SLOW = {"stream_fps": 1.5, "fps_options": [0.5, 1.5]}


def app(app_id: int | str, **keys: Any) -> dict[str, Any]:
    return {"app_id": app_id, "accuracies": {0: 0.9, 2: 0.8, 3: 0.6}, "event_length_ms": 700, **keys}


def alone(app_id: int | str, **keys: Any) -> dict[str, Any]:
    return {"app_id": app_id, "accuracies": {1: 0.7}, "event_length_ms": 700, **keys}


def two() -> list[Stream]:
    return [Stream([app(0), app(1)], MODEL, VIDEO), Stream([alone("door")], OTHER, SLOW)]


def budgets_of(seed: int, costs: np.ndarray) -> list[float]:
    rng = np.random.default_rng(seed)
    smallest = float(costs.min())
    return [smallest, 0.98 * smallest, smallest * float(rng.uniform(1, 2)), smallest * float(rng.uniform(2, 6))]


@pytest.mark.parametrize("patience", [30, -1])  # -1: unequal shares from the root on
@pytest.mark.parametrize("seed", range(40))
def test_the_oracle_agrees(seed: int, patience: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branch_and_bound, "_PATIENCE", patience)
    problems = streams.random_streams(seed)
    tried = streams.every_schedule(problems)
    if not len(tried.cost) or tried.cost.min() == 0:
        return
    for budget in budgets_of(seed, tried.cost):
        for aggregate in ("mean", "min"):
            best = streams.best(tried, budget, aggregate)
            try:
                found = streams.run(problems, budget, aggregate=aggregate, gap=1e-9)
            except InfeasibleError as error:
                assert best is None
                assert error.smallest_budget == pytest.approx(tried.cost.min(), rel=1e-9)
                continue
            assert best is not None
            assert found.cost <= budget * (1 + 2e-9)
            assert found.objective == pytest.approx(best[0], abs=1e-8) and found.bound >= best[0] - 1e-9
            if aggregate == "min":
                assert found.mean == pytest.approx(best[1], abs=1e-7)


@pytest.mark.parametrize("method", ["cp-sat", "greedy", "greedy-released"])
@pytest.mark.parametrize("seed", range(0, 40, 4))
def test_every_method_keeps_to_the_budget_and_tells_the_truth(seed: int, method: str) -> None:
    problems = streams.random_streams(seed)
    tried = streams.every_schedule(problems)
    if not len(tried.cost) or tried.cost.min() == 0:
        return
    for budget in budgets_of(seed, tried.cost):
        best = streams.best(tried, budget, "mean")
        try:
            found = streams.run(problems, budget, method=method)
        except InfeasibleError:
            assert best is None
            continue
        assert best is not None
        assert found.cost <= budget * (1 + 2e-9)
        assert found.bound >= best[0] - 1e-9 and found.objective <= best[0] + 1e-9
        if method == "cp-sat":
            assert found.objective == pytest.approx(best[0], abs=2e-6)


@pytest.mark.parametrize("mode", ["mainstream", "no-sharing", "max-sharing"])
def test_a_frontier_is_what_each_budget_gives(mode: Any) -> None:
    budgets = [6.0, 20.0, 27.0, 40.0, 90.0]
    curve = frontier(two(), budgets=budgets, mode=mode)
    for budget, found in zip(budgets, curve.results, strict=True):
        if found is None:
            with pytest.raises(InfeasibleError):
                solve(two(), budget=budget, mode=mode)
        else:
            assert found.objective == pytest.approx(solve(two(), budget=budget, mode=mode).objective, abs=2e-6)
    assert curve.results[0] is None and curve.results[-1] is not None


def test_each_stream_has_a_schedule_of_its_own() -> None:
    result = solve(two(), budget=40)
    first, second = result.schedules
    assert [choice.app_id for choice in first.choices] == [0, 1] and first.stem
    assert [choice.app_id for choice in second.choices] == ["door"] and second.stem == ()
    assert second.choices[0].num_frozen == 1  # as the app itself calls it
    assert set(second.target_fps.tolist()) <= {0.5, 1.5}
    assert result.cost == first.cost + second.cost <= 40
    assert result.objective == pytest.approx(np.mean([choice.value for choice in result.choices]))
    assert Result.from_json(result.to_json()) == result
    assert [len(stream["choices"]) for stream in json.loads(result.to_json())["streams"]] == [2, 1]
    text = str(result)
    assert "stream" in text and "stem 0     layers 0-" in text and "stem 1     nothing is shared" in text
    for ask in (lambda: result.schedule, lambda: result.stem):
        with pytest.raises(
            ProblemError, match=r"the result has 2 streams \(each region of a camera is one\); each one"
        ):
            ask()


def test_that_regions_share_no_layers_is_said_where_there_are_several() -> None:
    shares_no = "regions    apps of different regions share no layers"
    apps = [app(0), app(1)]
    assert shares_no not in str(solve(apps, MODEL, VIDEO, 40)) + str(solve(two(), budget=40))
    apps[1]["region"] = [0.5, 0, 0.5, 1]
    assert shares_no in str(solve(apps, MODEL, VIDEO, 60)).splitlines()


def test_equal_streams_one_by_one_and_their_weights() -> None:
    heavy = solve([Stream([app(0, weight=9)], MODEL, VIDEO), Stream([app(1)], MODEL, VIDEO)], budget=30)
    best, other = heavy.choices
    assert best.value > other.value
    assert heavy.objective == pytest.approx(0.9 * best.value + 0.1 * other.value)


def test_apps_come_and_go_in_their_stream() -> None:
    prepared = prepare(two(), budget=60)
    more = prepared.with_app(app(7), stream=0)
    fresh = prepare([Stream([app(0), app(1), app(7)], MODEL, VIDEO), two()[1]], budget=60)
    assert more.solve().to_dict() | {"runtime_s": 0} == fresh.solve().to_dict() | {"runtime_s": 0}
    assert more.without(7).solve().objective == prepared.solve().objective
    assert more.smallest_budget() == pytest.approx(fresh.smallest_budget())
    assert schedule_cost(more.table.packed, np.zeros(4, np.int32)) == 0
    warm = more.solve(warm_start=prepared.solve())
    assert warm.objective == pytest.approx(more.solve().objective, abs=2e-6)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: Stream([], MODEL, VIDEO), "apps: there is none"),
        (lambda: Stream(MODEL, [app(0)], VIDEO), "arguments are swapped"),  # type: ignore[arg-type]
        (lambda: solve([], budget=9), "model: there is none; give apps, a model and a video, or a list of Stream"),
        (lambda: solve([app(0)], MODEL, budget=9), "video: there is none"),
        (lambda: solve(two()), "budget: there is none"),
        (lambda: solve(two(), MODEL, budget=9), "model: got .* beside a list of streams; each has its own"),
        (lambda: solve([*two(), app(5)], budget=9), "streams: got .* it has to hold Stream objects only"),
        (
            lambda: solve([*two(), Stream([app(1)], MODEL, VIDEO)], budget=9),
            r"app_id 1 stands in the streams \[0, 2\]; each app needs its own",
        ),
        (
            lambda: solve([*two(), Stream([app(5, accuracies={4: 0.5})], MODEL, VIDEO)], budget=9),
            r"streams\[2\]: app 5: num_frozen 4 in accuracies is no chokepoint",
        ),
        (
            lambda: solve([*two(), Stream([alone(5)], {**OTHER, "unit": "s"}, VIDEO)], budget=9),
            r"unit: the streams' models have .*; one budget needs one unit",
        ),
        (
            lambda: solve([*two(), Stream([app(5, event_frequency=0.1)], MODEL, VIDEO)], budget=9, objective="f1"),
            "objective 'f1': app 0, 1, door, 5: missing false_positive_rates and event_frequency",
        ),
        (lambda: prepare(two()).with_app(app(5)), "stream: there are 2; say which, 0..1"),
        (lambda: prepare(two()).with_app(app(5), stream=2), r"stream: got 2; it has to be one of 0\.\.1"),
        (lambda: prepare(two()).with_app(app("door"), stream=0), "app_id door stands in the streams"),
        (lambda: prepare(two()).without("door"), "app door is the only one"),
        (lambda: prepare(two()).without("window"), "app 'window' is not among the apps; they are .*0, 1, 'door'"),
        (lambda: prepare(two()).model, "this is for one camera, and the problem has 2 streams; see `streams`"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(ask: Any, message: str) -> None:
    with pytest.raises(ProblemError, match=message) as error:
        ask()
    assert "\n" not in str(error.value)


def test_columns_are_streams_too() -> None:
    columns = Apps.from_arrays([[0.9, 0.8], [0.7, 0.6]], None, [0, 2], event_length_ms=500, app_ids=[8, 9])
    made = prepare([*two(), Stream(columns, MODEL, VIDEO)])
    assert made.streams[2].described == () and made.streams[0].described[0] == App.of(app(0))
    assert repr(made) == "<Prepared: 5 apps in 3 streams, recall, mainstream, windowed>"
    result = made.solve(80)
    assert [len(schedule) for schedule in result.schedules] == [2, 1, 2]
    assert result.status == "optimal"


def cameras(count: int, apps: int, seed: int) -> tuple[list[Stream], float]:
    """Workloads of different seeds, ids different, and the sum of their hard budgets."""
    made = [workloads.workload(apps, seed=1000 * seed + g) for g in range(count)]
    ids = np.arange(count * apps).reshape(count, apps)
    streams_ = [Stream(replace(one.apps, app_ids=ids[g]), one.model, one.video) for g, one in enumerate(made)]
    return streams_, sum(workloads.hard_budget(one.prepare()) for one in made)


def test_many_streams_take_few_nodes() -> None:
    # One tree over the 24 stems of 16 segments each was still at a gap of 1e-2 after 600 nodes.
    given, budget = cameras(24, 8, seed=1)
    result = solve(given, budget=budget, method="branch-and-bound", gap=1e-5)
    assert result.status == "optimal" and result.nodes <= 60


@pytest.mark.parametrize("seed", range(4))
def test_each_search_over_several_streams_finds_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given, budget = cameras(3, 4, seed)
    one_by_one = solve(given, budget=budget, method="branch-and-bound")
    monkeypatch.setattr(SearchTree, "_open_groups", lambda self, *rest: self._open_root())
    together = solve(given, budget=budget, method="branch-and-bound")
    assert one_by_one.status == together.status == "optimal"
    assert one_by_one.objective == pytest.approx(together.objective, abs=2e-6)


def test_limits_of_several_streams_are_kept() -> None:
    given, budget = cameras(6, 6, seed=2)
    best = solve(given, budget=budget)
    for limit in (1e-6, 1e-3, 1e-2):
        try:
            early = solve(given, budget=budget, method="branch-and-bound", gap=0.0, time_limit=limit)
        except OutOfTimeError as error:
            assert "within the limits" in str(error)
            continue
        assert early.bound >= best.objective - 1e-12 and early.cost <= budget * (1 + 2e-9)
