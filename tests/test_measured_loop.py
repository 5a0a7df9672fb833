"""The closed loop where compute is measured: it corrects the profile, keeps to the budget, and believes no nonsense."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.spinning import Spinning, write_spinning

from mainstream import App, DeployError, Model, Scheduler, Video, solve
from mainstream.streamer import LocalRunner, NetPlan, Observed
from mainstream.streamer.compute import Compute, PartCompute

TRUE = [0.5, 0.25, 0.25, 0.25, 0.5, 0.25]
CUTS = (0, 2, 4)
NAMES = {0: "in", 2: "two", 4: "four", 6: "out"}
VIDEO = Video(stream_fps=20, fps_options=(8, 10, 12, 15, 20))
BUDGET = 100.0
"""The schedules really take 28 to 120 ms a second; at three times the latencies the cheapest is said to take 84."""
WINDOW_S = 3.0


def model_of(latencies: Sequence[float], unit: str | None = "ms") -> Model:
    names: dict[str, Any] = {"total_layers": 6, "frozen_layer_names": NAMES, "height": 8, "width": 8, "unit": unit}
    return Model(layer_latencies=tuple(latencies), **names)


APPS = [
    App(
        app_id=name,
        accuracies={k: top - 0.02 * k for k in CUTS},
        event_length_ms=400,
        correlation=0.3,
        model_path={k: "net.json" for k in CUTS},
    )
    for name, top in (("gate", 0.9), (2, 0.8), (3, 0.7))
]


class Device:
    """Tells what the true latencies are, each time multiplied by the next of `noise`; keeps the plans."""

    def __init__(self, share: float = 1.0, noise: Iterator[float] | None = None, window_s: float = 30.0) -> None:
        self.plans: list[NetPlan] = []
        self._share, self._noise, self._window_s = share, noise, window_s

    def deploy(self, plan: NetPlan) -> Observed:
        self.plans.append(plan)
        off = 1.0 if self._noise is None else next(self._noise)
        parts = []
        for subnet, (start, stop) in zip(plan.subnets, plan.layers, strict=True):
            runs = round(self._share * subnet.target_fps * self._window_s)
            core_s = off * runs * sum(TRUE[start:stop]) / 1000
            parts.append(PartCompute(net_id=subnet.net_id, runs=runs, core_s=core_s))
        rates = {app: self._share * fps for app, fps in plan.target_fps.items()}
        return Observed(rates, plan, Compute(window_s=self._window_s, parts=tuple(parts)))


def run(device: Any, latencies: Sequence[float], *, unit: str | None = "ms", **options: Any) -> Any:
    return Scheduler(APPS, model_of(latencies, unit), VIDEO, deployer=device, **options).run(BUDGET)


def true_cost(one: Any) -> float:
    """What a round's schedule really takes."""
    choices = [(choice.num_frozen, choice.target_fps) for choice in one.result.choices]
    tails = sum(sum(TRUE[f:]) * rate for f, rate in choices)
    stem = sum(x * max((rate for f, rate in choices if f > 1 and k < f), default=0) for k, x in enumerate(TRUE))
    return tails + stem


@pytest.mark.parametrize("factor", [0.5, 2.0, 3.0])
def test_a_profile_off_by_one_factor_gives_the_right_schedule_in_the_second_round(factor: float) -> None:
    device = Device()
    history = run(device, [factor * x for x in TRUE])
    assert history.reason == "converged" and len(history) == 2
    first, second = history
    assert first.factor == pytest.approx(1 / factor)
    assert first.measured_compute == pytest.approx(true_cost(first))
    assert [one.budget for one in history] == [BUDGET, BUDGET]
    assert second.factor == pytest.approx(1)
    assert second.result.objective == pytest.approx(solve(APPS, model_of(TRUE), VIDEO, BUDGET).objective, abs=2e-6)
    assert second.measured_compute <= BUDGET * (1 + 1e-9)
    assert history.profile.layer_latencies == pytest.approx(TRUE)
    assert (first.measured_compute > BUDGET) == (factor < 1)


@pytest.mark.parametrize("seed", range(20))
def test_layers_off_each_by_its_own_factor_converge(seed: int) -> None:
    draw = random.Random(seed)
    history = run(Device(), [draw.uniform(0.5, 3) * x for x in TRUE])
    assert history.converged
    assert len(history) <= 4
    last = history[-1]
    told = sum(part.runs * sum(history.profile.layer_latencies[part.start : part.stop]) for part in last.measured.parts)
    assert told / 30 == pytest.approx(last.measured_compute)
    assert last.measured_compute <= 1.05 * BUDGET


def test_a_profile_that_is_right_is_left_as_it_is() -> None:
    history = run(Device(), TRUE)
    assert (history.reason, len(history)) == ("converged", 1)
    assert history.profile.layer_latencies == pytest.approx(TRUE)


def test_a_schedule_that_stays_the_best_is_not_run_again() -> None:
    device = Device()
    history = Scheduler(APPS, model_of([1.2 * x for x in TRUE]), VIDEO, deployer=device).run(1000)
    assert (history.reason, len(history), len(device.plans)) == ("converged", 1, 1)
    assert history[0].factor == pytest.approx(1 / 1.2)


