"""The runtime in one process: frames, swaps, results, meters, and the ways in which it ends."""

from __future__ import annotations

import io
import json
import math
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.cameras import RtspCamera
from support.clips import write_clip
from support.runtime import CLASSES, SIZE, plan_of, write_models
from support.waiting import becomes, comes_true

from mainstream import DeployError, ProblemError
from mainstream.graphs.part import TENSORFLOW
from mainstream.streamer import LocalRunner, NetPlan, live
from mainstream.streamer.engine import Engine, run
from mainstream.streamer.feed import Feed
from mainstream.streamer.frames import Frame, StoppableSource
from mainstream.streamer.in_order import InOrder
from mainstream.streamer.results import Analysis, ResultsFile, Votes
from mainstream.streamer.sources import open_source

pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)
pytest.importorskip("av", reason="needs the extra run")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder, [1, 2])
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.avi"
    write_clip(path, frames=60, fps=10)
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def by_app(path: Path) -> dict[int, list[dict[str, Any]]]:
    found = defaultdict(list)
    for line in lines(path):
        found[line["app_id"]].append(line)
    return found


@pytest.mark.parametrize("threads", [1, 3])
def test_offline_every_frame_is_analysed_in_order_and_as_the_parts_say(
    models: Path, clip: Path, threads: int, tmp_path: Path
) -> None:
    plan = plan_of([(4, 10), (6, 5)], x_vote=2, event_class=1)
    out = tmp_path / "results.jsonl"
    options = {"window_s": 1000, "loop": False, "paced": False, "threads": threads, "results": out}
    with LocalRunner(clip, models, **options) as runner:
        assert runner.deploy(plan) == pytest.approx({1: 10, 2: 5})
        assert runner.wait()
    found = by_app(out)
    assert [line["frame"] for line in found[1]] == list(range(60))
    assert [line["frame"] for line in found[2]] == list(range(0, 60, 2))

    engine = Engine(plan, TENSORFLOW, models, 10.0)
    tails = {branch.subnet.app_id: branch.subnet.net_id for branch in engine.branches}
    with open_source(clip, paced=False) as source:
        for frame in source:
            scores, _ = run(engine.branches, frame.pixels)
            for app in (1, 2):
                said = [line["scores"] for line in found[app] if line["frame"] == frame.number]
                if said:
                    np.testing.assert_allclose(said[0], scores[tails[app]][0], rtol=1e-5)
    for app in (1, 2):
        in_a_row = 0
        for line in found[app]:
            assert len(line["scores"]) == CLASSES and line["event_class"] == 1
            assert line["positive"] == (int(np.argmax(line["scores"])) == 1)
            in_a_row = in_a_row + 1 if line["positive"] else 0
            assert line["event"] == (in_a_row >= 2)


def test_votes_need_as_many_positive_frames_in_a_row() -> None:
    yes, no = np.array([0.2, 0.8]), np.array([0.6, 0.4])
    votes = Votes(1, 3)
    said = [votes.decide(scores)[1] for scores in (yes, yes, no, yes, yes, yes, yes, no)]
    assert said == [False, False, False, False, False, True, True, False]
    assert [Votes(1, None).decide(scores) for scores in (yes, no)] == [(True, True), (False, False)]
    assert Votes(None, 3).decide(yes) == (None, None)
    assert Votes(1, None).decide(np.array([0.2, np.nan])) == (False, False)


def test_what_threads_finish_out_of_order_is_delivered_in_order() -> None:
    delivered: list[int] = []
    order = InOrder()
    for number in (2, 0, 1, 4, 3):
        order.put(number, lambda number=number: delivered.append(number))  # type: ignore[misc]
    assert delivered == [0, 1, 2, 3, 4]


