"""Models that hang, crash or take all memory harm only the plan that brings them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.failing_models import alone, checks_numbers, write_graph
from support.terminal import COMMAND
from support.third_party import MATRICES, Slides, write_matrices
from support.waiting import comes_true

from mainstream import DeployError
from mainstream.streamer import LocalRunner, Server, StreamerClient
from mainstream.streamer.frames import Frame
from mainstream.streamer.plan import View
from mainstream.streamer.trial import Trial

pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)
pytest.importorskip("av", reason="needs the extra run")
pytest.importorskip("zmq", reason="needs the extra run")

CAMERA = "test://?fps=20&width=64&height=48"


def _endless(tf: Any, mean: Any) -> Any:
    from tensorflow.python.ops.while_v2 import while_loop

    return while_loop(lambda x: tf.constant(True), lambda x: x + 1, [mean], return_same_structure=True)[0]


def _huge(tf: Any, mean: Any) -> Any:
    side = tf.cast(tf.reduce_max(mean), tf.int32) + 40_000  # not known before it runs
    return mean + tf.reduce_sum(tf.sin(tf.fill([side, side], 1.0)))


def _slow(tf: Any, mean: Any) -> Any:
    """Minutes of multiplying small matrices."""
    turns = tf.fill([1500, 1500], tf.reduce_mean(mean))
    for _ in range(1000):
        turns = tf.sin(tf.matmul(turns, turns))
    return mean + turns[:1, :3]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_graph(folder / "good.pb", lambda tf, mean: mean)
    write_graph(folder / "better.pb", lambda tf, mean: 2 * mean)
    for name, scores in (("endless", _endless), ("huge", _huge), ("slow", _slow), ("numbers", checks_numbers)):
        write_graph(folder / f"{name}.pb", scores)
    return folder


@contextmanager
def trial_of(models: Path, **options: Any) -> Iterator[Trial]:
    trial = Trial("tensorflow", models, 10.0, **{"trusted": True, "timeout_s": 60, "memory_gb": 1, **options})
    try:
        yield trial
    finally:
        trial.close()


def frames_of(path: Path) -> list[int]:
    return [json.loads(line)["frame"] for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_plans_that_hang_or_take_all_memory_are_refused_and_the_running_one_goes_on(
    models: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results.jsonl"
    with (
        LocalRunner(CAMERA, models, window_s=0.2, results=out, trust_models=True) as local,
        Server(local, "tcp://127.0.0.1:*", load_timeout_s=20, load_memory_gb=1) as server,
        StreamerClient(server.address, timeout_s=120) as client,
    ):
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            client.deploy(alone((1, "good.pb")))
            with pytest.raises(DeployError, match="was not loaded and run within 20 s"):
                client.deploy(alone((2, "endless.pb")))
            with pytest.raises(DeployError, match=r"more than 1 GB of memory, or a model crashes|OOM when allocating"):
                client.deploy(alone((2, "huge.pb")))
            assert [one.app_id for one in local.rates()] == [1]
            assert set(client.deploy(alone((3, "better.pb")))) == {3}
        finally:
            local.close()
            thread.join()
    frames = frames_of(out)
    # The two cores have the hanging model to share with; without it none would be dropped.
    assert len(frames) > 0.8 * (frames[-1] - frames[0])


def test_a_spare_process_that_dies_is_told_and_the_next_one_is_ready(models: Path) -> None:
    with trial_of(models) as trial:
        trial.check(alone((1, "good.pb")), {}, threading.Event())
        threading.Timer(2, trial._process.kill).start()
        with pytest.raises(DeployError, match="the plan ended the process in which it was tried"):
            trial.check(alone((1, "endless.pb")), {}, threading.Event())
        recent = {View(16, 16, 3): np.zeros((16, 16, 3), np.uint8)}
        trial.check(alone((1, "numbers.pb")), recent, threading.Event())  # fails on noise, but may run on the stream
        with pytest.raises(DeployError, match=r"^net 0: model_path: there is no file 'no.pb'"):
            trial.check(alone((1, "no.pb")), {}, threading.Event())


def test_a_trial_that_nobody_waits_for_ends_at_once(models: Path) -> None:
    with trial_of(models) as trial:
        trial.check(alone((1, "good.pb")), {}, threading.Event())
        given_up = threading.Event()
        threading.Timer(1, given_up.set).start()
        with pytest.raises(DeployError, match="it was given up while it was tried"):
            trial.check(alone((1, "endless.pb")), {}, given_up)
        trial.check(alone((1, "better.pb")), {}, threading.Event())


def test_without_trust_it_runs_no_loop(models: Path) -> None:
    with trial_of(models, trusted=False) as trial, pytest.raises(DeployError, match="it holds the operation"):
        trial.check(alone((1, "endless.pb")), {}, threading.Event())


SCRIPT = """
import sys, time
from pathlib import Path
from mainstream.streamer.trial import Trial
trial = Trial("tensorflow", Path({models!r}), 10.0, trusted=True, timeout_s=60, memory_gb=1)
print(trial._process.pid, flush=True)
time.sleep(60)
"""


def test_the_spare_process_ends_with_the_one_that_was_killed(models: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(models=str(models))], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(1)
    parent.kill()
    parent.communicate()
    until = time.monotonic() + 20
    while Path(f"/proc/{child}/cmdline").exists() and Path(f"/proc/{child}/cmdline").read_bytes():
        assert time.monotonic() < until
        time.sleep(0.1)


class Twice(Slides):
    """Black frames for as long as nobody says otherwise."""

    bright = False

    def __iter__(self) -> Iterator[Frame]:
        number = 0
        while not self._closed.wait(1 / 20):
            yield Frame.from_pixels(number, number / 20, np.full((4, 4, 3), 200 * self.bright, np.uint8))
            number += 1


class Sleeping(type(MATRICES)):  # type: ignore[misc]
    """An engine whose parts sleep for ever on bright frames when their model says so."""

    def load(self, path: Path, input_layer: str, output_layer: str, *, trusted: bool) -> Any:
        part = super().load(path, input_layer, output_layer, trusted=trusted)
        if path.name != "sleeping.npz":
            return part
        run = part.__call__

        class Sleeps:
            input_shape, output_shape = part.input_shape, part.output_shape

            def __call__(self, batch: Any) -> Any:
                if np.max(batch) > 100:
                    threading.Event().wait()
                return run(batch)

        return Sleeps()


def test_an_app_that_hangs_on_a_frame_is_stopped_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainstream.streamer.frame_loop._LONGEST_S", 0.5)
    for name in ("good.npz", "sleeping.npz"):
        write_matrices(tmp_path / name)
    out, source = tmp_path / "results.jsonl", Twice()
    with LocalRunner(source, tmp_path, engine=Sleeping(), window_s=0.5, threads=2, results=out) as local:
        local.deploy(alone((1, "sleeping.npz"), (2, "good.npz")))
        source.bright = True
        comes_true(lambda: local.rates()[0].stopped)
        hanging, other = local.rates()
        comes_true(lambda: local.rates()[1].analysed > other.analysed + 10)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert hanging.stopped and hanging.failure == "net 0: it did not end within 0.5 s"
    assert not other.stopped
    assert sum('"app_id": 2' in line for line in out.read_text().splitlines()) > other.analysed + 10


@pytest.mark.slow
@pytest.mark.parametrize("when", ["it loads", "it runs"])
def test_sigterm_ends_it_within_five_seconds_whatever_hangs(models: Path, when: str, tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/socket"
    options = ["--trust-models", "--window", "1"] if when == "it loads" else ["--load-timeout", "100", "--window", "60"]
    process = subprocess.Popen(
        [COMMAND, "streamer", "--source", CAMERA, "-m", str(models), "--bind", address, *options],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        process.stderr.readline()
        plan = alone((1, "endless.pb" if when == "it loads" else "slow.pb"))
        script = (
            "from mainstream.streamer import *\n"
            f"client = StreamerClient({address!r}, timeout_s=100)\n"
            f"client.deploy(NetPlan.from_json({plan.to_json()!r}))"
        )
        client = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
        time.sleep(8)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert time.monotonic() - began < 5
    finally:
        process.kill()
        process.communicate()
        client.kill()
        client.wait()
