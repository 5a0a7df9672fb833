"""What a runtime runs, asked at any time: by the client, by the wire, and by those that mean no good."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.fleets import NETWORK, Runtime, app, write_models
from support.plans import result_of
from support.waiting import comes_true

from mainstream import App, Model
from mainstream.errors import DeployError, ProblemError
from mainstream.streamer import NetPlan, StreamerClient, net_plan
from mainstream.streamer.compute import TELLS
from mainstream.streamer.keys import write_keys
from mainstream.streamer.status import REQUEST, Status, asks_status

zmq = pytest.importorskip("zmq", reason="needs the extra run")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("av", reason="needs the extra onnx")

NETWORK_MODEL = Model.of(NETWORK)


def plan_of(*given: tuple[int, float]) -> NetPlan:
    apps = [App.of(app(i + 1)) for i in range(len(given))]
    return net_plan(result_of(NETWORK_MODEL, list(given)), apps, NETWORK_MODEL)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("status") / "models")


@contextmanager
def answering(answer: Callable[[list[bytes]], list[bytes] | None]) -> Iterator[str]:
    """A server that names itself as ours, and says whatever it likes."""
    ended = threading.Event()
    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    socket.linger = 0
    socket.setsockopt(zmq.ROUTING_ID, TELLS)
    address = f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"

    def serve() -> None:
        with socket:
            while not ended.is_set():
                if socket.poll(10) and (reply := answer(socket.recv_multipart())) is not None:
                    socket.send_multipart(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield address
    finally:
        ended.set()
        thread.join()
        context.term()


def test_it_is_told_before_while_and_after_a_plan_is_deployed(models: Path) -> None:
    plan = plan_of((4, 5), (2, 2))
    with Runtime(models, window_s=1.5) as runtime, StreamerClient(runtime.address) as client:
        before = client.status()
        assert before is not None and (before.plan, before.apps, before.deploying) == (None, (), False)
        assert before.trouble == "no plan runs"
        with StreamerClient(runtime.address) as other:
            sending = threading.Thread(target=other.deploy, args=(plan,))
            sending.start()
            comes_true(lambda: (told := client.status()) is not None and told.deploying and told.plan == plan.digest)
            sending.join()
        after = client.status()
        assert after is not None and after.plan == plan.digest and not after.deploying
        assert {one.app_id: one.target_fps for one in after.apps} == plan.target_fps
        assert all(one.observed_fps > 0 for one in after.apps)
        assert after.core_s is not None and 0 < after.core_s < 1
        assert after.window_s == pytest.approx(1.5)
        assert client.deploy(plan_of((0, 2))).keys() == {1}
        changed = client.status()
        assert changed is not None and changed.plan == plan_of((0, 2)).digest


def test_only_known_clients_are_told(models: Path, tmp_path: Path) -> None:
    write_keys(tmp_path / "keys")
    write_keys(tmp_path / "strange")
    from mainstream.streamer import LocalRunner, Server

    runner = LocalRunner("test://?fps=10&width=64&height=48", models, engine="onnx", window_s=0.3)
    with runner, Server(runner, "tcp://127.0.0.1:*", curve_keys=tmp_path / "keys") as server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            with StreamerClient(server.address, curve_keys=tmp_path / "keys") as client:
                assert client.status() is not None
            with StreamerClient(server.address) as client, pytest.raises(DeployError, match="keys only"):
                client.status()
        finally:
            runner.close()
            thread.join()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "its status makes no sense: no JSON"),
        (b"7.98,4.0", "its status makes no sense"),
        (b"[]", "it has to be an object with 'status'"),
        (b'{"status": 3}', "it has to be an object with 'status'"),
        (b'{"status": {"plan": "me"}}', "status: plan: got 'me'"),
        (b'{"status": {"core_s": NaN}}', "core_s"),
        (b'{"status": {"core_s": -1}}', "core_s"),
        (b'{"status": {"trouble": "' + b"x" * 2000 + b'"}}', "trouble"),
        (b'{"status": {"apps": [{"app_id": -1}]}}', "apps.0"),
        (b"[" * 100_000, "no JSON"),
    ],
)
def test_nonsense_is_one_line(answer: bytes, message: str) -> None:
    with answering(lambda frames: [*frames[:2], answer]) as address, StreamerClient(address, 30) as client:
        with pytest.raises(DeployError, match=message) as caught:
            client.status()
        assert len(str(caught.value)) < 1_500 and str(caught.value).isprintable()


def test_a_runtime_from_before_there_was_a_status_does_not_tell() -> None:
    asked: list[list[bytes]] = []

    def refuse(frames: list[bytes]) -> list[bytes]:
        asked.append(frames[1:])
        return [*frames[:2], b"error: net plan: got {}; it has to be a list of sub-networks"]

    with answering(refuse) as address, StreamerClient(address) as client:
        assert client.status() is None
    assert asked == [[b"", REQUEST]]


def test_silence_ends_in_time() -> None:
    silent = pytest.raises(DeployError, match=r"no answer within 0\.5 s; look at the server")
    with answering(lambda _: None) as address, StreamerClient(address, 0.5) as client, silent:
        client.status()


@pytest.mark.parametrize(
    "request_", [b"[]", b'{"status": {"a": 1}}', b'{"compute": {}}', b"{" * 60, b" " * 100 + REQUEST]
)
def test_nothing_else_asks_for_it(request_: bytes) -> None:
    assert asks_status(REQUEST) and asks_status(b'{"status":{}}')
    assert not asks_status(request_)


def test_what_is_told_can_be_read_back_and_new_keys_are_passed_over() -> None:
    told = Status(plan="0" * 64, core_s=0.25, window_s=30.0, deploying=True, trouble="no frame")
    assert Status.from_json(told.to_json()) == told
    later: dict[str, Any] = json.loads(told.to_json())
    later["status"]["since"] = 3
    assert Status.from_json(json.dumps(later)) == told
    with pytest.raises(ProblemError, match="plan"):
        Status.from_json('{"status": {"plan": 3}}')
