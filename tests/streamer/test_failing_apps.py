"""An app that fails on real frames fails alone; a plan that fails as a whole gives way to the last good one."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.failing_models import alone, checks_numbers, counts_classes, drops_batch, write_graph
from support.third_party import Slides
from support.waiting import becomes, comes_true

from mainstream import DeployError
from mainstream.streamer import LocalRunner, NetPlan
from mainstream.streamer.frames import Frame

pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)
pytest.importorskip("av", reason="needs the extra run")

BRIGHT = "test://?fps=20&width=64&height=48"
FAULTS: list[tuple[str, Callable[[Any, Any], Any], str]] = [
    ("numbers.pb", checks_numbers, "net 1: it cannot be run: .*no number"),
    ("classes.pb", counts_classes, r"net 1: it gave scores of shape \(1, 2\); in its trial they had shape \(1, 3\)"),
    ("batch.pb", drops_batch, r"net 1: it gave scores of shape \(0, 3\); in its trial they had shape \(1, 3\)"),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_graph(folder / "good.pb", lambda tf, mean: mean)
    for name, scores, _ in FAULTS:
        write_graph(folder / name, scores)
    return folder


class Blinking(Slides):
    """Slides that are dark and bright by turns, as the pattern says."""

    def __init__(self, pattern: str) -> None:
        super().__init__(paced=False)
        self._pattern = pattern

    def __iter__(self) -> Iterator[Frame]:
        for number, letter in enumerate(self._pattern):
            yield Frame.from_pixels(number, number / 10, np.full((4, 4, 3), 200 if letter == "#" else 5, np.uint8))


class Damaged(Slides):
    """Every third frame has no pixels."""

    def __iter__(self) -> Iterator[Frame]:
        for number, frame in enumerate(super().__iter__()):
            yield Frame(number, frame.time_s, None) if number % 3 == 1 else frame  # type: ignore[arg-type]


def frames_of(path: Path) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for line in map(json.loads, path.read_text().splitlines()):
        found.setdefault(line["app_id"], []).append(line["frame"])
    return found


@pytest.mark.parametrize(("name", "reason"), [(name, reason) for name, _, reason in FAULTS])
def test_an_app_that_fails_is_marked_stopped_and_the_others_go_on(
    models: Path, name: str, reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "results.jsonl"
    plan = alone((1, "good.pb"), (2, name), (3, "good.pb"))
    with LocalRunner(BRIGHT, models, window_s=2.0, results=out) as runner, caplog.at_level(logging.WARNING):
        observed = runner.deploy(plan)
        becomes(lambda: [one.observed_fps for one in runner.rates()], pytest.approx([20, 0, 20], abs=2))
        first, second, third = runner.rates()
        sample = runner.registry.get_sample_value
        assert sample("mainstream_frames_failed_total", {"app": "2"}) == 3
        assert sample("mainstream_app_stopped", {"app": "2"}) == 1
        assert sample("mainstream_app_stopped", {"app": "1"}) == 0
    assert observed[2] == 0 and observed[1] == observed[3] > 0
    assert second.stopped and second.failed == 3 and second.analysed == 0
    assert re.match(reason, second.failure or "")
    assert not (first.failure or third.failure or first.stopped)
    failed, stopped = [record.getMessage() for record in caplog.records]
    assert failed.startswith("app 2 failed on frame 0: net 1: ")
    assert stopped.startswith("app 2 is stopped on frame 2: net 1: ")
    frames = frames_of(out)
    assert set(frames) == {1, 3}
    assert len(frames[1]) >= 30 and len(frames[3]) >= 30


def test_failures_that_are_not_in_a_row_stop_nothing_and_break_no_votes(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    pattern = ".##.##.#.##.."
    options: dict[str, Any] = {"window_s": 60, "paced": False, "results": out, "threads": 3}
    with LocalRunner(Blinking(pattern), models, **options) as runner:
        observed = runner.deploy(alone((1, "good.pb"), (2, "numbers.pb"), fps=10))
        runner.wait()
        _, second = runner.rates()
    dark = [number for number, letter in enumerate(pattern) if letter == "."]
    assert frames_of(out)[2] == dark
    assert second.failed == pattern.count("#") and not second.stopped and second.failure is None
    assert observed[2] == pytest.approx(10 * len(dark) / len(pattern))


def test_a_failing_stem_stops_the_apps_behind_it_only(models: Path) -> None:
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef.FromString((models / "numbers.pb").read_bytes())
    (check,) = [node.name for node in definition.node if node.op == "CheckNumerics"]
    (whole,) = json.loads(alone((2, "good.pb")).to_json())
    stem = whole | {"app_id": -1, "shared": True, "model_path": "numbers.pb", "output_layer": check}
    tail = whole | {"net_id": 1, "app_id": 1, "parent_id": 0, "model_path": "numbers.pb", "input_layer": check}
    plan = NetPlan.from_json(json.dumps([stem, tail, whole | {"net_id": 2}]))
    with LocalRunner(BRIGHT, models, window_s=0.5) as runner:
        observed = runner.deploy(plan)
        one, two = runner.rates()
    assert one.stopped and (one.failure or "").startswith("net 0: ")
    assert not two.stopped and observed[2] > 0


def test_a_plan_that_fails_as_a_whole_gives_way_to_the_last_good_one(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    with LocalRunner(BRIGHT, models, window_s=0.5, results=out) as runner:
        runner.deploy(alone((1, "good.pb")))
        for _ in range(2):
            message = r"all its apps failed, and the last good plan runs again: app \d: net 0: it cannot be run: "
            with pytest.raises(DeployError, match=message):
                runner.deploy(alone((2, "numbers.pb"), (3, "batch.pb")))
            so_far = len(frames_of(out)[1])
            comes_true(lambda so_far=so_far: len(frames_of(out)[1]) > so_far)  # type: ignore[misc]
        assert [one.app_id for one in runner.rates()] == [1]
        assert runner.deploy(alone((4, "good.pb")))[4] > 0
    assert set(frames_of(out)) == {1, 4}


def test_a_first_plan_that_fails_leaves_a_runtime_that_takes_the_next(models: Path) -> None:
    with LocalRunner(BRIGHT, models, window_s=0.5) as runner:
        with pytest.raises(DeployError, match="all its apps failed, and no plan runs now: app 2: net 0: "):
            runner.deploy(alone((2, "numbers.pb")))
        assert set(runner.deploy(alone((1, "good.pb")))) == {1}


def test_frames_without_pixels_are_counted_as_damaged_and_harm_no_app(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    with LocalRunner(Damaged(paced=False), models, window_s=60, paced=False, results=out) as runner:
        runner.deploy(alone((1, "good.pb"), fps=10))
        runner.wait()
        (rate,) = runner.rates()
        assert runner.registry.get_sample_value("mainstream_frames_damaged_total") == 10
    assert rate.failed == 0
    assert frames_of(out)[1] == [number for number in range(30) if number % 3 != 1]


def test_plans_that_fail_and_plans_that_run_may_be_deployed_from_many_threads(models: Path) -> None:
    with LocalRunner(BRIGHT, models, window_s=0.2) as runner:

        def deploy(app_id: int) -> None:
            name = "numbers.pb" if app_id % 2 else "good.pb"
            try:
                runner.deploy(alone((app_id, name)))
            except DeployError:
                assert app_id % 2

        threads = [threading.Thread(target=deploy, args=(app_id,)) for app_id in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [one.app_id % 2 for one in runner.rates()] == [0]
