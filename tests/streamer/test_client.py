"""The client against a server that answers, keeps silent, dies at any moment, or answers nonsense; all on sockets."""

from __future__ import annotations

import itertools
import os
import threading
import time
from typing import Any

import pytest
from support.old_streamer import OldStreamer, Plan, share, zmq
from support.plans import Given, apps_for, network, result_of

from mainstream import DeployError, MissingExtraError, ProblemError
from mainstream.streamer import NetPlan, Observed, StreamerClient, net_plan

SHORT_S = 0.3
LONG_S = 30.0
GIVEN: Given = [(4, 5), (0, 0.5), (8, 2.5)]


def plan_of(given: Given = GIVEN) -> NetPlan:
    model = network()
    return net_plan(result_of(model, given), apps_for(given), model)


def failed(client: StreamerClient) -> str:
    """What a failing deploy says after the address."""
    with pytest.raises(DeployError) as caught:
        client.deploy(plan_of())
    address, _, message = str(caught.value).partition(": ")
    assert address == client.address
    assert "\n" not in message
    return message


def unused_address() -> str:
    with zmq.Context() as context, context.socket(zmq.REP) as socket:
        return f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"


@pytest.mark.parametrize("part", [1.0, 0.6, 0.05, 0.0])
def test_rates_come_back_by_app(part: float) -> None:
    with OldStreamer(share(part)) as server, StreamerClient(server.address, LONG_S) as client:
        observed = client.deploy(plan_of())
    assert observed == {2: part * 0.5, 1: part * 5, 3: part * 2.5}
    assert observed.plan == plan_of()
    assert server.plans == [[part.wire() for part in plan_of().subnets]]


def test_one_client_deploys_again_and_again_even_after_its_end() -> None:
    with OldStreamer(wait_s=0.01) as server:
        client = StreamerClient(server.address, LONG_S)
        with client:
            for rate in (1, 2, 3):
                assert client.deploy(plan_of([(4, rate)])) == {1: rate}
        with client:
            assert client.deploy(plan_of([(4, 4)])) == {1: 4}
    assert [plan[0]["target_fps"] for plan in server.plans] == [1, 2, 3, 4]


def test_whole_rates_are_sent_and_what_ran_is_said() -> None:
    with OldStreamer() as server, StreamerClient(server.address, LONG_S, integer_fps=True) as client:
        observed = client.deploy(plan_of())
    assert observed == {2: 1, 1: 5, 3: 2}
    assert observed.plan == plan_of().with_integer_fps()
    assert [part["target_fps"] for part in server.plans[0]] == [1, 5, 5, 2, 2]


def test_a_server_that_is_not_there() -> None:
    with StreamerClient(unused_address(), SHORT_S) as client:
        assert failed(client) == "no connection within 0.3 s; start the server, or correct the address"


def test_a_host_that_is_not_there() -> None:
    with StreamerClient("tcp://no-such-host.invalid:5555", SHORT_S) as client:
        assert failed(client).startswith("no connection within 0.3 s")


def test_a_server_that_starts_a_little_later_is_waited_for() -> None:
    address = unused_address()
    with zmq.Context() as context, context.socket(zmq.REP) as socket:

        def serve() -> None:
            time.sleep(0.3)
            socket.bind(address)
            socket.recv()
            socket.send(b"1,2,3")

        thread = threading.Thread(target=serve)
        thread.start()
        with StreamerClient(address, LONG_S) as client:
            assert client.deploy(plan_of()) == {2: 1, 1: 2, 3: 3}
        thread.join()


def test_a_silent_server_gets_the_plan_once_and_the_next_try_works() -> None:
    silent = threading.Event()

    def answer(plan: Plan) -> str:
        silent.wait(LONG_S)
        return share(1.0)(plan)

    with OldStreamer(answer) as server, StreamerClient(server.address, SHORT_S) as client:
        message = failed(client)
        assert message.startswith("no answer within 0.3 s; the plan was sent and may run; look at the server")
        assert len(server.plans) == 1
        silent.set()
        client.timeout_s = LONG_S
        assert client.deploy(plan_of([(4, 3)])) == {1: 3}
    assert len(server.plans) == 2


