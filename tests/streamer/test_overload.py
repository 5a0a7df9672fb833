"""More apps than the box can run: the newest frames, old by less than two, and everyone's turn comes."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from support.failing_models import alone, write_matrix
from support.runtime import plan_of
from support.third_party import MATRICES, Matrices, Product, write_matrices
from support.waiting import comes_true

from mainstream.extensions import Part
from mainstream.streamer import LocalRunner, NetPlan, Server, StreamerClient
from mainstream.streamer.engine import Engine
from mainstream.streamer.feed import Arrival
from mainstream.streamer.frames import Frame
from mainstream.streamer.meters import Meters, Rate
from mainstream.streamer.running import Running
from mainstream.streamer.turns import Turns
from mainstream.streamer.window import Window

pytest.importorskip("av", reason="needs the extra run")

FPS = 10.0


def tree(rng: random.Random) -> NetPlan:
    """Apps alone and behind stems, at any rates."""
    (part,) = json.loads(plan_of([(0, FPS)]).to_json())
    part |= {"model_path": "net.npz", "input_layer": "frame", "output_layer": "scores"}
    parts: list[dict[str, Any]] = []
    for _ in range(rng.randint(1, 3)):
        rates = [rng.choice([1.0, 2.5, 5.0, 10.0]) for _ in range(rng.randint(1, 4))]
        stem = -1
        if rng.random() < 0.7:
            stem = len(parts)
            shared = {"net_id": stem, "app_id": -1, "shared": True, "target_fps": max(rates), "output_layer": "mean"}
            parts.append(part | shared)
        for fps in rates:
            tail = {"net_id": len(parts), "app_id": len(parts), "target_fps": fps, "parent_id": stem}
            parts.append(part | tail | ({"input_layer": "mean"} if stem >= 0 else {}))
    return NetPlan.from_json(json.dumps(parts))


def engine_of(plan: NetPlan, folder: Path, seconds: dict[int, float]) -> Engine:
    write_matrices(folder / "net.npz")
    engine = Engine(plan, MATRICES, folder, FPS)
    engine.took = seconds
    return engine


def apps(due: list[Any]) -> dict[int, int]:
    return {one.branch.subnet.app_id: one.dropped for one in due if not one.branch.subnet.shared}


@pytest.mark.parametrize("seed", range(30))
def test_nobodys_frame_is_forgotten_and_everybodys_turn_comes(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    plan = tree(rng)
    seconds = {part.net_id: rng.choice([0.01, 0.05, 0.1, 0.3]) for part in plan.subnets}
    engine, twin = (engine_of(plan, tmp_path, seconds) for _ in range(2))
    threads = rng.choice([1, 2])
    turns = Turns(engine, threads)
    reached = dict.fromkeys(plan.target_fps, 0)
    analysed, dropped = dict(reached), dict(reached)
    number = 0
    for _ in range(400):
        number += rng.choice([1, 1, 1, 2, 5])
        whole = {app_id: missed + 1 for app_id, missed in apps(twin.due(number)).items()}
        chosen = turns.choose(engine.due(number), age_s=rng.uniform(0, 0.1))
        ran = [one.branch.subnet.net_id for one in chosen]
        assert len(ran) == len(set(ran))
        assert all(one.branch.subnet.parent_id in (-1, *ran[:place]) for place, one in enumerate(chosen))
        running = apps(chosen)
        if turns.overloaded:
            assert len(running) <= 1 or sum(seconds[net_id] for net_id in ran) <= 0.18
        else:
            assert running.keys() >= whole.keys()
        for app_id, frames in whole.items():
            reached[app_id] += frames
        for app_id, missed in running.items():
            analysed[app_id] += 1
            dropped[app_id] += missed
    for app_id, frames in reached.items():
        missed = turns._owed.get(app_id, 0)  # each app's number is its net's
        assert analysed[app_id] + dropped[app_id] + missed == frames, app_id
        assert missed <= 12 * len(plan.subnets), "it is starved"
        assert analysed[app_id] > 0
    assert turns.overloaded == (sum(seconds[net_id] * fps for net_id, fps in engine.fps.items()) > threads)


def test_an_app_that_was_put_off_gets_the_next_frame_and_has_missed_nothing(tmp_path: Path) -> None:
    engine = engine_of(alone((0, "net.npz"), (1, "net.npz"), fps=5), tmp_path, {0: 0.14, 1: 0.14})
    turns = Turns(engine, 1)
    first = [apps(turns.choose(engine.due(number), 0.0)) for number in (0, 1, 2, 3)]
    assert first == [{0: 0}, {1: 0}, {0: 0}, {1: 0}]


def test_a_part_that_was_held_up_once_makes_no_overload(tmp_path: Path) -> None:
    engine = engine_of(alone((0, "net.npz")), tmp_path, {0: 0.01})
    turns = Turns(engine, 1)
    for seconds in (0.01, 30.0, 0.01, 0.01):
        turns.took(0, seconds)
        assert not turns.overloaded or seconds == 30.0
    for _ in range(9):
        turns.took(0, 0.2)
    assert turns.overloaded


class Counted(Product):
    calls = 0

    def __call__(self, batch: ArrayLike) -> NDArray[Any]:
        Counted.calls += 1
        return super().__call__(batch)


class CountedMatrices(Matrices):
    def load(self, path: Path, input_layer: str, output_layer: str, *, trusted: bool) -> Part:
        return Counted(True, [np.eye(3)])


def test_what_apps_have_in_common_is_timed_once(tmp_path: Path) -> None:
    write_matrix(tmp_path / "net.npz")
    engine = Engine(alone(*((app_id, "net.npz") for app_id in range(50))), CountedMatrices(), tmp_path, FPS)
    assert Counted.calls == 50 + 1
    assert set(engine.took) == set(range(50))


class Slow(Product):
    """Takes a tenth of a second for a frame, on however busy a machine."""

    def __call__(self, batch: ArrayLike) -> NDArray[Any]:
        time.sleep(0.1)
        return super().__call__(batch)


class SlowMatrices(Matrices):
    name = "slow matrices"

    def load(self, path: Path, input_layer: str, output_layer: str, *, trusted: bool) -> Part:
        return Slow(True, [np.eye(3)])


def test_what_became_too_old_for_its_app_is_made_up_for_and_counted(tmp_path: Path) -> None:
    count = 4
    write_matrix(tmp_path / "net.npz")
    engine = Engine(alone(*((app_id, "net.npz") for app_id in range(count))), SlowMatrices(), tmp_path, FPS)
    engine.took = dict.fromkeys(range(count), 0.04)  # which is too little
    meters = Meters(Rate(), lambda: 0, lambda: 0.0)
    meters.plan(engine.plan)
    window = Window(engine.plan, 100.0, 1 / FPS, by_clock=True)
    running = Running(engine, window, meters, lambda *_: None, lambda _: None, 1)
    ran: list[list[int]] = []
    for number in range(8):
        frame = Frame.from_pixels(number, number / FPS, np.zeros((4, 4, 3), np.uint8))
        arrival = Arrival(frame, time.monotonic() - 1.0)
        due = running.due(number, 0.0)
        window.frame(arrival.at_s, [one.branch.subnet.app_id for one in due])
        begun: list[int] = []
        running.run(due, arrival, begun, fresh=True)(0.0)
        ran.append(begun)
        assert running.overloaded
    # A frame of a second ago is too old for all but one; each gets its turn.
    assert [len(begun) for begun in ran] == [1] * 8
    assert {app_id for begun in ran[:count] for app_id in begun} == set(range(count))
    rates = meters.rates()
    assert [one.analysed for one in rates] == [2] * count
    assert sum(one.dropped for one in rates) + sum(one.analysed for one in rates) <= 8 * count
    assert sum(window.rates(ended=False).values()) * 100.0 == pytest.approx(8)


@contextmanager
def serving(models: Path) -> Iterator[tuple[LocalRunner, Server, Path]]:
    write_matrix(models / "net.npz")
    out = models / "results.jsonl"
    options: dict[str, Any] = {"engine": SlowMatrices(), "window_s": 1.0, "threads": 1, "results": out}
    with (
        LocalRunner("test://?fps=10&width=64&height=48", models, **options) as runner,
        Server(runner, "tcp://127.0.0.1:*") as server,
    ):
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield runner, server, out
        finally:
            runner.close()
            thread.join()


def test_under_five_times_the_load_frames_are_fresh_everyone_is_served_and_the_next_plan_is_taken(
    tmp_path: Path,
) -> None:
    plan = alone(*((app_id, "net.npz") for app_id in range(5)), fps=10)
    with serving(tmp_path) as (runner, server, _), StreamerClient(server.address) as client:
        client.deploy(plan)
        before = latencies(runner)
        comes_true(lambda: min(one.analysed for one in runner.rates()) >= 6)
        after = latencies(runner)
        rates = runner.rates()
        assert set(client.deploy(alone((7, "net.npz"), fps=5))) == {7}
        comes_true(lambda: not runner._plan.running.overloaded)  # type: ignore[union-attr]
    (count, total) = (now - then for now, then in zip(after, before, strict=True))
    # All five on one frame would take half a second, each on a frame of its own 0.1 to 0.2.
    assert total / count < 0.4
    assert max(one.analysed for one in rates) < 3 * min(one.analysed for one in rates)
    assert all(one.dropped > one.analysed for one in rates)


def latencies(runner: LocalRunner) -> tuple[float, float]:
    """How many results there were of all apps, and the sum of their latencies in seconds."""
    samples = [sample for metric in runner.registry.collect() for sample in metric.samples]
    count, total = (
        sum(one.value for one in samples if one.name == f"mainstream_latency_seconds_{what}")
        for what in ("count", "sum")
    )
    return count, total
