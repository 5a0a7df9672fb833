"""A plan that passes its trial and then hangs or takes too much in the server itself; what a swap leaves behind."""

from __future__ import annotations

import gc
import json
import re
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.failing_models import alone, write_graph, write_matrix
from support.terminal import COMMAND
from support.third_party import Matrices
from support.waiting import becomes

from mainstream import DeployError
from mainstream.extensions import PART_LOADERS, Part
from mainstream.streamer import LocalRunner, Server, StreamerClient
from mainstream.streamer.trial import Trial

pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)
pytest.importorskip("av", reason="needs the extra run")
pytest.importorskip("zmq", reason="needs the extra run")

CAMERA = "test://?fps=20&width=64&height=48"


class Hanging(Matrices):
    """Hangs while it loads a model whose name says so, until it is let go."""

    name = "hanging"

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def load(self, path: Path, input_layer: str, output_layer: str, *, trusted: bool) -> Part:
        if path.name.startswith("hanging"):
            self.let_go.wait()
        return super().load(path, input_layer, output_layer, trusted=trusted)


def frames_of(path: Path, app_id: int) -> list[int]:
    lines = map(json.loads, path.read_text().splitlines())
    return [line["frame"] for line in lines if line["app_id"] == app_id]


def test_a_plan_that_hangs_in_the_server_is_refused_in_time_and_the_running_one_loses_nothing(tmp_path: Path) -> None:
    for name in ("net.npz", "other.npz", "hanging.npz"):
        write_matrix(tmp_path / name)
    engine, out = Hanging(), tmp_path / "results.jsonl"
    refused = r"the plan was not loaded and run within 0\.5 s, although it was in its trial"
    with (
        LocalRunner(CAMERA, tmp_path, engine=engine, window_s=0.2, results=out) as runner,
        Server(runner, "tcp://127.0.0.1:*", load_timeout_s=0.5) as server,
        StreamerClient(server.address, timeout_s=20) as client,
    ):
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            client.deploy(alone((1, "net.npz")))
            for _ in range(2):
                with pytest.raises(DeployError, match=refused):
                    client.deploy(alone((2, "hanging.npz")))
            assert set(client.deploy(alone((1, "net.npz"), (3, "other.npz")))) == {1, 3}
            assert runner.unhealthy() is None
            with pytest.raises(DeployError, match=refused):
                client.deploy(alone((2, "hanging.npz")))
            with pytest.raises(DeployError, match="3 plans hang in this process; start the runtime again"):
                client.deploy(alone((1, "net.npz")))
            assert runner.unhealthy() == "3 plans hang in this process"
            engine.let_go.set()
            becomes(runner.unhealthy, None)
            assert set(client.deploy(alone((1, "net.npz")))) == {1}
            assert {one.app_id for one in runner.rates()} == {1}
        finally:
            engine.let_go.set()
            runner.close()
            thread.join()
    frames = frames_of(out, 1)
    assert frames == list(range(frames[0], frames[-1] + 1))
    assert not frames_of(out, 2)


def test_a_swap_collects_what_the_plan_before_left_and_keeps_later_collections_short(tmp_path: Path) -> None:
    for name in ("net.npz", "other.npz"):
        write_matrix(tmp_path / name)
    with LocalRunner(CAMERA, tmp_path, engine=Matrices(), window_s=0.1) as runner:
        gone = None
        for number in range(4):
            runner.deploy(alone((1, ("net.npz", "other.npz")[number % 2])))
            running = runner._plan.running
            assert running is not None
            running.engine.itself = running.engine  # type: ignore[attr-defined]  # a cycle, as TensorFlow's graphs have
            gone = gone or weakref.ref(running.engine)
            del running
        assert gone is not None and gone() is None
        live = len(gc.get_objects())
        assert gc.get_freeze_count() > 10 * live


def _waits(marks: Path) -> Any:
    """Scores that it gives four times, for the trial, and then never again; the folder `marks` knows how often."""

    def scores(tf: Any, mean: Any) -> Any:
        from tensorflow.python.ops.while_v2 import while_loop

        count = tf.size(tf.io.matching_files(f"{marks}/*"))
        with tf.control_dependencies([count]):
            name = tf.strings.join([f"{marks}/", tf.strings.as_string(tf.timestamp(), precision=9)])
            with tf.control_dependencies([tf.io.write_file(name, "")]):
                first = tf.identity(mean)
        return while_loop(lambda x: count >= 4, lambda x: x + 1, [first], return_same_structure=True)[0]

    return scores