def test_a_server_that_dies_over_the_plan_is_noticed_at_once() -> None:
    with OldStreamer(lambda plan: None) as server, StreamerClient(server.address, LONG_S) as client:
        assert failed(client) == "the connection was closed before an answer came; look at the server"
    assert len(server.plans) == 1


def test_a_server_that_answers_and_goes_has_answered() -> None:
    for _ in range(50):
        with zmq.Context() as context, context.socket(zmq.REP) as socket:
            port = socket.bind_to_random_port("tcp://127.0.0.1")

            def serve(socket: Any = socket) -> None:
                socket.recv()
                socket.send(b"1,2,3")
                socket.close(linger=1000)

            thread = threading.Thread(target=serve)
            thread.start()
            with StreamerClient(f"tcp://127.0.0.1:{port}", LONG_S) as client:
                assert client.deploy(plan_of()) == {2: 1, 1: 2, 3: 3}
            thread.join()


def test_an_answer_is_seen_even_when_the_end_of_the_connection_is_seen_first(monkeypatch: pytest.MonkeyPatch) -> None:
    class EndFirst(zmq.Poller):
        def poll(self, timeout: int | None = None) -> list[Any]:
            time.sleep(0.05)
            ready = super().poll(timeout)
            return [pair for pair in ready if pair[0].type != zmq.REQ] if len(ready) > 1 else ready

    monkeypatch.setattr(zmq, "Poller", EndFirst)
    with zmq.Context() as context, context.socket(zmq.REP) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")

        def serve() -> None:
            socket.recv()
            socket.send(b"1,2,3")
            socket.close(linger=1000)

        thread = threading.Thread(target=serve)
        thread.start()
        with StreamerClient(f"tcp://127.0.0.1:{port}", LONG_S) as client:
            assert client.deploy(plan_of()) == {2: 1, 1: 2, 3: 3}
        thread.join()


def test_a_server_that_dies_after_its_answer_fails_the_next_plan_only() -> None:
    server = OldStreamer()
    with StreamerClient(server.address, SHORT_S) as client:
        with server:
            client.timeout_s = LONG_S
            assert client.deploy(plan_of()) == {2: 0.5, 1: 5, 3: 2.5}
        client.timeout_s = SHORT_S
        assert failed(client).startswith("no connection")


def test_a_port_that_speaks_something_else() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        with StreamerClient(f"tcp://127.0.0.1:{listening.getsockname()[1]}", LONG_S) as client:
            assert failed(client) == (
                "cannot agree with the server: it takes clients with keys only, or is not a Streamer"
            )
        thread.join()


def test_a_port_that_says_nothing_does_not_hold_the_client_back() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        with StreamerClient(address, SHORT_S) as client:
            assert failed(client).startswith("no answer within 0.3 s")


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ("", "answered ''; it has to be frame rates, separated by commas"),
        ("ok", "answered 'ok'; it has to be frame rates, separated by commas"),
        ("[1, 2, 3]", "answered '[1, 2, 3]'; it has to be frame rates, separated by commas"),
        ("1,,3", "answered '1,,3'; it has to be frame rates, separated by commas"),
        ("1,2,3,", "answered '1,2,3,'; it has to be frame rates, separated by commas"),
        ("\udcff\udcfe", "answered '\\\\xff\\\\xfe'; it has to be frame rates, separated by commas"),
        ("x" * 10**6, f"answered '{'x' * 27}...{'x' * 28}'; it has to be frame rates, separated by commas"),
        ("1,2", "answered 2 rates for 3 apps: '1,2'; there has to be one for each app"),
        ("1,2,3,4,5", "answered 5 rates for 3 apps: '1,2,3,4,5'; there has to be one for each app"),
        ("1,nan,3", "app 1: observed rate nan; it has to be a finite number, 0 or more"),
        ("inf,2,3", "app 2: observed rate inf; it has to be a finite number, 0 or more"),
        ("1,2,-0.5", "app 3: observed rate -0.5; it has to be a finite number, 0 or more"),
        ("error: no camera\nat all", "the server refused the plan: no camera at all"),
        (f"error: {'x' * 10**6}", f"the server refused the plan: {'x' * 300}"),
    ],
)
def test_a_nonsense_answer_is_said_and_never_asked_for_again(reply: str, message: str) -> None:
    replies = iter([reply])
    server = OldStreamer(lambda plan: next(replies, "4,5,6"))
    with server, StreamerClient(server.address, LONG_S, retries=3) as client:
        assert failed(client) == message
        assert len(server.plans) == 1
        assert client.deploy(plan_of()) == {2: 4, 1: 5, 3: 6}


