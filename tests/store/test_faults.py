"""A store that cannot be reached, read or written is one line, in good time, without its password."""

from __future__ import annotations

import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("fsspec", reason="needs the extra store")

from support.redis_server import RedisServer, need_redis
from support.stores import contents, package, refused

from mainstream.errors import MissingExtraError
from mainstream.store import folder as folder_module
from mainstream.store import open_store, redis_records
from mainstream.store.address import Reference

COMMAND = str(Path(sys.executable).with_name("mainstream"))
NOBODY = 1  # a port at which nobody listens


def no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_records, "_ANSWER_S", 0.5)
    monkeypatch.setattr(folder_module, "_ANSWER_S", 0.5)


@contextmanager
def silent() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_redis_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_redis()
    dogs = package(tmp_path / "dogs")
    store = open_store(f"redis://:geheim@127.0.0.1:{NOBODY}/0?files={tmp_path}/files")
    for call in (store.entries, lambda: store.push(dogs), lambda: store.remove("dogs", [1])):
        said = refused(call)
        assert said.startswith(f"redis://***@127.0.0.1:{NOBODY}/0: cannot be reached: ")
        assert "geheim" not in said
    assert "cannot be reached" in refused(open_store("redis://no.such.host.invalid/0?files=/tmp/x").entries)
    no_answer(monkeypatch)
    with silent() as port:
        begun = time.monotonic()
        said = refused(open_store(f"redis://127.0.0.1:{port}/0?files={tmp_path}/files").entries)
        assert time.monotonic() - begun < 10
        assert said.startswith(f"redis://127.0.0.1:{port}/0: cannot be reached: ")
    assert not (tmp_path / "files").exists()


def test_a_server_that_answers_a_byte_at_a_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    need_redis()
    no_answer(monkeypatch)
    end = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"$100000000\r\n")
                while not end.wait(0.05):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        said = refused(open_store(f"redis://127.0.0.1:{server.getsockname()[1]}/0?files=/tmp/x").entries)
        end.set()
        thread.join()
    assert said.endswith("cannot be reached: no answer within 0.5 s")