def _huge(least: float, most: float, side: int) -> Any:
    """Scores that take side x side numbers where the frame's mean is between two bounds."""

    def scores(tf: Any, mean: Any) -> Any:
        grey = tf.reduce_mean(mean)
        many = tf.cast((grey > least) & (grey < most), tf.int32) * side + 1
        return mean + tf.reduce_max(tf.sin(tf.fill([many, many], grey)))

    return scores


@contextmanager
def streamer(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str, Path]]:
    address, out = f"ipc://{folder}/socket", folder / "results.jsonl"
    command = [COMMAND, "streamer", "--source", CAMERA, "-m", str(folder), "--bind", address, "--window", "1"]
    process = subprocess.Popen(
        [*command, "--trust-models", "--results", str(out), *options], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("listening at ")
        yield process, address, out
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_graph_that_hangs_after_its_trial_is_refused_and_sigterm_ends_the_server_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "marks").mkdir()
    write_graph(tmp_path / "good.pb", lambda tf, mean: mean)
    write_graph(tmp_path / "better.pb", lambda tf, mean: 2 * mean)
    write_graph(tmp_path / "waits.pb", _waits(tmp_path / "marks"))
    with (
        streamer(tmp_path, "--load-timeout", "15") as (process, address, out),
        StreamerClient(address, timeout_s=60) as client,
    ):
        client.deploy(alone((1, "good.pb")))
        with pytest.raises(DeployError, match="not loaded and run within 15 s, although it was in its trial"):
            client.deploy(alone((2, "waits.pb")))
        assert len(list((tmp_path / "marks").iterdir())) == 5
        assert set(client.deploy(alone((1, "better.pb")))) == {1}
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert time.monotonic() - began < 5
    frames = frames_of(out, 1)
    assert len(frames) > 0.8 * (frames[-1] - frames[0])


@pytest.mark.slow
def test_a_model_that_asks_for_more_memory_than_the_server_may_have_fails_alone(tmp_path: Path) -> None:
    write_graph(tmp_path / "good.pb", lambda tf, mean: mean)
    # 2.5 GB on the stream, whose mean is 83; nothing on black, white and noise.
    write_graph(tmp_path / "huge.pb", _huge(60, 110, 25_000))
    with (
        streamer(tmp_path, "--memory", "1") as (process, address, out),
        StreamerClient(address, timeout_s=60) as client,
    ):
        client.deploy(alone((1, "good.pb"), (2, "huge.pb")))
        # TensorFlow looks for memory for 10 s.
        too_late = threading.Timer(40, process.kill)
        too_late.start()
        assert process.stderr is not None
        said = process.stderr.readline()
        too_late.cancel()
        assert set(client.deploy(alone((1, "good.pb")))) == {1}
        assert process.poll() is None
    assert re.match("error: app 2 is stopped on frame [01]: net 1: MemoryError: .*OOM when allocating", said)
    assert len(frames_of(out, 1)) > 10 and not frames_of(out, 2)


def test_a_model_that_asks_for_too_much_on_noise_is_refused_by_its_trial(tmp_path: Path) -> None:
    write_graph(tmp_path / "huge.pb", _huge(120, 140, 40_000))
    trial = Trial("tensorflow", tmp_path, 10.0, trusted=True, timeout_s=60, memory_gb=1)
    try:
        with pytest.raises(DeployError, match=r"MemoryError: .*OOM|more than 1 GB"):
            trial.check(alone((1, "huge.pb")), {}, threading.Event())
    finally:
        trial.close()


def test_a_model_file_of_more_than_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large.npz").open("wb") as file:
        file.truncate(2**30 + 1)
    with (
        LocalRunner(CAMERA, tmp_path, engine=Matrices(), window_s=0.1) as runner,
        pytest.raises(DeployError, match=r"^net 0: model_path: 'large.npz' has more than 1 GB, which is the most"),
    ):
        runner.deploy(alone((1, "large.npz")))


def test_what_other_processes_find_by_its_name_is_tried_there_and_an_object_is_not() -> None:
    assert PART_LOADERS.is_known_everywhere(PART_LOADERS["tensorflow"])
    engine = Hanging()
    assert not PART_LOADERS.is_known_everywhere(engine)
    PART_LOADERS.register(engine)
    try:
        assert not PART_LOADERS.is_known_everywhere(engine)
    finally:
        PART_LOADERS.unregister("hanging")
