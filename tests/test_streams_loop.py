"""The closed loop over several streams: plans at the same time, compute summed, each network corrected by its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event
from time import sleep
from typing import Any

import pytest
from support.spinning import Spinning, write_spinning

from mainstream import App, DeployError, Model, ProblemError, Scheduler, Stream, Video, solve
from mainstream.streamer import LocalRunner, NetPlan, Observed
from mainstream.streamer.compute import Compute, PartCompute
from mainstream.streamer.together import Together

TRUE = [0.5, 0.25, 0.25, 0.25, 0.5, 0.25]
CUTS = (0, 2, 4)
NAMES = {0: "in", 2: "two", 4: "four", 6: "out"}
VIDEO = Video(stream_fps=20, fps_options=(8, 10, 12, 15, 20))
BUDGET = 100.0


def model_of(factor: float, name: str = "net") -> Model:
    return Model(
        name=name,
        total_layers=6,
        layer_latencies=tuple(factor * x for x in TRUE),
        frozen_layer_names=NAMES,
        height=8,
        width=8,
        unit="ms",
    )


def apps_of(*ids: int | str) -> list[App]:
    return [
        App(
            app_id=app_id,
            accuracies={k: 0.9 - 0.02 * k for k in CUTS},
            event_length_ms=400,
            model_path={k: "net.json" for k in CUTS},
        )
        for app_id in ids
    ]


def streams_of(door: Model, yard: Model) -> list[Stream]:
    return [Stream(apps_of("gate", 2), door, VIDEO, "door"), Stream(apps_of(3), yard, VIDEO, "yard")]


class Box:
    """Tells what parts really take: the true latencies, in each stream times a factor of its own."""

    def __init__(self, windows_s: Mapping[str, float], factors: Mapping[str, float]) -> None:
        self._windows_s, self._factors = windows_s, factors

    def deploy(self, plans: Mapping[str, NetPlan]) -> dict[str, Observed]:
        told = {}
        for name, plan in plans.items():
            window_s = self._windows_s[name]
            parts = []
            for subnet, (start, stop) in zip(plan.subnets, plan.layers, strict=True):
                runs = round(subnet.target_fps * window_s)
                core_s = self._factors[name] * runs * sum(TRUE[start:stop]) / 1000
                parts.append(PartCompute(net_id=subnet.net_id, runs=runs, core_s=core_s))
            told[name] = Observed(plan.target_fps, plan, Compute(window_s=window_s, parts=tuple(parts)))
        return told


def test_compute_is_that_of_all_streams_against_the_one_budget() -> None:
    box = Box({"door": 30.0, "yard": 20.0}, {"door": 1.0, "yard": 1.0})
    history = Scheduler(streams_of(model_of(2), model_of(2)), deployer=box).run(BUDGET)
    assert history.reason == "converged" and len(history) == 2
    first, second = history
    assert first.measured_compute == pytest.approx(first.predicted_cost / 2)
    assert second.measured_compute == pytest.approx(second.predicted_cost) and second.measured_compute <= BUDGET
    best = solve(streams_of(model_of(1), model_of(1)), budget=BUDGET)
    assert second.result.objective == pytest.approx(best.objective, abs=2e-6)
    assert history.profile.layer_latencies == pytest.approx(TRUE)
    assert [seen.app_id for seen in second.apps] == ["gate", 2, 3]
    assert {*second.measured.to_dict()["streams"]} == {"door", "yard"}


def test_each_network_is_corrected_by_what_its_own_streams_took() -> None:
    box = Box({"door": 30.0, "yard": 30.0}, {"door": 2.0, "yard": 0.5})
    history = Scheduler(streams_of(model_of(1, "one"), model_of(1, "other")), deployer=box).run(BUDGET)
    assert history.converged
    assert history.profiles["door"].layer_latencies == pytest.approx([2 * x for x in TRUE])
    assert history.profiles["yard"].layer_latencies == pytest.approx([0.5 * x for x in TRUE])
    with pytest.raises(ProblemError, match="the streams have different base networks"):
        history.profile  # noqa: B018


def test_a_stream_that_does_not_tell_its_compute_is_named() -> None:
    class Half(Box):
        def deploy(self, plans: Mapping[str, NetPlan]) -> dict[str, Observed]:
            return super().deploy(plans) | {"yard": Observed(plans["yard"].target_fps, plans["yard"])}

    history = Scheduler(
        streams_of(model_of(1), model_of(1)), deployer=Half({"door": 30.0, "yard": 30.0}, {"door": 1.0, "yard": 1.0})
    ).run(BUDGET)
    assert history.converged and history[-1].measured is None
    assert history[-1].unmeasured == "stream yard: the runtime does not tell it"


def runners(folder: Path, names: Sequence[str], **options: Any) -> dict[str, LocalRunner]:
    write_spinning(folder / "net.json", [*NAMES.values()], [0.00075, 0.0005, 0.00075])
    source = "test://?fps=20&width=16&height=16"
    return {name: LocalRunner(source, folder, engine=Spinning(), **options) for name in names}


def test_real_runtimes_in_one_process_run_at_the_same_time(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="needs the extra run")
    streams = streams_of(model_of(1), model_of(1))
    with Together(runners(tmp_path, ["door", "yard"], window_s=2.0)) as together:
        history = Scheduler(streams, deployer=together, max_rounds=1).run(BUDGET)
        (one,) = history
        assert one.measured is not None and [*one.measured.streams] == ["door", "yard"]
        parts = {name: len(measured.parts) for name, measured in one.measured.streams.items()}
        assert parts == {name: len(runner.plan.subnets) for name, runner in together.runtimes.items()}  # type: ignore[union-attr]
        assert one.factor == pytest.approx(1.0, rel=0.5)
        assert all(seen.observed_fps > 0 for seen in one.apps)


def test_one_runtime_that_refuses_gives_the_others_up(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="needs the extra run")
    yard = [app.model_copy(update={"model_path": {k: "none.json" for k in CUTS}}) for app in apps_of(3)]
    streams = [Stream(apps_of("gate"), model_of(1), VIDEO, "door"), Stream(yard, model_of(1), VIDEO, "yard")]
    with (
        Together(runners(tmp_path, ["door", "yard"], window_s=600.0)) as together,
        pytest.raises(DeployError, match=r"^stream yard: .*there is no file 'none\.json'"),
    ):
        Scheduler(streams, deployer=together).run(BUDGET)


def test_a_stream_that_is_left_without_apps_is_said(tmp_path: Path) -> None:
    class Silent:
        def deploy(self, plan: NetPlan, *, given_up: Event) -> Observed:
            sleep(0.01)
            return Observed(plan.target_fps, plan)

        def close(self) -> None:
            pass

    together = Together({"door": Silent(), "yard": Silent()})  # type: ignore[dict-item]
    result = solve(streams_of(model_of(1), model_of(1)), budget=BUDGET)
    from mainstream.streamer import net_plans

    plans: Any = net_plans(result, streams_of(model_of(1), model_of(1)))
    assert [*together.deploy(plans)] == ["door", "yard"]
    with pytest.raises(DeployError, match="stream yard: none of its apps would run any more"):
        together.deploy({"door": plans["door"]})
