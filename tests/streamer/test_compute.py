"""Compute that was measured, on the wire: our server tells it, an old one is not asked, a hostile one harms nothing."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.old_streamer import OldStreamer, zmq
from support.spinning import Spinning, write_spinning

from mainstream import DeployError, ProblemError
from mainstream.streamer import LocalRunner, NetPlan, Server, StreamerClient, client
from mainstream.streamer.compute import REQUEST, TELLS, Compute
from mainstream.streamer.keys import write_keys

pytest.importorskip("av", reason="needs the extra run")

CAMERA = "test://?fps=20&width=32&height=32"
_SIZE = {"channels": 3, "height": 8, "width": 8, "model_path": "net.json"}
_TAIL = {"parent_id": 0, "input_layer": "mid", "output_layer": "out", "shared": False}
PLAN = NetPlan.from_json(
    json.dumps(
        [
            {"net_id": 0, "app_id": -1, "parent_id": -1, "input_layer": "in", "output_layer": "mid"}
            | {"target_fps": 20, "shared": True, **_SIZE},
            {"net_id": 1, "app_id": 1, "target_fps": 20, **_TAIL, **_SIZE},
            {"net_id": 2, "app_id": 2, "target_fps": 5, **_TAIL, **_SIZE},
        ]
    )
)
STEM_S, TAIL_S = 0.004, 0.002


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_spinning(folder / "net.json", ["in", "mid", "out"], [STEM_S, TAIL_S])
    return folder


@contextmanager
def serving(models: Path, engine: Any = None, **options: Any) -> Iterator[Server]:
    runner = LocalRunner(CAMERA, models, window_s=1.0, engine=engine or Spinning(), paced=False)
    with runner, Server(runner, "tcp://127.0.0.1:*", **options) as server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server
        finally:
            runner.close()
            thread.join()


def check(compute: Compute | None) -> None:
    """What the engine is known to take; each call takes a little more than it spins."""
    assert compute is not None
    assert compute.window_s == 1.0
    stem, tail, slow = compute.parts
    assert (stem.runs, tail.runs, slow.runs) == (20, 20, 5)
    for part, seconds in ((stem, STEM_S), (tail, TAIL_S), (slow, TAIL_S)):
        assert seconds * part.runs <= part.core_s < 2 * seconds * part.runs


def test_our_server_tells_seconds_of_a_core_by_part(models: Path, tmp_path: Path) -> None:
    write_keys(tmp_path / "keys")
    for keys in (None, tmp_path / "keys"):
        with serving(models, curve_keys=keys) as server, StreamerClient(server.address, curve_keys=keys) as one:
            check(one.deploy(PLAN).compute)


def test_a_runner_in_this_process_tells_the_same(models: Path) -> None:
    with LocalRunner(CAMERA, models, window_s=1.0, engine=Spinning(), paced=False) as runner:
        check(runner.deploy(PLAN).compute)


def test_a_whole_clip_is_counted_to_its_last_frame(models: Path) -> None:
    source = f"{CAMERA}&frames=10"
    with LocalRunner(source, models, window_s=60, engine=Spinning(), loop=False, paced=False) as runner:
        compute = runner.deploy(PLAN).compute
    assert compute is not None
    assert compute.window_s == pytest.approx(0.5)
    assert [part.runs for part in compute.parts[:2]] == [10, 10]
    assert compute.parts[2].runs in (2, 3)


class OfItsOwn(Spinning):
    own_threads = True


def test_what_cannot_be_measured_is_not_told(models: Path) -> None:
    reason = "the engine computes in threads of its own"
    with serving(models, OfItsOwn()) as server, StreamerClient(server.address) as one:
        observed = one.deploy(PLAN)
    assert (observed.compute, observed.unmeasured) == (None, reason)


def test_the_plans_answer_stays_as_it_was_and_the_second_one_is_for_the_same_client(models: Path) -> None:
    with (
        serving(models) as server,
        zmq.Context() as context,
        context.socket(zmq.REQ) as socket,
        context.socket(zmq.REQ) as other,
    ):
        socket.linger = other.linger = 0
        socket.connect(server.address)
        other.connect(server.address)
        socket.send(PLAN.to_json().encode())
        other.send(REQUEST)  # while a plan is measured
        assert other.poll(20_000)
        assert other.recv().startswith(b"error: this connection's plan is not the one that was measured last")
        assert socket.poll(20_000)
        assert re.fullmatch(rb"\d+\.\d+,\d+\.\d+", socket.recv())
        for _ in range(2):
            socket.send(b'{ "compute" : {} }')
            assert socket.poll(20_000)
            check(Compute.from_json(socket.recv().decode(), PLAN))
        other.send(REQUEST)
        assert other.poll(20_000) and other.recv().startswith(b"error: this connection's plan")
        other.send(b'{"compute": {"all": true}}')
        assert other.poll(20_000) and other.recv().startswith(b"error: net plan: ")


def test_an_old_streamer_is_not_asked() -> None:
    with OldStreamer() as server, StreamerClient(server.address) as one:
        for _ in range(2):
            observed = one.deploy(PLAN)
            assert observed == {1: 20, 2: 5}
            assert (observed.compute, observed.unmeasured) == (None, "this Streamer does not tell it")
    assert len(server.plans) == 2


@contextmanager
def answering(second: Callable[[bytes], bytes | None], first: bytes = b"1,2") -> Iterator[str]:
    """A server that says it knows the compute, and what it then says of it; its address. None: it goes."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.linger = 0
        socket.setsockopt(zmq.ROUTING_ID, TELLS)
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                if not socket.poll(10):
                    continue
                peer, _, body = socket.recv_multipart()
                answer = first if body.startswith(b"[") else second(body)
                if answer is None:
                    socket.close(linger=0)
                    return
                if answer:
                    socket.send_multipart([peer, b"", answer])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{port}"
        finally:
            ended.set()
            thread.join()