def test_a_swap_on_a_running_stream_loses_no_frame(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    with LocalRunner("test://?fps=10&width=32&height=32", models, window_s=1.0, results=out) as runner:
        runner.deploy(plan_of([(4, 10)]))
        runner.deploy(plan_of([(6, 10), (0, 10)]))
        runner.deploy(plan_of([(0, 10)]))
    frames = [line["frame"] for line in by_app(out)[1]]
    assert frames == list(range(frames[0], frames[0] + len(frames)))
    second = [line["frame"] for line in by_app(out)[2]]
    assert len(second) >= 9 and frames[0] < second[0] and second[-1] < frames[-1]


def test_a_plan_that_fails_leaves_the_one_before_running(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    with LocalRunner("test://?fps=20&width=32&height=32", models, window_s=0.3, results=out) as runner:
        runner.deploy(plan_of([(4, 20)]))
        broken = plan_of([(4, 20), (6, 20)], event_class=99)
        with pytest.raises(DeployError, match=r"^net \d: event_class: got 99; the model has classes 0 to 3$"):
            runner.deploy(broken)
        so_far = len(lines(out))
        comes_true(lambda: len(lines(out)) > so_far)
        assert [rate.app_id for rate in runner.rates()] == [1]


def test_a_box_that_is_too_slow_takes_the_newest_frames_and_counts_the_dropped(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    fps = 20_000
    with LocalRunner(f"test://?fps={fps}&width=64&height=48", models, window_s=1.0, threads=1, results=out) as runner:
        observed = runner.deploy(plan_of([(0, fps)]))
    (rate,) = runner.rates()
    assert observed[1] < 0.95 * fps
    frames = [line["frame"] for line in lines(out)]
    assert frames == sorted(set(frames))
    assert rate.dropped > 0
    assert rate.analysed + rate.dropped == pytest.approx(frames[-1] - frames[0], rel=0.05, abs=50)


def test_a_source_that_ends_ends_the_window_and_refuses_the_next_plan(models: Path, clip: Path) -> None:
    with LocalRunner(clip, models, window_s=60, loop=False, paced=False) as runner:
        assert runner.deploy(plan_of([(4, 5)])) == pytest.approx({1: 5})
        assert runner.wait() and runner.ended
        with pytest.raises(DeployError, match=r"^the source has ended; nothing can run any more$"):
            runner.deploy(plan_of([(4, 5)]))


def test_closing_ends_a_measurement_at_once(models: Path) -> None:
    runner = LocalRunner("test://?fps=10&width=32&height=32", models, window_s=60)
    threading.Timer(0.5, runner.close).start()
    began = time.monotonic()
    with pytest.raises(DeployError, match="closed"):
        runner.deploy(plan_of([(4, 5)]))
    assert time.monotonic() - began < 10
    with pytest.raises(DeployError, match=r"^the runner is closed$"):
        runner.deploy(plan_of([(4, 5)]))


SCRIPT = """
from mainstream.streamer import LocalRunner, NetPlan
runner = LocalRunner("test://?fps=200&width=32&height=32", {models!r}, window_s=0.5)
runner.deploy(NetPlan.from_json({plan!r}))
"""


def test_a_process_that_ends_without_closing_it_ends_quietly(models: Path) -> None:
    script = SCRIPT.format(models=str(models), plan=plan_of([(4, 200)]).to_json())
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


def test_closing_from_several_threads_ends_it(models: Path) -> None:
    for _ in range(5):
        runner = LocalRunner("test://?fps=500&width=32&height=32", models, window_s=0.1)
        runner.deploy(plan_of([(4, 500)]))
        closers = [threading.Thread(target=runner.close) for _ in range(4)]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join()
        assert runner.wait(5)


def test_the_end_comes_after_the_last_results_though_a_frame_takes_seconds(tmp_path: Path) -> None:
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        frame = tf.compat.v1.placeholder(tf.float32, [None, SIZE, SIZE, 3], name="frame")
        turns = tf.fill([500, 500], tf.reduce_mean(frame) / 255)
        for _ in range(2000):
            turns = tf.sin(tf.matmul(turns, turns))
        tf.identity(turns[:1, :3], name="scores")
    (tmp_path / "slow.pb").write_bytes(graph.as_graph_def().SerializeToString())
    (part,) = json.loads(plan_of([(0, 10)]).to_json())
    plan = NetPlan.from_json(json.dumps([part | {"model_path": "slow.pb", "output_layer": "scores"}]))
    out = tmp_path / "results.jsonl"
    source = "test://?fps=10&width=32&height=32&frames=1"
    with LocalRunner(source, tmp_path, loop=False, paced=False, threads=1, results=out) as runner:
        began = time.monotonic()
        runner.deploy(plan)
        assert runner.wait()
        assert len(lines(out)) == 1, time.monotonic() - began


def test_closing_waits_once_for_a_camera_that_is_silent(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_END_S", 2.0)
    with RtspCamera() as camera, LocalRunner(camera.uri, models, window_s=0.3) as runner:
        runner.deploy(plan_of([(4, 10)]))
        camera.silent.set()
        time.sleep(0.5)
        began = time.monotonic()
        runner.close()
        assert time.monotonic() - began < 3.9


class Broken(StoppableSource):
    """Gives a frame, and then an error of another library."""

    fps = 10.0

    def __iter__(self) -> Iterator[Frame]:
        with open_source("test://", paced=False) as source:
            yield next(iter(source))
        raise RuntimeError("no such plane")


def test_whatever_ends_a_source_before_its_end_is_told() -> None:
    feed = Feed(Broken(), keep_all=True)
    feed.start()
    assert feed.take(5) is not None and feed.take(5) is None
    feed.close()
    assert str(feed.error) == "no such plane"


def test_the_streams_rate_counts_from_when_it_is_read() -> None:
    feed = Feed(open_source("test://", paced=False), keep_all=True)
    time.sleep(0.2)
    began = time.monotonic()
    feed.start()
    assert all(feed.take(5) for _ in range(20))
    rate = feed.rate()
    feed.close()
    assert rate >= 20 / (time.monotonic() - began)


def test_results_that_cannot_be_written_end_it_with_the_reason(models: Path) -> None:
    source = "test://?fps=10&width=32&height=32"
    with LocalRunner(source, models, window_s=60, results="/dev/full") as runner:
        with pytest.raises(DeployError, match=r"^results: /dev/full cannot be written: No space left on device$"):
            runner.deploy(plan_of([(4, 5)]))
        with pytest.raises(DeployError, match="No space left"):
            runner.wait()


def test_results_go_on_with_a_file_that_is_there(models: Path, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    for _ in range(2):
        with LocalRunner(clip, models, window_s=60, loop=False, paced=False, results=out) as runner:
            runner.deploy(plan_of([(4, 5)]))
            runner.wait()
    assert len(lines(out)) == 60
    with pytest.raises(ProblemError, match=r"results: .*/nowhere/out.jsonl cannot be written: No such file"):
        ResultsFile(tmp_path / "nowhere" / "out.jsonl")


def test_lines_on_stdout_leave_at_once_though_stdout_is_another_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "out").open("w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        results = ResultsFile("-")
        monkeypatch.setattr(sys, "stdout", io.StringIO())  # as Rich does while it shows the rates
        results.write(Analysis(1.0, 3, 7, np.array([0.25, np.nan, np.inf]), None, None, None))
        (line,) = lines(tmp_path / "out")
        assert (line["frame"], line["scores"]) == (3, [0.25, None, None])
        results.close()
        assert not stdout.closed


def metrics_of(address: str) -> dict[str, float]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    rows = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in rows}


def test_prometheus_is_told_rates_frames_latencies_and_compute(models: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with LocalRunner("test://?fps=20&width=32&height=32", models, window_s=1.0, metrics=address) as runner:
        runner.deploy(plan_of([(4, 10), (6, 5)]))
        becomes(lambda: metrics_of(address)['mainstream_observed_fps{app="1"}'], pytest.approx(10, abs=2))
        becomes(lambda: metrics_of(address)['mainstream_observed_fps{app="2"}'], pytest.approx(5, abs=1))
        becomes(lambda: metrics_of(address)["mainstream_stream_fps"], pytest.approx(20, abs=3))
        found = metrics_of(address)
        assert found['mainstream_target_fps{app="1"}'] == 10
        assert found["mainstream_reconnects"] == 0
        analysed, due = (
            {app: sum(found[f'mainstream_frames_{what}_total{{app="{app}"}}'] for what in counted) for app in (1, 2)}
            for counted in (["analysed"], ["analysed", "dropped"])
        )
        assert due[1] == pytest.approx(2 * due[2], abs=4)
        # A scrape takes one after the other, and a frame may come between the two.
        assert found['mainstream_latency_seconds_count{app="1"}'] == pytest.approx(analysed[1], abs=1)
        stem = 'mainstream_compute_seconds_total{app="-1",input_layer="frame",output_layer="first_relu"}'
        assert 0 < found[stem] < analysed[1]
        runner.deploy(plan_of([(4, 10)]))
        found = metrics_of(address)
        assert 'mainstream_target_fps{app="2"}' not in found
        assert found['mainstream_frames_analysed_total{app="2"}'] >= analysed[2]
        with pytest.raises(ProblemError, match=rf"^metrics: cannot listen at {address}: Address already in use$"):
            LocalRunner("test://", models, metrics=address)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"window_s": 0}, r"^window_s: got 0; it has to be a number of seconds above 0$"),
        ({"window_s": math.inf}, r"^window_s: got inf; it has to be a number of seconds above 0$"),
        ({"window_s": math.nan}, r"^window_s: got nan; it has to be a number of seconds above 0$"),
        ({"window_s": 10**400}, r"^window_s: got 1000.*; it has to be a number of seconds above 0$"),
        ({"window_s": True}, r"^window_s: got True; it has to be a number of seconds above 0$"),
        ({"window_s": "30"}, r"^window_s: got '30'; it has to be a number of seconds above 0$"),
        ({"window_s": 0.3, "source": "test://?fps=2"}, r"^window_s: got 0.3; this source gives a frame every 0.5 s; "),
        ({"metrics": 9100}, r"^metrics: got 9100; it has to be PORT or HOST:PORT, as text$"),
        ({"threads": 0}, r"^threads: got 0; it has to be a whole number, 1 or more$"),
        ({"threads": True}, r"^threads: got True; it has to be a whole number, 1 or more$"),
        ({"threads": 2.0}, r"^threads: got 2.0; it has to be a whole number, 1 or more$"),
        ({"threads": 5000}, r"^threads: got 5000; it has to be a whole number, 1 or more, up to 4096$"),
        ({"metrics": "here"}, r"^metrics: got 'here'; it has to be PORT or HOST:PORT$"),
        ({"model_dir": "nowhere"}, r"^model_dir: 'nowhere' is no folder; give the one with the model files$"),
        ({"source": "gst://videotestsrc"}, r"gst://"),
    ],
)
def test_bad_arguments_are_one_line(models: Path, keys: dict[str, Any], message: str) -> None:
    arguments = {"source": "test://", "model_dir": models} | keys
    with pytest.raises(ProblemError, match=message):
        LocalRunner(**arguments)
