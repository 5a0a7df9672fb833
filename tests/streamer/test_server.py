"""The server on real sockets: whatever comes is answered, and the next good plan is served."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.runtime import plan_of, write_models

from mainstream import DeployError, ProblemError
from mainstream.streamer import LocalRunner, Server, StreamerClient
from mainstream.streamer.keys import write_keys

pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)
pytest.importorskip("av", reason="needs the extra run")
zmq = pytest.importorskip("zmq", reason="needs the extra run")

CAMERA = "test://?fps=20&width=64&height=48"
PLAN = plan_of([(4, 10), (6, 5)])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder, [1, 2])
    return folder


@contextmanager
def serving(models: Path, **options: Any) -> Iterator[Server]:
    with LocalRunner(CAMERA, models, window_s=0.2) as runner, Server(runner, "tcp://127.0.0.1:*", **options) as server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server
        finally:
            runner.close()
            thread.join()


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Server]:
    with serving(models) as server:
        yield server


def ask(server: Server, *frames: bytes) -> str:
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.connect(server.address)
        socket.send_multipart(frames)
        assert socket.poll(20_000), "no answer"
        return str(socket.recv().decode())


def noise(rng: random.Random) -> bytes:
    """No plan, whatever it is."""
    parts: list[dict[str, Any]] = json.loads(PLAN.to_json())
    victim = rng.choice(parts)
    strange: list[Any] = [None, True, [], {}, "", -2, 1e308, "NaN", [[]], {"a": 1}, 2**70, "\u2028", "x" * 1000]
    kind = rng.randrange(9)
    if kind == 0:
        return rng.randbytes(rng.randrange(200))
    if kind == 1:
        return json.dumps(rng.choice([None, 1, "plan", {}, [], [1], [[]], [None, {}], {"net_id": 0}])).encode()
    text = json.dumps(parts)
    if kind == 2:
        return text[: rng.randrange(len(text) - 1)].encode()
    if kind == 3:
        del victim[rng.choice([key for key in victim if key not in ("x_vote", "event_class")])]
    elif kind == 4:
        victim[rng.choice(list(victim))] = rng.choice([value for value in strange if value not in ("",)])
        victim["net_id"] = -1
    elif kind == 5:
        victim[rng.choice(["fps", "Net_id", "modelpath", "", "target_fps "])] = 1
    elif kind == 6:
        victim["parent_id"] = rng.choice([len(parts), victim["net_id"], 10**9])
    elif kind == 7:
        parts.append(dict(victim))
    else:
        victim[rng.choice(["input_layer", "output_layer", "model_path"])] = rng.choice(["", "no", "../no", "\0", "/"])
    return json.dumps(parts).encode()


def test_a_thousand_requests_that_are_no_plan_are_refused_and_the_next_plan_is_served(server: Server) -> None:
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.connect(server.address)
        for seed in range(1000):
            request = noise(random.Random(seed))
            socket.send(request)
            assert socket.poll(20_000), f"no answer to seed {seed}"
            answer = socket.recv().decode()
            assert answer.startswith("error: "), (seed, request, answer)
            assert "\n" not in answer and "Traceback" not in answer, (seed, answer)
    with StreamerClient(server.address) as client:
        assert set(client.deploy(PLAN)) == {1, 2}


@pytest.mark.parametrize(
    ("request_frames", "answer"),
    [
        ([b"[]", b"[]"], "error: a message of 2 frames; it has to be one, with a JSON array"),
        ([b"\xff\xfe"], "error: net plan: no UTF-8 text: byte 0"),
        ([b"[" * 100_000], "error: net plan: no JSON: "),
        ([b" " * (16 * 2**20 + 1)], "error: a request of 16777217 bytes; at most 16777216 are taken"),
    ],
)
def test_odd_messages_are_refused(server: Server, request_frames: list[bytes], answer: str) -> None:
    assert ask(server, *request_frames).startswith(answer)


def test_who_sends_far_too_much_is_cut_off_and_others_are_served(server: Server) -> None:
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.connect(server.address)
        socket.send(bytes(65 * 2**20))
        assert not socket.poll(500)
    with StreamerClient(server.address) as client:
        assert set(client.deploy(PLAN)) == {1, 2}


def test_what_is_wrong_reaches_the_client_with_net_and_key(server: Server) -> None:
    parts = json.loads(PLAN.to_json())
    parts[0]["model_path"] = "../up.pb"
    assert ask(server, json.dumps(parts).encode()) == (
        "error: net 0: model_path: '../up.pb' lies outside the folder of the models; copy it there"
    )
    parts = json.loads(PLAN.to_json())
    parts[1]["parent_id"] = 7
    assert ask(server, json.dumps(parts).encode()).startswith("error: net 1: parent_id 7; parents have to come before")


def test_a_client_that_leaves_while_it_is_measured_leaves_the_server_alive(server: Server) -> None:
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 100
        socket.connect(server.address)
        socket.send(PLAN.to_json().encode())
    with StreamerClient(server.address) as client:
        assert set(client.deploy(PLAN)) == {1, 2}


def test_the_answer_of_a_source_that_ends_within_the_window_arrives(models: Path) -> None:
    source = "test://?fps=20&width=64&height=48&frames=20"
    with (
        LocalRunner(source, models, window_s=60, loop=False, paced=False) as runner,
        Server(runner, "tcp://127.0.0.1:*") as server,
        StreamerClient(server.address) as client,
    ):
        thread = threading.Thread(target=server.serve)
        thread.start()
        observed = client.deploy(PLAN)
        thread.join()
    assert observed == pytest.approx({1: 10, 2: 5})


def test_with_keys_a_client_that_is_known_is_served_and_others_are_not(models: Path, tmp_path: Path) -> None:
    write_keys(tmp_path / "keys")
    write_keys(tmp_path / "other")
    with serving(models, curve_keys=tmp_path / "keys") as server:
        with StreamerClient(server.address, curve_keys=tmp_path / "keys") as client:
            assert set(client.deploy(PLAN)) == {1, 2}
        for keys in (tmp_path / "other", None):
            with StreamerClient(server.address, timeout_s=5, curve_keys=keys) as client, pytest.raises(DeployError):
                client.deploy(PLAN)


@pytest.mark.parametrize(
    "bind", ["127.0.0.1:5555", "tcp://127.0.0.1:65536", "udp://127.0.0.1:5555", "tcp://127.0.0.1", ""]
)
def test_an_address_of_another_form_is_refused(models: Path, bind: str) -> None:
    with LocalRunner(CAMERA, models) as runner, pytest.raises(ProblemError, match=r"^bind: got "):
        Server(runner, bind)


def test_an_address_that_is_taken_is_refused(models: Path, server: Server) -> None:
    with LocalRunner(CAMERA, models) as runner, pytest.raises(ProblemError, match=r"Address already in use$"):
        Server(runner, server.address)