GOOD = {"window_s": 1.0, "parts": [{"net_id": i, "runs": 10, "core_s": 0.5} for i in range(3)]}


def changed(place: int = 0, **changes: Any) -> dict[str, Any]:
    parts = [part | (changes if i == place else {}) for i, part in enumerate(GOOD["parts"])]  # type: ignore[arg-type]
    return {**GOOD, "parts": parts}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("", "no JSON: line 1"),
        ("7", "got 7; it has to be an object with 'compute'"),
        ("[" * 100_000, "no JSON: nested too deeply"),
        ('{"compute": {}, "compute": {}}', "key 'compute' stands twice"),
        ({"compute": GOOD, "more": 1}, "got {'compute': "),
        ({"compute": None}, "compute: got None; it has to be a mapping"),
        ({"compute": {**GOOD, "window_s": 0}}, "compute: window_s: got 0; it has to be"),
        ({"compute": {**GOOD, "window_s": 1e300}}, "compute: window_s: got 1e+300; it has to be"),
        ({"compute": {**GOOD, "parts": GOOD["parts"][:2]}}, "it has 2 parts, but the plan"),  # type: ignore[index]
        ({"compute": {**GOOD, "parts": "all"}}, "compute: parts: got 'all'"),
        ({"compute": changed(net_id=1)}, "it has net 1 in place 0"),
        ({"compute": changed(runs=-1)}, "compute: parts.0: runs: got -1; it has to be a whole number, 0 or more"),
        ({"compute": changed(2, core_s=float("nan"))}, "compute: parts.2: core_s: got nan; it has to be"),
        ({"compute": changed(2, core_s=1e308)}, "net 2: core_s 1e+308 is more than 4096 cores have in 1 s"),
        ({"compute": changed(1, runs=0)}, "net 1: core_s 0.5 without a run"),
        ({"compute": changed(1, seconds=2)}, "compute: parts.1: "),
    ],
)
def test_an_answer_that_is_nonsense_is_one_line(answer: Any, message: str) -> None:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    with pytest.raises(ProblemError) as caught:
        Compute.from_json(text, PLAN)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1


def test_an_answer_reads_back_as_it_was_written() -> None:
    compute = Compute.from_json(json.dumps({"compute": GOOD}), PLAN)
    assert Compute.from_json(compute.to_json(), PLAN) == compute
    assert compute.cores == 1.5


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (lambda body: b"error: no \x1b[2J meter\nhere", r"no \x1b[2J meter here"),
        (lambda body: b"error: " + b"x" * 10**6, "x" * 300),
        (lambda body: b"\xff\xfe", "the server's figures make no sense: no JSON: line 1, column 1: Expecting value"),
        (lambda body: b"[" * 10**6, "the server's figures make no sense: no JSON: nested too deeply"),
        (lambda body: b" " * 20_000_000, "the server did not answer within 0.5 s"),
        (lambda body: b"", "the server did not answer within 0.5 s"),
        (lambda body: None, "the server did not answer within 0.5 s"),
    ],
)
def test_rates_stay_good_whatever_is_said_of_the_compute(
    second: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_COMPUTE_S", 0.5)
    asked: list[bytes] = []

    def answer(body: bytes) -> Any:
        asked.append(body)
        return second(body)

    with answering(answer) as address, StreamerClient(address) as one:
        observed = one.deploy(PLAN)
    assert asked == [REQUEST]
    assert observed == {1: 1, 2: 2}
    assert (observed.compute, observed.unmeasured) == (None, reason)


def test_a_plan_that_is_refused_is_not_asked_about(models: Path) -> None:
    asked: list[bytes] = []
    refusing = answering(asked.append, b"error: no camera")
    with refusing as address, StreamerClient(address) as one, pytest.raises(DeployError, match=r": no camera$"):
        one.deploy(PLAN)
    assert asked == []
    wrong = NetPlan.from_json(PLAN.to_json().replace("net.json", "other.json"))
    with serving(models) as server, StreamerClient(server.address) as one:
        with pytest.raises(DeployError, match="there is no file"):
            one.deploy(wrong)
        check(one.deploy(PLAN).compute)


def test_frames_that_come_after_the_window_do_not_count() -> None:
    from mainstream.streamer.window import Window

    window = Window(PLAN, 1.0, 0.1, by_clock=False)
    arrivals: list[Any] = [SimpleNamespace(at_s=0.0, frame=SimpleNamespace(time_s=k / 10)) for k in range(12)]
    for arrival in arrivals:  # all are in the making when the window ends
        window.frame(arrival.frame.time_s, [1])
    for arrival in arrivals:
        window.computed(arrival, {0: 0.5, 1: 0.25})
    window.settle(0)
    assert [(part.runs, part.core_s) for part in window.compute(ended=False).parts] == [(10, 5.0), (10, 2.5), (0, 0.0)]
