"""The server and what is meant to hurt it: bad requests, clients that go, sockets that are none, metrics that grow."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.failing_models import HeldUp, Raising, alone, write_matrix

from mainstream import DeployError, ProblemError
from mainstream.streamer import LocalRunner, NetPlan, Server, StreamerClient
from mainstream.streamer.keys import write_keys
from mainstream.streamer.meters import Meters, Rate

pytest.importorskip("av", reason="needs the extra run")
zmq = pytest.importorskip("zmq", reason="needs the extra run")

CAMERA = "test://?fps=20&width=64&height=48"
PLAN = alone((1, "net.npz"))
BUSY = "error: busy: another plan is being deployed; "


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name in ("net.npz", "other.npz", "raising.npz"):
        write_matrix(tmp_path / name)
    return tmp_path


@contextmanager
def serving(models: Path, source: str = CAMERA, **options: Any) -> Iterator[tuple[LocalRunner, Server]]:
    options = {"window_s": 0.2, "engine": Raising(), **options}
    with LocalRunner(source, models, **options) as runner, Server(runner, "tcp://127.0.0.1:*") as server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield runner, server
        finally:
            runner.close()
            thread.join()


class Asking:
    """A client that asks and looks later."""

    def __init__(self, server: Server, request: bytes, kind: int | None = None) -> None:
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.REQ if kind is None else kind)
        self.socket.linger = 0
        self.socket.connect(server.address)
        self.socket.send(request)

    def answer(self, timeout_s: float = 20) -> str:
        assert self.socket.poll(1000 * timeout_s), "no answer"
        return str(self.socket.recv().decode())

    def leave(self) -> None:
        self.socket.close()
        self._context.term()

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()


def request(plan: NetPlan = PLAN) -> bytes:
    return plan.to_json().encode()


def frames_of(path: Path) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for line in map(json.loads, path.read_text().splitlines()):
        found.setdefault(line["app_id"], []).append(line["frame"])
    return found


def lacks_none(frames: list[int]) -> bool:
    return frames == list(range(frames[0], frames[-1] + 1))


def test_an_engine_that_raises_anything_is_answered_in_one_short_line_and_the_plan_goes_on(models: Path) -> None:
    out = models / "results.jsonl"
    with serving(models, results=out) as (_, server):
        with Asking(server, request()) as client:
            assert not client.answer().startswith("error: ")
        with Asking(server, request(alone((2, "raising.npz")))) as client:
            answer = client.answer()
        time.sleep(0.3)
        with Asking(server, request()) as client:
            assert not client.answer().startswith("error: ")
    assert answer.startswith(r"error: it cannot be loaded: TypeError: bad argument type\n\x00\x1b[31m for built-in")
    assert len(answer) <= 1000 and answer.isprintable()
    assert lacks_none(frames_of(out)[1])


@pytest.mark.parametrize(
    "text",
    [
        "[" + "[]," * (5 * 2**20) + "[]]",
        '[{"net_id": ' + "[]," * (5 * 2**20) + "[]}]",
        '[{"model_path": "' + "x" * (15 * 2**20) + '"}]',
        "[{" + ",".join(f'"{key}": 0' for key in range(9_000)) + "}]",
        "[" + " " * (15 * 2**20) + "]",
        request().decode().replace("frame", r"\ud800"),
    ],
    ids=["lists", "lists in a net", "long path", "many keys", "space", "half a character"],
)
def test_no_frame_is_lost_while_a_request_is_refused(models: Path, text: str) -> None:
    out = models / "results.jsonl"
    with serving(models, "test://?fps=10&width=64&height=48", results=out) as (_, server):
        with Asking(server, request()) as client:
            client.answer()
        for _ in range(3):
            with Asking(server, text.encode()) as client:
                assert client.answer().startswith("error: net plan")
        time.sleep(0.2)
    assert lacks_none(frames_of(out)[1])


def test_of_ten_plans_at_once_one_is_deployed_and_the_others_are_told_at_once_and_never_run(models: Path) -> None:
    out = models / "results.jsonl"
    with ExitStack() as opened:
        _, server = opened.enter_context(serving(models, window_s=1.0, results=out))
        clients = [opened.enter_context(Asking(server, request(alone((app_id, "net.npz"))))) for app_id in range(10)]
        answers = [client.answer() for client in clients]
        time.sleep(0.5)
    (winner,) = [app_id for app_id, answer in enumerate(answers) if not answer.startswith("error: ")]
    assert sum(answer.startswith(BUSY) for answer in answers) == 9
    assert set(frames_of(out)) == {winner}


def test_the_plan_of_a_client_that_has_gone_is_not_run_and_the_next_one_is(models: Path) -> None:
    engine = HeldUp()
    out = models / "results.jsonl"
    with serving(models, engine=engine, results=out) as (runner, server):
        first = Asking(server, request(alone((1, "net.npz"))))
        assert engine.began.wait(10)
        with Asking(server, request(alone((2, "net.npz")))) as second:
            assert second.answer().startswith(BUSY)
        first.leave()
        time.sleep(0.2)
        gone_too = Asking(server, request(alone((3, "net.npz"))))
        time.sleep(0.2)
        gone_too.leave()
        time.sleep(0.2)
        with Asking(server, request(alone((4, "net.npz")))) as fourth:
            time.sleep(0.2)
            engine.allowed.set()
            assert not fourth.answer().startswith("error: ")
        assert [one.app_id for one in runner.rates()] == [4]
    assert set(frames_of(out)) == {4}


class Dozing(Server):
    """Comes late to its messages, as on a busy machine."""

    def _receive(self) -> None:
        time.sleep(0.3)
        super()._receive()


def test_the_plan_of_a_client_that_goes_before_it_was_read_is_not_run(models: Path) -> None:
    out = models / "results.jsonl"
    options: dict[str, Any] = {"window_s": 0.2, "engine": Raising(), "results": out}
    with LocalRunner(CAMERA, models, **options) as runner, Dozing(runner, "tcp://127.0.0.1:*") as server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        first = Asking(server, request(alone((1, "net.npz"))))
        time.sleep(0.1)
        first.leave()
        time.sleep(0.5)
        with Asking(server, request(alone((2, "net.npz")))) as second:
            assert not second.answer().startswith("error: ")
        runner.close()
        thread.join()
    assert set(frames_of(out)) == {2}


def test_other_sockets_and_port_scans_are_counted_and_take_nobodys_answer(models: Path) -> None:
    with serving(models) as (runner, server):
        host, port = server.address.removeprefix("tcp://").split(":")
        for junk in (b"", b"GET / HTTP/1.0\r\n\r\n" * 10, b"\0" * 100, b"\xff" * 100):
            with socket.create_connection((host, int(port))) as scan:
                scan.sendall(junk)
        with Asking(server, request(), zmq.DEALER) as bare:  # its message has no empty frame in front
            assert len(bare.answer().split(",")) == 1
        with Asking(server, b"", zmq.DEALER) as bare:
            assert bare.answer().startswith("error: ")
        with Asking(server, b"never looks at its answers", zmq.DEALER) as silent:
            for _ in range(500):
                silent.socket.send(b"[]")
            with StreamerClient(server.address) as client:
                assert set(client.deploy(PLAN)) == {1}
        assert (runner.registry.get_sample_value("mainstream_handshakes_failed_total") or 0) >= 3


def test_a_client_of_the_oldest_wire_is_answered_and_ends_nothing(models: Path) -> None:
    with serving(models) as (_, server):
        host, port = server.address.removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as old:
            # ZMTP 1.0: length, flags (1: more to come), content; an identity that is empty, then a message.
            old.sendall(b"\x01\x00" + b"\x01\x01" + b"\x03\x00[]")
            said = b""
            while b"error: net plan" not in said:
                more = old.recv(1000)
                assert more, said
                said += more
        with StreamerClient(server.address) as client:
            assert set(client.deploy(PLAN)) == {1}


@pytest.mark.parametrize("bind", ["tcp://0.0.0.0:*", "tcp://*:*", "tcp://[::]:*", "tcp://192.0.2.1:5555"])
def test_without_keys_it_does_not_listen_to_other_machines_unless_told_to(models: Path, bind: str) -> None:
    write_keys(models / "keys")
    with LocalRunner(CAMERA, models, engine=Raising()) as runner:
        with pytest.raises(ProblemError, match=r"^bind: .* lets other machines send plans; give keys"):
            Server(runner, bind)
        if "192" not in bind:
            for options in ({"insecure": True}, {"curve_keys": models / "keys"}):
                Server(runner, bind, **options).__exit__(None, None, None)


@pytest.mark.parametrize(
    "bind", ["tcp://127.0.0.1:*", "tcp://localhost:*", "tcp://[::1]:*", "tcp://127.8.9.1:*", "ipc://"]
)
def test_this_machine_may_send_plans_without_keys(models: Path, bind: str) -> None:
    with LocalRunner(CAMERA, models, engine=Raising()) as runner:
        Server(runner, bind if bind != "ipc://" else f"ipc://{models}/socket").__exit__(None, None, None)


def test_metrics_of_apps_that_have_gone_are_forgotten_after_the_next_plan() -> None:
    meters = Meters(Rate(), lambda: 0, lambda: 0.0)
    for first in range(0, 1000, 10):
        plan = alone(*((app_id, "net.npz") for app_id in range(first, first + 10)))
        meters.plan(plan)
        for part in plan.subnets:
            meters.computed(part, 0.1)
            meters.analysed(part.app_id, 0.1)
            meters.dropped(part.app_id, 1)
            meters.failed(part.app_id, "reason", stopped=False)
    meters.analysed(5, 0.1)  # of a frame that was very late
    apps = {
        sample.labels["app"]
        for metric in meters.registry.collect()
        for sample in metric.samples
        if "app" in sample.labels
    }
    assert apps == {str(app_id) for app_id in range(980, 1000)}


def test_whoever_connects_to_the_metrics_holds_few_threads_and_not_for_long(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainstream.streamer.metrics_server._LONGEST_S", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with LocalRunner(CAMERA, models, engine=Raising(), metrics=str(port)), ExitStack() as opened:
        for _ in range(60):
            one = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
            one.sendall(b"GET /")
        time.sleep(0.2)
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("mainstream-metrics") <= 9
        time.sleep(1.0)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert b"mainstream_stream_fps" in answer.read()


def test_a_plan_that_is_given_up_never_takes_over(models: Path) -> None:
    given_up = threading.Event()
    given_up.set()
    with LocalRunner(CAMERA, models, engine=Raising(), window_s=0.2) as runner:
        runner.deploy(PLAN)
        with pytest.raises(DeployError, match="it was given up before it was loaded"):
            runner.deploy(alone((2, "net.npz")), given_up=given_up)
        assert [one.app_id for one in runner.rates()] == [1]
