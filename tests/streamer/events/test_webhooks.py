"""Webhooks against a real HTTP server: order, retries, and servers that are dead, slow or unwilling."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.waiting import found

from mainstream import ProblemError
from mainstream.streamer.events import webhooks as module
from mainstream.streamer.events.event import Event
from mainstream.streamer.events.webhooks import Webhook

EVENT = Event("id-0", "dogs", 3, 1, start=10.0, end=None, peak_score=0.9, peak_time=10.5, frames=4)


class Server:
    """Answers with the `statuses` in turn, then with 200; notes what came, and what was taken."""

    def __init__(self, statuses: list[int]) -> None:
        self.came: list[str] = []
        self.taken: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.came.append(said["event"]["event_id"])
                status = statuses.pop(0) if statuses else 200
                if status == 200:
                    outer.taken.append((said["type"], said["event"]["event_id"]))
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?a=1"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serving(*statuses: int) -> Iterator[Server]:
    server = Server(list(statuses))
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES_S", (0.01,) * 4)


def send(hook: Webhook, count: int) -> None:
    for number in range(count):
        hook.told("start" if number % 2 == 0 else "end", replace(EVENT, event_id=f"id-{number}"), None)


def test_events_come_in_order_and_again_where_the_server_fails(caplog: pytest.LogCaptureFixture) -> None:
    lost: list[int] = []
    with serving(500, 503, 429) as server, caplog.at_level(logging.WARNING):
        hook = Webhook(server.url, lambda: lost.append(1))
        send(hook, 4)
        found(lambda: len(server.taken) == 4)
        hook.close()
    assert server.taken == [("start", "id-0"), ("end", "id-1"), ("start", "id-2"), ("end", "id-3")]
    assert server.came == ["id-0"] * 4 + ["id-1", "id-2", "id-3"] and not lost
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "127.0.0.1/hook: answers 500",
        "127.0.0.1/hook takes events again",
    ]


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_what_a_server_does_not_want_is_not_sent_again(status: int) -> None:
    lost: list[int] = []
    with serving(status) as server:
        hook = Webhook(server.url, lambda: lost.append(1))
        send(hook, 2)
        found(lambda: server.taken)
        hook.close()
    assert server.came == ["id-0", "id-1"] and len(lost) == 1


def test_a_dead_server_costs_its_events_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_MOST_QUEUED", 5)
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    lost: list[int] = []
    with caplog.at_level(logging.WARNING):
        hook = Webhook(f"http://127.0.0.1:{port}/", lambda: lost.append(1))
        send(hook, 200)
        found(lambda: len(lost) == 200)
        hook.close()
    assert len(caplog.records) == 1


def test_a_server_that_dribbles_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_S", 0.3)
    monkeypatch.setattr(module, "_PAUSES_S", (0.01,))
    ended = threading.Event()

    def dribble(listening: socket.socket) -> None:
        while not ended.is_set():
            try:
                viewer, _ = listening.accept()
            except OSError:
                return
            with viewer:
                try:
                    while not ended.wait(0.05):
                        viewer.sendall(b"H")
                except OSError:
                    pass

    lost: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=dribble, args=(listening,), daemon=True).start()
        hook = Webhook(f"http://127.0.0.1:{listening.getsockname()[1]}/", lambda: lost.append(1))
        send(hook, 1)
        found(lambda: lost)
        began = time.monotonic()
        hook.close()
        assert time.monotonic() - began < 5
        ended.set()
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "url", ["", "ftp://host/", "http://", "http://host:99999/", "http://a b/", "http://u:p@host/", "http://h/\n", "x"]
)
def test_what_is_no_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ProblemError, match=r"^webhook: ") as refused:
        Webhook(url, lambda: None)
    assert "u:p" not in str(refused.value)