def test_redis_with_a_password(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", "--requirepass", "ge/heim")
    try:
        dogs = package(tmp_path / "dogs")
        for user in ("", ":wrong@", "anna:wrong@", ":ge%2Fheimx@"):
            store = open_store(server.url(tmp_path / "files", user=user))
            for call in (store.entries, lambda store=store: store.push(dogs)):
                said = refused(call)
                assert "this Redis needs a user and password, or other ones than were given" in said
                assert "wrong" not in said and "heim" not in said and "anna" not in said
        store = open_store(server.url(tmp_path / "files", user=":ge%2Fheim@"))
        assert str(store.push(dogs).version) == "dogs@1"
        assert "heim" not in str(store)
    finally:
        server.stop()


def test_redis_that_cannot_be_written(tmp_path: Path) -> None:
    replica = RedisServer(tmp_path / "replica", "--replicaof", f"127.0.0.1 {NOBODY}")
    full = RedisServer(tmp_path / "full", "--maxmemory", "1mb", "--maxmemory-policy", "noeviction")
    try:
        dogs = package(tmp_path / "dogs")
        store = open_store(replica.url(tmp_path / "files"))
        assert store.entries() == []
        assert refused(store.push, dogs).endswith("is a read-only replica; give the primary")
        said = refused(open_store(full.url(tmp_path / "files")).push, dogs)
        assert said.endswith("this Redis is full; raise its maxmemory, or remove packages")
    finally:
        replica.stop()
        full.stop()


def test_redis_that_becomes_full_keeps_what_it_has(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis")
    try:
        import redis

        store = open_store(server.url(tmp_path / "files"))
        dogs = package(tmp_path / "dogs")
        store.push(dogs)
        redis.Redis(port=server.port).config_set("maxmemory", 1)
        assert "this Redis is full" in refused(store.push, dogs)
        assert store.numbers("dogs") == [1]
        store.pull(Reference("dogs"), tmp_path / "pulled")
        assert contents(tmp_path / "pulled") == contents(dogs)
        cleaned = store.remove("dogs", [1])
        assert cleaned.removed == 0 and "this Redis is full" in str(cleaned.refused)
        assert store.numbers("dogs") == []
        redis.Redis(port=server.port).config_set("maxmemory", 0)
        store.push(dogs)
        assert store.remove("dogs", [2]).removed == 3
    finally:
        server.stop()


def command(*given: object, limit: int | None = None, before: tuple[str, ...] = ()) -> tuple[int, str]:
    def small_files() -> None:
        assert limit is not None
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [*before, COMMAND, "packages", *map(str, given)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=None if limit is None else small_files,
    )
    return done.returncode, done.stderr


def test_a_folder_that_has_no_room_for_a_model(tmp_path: Path) -> None:
    dogs = package(tmp_path / "dogs")
    store = tmp_path / "store"
    open_store(str(store)).push(package(tmp_path / "cats", name="cats", fill=50, size=100))
    before = contents(store)
    code, said = command("push", dogs, "--store", store, limit=10_000)
    assert code == 2
    assert said.startswith(f"mainstream: push of dogs: {store}: files/")
    assert said.endswith("cannot be written: file too large\n")
    assert contents(store) == before


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv, with which root is held to the permissions of files")
    held = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all")
    dogs = package(tmp_path / "dogs")
    store = tmp_path / "store"
    open_store(str(store)).push(dogs)
    before = contents(store)
    for path in sorted(store.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    code, said = command("push", dogs, "--store", store, before=held)
    assert (code, said.count("\n")) == (2, 1)
    assert "cannot be written: permission denied" in said
    code, said = command("rm", "dogs@1", "--store", store, before=held)
    assert (code, said.count("\n")) == (2, 1)
    assert "cannot be removed: permission denied" in said
    assert command("pull", "dogs", tmp_path / "pulled", "--store", store, before=held) == (0, "")
    assert contents(store) == before


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("foo://x", "foo://x: cannot be opened: Protocol not known: foo"),
        ("s3://bucket/x", "s3://bucket/x: cannot be opened: Install s3fs to access S3"),
        ("/dev/null", "/dev/null: owner cannot be read: not a directory"),
    ],
)
def test_places_that_are_none(tmp_path: Path, url: str, message: str) -> None:
    dogs = package(tmp_path / "dogs")
    assert refused(lambda: open_store(url).push(dogs)) == message


def test_extras_that_are_missing_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mainstream import _optional

    for missing, url in (("fsspec", str(tmp_path)), ("redis", f"redis://box?files={tmp_path}")):
        monkeypatch.setattr(_optional, "find_spec", lambda name, missing=missing: None if name == missing else name)
        with pytest.raises(MissingExtraError, match=rf"{missing} is not installed; pip install 'mainstream\[store\]'"):
            open_store(url)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A real web server of a folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *given: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_a_folder_behind_a_web_server_is_read_and_not_written(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp", reason="fsspec needs it for http")
    dogs = package(tmp_path / "dogs", size=3_000_000)
    open_store(str(tmp_path / "store")).push(dogs)
    with served(tmp_path) as address:
        store = open_store(f"{address}/store")
        (entry,) = store.entries()
        assert (entry.name, entry.numbers, entry.damage) == ("dogs", (1,), None)
        store.pull(Reference("dogs"), tmp_path / "pulled")
        assert contents(tmp_path / "pulled") == contents(dogs)
        assert "cannot be written" in refused(store.push, dogs)
        assert "cannot be" in refused(store.remove, "dogs", [1])
        version = entry.newest
        assert version is not None
        (tmp_path / "store/files" / version.files["models/0.pb"].sha256).write_bytes(b"\0" * 3_000_000)
        assert "does not match its digest" in refused(store.pull, Reference("dogs"), tmp_path / "again")
    assert len(open_store(str(tmp_path / "store")).entries()) == 1
    assert refused(store.entries).startswith(f"{address}/store: packages cannot be listed: ")


def test_a_web_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp", reason="fsspec needs it for http")
    no_answer(monkeypatch)
    with silent() as port:
        begun = time.monotonic()
        said = refused(open_store(f"http://anna:geheim@127.0.0.1:{port}/store").entries)
        assert time.monotonic() - begun < 10
    assert said == f"http://***@127.0.0.1:{port}/store: packages cannot be listed: no answer within 0.5 s"