def test_a_budget_that_no_schedule_really_fits_ends_the_loop() -> None:
    history = Scheduler(APPS, model_of([0.5 * x for x in TRUE]), VIDEO, deployer=Device()).run(20)
    assert (history.reason, len(history)) == ("no schedule fits the budget by what was measured", 1)
    assert history[0].measured_compute > 20


def test_what_a_slow_device_gets_done_is_the_next_budget() -> None:
    history = run(Device(share=0.7), [0.9 * x for x in TRUE], max_rounds=2)
    first, second = history
    assert first.deviation == pytest.approx(-0.3, abs=0.05)
    assert second.budget == first.measured_compute < BUDGET
    assert second.result.cost <= second.budget


def test_a_device_that_is_busy_with_a_profile_too_low_keeps_to_the_budget() -> None:
    history = run(Device(share=0.75), [0.5 * x for x in TRUE], max_rounds=2)
    first, second = history
    assert first.measured_compute < BUDGET or second.budget == BUDGET
    assert true_cost(second) <= BUDGET


def test_a_loop_without_end_ends_after_the_rounds() -> None:
    noise = (random.Random(0).choice([0.7, 1.4]) for _ in range(100))
    history = run(Device(noise=noise), TRUE, max_rounds=4)
    assert len(history) <= 4
    assert history.reason in ("max rounds", "converged")


@pytest.mark.parametrize("unit", [None, "cycles"])
def test_another_unit_than_ms_is_measured_and_not_compared(unit: str | None) -> None:
    history = run(Device(), [0.8 * x for x in TRUE], unit=unit)
    assert (history.reason, len(history), history[0].factor) == ("converged", 1, None)
    assert history[0].measured_compute == pytest.approx(true_cost(history[0]))
    assert history.profile.layer_latencies == model_of([0.8 * x for x in TRUE]).layer_latencies


@pytest.mark.parametrize("noise", [1e4, 1e-6, 0.0])
def test_absurd_compute_is_not_believed(noise: float) -> None:
    history = run(Device(noise=iter([noise] * 10)), TRUE)
    assert (history.reason, len(history), history[0].factor) == ("converged", 1, None)
    assert history.profile.layer_latencies == tuple(TRUE)
    json.loads(history.to_json())


def test_too_short_a_window_is_not_believed() -> None:
    history = run(Device(window_s=0.2), [2 * x for x in TRUE])
    assert (history.reason, len(history), history[0].factor) == ("converged", 1, None)


def test_compute_of_another_plan_is_a_deploy_error() -> None:
    class Strange(Device):
        def deploy(self, plan: NetPlan) -> Observed:
            told = super().deploy(plan)
            assert told.compute is not None
            return Observed(told, plan, Compute(window_s=1, parts=told.compute.parts[:1]))

    with pytest.raises(DeployError, match=r"^compute: it has 1 parts, but the plan has \d$"):
        run(Strange(), TRUE)


def test_a_history_saves_what_was_measured() -> None:
    history = run(Device(), [2 * x for x in TRUE])
    assert f"compute measured {history[0].measured_compute:.6g} ms/s" in str(history)
    saved = json.loads(history.to_json())["rounds"][0]
    assert saved["measured_compute"] == history[0].measured_compute
    assert saved["unmeasured"] is None
    assert saved["measured"]["factor"] == pytest.approx(0.5)
    assert {part["app_id"] for part in saved["measured"]["parts"]} <= {None, "gate", 2, 3}
    for part in saved["measured"]["parts"]:
        assert part["measured_core_s"] / part["predicted_core_s"] == pytest.approx(part["factor"]) == pytest.approx(0.5)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRunner]:
    pytest.importorskip("av", reason="needs the extra run")
    folder = tmp_path_factory.mktemp("models")
    inner = [sum(TRUE[a:b]) / 1000 for a, b in ((0, 2), (2, 4), (4, 6))]
    write_spinning(Path(folder) / "net.json", list(NAMES.values()), inner)
    source = "test://?fps=20&width=16&height=16"
    with LocalRunner(source, folder, window_s=WINDOW_S, engine=Spinning(), paced=False) as runner:
        yield runner


@pytest.mark.parametrize("factors", [[0.5] * 3, [3.0] * 3, [0.5, 3.0, 1.0], [2.0, 0.7, 3.0]])
def test_a_real_runtime_corrects_a_wrong_profile(runner: LocalRunner, factors: list[float]) -> None:
    wrong = [f * x for f, x in zip([f for f in factors for _ in range(2)], TRUE, strict=True)]
    history = run(runner, wrong)
    assert history.converged, history
    assert len(history) <= 5
    last = history[-1].measured
    told = sum(part.runs * sum(history.profile.layer_latencies[part.start : part.stop]) for part in last.parts)
    assert told / 1000 == pytest.approx(sum(part.measured_core_s for part in last.parts), rel=1e-6)
    # Each call takes a little more than it spins.
    true = sum(part.runs * sum(TRUE[part.start : part.stop]) for part in last.parts)
    assert true <= told <= 1.5 * true
