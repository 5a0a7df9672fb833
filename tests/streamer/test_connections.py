"""What ZeroMQ does not bound: parts without end, parts by the million, connections by the hundred."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from support.failing_models import Raising, alone, write_matrix
from support.waiting import becomes, comes_true

from mainstream.streamer import LocalRunner, Server, StreamerClient
from mainstream.streamer.connections import MOST

pytest.importorskip("av", reason="needs the extra run")
zmq = pytest.importorskip("zmq", reason="needs the extra run")

CAMERA = "test://?fps=5&width=64&height=48"
PLAN = alone((1, "net.npz"))
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + b"\x00" + bytes(31)
"""ZMTP 3.0's greeting; the READY command of a DEALER follows."""
READY = b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"


@contextmanager
def serving(models: Path) -> Iterator[tuple[LocalRunner, Server, Path]]:
    write_matrix(models / "net.npz")
    out = models / "results.jsonl"
    options = {"window_s": 0.2, "engine": Raising(), "results": out}
    with LocalRunner(CAMERA, models, **options) as runner, Server(runner, "tcp://127.0.0.1:*") as server:  # type: ignore[arg-type]
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield runner, server, out
        finally:
            runner.close()
            thread.join()


def dealer(server: Server) -> socket.socket:
    """A bare connection that has shaken hands as a DEALER."""
    host, port = server.address.removeprefix("tcp://").split(":")
    end = socket.create_connection((host, int(port)))
    end.sendall(GREETING + READY)
    end.settimeout(60)
    said = b""
    while b"READY" not in said:  # what comes before is taken for a part of shaking hands
        said += end.recv(64)
    return end


def memory_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def cut(runner: LocalRunner) -> float:
    return runner.registry.get_sample_value("mainstream_connections_cut_total") or 0


def lacks_none(out: Path) -> bool:
    frames = [json.loads(line)["frame"] for line in out.read_text().splitlines()]
    return frames == list(range(frames[0], frames[-1] + 1))


def test_a_message_of_parts_without_end_is_cut_off_and_its_memory_bounded(tmp_path: Path) -> None:
    with serving(tmp_path) as (runner, server, out), StreamerClient(server.address) as client:
        client.deploy(PLAN)
        before, most = memory_mb(), 0.0
        parts = b"\x01\xff" + b"x" * 255  # more to come, 255 bytes
        with dealer(server) as end, pytest.raises(OSError):
            for _ in range(2**20):  # 256 MB
                end.sendall(parts)
                most = max(most, memory_mb()) if _ % 1000 == 0 else most
        becomes(lambda: cut(runner), 1)
        assert most - before < 150
        assert set(client.deploy(PLAN)) == {1}
        time.sleep(0.2)
    assert lacks_none(out)


def test_who_announces_far_too_much_is_cut_off_before_it_comes(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, server, _), dealer(server) as end:
        end.sendall(b"\x02" + (2**30).to_bytes(8))  # a long frame, of 1 GB
        with suppress(ConnectionError):
            while end.recv(1000):
                pass
        with StreamerClient(server.address) as client:
            assert set(client.deploy(PLAN)) == {1}


def test_a_message_of_a_million_parts_is_refused_and_others_are_answered(tmp_path: Path) -> None:
    with serving(tmp_path) as (runner, server, out), StreamerClient(server.address) as client:
        client.deploy(PLAN)
        with dealer(server) as end:
            end.sendall(b"\x01\x00" * 10**6 + b"\x00\x00")
            assert set(client.deploy(PLAN)) == {1}
            end.settimeout(120)
            said = b""
            while b"JSON array" not in said:
                said += end.recv(1000)
        assert b"error: a message of " in said
        assert cut(runner) == 0
    assert lacks_none(out)


def test_of_too_many_connections_the_idle_ones_are_cut_off_and_a_client_is_answered(tmp_path: Path) -> None:
    with ExitStack() as opened:
        runner, server, _ = opened.enter_context(serving(tmp_path))
        ends = [opened.enter_context(dealer(server)) for _ in range(MOST + 20)]
        with StreamerClient(server.address) as client:
            assert set(client.deploy(PLAN)) == {1}
        comes_true(lambda: cut(runner) >= 20 and len(server._connections._open) <= MOST)
        assert cut(runner) <= 22
        for end in ends[:20]:
            end.settimeout(1)
            while end.recv(100):
                pass


def test_who_does_not_shake_hands_is_gone_after_five_seconds(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, server, _):
        host, port = server.address.removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port))) as end:
            end.settimeout(8)
            while end.recv(100):
                pass
        becomes(lambda: len(server._connections._open), 0)
