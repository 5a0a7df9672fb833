"""MQTT against a real broker: what is retained, what Home Assistant is told, and brokers that go, forget or freeze."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.mosquitto import Broker, Listener
from support.waiting import found

from mainstream import ProblemError
from mainstream.streamer.events import mqtt as module
from mainstream.streamer.events.event import Event, PlannedApp
from mainstream.streamer.events.mqtt import Mqtt

pytest.importorskip("paho", reason="needs the extra run")

EVENT = Event("id-0", "bus/+#", 3, 1, start=10.0, end=None, peak_score=0.9, peak_time=10.5, frames=4)
APPS = {3: PlannedApp("bus/+#", 3, 2.0), 4: PlannedApp("dogs", 4, 2.0)}
BUS = "bus_2F_2B_23"


@contextmanager
def publishing(url: str, lost: list[int] | None = None) -> Iterator[Mqtt]:
    noted = [] if lost is None else lost
    mqtt = Mqtt(url, lambda: noted.append(1))
    try:
        mqtt.plan(APPS)
        yield mqtt
    finally:
        mqtt.close()


def test_an_event_and_what_home_assistant_is_told(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker, Listener(broker) as heard:
        with publishing(broker.url) as mqtt:
            found(lambda: heard.last.get("mainstream/dogs/state") == b"OFF")
            mqtt.told("start", EVENT, b"\xff\xd8one")
            found(lambda: heard.last.get(f"mainstream/{BUS}/snapshot") == b"\xff\xd8one")
            assert heard.last[f"mainstream/{BUS}/state"] == b"ON"
            assert heard.last["mainstream/dogs/state"] == b"OFF"
            mqtt.told("end", replace(EVENT, end=12.0), None)
            found(lambda: heard.last[f"mainstream/{BUS}/state"] == b"OFF")
            assert heard.last["mainstream/availability"] == b"online"
            mqtt.plan({4: APPS[4]})
            found(lambda: heard.last[f"homeassistant/image/mainstream/{BUS}/config"] == b"")
        found(lambda: heard.last["mainstream/availability"] == b"offline")
        assert [(one["type"], one["event"]["end"]) for one in heard.events()] == [("start", None), ("end", 12.0)]
        with Listener(broker) as later:  # what is retained
            found(lambda: "mainstream/dogs/state" in later.last and "mainstream/availability" in later.last)
            sensor = json.loads(later.last["homeassistant/binary_sensor/mainstream/dogs/config"])
            assert sensor["state_topic"] == "mainstream/dogs/state"
            assert sensor["availability_topic"] == "mainstream/availability"
            assert sensor["json_attributes_topic"] == "mainstream/dogs/event"
            image = json.loads(later.last["homeassistant/image/mainstream/dogs/config"])
            assert image["image_topic"] == "mainstream/dogs/snapshot"
            assert len({sensor["unique_id"], image["unique_id"]}) == 2
            assert sensor["device"] == image["device"]
            assert later.last["mainstream/availability"] == b"offline" and not later.events()
            assert f"homeassistant/binary_sensor/mainstream/{BUS}/config" not in later.last
            assert all(retained for _, _, retained in later.seen)


def test_a_broker_that_goes_and_forgets_gets_what_waited_and_all_that_stands(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING),
        Broker(tmp_path) as broker,
        Listener(broker) as heard,
        publishing(f"{broker.url}/gate/north") as mqtt,
    ):
        found(lambda: heard.last.get("gate/north/dogs/state") == b"OFF")
        broker.stop()
        mqtt.told("start", EVENT, None)
        mqtt.told("end", replace(EVENT, end=12.0), None)
        mqtt.told("start", replace(EVENT, event_id="id-1"), None)
        broker.start()
        with Listener(broker) as after:
            found(lambda: after.last.get(f"gate/north/{BUS}/state") == b"ON")
            found(lambda: after.last.get("gate/north/availability") == b"online")
            found(lambda: "homeassistant/image/gate_2Fnorth/dogs/config" in after.last)
            found(lambda: len(heard.events("gate/north/events") + after.events("gate/north/events")) >= 3)
    said = [record.getMessage() for record in caplog.records]
    assert any("is lost" in one for one in said) and said[-1].endswith("is connected") and len(said) <= 3


def test_a_frozen_broker_holds_up_nobody_and_hears_the_truth_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_QUEUED", 30)
    lost: list[int] = []
    with Broker(tmp_path) as broker, Listener(broker) as heard, publishing(broker.url, lost) as mqtt:
        found(lambda: heard.last.get("mainstream/dogs/state") == b"OFF")
        broker.send(signal.SIGSTOP)
        began = time.monotonic()
        for number in range(200):
            event = replace(EVENT, event_id=f"id-{number}")
            mqtt.told("start", event, bytes(1_000_000))
            mqtt.told("end", replace(event, end=12.0), bytes(1_000_000))
        mqtt.told("start", replace(EVENT, event_id="last"), None)
        assert time.monotonic() - began < 5 and len(lost) > 100
        broker.send(signal.SIGCONT)

        def stands() -> bool:
            mqtt.tick()
            last = json.loads(heard.last.get(f"mainstream/{BUS}/event", b"{}"))
            return heard.last[f"mainstream/{BUS}/state"] == b"ON" and last.get("event_id") == "last"

        found(stands)
        assert len([topic for topic, _, _ in heard.seen if topic.endswith("/snapshot")]) < 20


def test_an_app_that_went_while_nobody_was_connected_is_taken_away(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker, Listener(broker) as heard:
        with publishing(broker.url):
            found(lambda: heard.last.get(f"homeassistant/image/mainstream/{BUS}/config"))
        later = Mqtt(broker.url, lambda: None)
        later.plan({4: APPS[4]})

        def gone() -> bool:
            later.tick()
            return all(heard.last[f"homeassistant/{kind}/mainstream/{BUS}/config"] == b"" for kind in module._KINDS)

        found(gone)
        for _ in range(20):  # what it says itself is no news to it
            later.tick()
            time.sleep(0.02)
        assert len([topic for topic, _, _ in heard.seen if topic.endswith("image/mainstream/dogs/config")]) < 10
        later.close()
        assert heard.last["homeassistant/image/mainstream/dogs/config"]


def test_a_broker_that_knows_passwords(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tmp_path.chmod(0o755)
    made = ["mosquitto_passwd", "-c", "-b", str(tmp_path / "passwords"), "gate", "s3:cr@t"]
    subprocess.run(made, check=True, capture_output=True)
    options = ("allow_anonymous false", f"password_file {tmp_path / 'passwords'}")
    with Broker(tmp_path, *options) as broker:
        with publishing(f"mqtt://gate:s3%3Acr%40t@127.0.0.1:{broker.port}") as mqtt:
            found(mqtt._client.is_connected)
        with caplog.at_level(logging.WARNING), publishing(f"mqtt://gate:wr0ng@127.0.0.1:{broker.port}"):
            found(lambda: any("refuses the connection" in one.getMessage() for one in caplog.records))
    assert "wr0ng" not in caplog.text


@pytest.mark.parametrize(
    "url",
    ["", "host", "http://host", "mqtt://", "mqtt://u:s3cret@host:x", "mqtt://u:s3cret@host/a+b", "mqtt://host/#", "\0"],
)
def test_what_is_no_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ProblemError, match=r"^mqtt: this is not the URL of a broker") as refused:
        Mqtt(url, lambda: None)
    assert "s3cret" not in str(refused.value)
