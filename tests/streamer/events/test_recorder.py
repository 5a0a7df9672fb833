"""Events of real video, from the runtime to the disk and the broker; kills, swaps, and a disk that hangs."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support.clips import av
from support.colours import CLASSES, colour_of, watching, write_colours
from support.mosquitto import Broker, Listener
from support.third_party import MATRICES
from support.waiting import found

from mainstream.streamer import LocalRunner
from mainstream.streamer.events import recorder, store
from mainstream.streamer.events.settings import EventSettings

SHOTS = [("red", 10), ("dim blue", 4), ("blue", 8), ("red", 6), ("blue", 4), ("green", 25), ("blue", 5), ("red", 5)]


def lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_whole_recording_has_the_events_that_were_filmed(tmp_path: Path) -> None:
    write_colours(tmp_path / "clip.mp4", SHOTS, codec="libx264")
    plan = watching(tmp_path, "blue", x_vote=2, name="bus/stop")
    options: dict[str, Any] = {"engine": MATRICES, "window_s": 1000, "loop": False, "paced": False}
    with LocalRunner(
        tmp_path / "clip.mp4", tmp_path, events=EventSettings(tmp_path / "events", gap_ms=1000), **options
    ) as runner:
        runner.deploy(plan)
        runner.wait()
    first, second = lines(tmp_path / "events")
    began = first["start"] - 1.0  # frame 10 of 10 a second
    for event, start, end, peak, frames in ((first, 1.0, 3.1, 1.4, 16), (second, 5.7, 6.1, 5.7, 5)):
        assert [event[key] - began for key in ("start", "end")] == pytest.approx([start, end], abs=0.01)
        assert peak - 0.01 < event["peak_time"] - began < end
        assert event["frames"] == frames and event["app"] == "bus/stop" and event["event_class"] == CLASSES["blue"]
        assert colour_of(tmp_path / "events" / "media" / event["snapshot"]) == "blue"
    assert not first["interrupted"] and second["interrupted"]  # the recording ends before the gap does
    assert not list((tmp_path / "events" / "open").iterdir())


def test_an_event_of_a_stream_has_a_clip_goes_on_over_a_swap_and_ends_when_its_app_is_gone(tmp_path: Path) -> None:
    write_colours(tmp_path / "clip.mp4", [("red", 10), ("blue", 300)], codec="libx264")
    settings = EventSettings(tmp_path / "events", gap_ms=500, clips_s=0.5)
    with LocalRunner(tmp_path / "clip.mp4", tmp_path, engine=MATRICES, window_s=0.5, events=settings) as runner:
        runner.deploy(watching(tmp_path, "green", "blue"))
        (opened,) = found(lambda: [*(tmp_path / "events" / "open").glob("*-*.json")])
        runner.deploy(watching(tmp_path, "green", "blue", fps=5))
        runner.deploy(watching(tmp_path, "green"))
        found(lambda: not opened.exists())
        (event,) = found(lambda: lines(tmp_path / "events"))
        clip = found(lambda: [*(tmp_path / "events" / "media").glob(event["clip"])])[0]
    assert opened.stem == event["event_id"] and not event["interrupted"] and event["frames"] > 2
    assert len(lines(tmp_path / "events")) == 1
    assert colour_of(clip) == "red"
    with av.open(str(clip)) as container:
        length_s = container.duration / av.time_base
        assert container.streams.video[0].codec_context.name == "h264"
    assert length_s >= event["end"] - event["start"]


def test_a_disk_that_hangs_and_a_frozen_broker_hold_up_no_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recorder, "_MOST_WAITING", 20)
    hangs = threading.Event()
    monkeypatch.setattr(store, "write_text", lambda *_: hangs.wait(60))
    write_colours(tmp_path / "clip.mp4", [("blue", 50)], fps=50)
    with (
        Broker(tmp_path / "broker") as broker,
        caplog.at_level(logging.WARNING, "mainstream.streamer.events"),
        LocalRunner(
            tmp_path / "clip.mp4",
            tmp_path,
            engine=MATRICES,
            window_s=0.2,
            results=tmp_path / "results.jsonl",
            events=EventSettings(tmp_path / "events", mqtt=broker.url, webhooks=("http://127.0.0.1:9/",)),
        ) as runner,
    ):
        broker.send(signal.SIGSTOP)
        runner.deploy(watching(tmp_path, "blue", fps=50))

        def lost() -> float:
            return runner.registry.get_sample_value("mainstream_events_lost_total", {"where": "queue"}) or 0.0

        found(lambda: lost() > 50)
        before = runner.rates()[0].analysed
        found(lambda: runner.rates()[0].analysed > before + 50)
        assert len([one for one in caplog.records if "(queue)" in one.getMessage()]) == 1
        hangs.set()
        found(lambda: runner.rates()[0].analysed > before + 100)
        broker.send(signal.SIGCONT)
    results = [json.loads(line)["frame"] for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert results == sorted(results) and len(results) > 150


RUN = """
import sys
from pathlib import Path
from support.third_party import MATRICES
from mainstream.streamer import LocalRunner, NetPlan
from mainstream.streamer.events.settings import EventSettings
folder, mqtt = Path(sys.argv[1]), sys.argv[2]
events = EventSettings(folder / "events", gap_ms=300, mqtt=mqtt)
with LocalRunner(folder / "clip.mp4", folder, engine=MATRICES, window_s=0.2, events=events) as runner:
    runner.deploy(NetPlan.from_json((folder / "plan.json").read_text()))
    runner.wait()
"""


def test_killed_again_and_again_it_leaves_no_event_open_and_none_twice(tmp_path: Path) -> None:
    write_colours(tmp_path / "clip.mp4", [("blue", 6), ("red", 6)])
    (tmp_path / "plan.json").write_text(watching(tmp_path, "blue").to_json())
    tests = Path(__file__).parents[2]
    paths = os.pathsep.join([str(tests), str(tests.parent), os.environ.get("PYTHONPATH", "")])
    with Broker(tmp_path / "broker") as broker, Listener(broker) as heard:
        for kill in range(2):
            heard.last.pop("mainstream/availability", None)
            process = subprocess.Popen(
                [sys.executable, "-c", RUN, str(tmp_path), broker.url], env={**os.environ, "PYTHONPATH": paths}
            )
            before = len(heard.events())
            found(lambda before=before: len(heard.events()) > before + 1)  # type: ignore[misc]
            found(lambda: [*(tmp_path / "events" / "open").glob("*-*.json")])
            time.sleep(0.07 * kill)
            process.kill()
            process.wait()
            found(lambda: heard.last.get("mainstream/availability") == b"offline")
        with LocalRunner(
            tmp_path / "clip.mp4", tmp_path, engine=MATRICES, events=EventSettings(tmp_path / "events", mqtt=broker.url)
        ):
            found(lambda: not list((tmp_path / "events" / "open").iterdir()))
            found(lambda: heard.last["mainstream/availability"] == b"online")
        told = heard.events()
    ids = [line["event_id"] for line in lines(tmp_path / "events")]
    ends = [one["event"]["event_id"] for one in told if one["type"] == "end"]
    assert len(ids) == len(set(ids)) and len(ends) == len(set(ends))
    assert {one["event"]["event_id"] for one in told if one["type"] == "start"} <= set(ids)
    assert 1 <= sum(line["interrupted"] for line in lines(tmp_path / "events")) <= 4
    assert not [*(tmp_path / "events").rglob("*.tmp")]
    for line in lines(tmp_path / "events"):
        assert line["end"] is not None and line["end"] >= line["start"]
