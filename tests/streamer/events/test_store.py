"""Events on disk: kills, full disks, second processes, and what is deleted."""

from __future__ import annotations

import json
import logging
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mainstream import ProblemError
from mainstream.streamer.events import store as module
from mainstream.streamer.events.event import Event
from mainstream.streamer.events.store import EventStore

EVENT = Event("id-1", "dogs", 3, 1, start=10.0, end=None, peak_score=0.9, peak_time=10.5, frames=4)


@contextmanager
def opened(folder: Path, keep_days: float = 1e6, keep_gb: float = 1.0) -> Iterator[EventStore]:
    store = EventStore(folder, keep_days, keep_gb, lambda: None)
    try:
        yield store
    finally:
        store.close()


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_an_event_that_was_open_when_the_process_was_killed_ends_once(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.opened(EVENT, last=12.0)
    for _ in range(2):
        with opened(tmp_path) as store:
            found = list(store.recovered())
    assert not found and not list((tmp_path / "open").iterdir())
    assert [(line["event_id"], line["end"], line["interrupted"]) for line in lines(tmp_path)] == [("id-1", 12.0, True)]


def test_a_kill_between_an_events_line_and_the_end_of_its_open_file_does_not_end_it_twice(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.opened(EVENT, last=12.0)
        left = (tmp_path / "open" / "id-1.json").read_text()
        store.ended(replace(EVENT, end=12.5))
    assert not list((tmp_path / "open").iterdir())
    (tmp_path / "open" / "id-1.json").write_text(left)
    with opened(tmp_path) as store:
        assert not list(store.recovered())
    assert [line["end"] for line in lines(tmp_path)] == [12.5] and not list((tmp_path / "open").iterdir())


def test_half_written_things_of_a_killed_process_are_taken_away(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.ended(replace(EVENT, end=1.0))
    for half in ("media/.a.jpg.7.tmp", "open/.b.json.7.tmp", ".events.jsonl.7.tmp"):
        (tmp_path / half).write_bytes(b"half")
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"event_id": "ha')
    (tmp_path / "open" / "c.json").write_text("\0\0\0")
    with opened(tmp_path) as store:
        assert not list(store.recovered())
        store.ended(replace(EVENT, event_id="id-2", end=2.0))
    assert [line["event_id"] for line in lines(tmp_path)] == ["id-1", "id-2"]
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"events.jsonl", "lock"}


def test_a_full_disk_is_one_warning_and_lines_wait_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE_S", 0.0)
    lost: list[int] = []
    store = EventStore(tmp_path, 1e6, 1.0, lambda: lost.append(1))
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, most))
    try:
        with caplog.at_level(logging.WARNING):
            for number in range(5):
                event = replace(EVENT, event_id=f"id-{number}")
                store.opened(event, last=12.0)
                store.media(f"id-{number}.jpg", bytes(1000))
                store.ended(replace(event, end=12.0))
                store.tick()
            resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
            store.tick()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
    store.close()
    assert [line["event_id"] for line in lines(tmp_path)] == [f"id-{number}" for number in range(5)]
    assert len(lost) == 5 and not list((tmp_path / "media").iterdir())
    paused, again = [record.getMessage() for record in caplog.records]
    assert "pause" in paused and "can be written again" in again


def test_lines_that_wait_for_a_disk_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 3)
    lost: list[int] = []
    store = EventStore(tmp_path, 1e6, 1.0, lambda: lost.append(1))
    monkeypatch.setattr(store, "_write", lambda do: False)
    for number in range(10):
        store.ended(replace(EVENT, event_id=f"id-{number}", end=1.0))
    assert len(lost) == 7
    store.close()
    assert len(lost) == 10


def test_a_folder_is_for_one_process(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(ProblemError, match="is used by another process"):
        EventStore(tmp_path, 1.0, 1.0, lambda: None)
    with opened(tmp_path):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(ProblemError, match="cannot be written"):
        EventStore(tmp_path / "file", 1.0, 1.0, lambda: None)


def test_what_is_old_or_too_much_is_deleted(tmp_path: Path) -> None:
    now = time.time()
    with opened(tmp_path) as store:
        for days in (9, 8, 3, 2, 1):
            store.media(f"{days}.jpg", bytes(100_000))
            os.utime(tmp_path / "media" / f"{days}.jpg", (now, now - days * 86_400))
            store.ended(replace(EVENT, event_id=f"{days}", end=now - days * 86_400))
    with opened(tmp_path, keep_days=5):
        pass
    assert sorted(path.name for path in (tmp_path / "media").iterdir()) == ["1.jpg", "2.jpg", "3.jpg"]
    assert [line["event_id"] for line in lines(tmp_path)] == ["3", "2", "1"]
    with opened(tmp_path, keep_days=5, keep_gb=150_000 / 2**30) as store:
        assert [path.name for path in (tmp_path / "media").iterdir()] == ["1.jpg"]
        store.ended(replace(EVENT, event_id="new", end=now))
    assert [line["event_id"] for line in lines(tmp_path)] == ["3", "2", "1", "new"]
