"""Cameras that come back with another rate, send damaged frames, or are away while a plan comes."""

from __future__ import annotations

import json
import logging
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cameras import HttpCamera, RtspCamera, TestCamera
from support.failing_models import alone, write_matrix
from support.third_party import MATRICES
from support.waiting import becomes, comes_true

from mainstream import DeployError
from mainstream.cli.rates import rates_of
from mainstream.streamer import LocalRunner
from mainstream.streamer.measured_rate import MeasuredRate

pytest.importorskip("av", reason="needs the extra run")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_matrix(tmp_path / "net.npz")
    return tmp_path


def times_of(path: Path) -> list[float]:
    return [json.loads(line)["time"] for line in path.read_text().splitlines()]


def rate_of_late(path: Path, began: float) -> float:
    """Results a second over the last 4 s, once those are all after `began`."""
    times = times_of(path)
    return sum(taken > times[-1] - 4 for taken in times) / 4 if times[-1] - 4 > began else 0.0


class HalfCamera(HttpCamera):
    """Every second picture is half a JPEG."""

    def coded(self) -> Iterator[bytes]:
        for number, picture in enumerate(super().coded()):
            yield picture[: len(picture) // 2] if number % 2 else picture


@pytest.mark.parametrize("seed", range(5))
def test_a_steady_camera_has_one_rate_however_its_frames_jitter(seed: int) -> None:
    rng = random.Random(seed)
    fps = rng.choice([0.5, 1, 5, 10, 29.97, 60])
    rate = MeasuredRate(fps)
    number = 0
    for _ in range(500):
        number += rng.choice([1, 1, 1, 2, 5])  # some were overtaken
        assert not rate.frame(number, (number + rng.uniform(-0.3, 0.3)) / fps)
    assert rate.fps == fps


@pytest.mark.parametrize(("before", "after"), [(10, 20), (20, 10), (30, 25), (10, 100)])
def test_another_rate_is_noticed_within_five_seconds(before: float, after: float) -> None:
    rate = MeasuredRate(before)
    number, now = 0, 0.0
    for fps, seconds in ((before, 10), (after, 5)):
        for _ in range(int(fps * seconds)):
            number, now = number + 1, now + 1 / fps
            rate.frame(number, now)
    assert rate.fps == pytest.approx(after, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "before", "after"), [(HttpCamera, 10, 25), (RtspCamera, 20, 8)])
def test_an_app_gets_its_frames_a_second_from_a_camera_that_comes_back_with_another_rate(
    models: Path, kind: type[TestCamera], before: int, after: int, caplog: pytest.LogCaptureFixture
) -> None:
    out = models / "results.jsonl"
    with (
        caplog.at_level(logging.WARNING),
        kind(before) as camera,
        LocalRunner(camera.uri, models, engine=MATRICES, window_s=4, results=out) as runner,
    ):
        plan = alone((1, "net.npz"), fps=5)
        becomes(lambda: runner.deploy(plan)[1], pytest.approx(5, rel=0.4))
        camera.stop()
        camera.fps = after
        camera.start()
        becomes(lambda: runner.stream_fps, pytest.approx(after, rel=0.15))
        began = time.time()
        # With the rate of before it would be 12.5 or 2; on a busy machine the camera itself is not steady.
        becomes(lambda: rate_of_late(out, began), pytest.approx(5, rel=0.4))
    said = [record.getMessage() for record in caplog.records]
    assert any(text.startswith("the camera is lost: ") for text in said)
    assert any(text.startswith("the camera is back: ") for text in said)
    assert any(text.startswith("the stream has ") for text in said)


def frames_of(path: Path) -> list[int]:
    return [json.loads(line)["frame"] for line in path.read_text().splitlines()]


def damaged(runner: LocalRunner) -> float:
    return runner.registry.get_sample_value("mainstream_frames_damaged_total") or 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", [HttpCamera, RtspCamera])
def test_a_camera_that_comes_and_goes_is_there_each_time_and_leaves_nothing_behind(
    models: Path, kind: type[TestCamera]
) -> None:
    out = models / "results.jsonl"
    with (
        kind(20) as camera,
        LocalRunner(camera.uri, models, engine=MATRICES, window_s=0.3, results=out) as runner,
    ):
        runner.deploy(alone((1, "net.npz"), fps=20))
        before = threads_and_descriptors()
        for flap in range(3):
            camera.stop()
            becomes(lambda: runner.silent_s > 0, True)
            camera.start()
            so_far = len(times_of(out))
            comes_true(lambda so_far=so_far: len(times_of(out)) > so_far)  # type: ignore[misc]
            assert runner.registry.get_sample_value("mainstream_reconnects") == flap + 1
        becomes(threads_and_descriptors, before)


def threads_and_descriptors() -> tuple[int, int]:
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


def test_half_a_picture_is_damaged_and_not_analysed(models: Path) -> None:
    out = models / "results.jsonl"
    with (
        HalfCamera(20) as camera,
        LocalRunner(camera.uri, models, engine=MATRICES, window_s=0.5, results=out) as runner,
    ):
        runner.deploy(alone((1, "net.npz"), fps=20))
        before, numbered = damaged(runner), frames_of(out)[-1]
        comes_true(lambda: frames_of(out)[-1] > numbered + 40)
        between, whole = damaged(runner) - before, frames_of(out)[-1] - numbered
    assert between == pytest.approx(whole, abs=5)


def test_a_plan_that_comes_while_the_camera_is_away_is_told_so_and_runs_when_it_is_back(models: Path) -> None:
    out = models / "results.jsonl"
    with (
        HttpCamera(20) as camera,
        LocalRunner(camera.uri, models, engine=MATRICES, window_s=1, results=out) as runner,
    ):
        camera.stop()
        time.sleep(1.5)
        with socket.create_server(("127.0.0.1", camera.port)):
            with pytest.raises(DeployError, match=r"^the camera is away: no frame for \d\.\d s; the plan runs"):
                runner.deploy(alone((1, "net.npz"), fps=5))
            assert runner.registry.get_sample_value("mainstream_stream_silent_seconds") == pytest.approx(
                runner.silent_s, abs=0.5
            )
            assert str(rates_of(runner).caption).startswith("the camera has been away for ")
        camera.start()
        comes_true(lambda: bool(out.read_text()))
        becomes(lambda: runner.silent_s, 0)
        assert runner.deploy(alone((1, "net.npz"), fps=5))[1] > 0
