"""A problem that is compiled once: what is taken over is what a fresh one would have; the budgets that matter."""

from __future__ import annotations

import itertools
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from support import oracle

from mainstream import App, Apps, InfeasibleError, Prepared, ProblemError, Scheduler, prepare, solve
from mainstream.experiments.workloads import workload
from mainstream.solver.option_table import OptionTable
from mainstream.streamer import NetPlan


def prepared_of(problem: dict[str, Any], apps: list[dict[str, Any]]) -> Prepared:
    given = {"objective": problem["metric"], "mode": problem["mode"], "event_model": problem["event_model"]}
    return prepare(apps, problem["model"], problem["video"], **given)


def assert_same_table(one: OptionTable, other: OptionTable) -> None:
    for field in fields(OptionTable):
        first, second = getattr(one, field.name), getattr(other, field.name)
        if field.name == "votes":  # those of an option that there is not say nothing
            first, second = (np.where(np.isnan(table.values), 0, table.votes) for table in (one, other))
        if isinstance(first, np.ndarray):
            np.testing.assert_array_equal(first, second, err_msg=field.name)
            assert first.dtype == second.dtype, field.name
    for name, first, second in zip(one.packed._fields, one.packed, other.packed, strict=True):
        np.testing.assert_array_equal(first, second, err_msg=name)
        assert np.asarray(first).dtype == np.asarray(second).dtype, name
    for field in fields(Apps):
        first, second = getattr(one.apps, field.name), getattr(other.apps, field.name)
        np.testing.assert_array_equal(first, second, err_msg=field.name)


@pytest.mark.parametrize("seed", range(60))
def test_apps_that_come_and_go_leave_what_a_fresh_problem_has(seed: int) -> None:
    print("seed", seed)
    problem = oracle.random_problem(seed, constraints=True)
    random = np.random.default_rng(seed)
    waiting = [{**app, "app_id": f"app {app['app_id']}" if seed % 3 == 0 else app["app_id"]} for app in problem["apps"]]
    waiting += [
        {**app, "app_id": 100 + i} for i, app in enumerate(oracle.random_problem(seed, constraints=True)["apps"])
    ]
    for app in waiting:  # fewer points here and there, so that chokepoints come and go with an app
        for f in [f for f in app["accuracies"] if len(app["accuracies"]) > 1 and random.random() < 0.4]:
            if f != app.get("pinned", (None,))[0] and len(app["accuracies"]) > 1:
                for curve in ("accuracies", "false_positive_rates"):
                    app[curve] = {k: v for k, v in app.get(curve, {}).items() if k != f}
        app.pop("min_value", None)
        if not app.get("false_positive_rates"):
            app.pop("false_positive_rates", None)
    try:
        now = prepared_of(problem, waiting[:1])
        held = waiting[:1]
        rest = waiting[1:]
        for _ in range(8):
            if rest and (len(held) == 1 or random.random() < 0.6):
                app = rest.pop(int(random.integers(len(rest))))
                now, held = now.with_app(app), [*held, app]
            else:
                gone = held[int(random.integers(len(held)))]
                now, held = now.without(gone["app_id"]), [app for app in held if app is not gone]
                rest.append(gone)
            fresh = prepared_of(problem, held)
            assert now.described == fresh.described
            if random.random() < 0.7:  # else several steps are taken over at once
                assert_same_table(now.table.parts[0], fresh.table.parts[0])
    except InfeasibleError as error:
        assert error.smallest_budget is None


def test_what_did_not_change_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[int] = []
    build = OptionTable.build.__func__  # type: ignore[attr-defined]

    def counted(cls: type[OptionTable], apps: Apps, *rest: Any, **options: Any) -> OptionTable:
        built.append(len(apps))
        return build(cls, apps, *rest, **options)

    monkeypatch.setattr(OptionTable, "build", classmethod(counted))
    made = workload(30, seed=1)
    apps = made.objects()
    start = prepare(apps[:-1], made.model, made.video, 1e3)
    for budget in (50.0, 60.0):
        start.with_budget(budget).solve()
    start.solve()
    start.frontier([40, 50, 60])
    assert start.smallest_budget() < start.useful_budget()
    assert built == [29]
    assert len(start.with_app(apps[-1]).solve().choices) == 30
    start.without(apps[0].app_id).solve()
    assert built == [29, 1]