def test_white_space_and_a_closing_zero_are_no_nonsense() -> None:
    with OldStreamer(lambda plan: " 7.98, 4.0,1e-3\n\0") as server, StreamerClient(server.address, LONG_S) as client:
        assert client.deploy(plan_of()) == {2: 7.98, 1: 4.0, 3: 0.001}


def test_a_plan_is_sent_again_only_when_told_to() -> None:
    def silent_once() -> Any:
        ends = threading.Event()
        answers = itertools.count()

        def answer(plan: Plan) -> str:
            if next(answers) == 0:
                ends.wait(1.5 * SHORT_S)
            return share(1.0)(plan)

        return answer

    with OldStreamer(silent_once()) as server, StreamerClient(server.address, SHORT_S) as client:
        failed(client)
        time.sleep(SHORT_S)
        assert len(server.plans) == 1
    with OldStreamer(silent_once()) as server, StreamerClient(server.address, SHORT_S, retries=2) as client:
        assert client.deploy(plan_of()) == {2: 0.5, 1: 5, 3: 2.5}
    assert server.plans == 2 * [[part.wire() for part in plan_of().subnets]]


def test_failures_leave_no_socket_open() -> None:
    counts = []
    for failures in (1, 10):
        with StreamerClient(unused_address(), 0.05) as client:
            for _ in range(failures):
                failed(client)
        counts.append(len(os.listdir("/proc/self/fd")))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"address": "localhost:5555"},
            "address: got 'localhost:5555'; it has to be 'tcp://HOST:PORT' or 'ipc://PATH'",
        ),
        ({"address": "tcp://localhost"}, "address: got 'tcp://localhost'; it has to be"),
        ({"address": "tcp://localhost:70000"}, "address: got 'tcp://localhost:70000'; it has to be"),
        ({"address": 5555}, "address: got 5555; it has to be"),
        ({"timeout_s": 0}, "timeout_s: got 0; it has to be a number of seconds above 0, up to 1e6"),
        ({"timeout_s": float("nan")}, "timeout_s: got nan; it has to be"),
        ({"timeout_s": float("inf")}, "timeout_s: got inf; it has to be a number of seconds above 0, up to 1e6"),
        ({"timeout_s": True}, "timeout_s: got True; it has to be"),
        ({"timeout_s": "60"}, "timeout_s: got '60'; it has to be"),
        ({"retries": -1}, "retries: got -1; it has to be a whole number, 0 or more"),
        ({"retries": 10**30}, "retries: got 1000000"),
        ({"retries": 0.5}, "retries: got 0.5; it has to be a whole number, 0 or more"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ProblemError) as caught:
        StreamerClient(**arguments)
    assert str(caught.value).startswith(message)


def test_an_address_that_cannot_be_is_a_deploy_error() -> None:
    with StreamerClient(f"ipc:///tmp/{'x' * 200}", LONG_S) as client:
        assert failed(client) == "cannot send: File name too long; correct the address"


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({1: 1.0, 2: 1.0}, "app 3 has no observed rate; there has to be one rate for each app of the plan"),
        (
            {1: 1.0, 2: 1.0, 3: 1.0, 9: 1.0},
            "app 9 is not in the plan; there has to be one rate for each app of the plan",
        ),
    ],
)
def test_observed_rates_are_those_of_the_plan(rates: dict[int, float], message: str) -> None:
    with pytest.raises(DeployError, match=message):
        Observed(rates, plan_of())


def test_a_missing_zeromq_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstream._optional.find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=r"zmq is not installed; pip install 'mainstream\[run\]'"):
        StreamerClient()
