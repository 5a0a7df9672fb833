"""Limits: the clock, measured loosely, on what used to run past it; memory; and what a search cut short still says."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import numpy as np
import pytest

from benchmarks.hard_problems import hard_problem
from mainstream import Apps, ProblemError, Stream, prepare, solve
from mainstream.errors import OutOfTimeError
from mainstream.experiments import workloads
from mainstream.solver import branch_and_bound
from mainstream.solver.branch_and_bound import SearchTree
from mainstream.solver.option_table import weighted
from mainstream.solver.search import Limits

MODEL = {"total_layers": 10, "layer_latencies": [1.0] * 10, "frozen_layer_names": {0: "in", 5: "a", 10: "b"}}


def middling(n: int, seed: int) -> tuple[Apps, Any, Any, float]:
    made = workloads.workload(n, seed=seed)
    return made.apps, made.model, made.video, 1.5 * made.prepare().smallest_budget()


@pytest.mark.parametrize(
    ("n", "options"),
    [
        (3_000, {"method": "cp-sat"}),
        (3_000, {"method": "cp-sat", "aggregate": "min"}),
        (300, {"method": "greedy-released"}),
        (7_000, {"method": "greedy"}),
        (3_000, {"method": "branch-and-bound", "aggregate": "min"}),
    ],
)
def test_the_time_limit_ends_every_method(n: int, options: dict[str, Any]) -> None:
    problem = middling(n, 1)
    solve(*middling(5, 1), **options)  # compiles, imports
    begin = perf_counter()
    result = solve(*problem, time_limit=1e-6, **options)
    building = perf_counter() - begin
    limit = building + 0.5
    begin = perf_counter()
    result = solve(*problem, time_limit=limit, **options)
    assert perf_counter() - begin < 3 * limit + 1
    assert result.cost <= result.budget * (1 + 1e-9)
    assert result.objective <= result.bound and math.isfinite(result.bound)


def test_cp_sat_without_time_still_says_something_that_can_be_saved() -> None:
    result = solve(*middling(300, 2), method="cp-sat", aggregate="min", time_limit=0.05)
    assert result.status == "feasible"
    assert result.objective <= result.bound <= 1
    assert json.loads(result.to_json())["bound"] == result.bound


@pytest.mark.parametrize("aggregate", ["mean", "min"])
@pytest.mark.parametrize("method", ["branch-and-bound", "cp-sat"])
def test_apps_that_all_stay_out_at_next_to_no_budget(method: str, aggregate: str) -> None:
    apps = [{"app_id": i, "accuracies": {0: 0.9, 5: 0.8}, "event_length_ms": 900, "optional": True} for i in range(3)]
    result = solve(apps, MODEL, {"stream_fps": 5}, 1e-300, method=method, aggregate=aggregate)
    assert result.status == "optimal" and result.objective == 0 and result.cost == 0


@pytest.mark.parametrize("method", ["auto", "branch-and-bound", "cp-sat", "greedy", "greedy-released"])
def test_any_schedule_is_optimal_to_a_huge_gap(method: str) -> None:
    assert solve(*middling(6, 3), method=method, gap=1e300).status == "optimal"


@pytest.mark.parametrize("method", ["branch-and-bound", "cp-sat"])
@pytest.mark.parametrize("gap", [1e-12, 1e-9, 1e-6, 1e-3])
def test_optimal_is_never_said_above_the_gap_asked_for(gap: float, method: str) -> None:
    for seed in range(10):
        result = solve(*middling(8, seed), method=method, gap=gap, time_limit=5)
        assert result.status != "optimal" or result.gap <= gap


def tree_of(seed: int) -> tuple[SearchTree, float]:
    instance = hard_problem(seed)
    assert instance is not None
    table = prepare(instance.apps, instance.model, instance.video, objective="recall").table
    return SearchTree(weighted(table.packed, table.share)), instance.budget


def test_a_search_without_memory_ends_with_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    tree, budget = tree_of(103)
    best = tree.run(budget, Limits(1e-6))
    monkeypatch.setattr(branch_and_bound, "_FIRST_SLOTS", 8)
    tree, _ = tree_of(103)
    cut_short = tree.run(budget, Limits(1e-6, memory_limit=1.0))
    assert best.finished and not cut_short.finished
    assert cut_short.bound >= best.bound - 1e-6


def test_no_schedule_in_time_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    tree, budget = tree_of(103)
    monkeypatch.setattr(branch_and_bound, "_EFFORT", -1)
    with pytest.raises(OutOfTimeError, match=r"no schedule of cost .* none costs less than") as error:
        tree.feasible(1e-3 * budget, Limits(1e-6, time_limit=1e-9))
    assert "\n" not in str(error.value) and not np.isnan(float(str(error.value).split("less than ")[1].split(";")[0]))


def test_a_memory_limit_is_one_of_the_calls() -> None:
    instance = hard_problem(103)
    assert instance is not None
    problem = (instance.apps, instance.model, instance.video, instance.budget)
    free = solve(*problem, method="branch-and-bound", time_limit=20)
    tight = solve(*problem, method="branch-and-bound", memory_limit=1e6, time_limit=20)
    assert (free.status, tight.status) == ("optimal", "feasible")
    assert tight.objective <= free.bound + 1e-12 and free.objective <= tight.bound + 1e-12
    assert tight.bound > free.bound
    with pytest.raises(ProblemError, match="memory_limit: got 0; it has to be a finite number above 0"):
        solve(*problem, memory_limit=0)


def test_the_time_limit_ends_the_making_of_options() -> None:
    apps, model, video, budget = middling(20_000, 4)
    prepared = prepare(apps, model, video, budget)
    solve(*middling(5, 1), method="greedy")
    begin = perf_counter()
    prepare(apps, model, video).table  # noqa: B018  made here
    limit = 0.2 * (perf_counter() - begin)
    begin = perf_counter()
    with pytest.raises(OutOfTimeError, match=r"^time_limit .* s was over before the values of all options were there"):
        prepared.solve(method="greedy", time_limit=limit)
    assert perf_counter() - begin < 3 * limit + 0.5
    assert prepared.solve(method="greedy").cost <= budget * (1 + 1e-9)


@pytest.mark.parametrize("method", ["auto", "branch-and-bound", "greedy", "greedy-released", "cp-sat"])
def test_a_memory_limit_counts_options_before_they_are_made(method: str) -> None:
    apps, model, video, budget = middling(2_000, 4)
    prepared = prepare(apps, model, video, budget)
    told = (
        r"^the options of this problem need [^\n]* more bytes of memory, [^\n]* are left of memory_limit; give it more$"
    )
    dense = 11 * apps.accuracies.size * len(video.rates("mainstream"))
    tracemalloc.start()
    try:
        with pytest.raises(OutOfTimeError, match=told):
            prepared.solve(method=method, memory_limit=0.9 * dense)
        assert tracemalloc.get_traced_memory()[1] < 0.3 * dense
    finally:
        tracemalloc.stop()
    table = prepared.table
    needed = sum(part.nbytes for part in table.parts)
    with pytest.raises(OutOfTimeError, match=told):
        prepared.solve(method=method, memory_limit=1.01 * needed)
    if method.startswith("greedy"):
        assert prepared.solve(method=method, memory_limit=3 * dense, time_limit=1).objective > 0


def test_a_memory_limit_counts_the_options_of_all_streams() -> None:
    apps, model, video, _ = middling(200, 4)
    others = replace(apps, app_ids=apps.app_ids + len(apps))
    streams = [Stream(own, model, video) for own in (apps, others)]
    one = 11 * apps.accuracies.size * len(video.rates("mainstream"))
    with pytest.raises(OutOfTimeError, match="left of memory_limit"):
        solve(streams, budget=1e6, memory_limit=1.5 * one)


def test_the_gap_of_an_optimal_result_is_the_one_asked_for_to_the_last_digit() -> None:
    for seed in range(20):
        result = solve(*middling(7, seed), method="branch-and-bound", gap=0, time_limit=5)
        assert result.status != "optimal" or result.gap == 0


@pytest.mark.slow
def test_compiling_takes_nothing_of_the_time_limit(tmp_path: Path) -> None:
    problem = Path(__file__).parents[2] / "data" / "problems" / "crossing.yaml"
    began = monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "mainstream", "solve", str(problem), "--time-limit", "3", "--json", "-"],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "compiling" in done.stderr
    answer = json.loads(done.stdout)
    assert answer["status"] == "optimal"
    assert answer["runtime_s"] < 3 < monotonic() - began  # else this machine compiles too quickly for the test