def test_the_closed_loop_compiles_its_problem_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"tables": 0, "columns": 0}
    build, of = OptionTable.build.__func__, Apps.of.__func__  # type: ignore[attr-defined]

    def table(cls: type[OptionTable], *given: Any, **options: Any) -> OptionTable:
        counts["tables"] += 1
        return build(cls, *given, **options)

    def columns(cls: type[Apps], given: Any) -> Apps:
        counts["columns"] += not isinstance(given, Apps)
        return of(cls, given)

    monkeypatch.setattr(OptionTable, "build", classmethod(table))
    monkeypatch.setattr(Apps, "of", classmethod(columns))

    class Slower:
        def __init__(self) -> None:
            self.share = 1.0

        def deploy(self, plan: NetPlan) -> dict[int, float]:
            self.share *= 0.93
            return {app: 0.75 * self.share * fps for app, fps in plan.target_fps.items()}

    made = workload(10, seed=2)
    apps = [app.model_copy(update={"model_path": dict.fromkeys(app.accuracies, "a.pb")}) for app in made.objects()]
    history = Scheduler(apps, made.model, made.video, deployer=Slower(), max_rounds=4).run(
        4 * made.prepare().smallest_budget()
    )
    assert len(history) == 4
    assert counts == {"tables": 2, "columns": 1}  # one of the two tables is made_prepare()'s here


@pytest.mark.parametrize("seed", range(30))
def test_the_smallest_and_the_useful_budget_are_the_oracles(seed: int) -> None:
    print("seed", seed)
    problem = oracle.random_problem(seed, constraints=True)
    every = [
        oracle.options(
            app,
            problem["video"]["fps_options"],
            problem["video"]["stream_fps"],
            problem["metric"],
            problem["mode"],
            problem["event_model"],
        )
        for app in problem["apps"]
    ]
    prepared = prepared_of(problem, problem["apps"])
    if not all(every):
        with pytest.raises(InfeasibleError):
            prepared.smallest_budget()
        return
    latencies = problem["model"]["layer_latencies"]

    def cheapest(options: list[list[oracle.Option]]) -> float:
        return min(oracle.cost(picked, latencies, problem["mode"]) for picked in itertools.product(*options))

    assert prepared.smallest_budget() == pytest.approx(cheapest(every))
    for gap in (1e-6, 0.05):
        near = [[one for one in own if one.value >= max(o.value for o in own) - gap] for own in every]
        assert prepared.useful_budget(gap) == pytest.approx(cheapest(near))


def test_beyond_the_useful_budget_nothing_is_gained() -> None:
    for seed in range(5):
        prepared = workload(20, seed=seed).prepare()
        useful = prepared.useful_budget()
        best = prepared.solve(1e9).objective
        assert prepared.solve(useful).objective >= best - 2e-6
        assert prepared.solve(0.9 * useful).objective < best - 2e-6


APPS = [
    {"app_id": "door", "accuracies": {0: 0.9, 2: 0.8}, "event_length_ms": 1500},
    {"app_id": 7, "accuracies": {0: 0.8, 2: 0.8}, "event_length_ms": 500, "optional": True},
]
MODEL = {"total_layers": 3, "layer_latencies": [1, 1, 1], "frozen_layer_names": {0: "in", 2: "cut"}}
VIDEO = {"stream_fps": 4}


