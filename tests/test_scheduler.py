"""The closed loop: with devices that get done what they should, less, hardly anything, nothing, now this, now that."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from support.old_streamer import OldStreamer, share

from mainstream import Apps, DeployError, InfeasibleError, Model, ProblemError, Scheduler, Video, solve
from mainstream.errors import InterruptedLoop
from mainstream.streamer import NetPlan, Observed, StreamerClient, net_plan

LATENCIES = [1.0, 2.0, 0.5, 1.5, 1.0, 0.5]
CUTS = (0, 2, 4)
MODEL = Model(
    total_layers=6,
    layer_latencies=LATENCIES,
    frozen_layer_names={0: "in", 2: "two", 4: "four", 6: "out"},
    height=8,
    width=8,
    unit="ms",
)
VIDEO = Video(stream_fps=10)


def app(app_id: int, top: float, **changes: Any) -> dict[str, Any]:
    return {
        "app_id": app_id,
        "accuracies": {k: top - 0.02 * k for k in CUTS},
        "false_positive_rates": {k: 0.02 + 0.01 * k for k in CUTS},
        "event_length_ms": 700 * app_id,
        "event_frequency": 0.3,
        "correlation": 0.2 * app_id,
        "model_path": {k: f"{app_id}-{k}.pb" for k in CUTS},
        **changes,
    }


APPS = [app(1, 0.9), app(2, 0.8, x_vote=2), app(3, 0.7, x_vote="auto")]
BUDGET = 60.0


class Device:
    """Observes each app at its target times the next of `parts`; keeps the plans."""

    def __init__(self, parts: Iterable[float]) -> None:
        self.plans: list[NetPlan] = []
        self._parts = iter(parts)

    def deploy(self, plan: NetPlan) -> Mapping[int, float]:
        self.plans.append(plan)
        part = next(self._parts)
        return {app_id: part * rate for app_id, rate in plan.target_fps.items()}


def always(part: float) -> Device:
    return Device(part for _ in range(1000))


def scheduler(deployer: Any, apps: Any = APPS, **options: Any) -> Scheduler:
    return Scheduler(apps, VIDEO, MODEL, deployer=deployer, **options)


def plain_cost(choices: list[tuple[int, float]]) -> float:
    """(`num_frozen`, rate) of each app -> compute a second, layer by layer."""
    whole = sum(sum(LATENCIES[f:]) * rate for f, rate in choices)
    return whole + sum(
        latency * max((rate for f, rate in choices if k < f), default=0.0) for k, latency in enumerate(LATENCIES)
    )


def test_rates_as_targeted_end_the_loop_at_once() -> None:
    device = always(1.0)
    history = scheduler(device).run(BUDGET)
    expected = solve(APPS, MODEL, VIDEO, BUDGET)
    assert (history.reason, history.converged, len(history)) == ("converged", True, 1)
    only = history[0]
    assert only.budget == BUDGET
    assert only.result.choices == expected.choices
    assert only.predicted_cost == only.predicted_cost_at_observed == pytest.approx(expected.cost)
    assert only.observed == {choice.app_id: choice.target_fps for choice in expected.choices}
    assert device.plans == [net_plan(expected, APPS, MODEL)]
    for seen, choice in zip(only.apps, expected.choices, strict=True):
        predicted = (seen.predicted_recall, seen.predicted_precision, seen.predicted_f1)
        assert predicted == pytest.approx((choice.recall, choice.precision, choice.f1))
    assert (only.measured, only.measured_compute, only.unmeasured) == (None, None, "the runtime does not tell it")
    assert history.profile == MODEL


def test_less_than_targeted_is_the_next_budget() -> None:
    history = scheduler(Device([0.6, 0.79, 0.81])).run(BUDGET)
    assert (history.reason, len(history)) == ("converged", 3)
    assert [one.budget for one in history] == [BUDGET, *(one.predicted_cost_at_observed for one in history.rounds[:2])]
    for one, part in zip(history, [0.6, 0.79, 0.81], strict=True):
        assert one.result.budget == one.budget
        assert one.result.cost <= one.budget * (1 + 1e-9)
        assert one.predicted_cost == pytest.approx(one.result.cost)
        assert one.deviation == pytest.approx(part - 1)
        choices = [(choice.num_frozen, choice.target_fps) for choice in one.result.choices]
        assert one.predicted_cost_at_observed == pytest.approx(plain_cost([(f, part * rate) for f, rate in choices]))
        assert one.result.objective == pytest.approx(solve(APPS, MODEL, VIDEO, one.budget).objective, abs=2e-6)


def test_more_than_targeted_is_the_next_budget_too() -> None:
    history = scheduler(Device([1.3, 1.0])).run(BUDGET)
    assert (history.reason, len(history)) == ("converged", 2)
    assert history[1].budget == pytest.approx(1.3 * history[0].predicted_cost)


def test_tolerance_is_a_share_of_the_target_and_strict() -> None:
    assert scheduler(always(0.7), tolerance=0.31).run(BUDGET).reason == "converged"
    assert scheduler(always(0.5), tolerance=0.5, max_rounds=1).run(BUDGET).reason == "max rounds"


def test_a_device_that_always_lags_starves() -> None:
    history = scheduler(always(0.6), max_rounds=100).run(BUDGET)
    assert history.reason == "the cost of the observed rates is below the cheapest schedule's"
    assert 1 < len(history) < 20
    with pytest.raises(InfeasibleError):
        solve(APPS, MODEL, VIDEO, history[-1].predicted_cost_at_observed)


def test_a_device_that_hardly_does_anything_starves_at_once() -> None:
    history = scheduler(always(0.05)).run(BUDGET)
    assert (history.reason, len(history)) == ("the cost of the observed rates is below the cheapest schedule's", 1)


def test_apps_that_may_all_be_left_out_starve_the_same_way() -> None:
    optional = [{**each, "optional": True} for each in APPS]
    history = scheduler(Device([0.05] * 9), optional).run(BUDGET)
    assert history.reason == "the cost of the observed rates is below the cheapest schedule's"
    with pytest.raises(ProblemError, match="the result runs no app, all were left out; solve with a larger budget"):
        scheduler(always(1.0), optional).run(0.1)


def test_a_device_that_does_nothing_ends_the_loop() -> None:
    history = scheduler(always(0.0)).run(BUDGET)
    assert (history.reason, len(history)) == ("observed rates are 0", 1)
    assert [(seen.predicted_recall, seen.predicted_precision, seen.predicted_f1) for seen in history[0].apps] == [
        (0, 0, 0)
    ] * 3


def test_the_rounds_are_limited() -> None:
    history = scheduler(always(0.75), max_rounds=2).run(10 * BUDGET)
    assert (history.reason, len(history)) == ("max rounds", 2)


class Swings(Device):
    """Does 60 % in one round, and in the next what brings the first budget back."""

    def __init__(self, budget: float) -> None:
        super().__init__([])
        self._budget = budget

    def deploy(self, plan: NetPlan) -> Mapping[int, float]:
        self.plans.append(plan)
        layer = {name: k for k, name in MODEL.frozen_layer_names.items()}
        cost = sum(
            sum(LATENCIES[layer[part.input_layer] : layer[part.output_layer]]) * part.target_fps
            for part in plan.subnets
        )
        part = 0.6 if len(self.plans) % 2 else self._budget / cost * (1 + 1e-13)
        return {app_id: part * rate for app_id, rate in plan.target_fps.items()}


def test_a_loop_that_swings_ends_where_a_budget_comes_back() -> None:
    history = scheduler(Swings(BUDGET)).run(BUDGET)
    assert (history.reason, len(history)) == ("budget seen before", 2)
    assert history[-1].predicted_cost_at_observed == pytest.approx(BUDGET)


@pytest.mark.parametrize("more", [1e-2, 1e-4, 1e-6])
def test_a_budget_near_an_earlier_one_is_another_one(more: float) -> None:
    history = scheduler(Swings(BUDGET * (1 + more))).run(BUDGET)
    assert len(history) > 2
    assert history[2].budget == pytest.approx(BUDGET * (1 + more), rel=1e-9)


def detected(p: float, correlation: float, frames: float) -> float:
    """Share of windows with at least one hit, from the two-state chain frame by frame."""

    def after(n: int) -> float:
        return 0.0 if n == 0 else 1 - (1 - p) * ((1 - p) + p * correlation) ** (n - 1)

    whole = math.floor(frames)
    return after(whole) + (frames - whole) * (after(whole + 1) - after(whole))


def test_metrics_are_those_at_the_observed_rate() -> None:
    one = app(1, 0.7, pinned=(2, 5), event_length_ms=1000, correlation=0.25, event_frequency=0.4)
    seen = scheduler(Device([0.3]), [one], max_rounds=1).run(BUDGET)[0].apps[0]
    recall, alarm = detected(0.66, 0.25, 1.5), detected(0.04, 0.25, 1.5)
    precision = 0.4 * recall / (0.4 * recall + 0.6 * alarm)
    assert (seen.target_fps, seen.observed_fps, seen.num_frozen) == (5, 1.5, 2)
    assert seen.predicted_recall == pytest.approx(recall)
    assert seen.predicted_precision == pytest.approx(precision)
    assert seen.predicted_f1 == pytest.approx(2 * precision * recall / (precision + recall))


def test_an_observed_rate_beyond_the_streams_counts_as_the_streams() -> None:
    one = app(1, 0.7, pinned=(2, 5), event_length_ms=1000, correlation=0.25)
    round_ = scheduler(Device([7.0]), [one], max_rounds=1).run(BUDGET)[0]
    assert round_.apps[0].predicted_recall == pytest.approx(detected(0.66, 0.25, 10))
    assert round_.observed == {1: 35.0}
    assert round_.predicted_cost_at_observed == pytest.approx(7 * round_.predicted_cost)


def test_an_app_that_does_nothing_beside_one_that_does() -> None:
    class OneStops:
        def deploy(self, plan: NetPlan) -> Mapping[int, float]:
            return {**plan.target_fps, 2: 0}

    first = scheduler(OneStops(), max_rounds=1).run(BUDGET)[0]
    by_id = {seen.app_id: seen for seen in first.apps}
    assert (by_id[2].predicted_recall, by_id[2].predicted_precision, by_id[2].predicted_f1) == (0, 0, 0)
    choices = {choice.app_id: choice for choice in first.result.choices}
    assert by_id[1].predicted_f1 == pytest.approx(choices[1].f1)
    rates = [(choice.num_frozen, 0 if choice.app_id == 2 else choice.target_fps) for choice in choices.values()]
    assert first.predicted_cost_at_observed == pytest.approx(plain_cost(rates))


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_without_false_positive_rates_there_is_recall_only(rate: float) -> None:
    apps = [{k: v for k, v in each.items() if k != "false_positive_rates"} for each in APPS]
    history = scheduler(always(rate), apps, max_rounds=1).run(BUDGET)
    assert history[0].result.metric == "recall"
    assert {(seen.predicted_precision, seen.predicted_f1) for seen in history[0].apps} == {(None, None)}


def test_keys_0_and_1_are_one_and_the_same() -> None:
    keys = {
        "accuracies": {1: 0.9, 2: 0.8},
        "false_positive_rates": {0: 0.1, 2: 0.2},
        "pinned": (0, 5),
        "model_path": {1: "a.pb"},
    }
    seen = scheduler(always(1.0), [app(1, 0.9, **keys)]).run(BUDGET)[0]
    assert seen.apps[0].predicted_f1 == pytest.approx(seen.result.choices[0].f1)


@pytest.mark.parametrize("mode", ["no-sharing", "max-sharing"])
def test_modes_reach_solver_and_costs(mode: Any) -> None:
    apps = [*APPS, app(4, 0.9, pinned=(4, 2))]
    history = scheduler(Device([0.6, 1.0]), apps, mode=mode, event_model="paper", objective="recall").run(2 * BUDGET)
    assert history.reason == "converged"
    for one, part in zip(history, [0.6, 1.0], strict=True):
        assert (one.result.mode, one.result.event_model, one.result.metric) == (mode, "paper", "recall")
        assert one.predicted_cost == pytest.approx(one.result.cost)
        assert one.predicted_cost_at_observed == pytest.approx(part * one.result.cost)
    assert [seen.predicted_f1 for seen in history[-1].apps] == pytest.approx(
        [choice.f1 for choice in history[-1].result.choices]
    )


def test_whole_rates_are_the_target_where_they_are_what_ran() -> None:
    slow = [app(1, 0.9, pinned=(2, 2.5)), app(2, 0.9, pinned=(4, 0.5))]
    video = Video(stream_fps=10, fps_options=(0.5, 2.5))
    with OldStreamer() as server:
        client = StreamerClient(server.address, 30, integer_fps=True)
        history = Scheduler(slow, video, MODEL, deployer=client, tolerance=0.01).run(BUDGET)
    assert history.converged
    assert [(seen.target_fps, seen.observed_fps) for seen in history[0].apps] == [(2, 2), (1, 1)]
    assert history[0].predicted_cost == pytest.approx(plain_cost([(2, 2), (4, 1)]))
    assert history[0].result.cost == pytest.approx(plain_cost([(2, 2.5), (4, 0.5)]))


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (1.0, "converged"),
        (0.6, "the cost of the observed rates is below the cheapest schedule's"),
        (0.05, "the cost of the observed rates is below the cheapest schedule's"),
    ],
)
def test_the_published_call_runs_against_the_old_server(part: float, reason: str) -> None:
    apps = [
        {
            "app_id": 1,
            "accuracies": {1: 0.9, 2: 0.8},
            "prob_tnrs": {1: 0.1, 2: 0.2},
            "event_length_ms": 500,
            "event_frequency": 0.1,
            "correlation_coefficient": 0.1,
            "model_path": {1: "1-1.pb", 2: "1-2.pb"},
        }
    ]
    video_desc = {"stream_fps": 15}
    model_desc = MODEL.model_dump(exclude_defaults=True)
    with OldStreamer(share(part)) as server:
        schedule = Scheduler(apps, video_desc, model_desc, address=server.address)
        assert schedule.run(100).reason == reason


def test_each_round_is_told_when_it_is_over() -> None:
    told: list[int] = []
    device = Device([0.6, 1.0])
    history = scheduler(device).run(BUDGET, progress=lambda one: told.append(len(device.plans)))
    assert told == [1, 2]
    assert len(history) == 2


@pytest.mark.parametrize("rounds", [0, 2])
def test_ctrl_c_keeps_the_rounds_that_are_over(rounds: int) -> None:
    plain, calls = always(0.7), []

    class Pressed:
        def deploy(self, plan: Any) -> Any:
            calls.append(plan)
            if len(calls) > rounds:
                raise KeyboardInterrupt
            return plain.deploy(plan)

    with pytest.raises(KeyboardInterrupt) as stopped:
        scheduler(Pressed()).run(BUDGET)
    if not rounds:
        assert not isinstance(stopped.value, InterruptedLoop)
    else:
        assert isinstance(stopped.value, InterruptedLoop)
        history = stopped.value.history
        assert (len(history), history.reason) == (rounds, "interrupted")
        assert [one.budget for one in history] == [one.budget for one in scheduler(always(0.7)).run(BUDGET)][:2]


def test_a_history_says_what_happened_and_saves_itself() -> None:
    history = scheduler(Device([0.6, 1.0])).run(BUDGET)
    first, second, end = str(history).splitlines()
    assert first.startswith("round 1: budget 60, compute not measured, cost predicted ")
    assert first.endswith("(-40.0%)")
    assert second.endswith("(+0.0%)")
    assert end == "ended: converged"
    saved = json.loads(history.to_json())
    assert saved["reason"] == "converged"
    assert [one["budget"] for one in saved["rounds"]] == [one.budget for one in history]
    assert saved["rounds"][0]["apps"][1] == vars(history[0].apps[1])
    assert saved["rounds"][0]["result"]["choices"][0]["app_id"] == 1


def test_a_first_budget_too_small_is_infeasible() -> None:
    with pytest.raises(InfeasibleError):
        scheduler(always(1.0)).run(0.1)
    with pytest.raises(ProblemError, match="budget: got -1"):
        scheduler(always(1.0)).run(-1)


def answering(answer: Callable[[NetPlan], Any]) -> Any:
    class Strange:
        def deploy(self, plan: NetPlan) -> Any:
            return answer(plan)

    return Strange()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda plan: [1, 2, 3], r"observed rates: got \[1, 2, 3\]; it has to be a mapping"),
        (lambda plan: {1: 1, 2: 1}, "app 3 has no observed rate"),
        (lambda plan: {1: 1, 2: 1, 3: math.nan}, "app 3: observed rate nan; it has to be a finite number"),
        (lambda plan: {1: 1, 2: "1", 3: 1}, "app 2: observed rate '1'; it has to be a finite number"),
        (lambda plan: {1: 1, 2: None, 3: 1}, "app 2: observed rate None; it has to be a finite number"),
    ],
)
def test_a_deployer_that_answers_nonsense_is_a_deploy_error(answer: Any, message: str) -> None:
    with pytest.raises(DeployError, match=message):
        scheduler(answering(answer)).run(BUDGET)


def test_a_deployer_may_tell_numpy_rates_and_another_plan() -> None:
    import numpy as np

    def slower(plan: NetPlan) -> Observed:
        return Observed({k: np.float32(1) for k in plan.target_fps}, plan.with_integer_fps())

    first = scheduler(answering(slower), max_rounds=1).run(BUDGET)[0]
    assert all(type(rate) is float for rate in first.observed.values())


def test_a_missing_model_file_is_said_before_anything_runs() -> None:
    device = always(1.0)
    with pytest.raises(ProblemError, match=r"app 1: no model_path for num_frozen [024]; it has none"):
        scheduler(device, [{**each, "model_path": {}} for each in APPS]).run(BUDGET)
    assert device.plans == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"apps": []}, "apps: there is none; at least one is needed"),
        ({"apps": 3}, "apps: got 3; it has to be a list of App objects or mappings"),
        ({"apps": Apps.of(APPS)}, "apps: got .*; it has to be a list of App objects or mappings"),
        ({"apps": [APPS[0], APPS[0]]}, "app_id 1 stands 2 times"),
        ({"apps": [app(1, 0.9, accuracies={3: 0.5}, false_positive_rates={3: 0.1})]}, "num_frozen 3 in accuracies"),
        ({"video_desc": {"fps": 3}}, "video: unknown key 'fps'"),
        ({"model_desc": {}}, "model: missing key"),
        ({"deployer": object()}, "deployer: got <object .*; it has to have a method"),
        ({"deployer": None, "address": "here"}, "address: got 'here'; it has to be"),
        ({"objective": "f2"}, "scheduler: objective: got 'f2'; it has to be 'f1', 'recall' or 'precision'"),
        ({"aggregate": "max"}, "scheduler: aggregate: got 'max'"),
        ({"mode": "sharing"}, "scheduler: mode: got 'sharing'"),
        ({"method": "magic"}, "scheduler: method: got 'magic'"),
        ({"event_model": "magic"}, "scheduler: event_model: got 'magic'"),
        ({"gap": -1}, "scheduler: gap: got -1"),
        ({"time_limit": 0}, "scheduler: time_limit: got 0"),
        ({"tolerance": 0}, "tolerance: got 0; it has to be a finite number above 0"),
        ({"tolerance": "0.2"}, "tolerance: got '0.2'; it has to be a finite number above 0"),
        ({"max_rounds": 0}, "max_rounds: got 0; it has to be a whole number, 1 or more"),
        ({"max_rounds": 1.5}, "max_rounds: got 1.5; it has to be a whole number, 1 or more"),
    ],
)
def test_what_is_wrong_is_said_at_construction(changes: dict[str, Any], message: str) -> None:
    given = {"apps": APPS, "video_desc": VIDEO, "model_desc": MODEL, "deployer": always(1.0), **changes}
    with pytest.raises(ProblemError, match=message):
        Scheduler(**given)
