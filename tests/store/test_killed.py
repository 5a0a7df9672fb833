"""kill -9, of a push at any moment and of Redis: what was there is there, and whole; no half of a version is seen."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fsspec", reason="needs the extra store")

from support.redis_server import RedisServer
from support.stores import contents, package, parts

from mainstream.store import open_store
from mainstream.store.address import Reference
from mainstream.store.model_files import ModelFiles
from mainstream.store.records import as_json
from mainstream.store.under_way import Note

TESTS = Path(__file__).parents[1]


def kill_pushes(url: str, folder: Path, *how: str) -> list[str]:
    command = [sys.executable, "-m", "support.pushing", url, str(folder), *how]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=TESTS, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def check(url: str, first: dict[str, bytes], later: dict[str, bytes], ended: list[str], folder: Path) -> int:
    """Every version that is seen is whole; those of pushes that came to their end are seen. How many there are."""
    store = open_store(url)
    (entry,) = store.entries()
    assert entry.damage is None
    for number in entry.numbers:
        store.pull(Reference("dogs", number), folder / f"pulled {number}")
        assert contents(folder / f"pulled {number}") == (first if number == 1 else later)
    # One that was killed when its record was written already counts as pushed.
    assert ended.count("pushed") <= len(entry.numbers) - 1 <= len(ended)
    return len(entry.numbers)


def clean_up(url: str) -> None:
    """What killed pushes left behind goes with the first cleaning a day later."""
    store = open_store(url)
    records, folder = parts(url)
    store.remove("dogs", store.numbers("dogs")[1:])
    assert len(ModelFiles(folder).keys()) > 3
    for key in records.notes("pushing"):
        records.note("pushing", key, as_json(Note(since=1.0).model_dump()))
    store.remove("dogs", [1])
    assert ModelFiles(folder).keys() == []
    assert records.notes("pushing") == {}


@pytest.mark.parametrize("url", ["folder", "redis"], indirect=True)
def test_a_push_that_is_killed_at_any_step(url: str, tmp_path: Path) -> None:
    first = contents(package(tmp_path / "dogs"))
    open_store(url).push(tmp_path / "dogs")
    later = contents(package(tmp_path / "dogs2", fill=9, events=None))
    sending = kill_pushes(url, tmp_path / "dogs2", "steps")  # each goes on with what those before have sent
    nothing_to_send = kill_pushes(url, tmp_path / "dogs2", "steps")
    print(f"{len(sending)} and {len(nothing_to_send)} steps")
    for ended in (sending, nothing_to_send):
        assert ended[-1] == "pushed" and set(ended[:-1]) == {"killed"}
        assert len(ended) > 12
    # The step behind the record leaves a version; those before it leave none.
    assert check(url, first, later, sending + nothing_to_send, tmp_path) in (4, 5)
    clean_up(url)


@pytest.mark.parametrize("url", ["folder", "redis"], indirect=True)
def test_a_push_that_is_killed_at_any_time(url: str, tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    first = contents(package(tmp_path / "dogs", size=4_000_000))
    open_store(url).push(tmp_path / "dogs")
    later = contents(package(tmp_path / "dogs2", fill=9, events=None, size=4_000_000))
    times = [f"{rng.uniform(0.001, 0.15):.4f}" for _ in range(60)]
    ended = kill_pushes(url, tmp_path / "dogs2", "times", *times)
    assert len(ended) == 60
    assert ended.count("killed") > 5
    check(url, first, later, ended, tmp_path)


def test_what_redis_answered_survives_its_kill(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis")
    try:
        url = server.url(tmp_path / "models")
        store = open_store(url)
        pushed = contents(package(tmp_path / "dogs"))
        for _ in range(20):
            store.push(tmp_path / "dogs")
        store.remove("dogs", [20, 3])
        server.kill()
        server.start()
        again = open_store(url)
        (entry,) = again.entries()
        assert entry.numbers == (1, 2, *range(4, 20))
        again.pull(Reference("dogs"), tmp_path / "pulled")
        assert contents(tmp_path / "pulled") == pushed
        assert str(again.push(tmp_path / "dogs").version) == "dogs@21"
    finally:
        server.stop()


def test_redis_that_is_killed_beneath_pushes(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis")
    try:
        url = server.url(tmp_path / "models")
        first = contents(package(tmp_path / "dogs"))
        open_store(url).push(tmp_path / "dogs")
        later = contents(package(tmp_path / "dogs2", fill=9))
        answered = 0
        for _ in range(5):
            command = [sys.executable, "-c", PUSHER, url, str(tmp_path / "dogs2")]
            pusher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert pusher.stdout is not None
            for _ in range(random.randint(1, 5)):
                pusher.stdout.readline()
            server.kill()
            lines = pusher.communicate(timeout=60)[0].splitlines()
            assert lines[-1].startswith("redis://") and "cannot be reached" in lines[-1]
            server.start()
            answered = int(lines[-2]) if len(lines) > 1 else answered
        store = open_store(url)
        assert len(store.numbers("dogs")) > 5
        assert answered <= store.numbers("dogs")[-1]
        for number in store.numbers("dogs"):
            store.pull(Reference("dogs", number), tmp_path / f"pulled {number}")
            assert contents(tmp_path / f"pulled {number}") == (first if number == 1 else later)
    finally:
        server.stop()


PUSHER = """
import sys
from mainstream.store import open_store
store = open_store(sys.argv[1])
try:
    while True:
        print(store.push(sys.argv[2]).version.number, flush=True)
except Exception as error:
    print(error)
"""