def test_a_budget_is_the_problems_or_the_calls() -> None:
    prepared = prepare(APPS, MODEL, VIDEO, 9)
    assert prepared.solve().budget == 9
    assert prepared.solve(5).budget == 5
    assert prepared.with_budget(7).solve().budget == 7
    assert prepared.solve().choices == solve(APPS, MODEL, VIDEO, 9).choices
    assert repr(prepared) == "<Prepared: 2 apps, recall, mainstream, windowed, budget 9>"
    assert prepare([APPS[1]], MODEL, VIDEO).smallest_budget() == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda p: p.solve(),
            r"budget: there is none; give it here, or to prepare\(\); a problem file's is in problem\.g",
        ),
        (lambda p: p.solve(0), "budget: got 0; it has to be a finite number"),
        (lambda p: p.with_budget(float("nan")), "budget: got nan; it has to be a finite number"),
        (lambda p: p.with_app(APPS[0]), "app_id door stands 2 times; each app needs its own"),
        (lambda p: p.with_app({**APPS[0], "app_id": 3, "accuracies": {1: 0.5, 3: 0.1}}), "num_frozen 3 in accuracies"),
        (lambda p: p.with_app({"app_id": 3}), "app 3: missing key 'accuracies'"),
        (lambda p: p.without("gate"), r"app 'gate' is not among the apps; they are \['door', 7\]"),
        (lambda p: p.without(7).without("door"), "app door is the only one; at least one is needed"),
        (lambda p: p.useful_budget(-1), "gap: got -1"),
        (lambda p: p.frontier([]), "budgets: there is none"),
        (lambda p: p.solve(9, method="greedy", aggregate="min"), "only takes aggregate 'mean'; for 'min' use 'branch-"),
        (
            lambda p: prepare(APPS, VIDEO, MODEL),
            "arguments are swapped: got apps, video, model; the order is apps, mod",
        ),
        (lambda p: solve(MODEL, APPS, VIDEO, 9), "arguments are swapped: got model, apps, video; the order is apps, m"),
        (lambda p: Scheduler(MODEL, VIDEO, APPS), "arguments are swapped: got model, video, apps; the order is apps"),
        (lambda p: Scheduler(APPS, MODEL), "video: it is missing; the order is apps, model, video"),
        (lambda p: Scheduler(APPS, MODEL, VIDEO, video_desc=VIDEO), "video_desc is another name of video; give one of"),
    ],
)
def test_bad_calls_are_one_line(call: Any, message: str) -> None:
    with pytest.raises(ProblemError, match=message) as error:
        call(prepare(APPS, MODEL, VIDEO))
    assert "\n" not in str(error.value)


def test_an_objective_holds_for_apps_that_come_later() -> None:
    complete = {**APPS[0], "false_positive_rates": {0: 0.1, 2: 0.1}, "event_frequency": 0.2}
    with pytest.raises(ProblemError, match="objective 'f1': app 7: missing false_positive_rates and event_frequency"):
        prepare([complete], MODEL, VIDEO).with_app(APPS[1])
    both = prepare([App.of(APPS[1])], MODEL, VIDEO).with_app(complete)
    assert (both.objective, [app.app_id for app in both.described]) == ("recall", [7, "door"])
    columns = prepare(Apps.of(APPS), MODEL, VIDEO)
    assert columns.described == columns.without(7).described == ()


class _Cheat:
    """A method that gives what it may not give."""

    name = "cheat"
    aggregates = ("mean", "min")
    exact = True

    def __init__(self, cell: int) -> None:
        self.cell = cell

    def maximise(self, table: Any, budget: float, limits: Any, aggregate: str, staircases: Any) -> Any:
        from mainstream.solver.search import Outcome

        cells = np.full(len(table), self.cell, np.int32)
        return Outcome(cells=cells, bound=1.0, nodes=1, finished=True, method=self.name)


@pytest.mark.parametrize(("cell", "message"), [(4, "costs 24, with a budget of 9"), (1, "an option that its app may")])
def test_a_method_that_breaks_the_rules_is_found_out(cell: int, message: str) -> None:
    from mainstream import MainstreamError

    slow = [{**app, "min_fps": 2} for app in APPS]
    with pytest.raises(MainstreamError, match=f"method cheat: its schedule .*{message}"):
        prepare(slow, MODEL, VIDEO, 9).solve(method=_Cheat(cell))
