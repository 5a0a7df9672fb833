"""One precision for a problem: the better of what each gives by itself, and what is known of the others."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mainstream import InfeasibleError, InterruptedSearch, Model, OutOfTimeError, Prepared, ProblemError, prepare
from mainstream.experiments.workloads import workload
from mainstream.solver.precisions import Precisions


def both(seed: int, faster: float, accuracy: float) -> tuple[Precisions, float]:
    """A random problem, the same with other latencies and accuracies, and a budget."""
    one = workload(4, seed=seed)
    model = Model.of(one.model.model_dump() | {"layer_latencies": [x / faster for x in one.model.layer_latencies]})
    apps = [
        app.model_copy(update={"accuracies": {f: accuracy * rate for f, rate in app.accuracies.items()}})
        for app in one.objects()
    ]
    prepared = {"float32": prepare(one.objects(), one.model, one.video), "int8": prepare(apps, model, one.video)}
    least = prepared["float32"].smallest_budget()
    return Precisions(prepared), random.Random(seed).uniform(1.05, 3) * least


@pytest.mark.parametrize("aggregate", ["mean", "min"])
def test_it_is_the_better_of_what_each_precision_gives(aggregate: str) -> None:
    chosen = set()
    for seed in range(12):
        precisions, budget = both(seed, faster=random.Random(seed).choice([0.8, 3]), accuracy=0.99)
        how: dict[str, Any] = {"aggregate": aggregate}
        found = precisions.solve(budget, **how)
        each = {}
        for name, prepared in precisions.prepared.items():
            try:
                each[name] = prepared.solve(budget, **how)
            except InfeasibleError:
                each[name] = None
        assert found.precisions == {name: one and one.objective for name, one in each.items()}
        best = max((one for one in each.values() if one), key=lambda one: (one.objective, one.mean or 0))
        assert (found.objective, found.mean, found.cost) == (best.objective, best.mean, best.cost)
        assert found.status == "optimal" and found.bound >= max(one.objective for one in each.values() if one)
        assert found.precision is not None and found.objective == found.precisions[found.precision]
        assert precisions.of(found) is precisions.prepared[found.precision]
        assert f"precision  {found.precision}, " in found.summary()
        chosen.add(found.precision)
    assert chosen == {"float32", "int8"}


def test_a_precision_in_which_nothing_fits_is_said_and_the_other_is_taken() -> None:
    precisions, _ = both(0, faster=4.0, accuracy=0.5)
    least = precisions.prepared["int8"].smallest_budget()
    assert precisions.smallest_budget() == least
    found = precisions.solve(1.01 * least)
    assert found.precision == "int8" and found.precisions is not None and found.precisions["float32"] is None
    assert "precision  int8, float32 does not fit" in found.summary()
    with pytest.raises(InfeasibleError) as error:
        precisions.solve(0.9 * least)
    assert error.value.smallest_budget == pytest.approx(least)
    frontier = precisions.frontier([0.9 * least, 1.01 * least, 100 * least])
    assert [one and one.precision for one in frontier.results] == [None, "int8", "float32"]
    header, none, first, last = frontier.to_csv().splitlines()
    assert header.endswith(",runtime_s,precision") and none.endswith(",infeasible,,")
    assert first.endswith(",int8") and last.endswith(",float32")


def test_with_one_precision_nothing_is_said_of_it() -> None:
    precisions, budget = both(0, 1, 1)
    prepared = precisions.prepared["float32"]
    alone = Precisions({"float32": prepared})
    found = alone.solve(budget)
    assert found.precision is None and found.precisions is None and "\nprecision " not in found.summary()
    assert alone.of(found) is prepared
    assert "precision" not in alone.frontier([budget]).to_csv()


def test_what_was_not_proven_in_one_precision_is_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    precisions, budget = both(0, faster=0.5, accuracy=0.5)
    slow, plain = precisions.prepared["int8"], Prepared.solve

    def out_of_time(self: Prepared, *given: Any, **how: Any) -> Any:
        if self is slow:
            raise OutOfTimeError("no time")
        return plain(self, *given, **how)

    monkeypatch.setattr(Prepared, "solve", out_of_time)
    found = precisions.solve(budget)
    assert (found.precision, found.status, found.bound) == ("float32", "feasible", 1.0)


def test_ctrl_c_gives_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    precisions, budget = both(0, faster=0.5, accuracy=0.5)
    second, plain = precisions.prepared["int8"], Prepared.solve

    def interrupted(self: Prepared, *given: Any, **how: Any) -> Any:
        found = plain(self, *given, **how)
        if self is second:
            raise InterruptedSearch(found)
        return found

    monkeypatch.setattr(Prepared, "solve", interrupted)
    with pytest.raises(InterruptedSearch) as ended:
        precisions.solve(budget * 2)
    assert ended.value.result is not None and ended.value.result.precision == "float32"
    assert ended.value.result.status == "feasible"


def test_what_cannot_be_compared_is_refused() -> None:
    one = workload(2, seed=0)
    without = [app.model_copy(update={"false_positive_rates": None}) for app in one.objects()]
    prepared = {"float32": prepare(one.objects(), one.model, one.video), "int8": prepare(without, one.model, one.video)}
    with pytest.raises(ProblemError, match="objective: by default it would be f1 in float32, recall in int8; give one"):
        Precisions(prepared)
    with pytest.raises(ProblemError, match="there is none"):
        Precisions({})


@pytest.mark.parametrize("pressed_in", ["float32", "int8"])
def test_ctrl_c_keeps_the_budgets_of_a_frontier_that_some_precision_has_answered(
    pressed_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    precisions, budget = both(0, faster=0.5, accuracy=1.0)
    budgets = [budget, 1.2 * budget, 1.4 * budget]
    whole = precisions.frontier(budgets)
    plain = Prepared._answer

    def press(self: Prepared, asked: float, *given: Any, **how: Any) -> Any:
        if self is precisions.prepared[pressed_in] and asked == budgets[1]:
            raise KeyboardInterrupt
        return plain(self, asked, *given, **how)

    monkeypatch.setattr(Prepared, "_answer", press)
    with pytest.raises(InterruptedSearch) as ended:
        precisions.frontier(budgets)
    found = ended.value.frontier
    assert found is not None and found.budgets.tolist() == budgets[: {"float32": 1, "int8": 3}[pressed_in]]
    sure = {"float32": [], "int8": [True, False, False]}[pressed_in]
    for result, best, answered in zip(found.results, whole.results, [*sure, False], strict=False):
        assert result is not None and best is not None
        assert result.objective <= best.objective + 1e-6 and result.bound >= best.objective - 1e-6
        assert (result.status == "optimal") == answered
