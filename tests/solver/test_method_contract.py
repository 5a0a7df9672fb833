"""One contract for all methods, those that come along and a third party's: what fits, what is proven, what is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import oracle
from support.third_party_solver import RANDOM_DRAWS

from mainstream import InfeasibleError, ProblemError, Result, prepare, solve
from mainstream.extensions import METHODS, Method

EVERY = [*(METHODS[name] for name in METHODS.built_in), RANDOM_DRAWS]
EACH = pytest.mark.parametrize("method", EVERY, ids=lambda method: method.name)
GAP = 1e-7
"""CP-SAT counts in units of 2 ** -30."""

MODEL = {"total_layers": 3, "layer_latencies": [1, 2, 1], "frozen_layer_names": {0: "in", 2: "cut"}}
VIDEO = {"stream_fps": 4}


def app(app_id: int | str, **changes: Any) -> dict[str, Any]:
    return {"app_id": app_id, "accuracies": {0: 0.9, 2: 0.8}, "event_length_ms": 1500, **changes}


@EACH
def test_it_says_what_it_can_do(method: Method) -> None:
    assert method.aggregates and set(method.aggregates) <= {"mean", "min"}
    assert isinstance(method.exact, bool)
    for aggregate in {"mean", "min"} - set(method.aggregates):
        with pytest.raises(ProblemError, match=f"method '{method.name}' only takes aggregate"):
            prepare([app(1)], MODEL, VIDEO, 9).solve(method=method, aggregate=aggregate)  # type: ignore[arg-type]


@EACH
@pytest.mark.parametrize("seed", range(12))
def test_schedules_fit_and_bounds_hold(method: Method, seed: int) -> None:
    print("seed", seed)
    problem = oracle.random_problem(seed, constraints=True)
    given = {"objective": problem["metric"], "mode": problem["mode"], "event_model": problem["event_model"]}
    for budget in oracle.budgets(problem, seed):
        for aggregate in method.aggregates:
            expected = oracle.best(problem, budget, aggregate)
            try:
                prepared = prepare(problem["apps"], problem["model"], problem["video"], budget, **given)
                result = prepared.solve(method=method, aggregate=aggregate, gap=GAP)  # type: ignore[arg-type]
            except InfeasibleError as error:
                assert expected.objective is None
                if np.isfinite(expected.smallest):
                    assert error.smallest_budget == pytest.approx(expected.smallest)
                continue
            assert expected.objective is not None
            assert result.cost <= budget * (1 + 1e-9)
            assert result.objective <= expected.objective + 1e-12 <= result.bound + 2e-12
            if method.exact:
                assert result.status == "optimal"
                assert result.objective == pytest.approx(expected.objective, abs=1.1 * GAP)
            if result.status == "optimal":
                assert result.gap <= 1.1 * GAP
            assert Result.from_json(result.to_json()) == result


@EACH
@pytest.mark.parametrize(
    ("apps", "budget", "objective"),
    [
        ([app("only")], 4.0, 0.9 + 0.1 * 0.9 * 0.5),  # one frame a second: one in each window, two in half of them
        ([app(1, optional=True), app(2, optional=True)], 1e-300, 0.0),
        ([app(1, accuracies={0: 0.0, 2: 0.0}), app(2, accuracies={2: 0.0})], 8.0, 0.0),
        ([app(1, pinned=(2, 2)), app(2, pinned=(0, 1))], 12.0, None),
    ],
    ids=["one app", "all left out", "worth nothing", "all pinned"],
)
def test_small_and_odd_problems(method: Method, apps: list[dict[str, Any]], budget: float, objective: float) -> None:
    for aggregate in method.aggregates:
        result = prepare(apps, MODEL, VIDEO, budget).solve(method=method, aggregate=aggregate)  # type: ignore[arg-type]
        assert result.cost <= budget * (1 + 1e-9)
        assert objective is None or result.objective == pytest.approx(objective, abs=1e-9)
        assert result.bound >= result.objective
        assert len(result.choices) + len(result.left_out) == len(apps)
        assert Result.from_json(result.to_json()) == result


@EACH
def test_no_apps_are_refused(method: Method) -> None:
    with pytest.raises(ProblemError, match="apps: there is none; at least one is needed"):
        solve([], MODEL, VIDEO, 4.0, method=method)


@EACH
def test_optional_apps_that_all_find_a_place(method: Method) -> None:
    apps = [app(i, optional=True) for i in range(3)]
    for aggregate in method.aggregates:
        result = solve(apps, MODEL, VIDEO, 1e3, method=method, aggregate=aggregate)  # type: ignore[arg-type]
        assert result.cost <= 1e3 and result.bound >= result.objective
        if method.exact:
            assert not result.left_out and {choice.target_fps for choice in result.choices} == {4.0}


@EACH
def test_what_does_not_fit_is_said_with_what_would(method: Method) -> None:
    with pytest.raises(InfeasibleError) as error:
        prepare([app(1), app(2)], MODEL, VIDEO, 1.0).solve(method=method)
    assert error.value.smallest_budget == pytest.approx(3 + 1 + 1)  # two layers once, one layer twice, at 1 fps
