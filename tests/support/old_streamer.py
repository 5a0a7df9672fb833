"""A stand-in for the old server: a REP socket that takes a plan, waits, and answers with comma-separated rates."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import pytest

zmq = pytest.importorskip("zmq", reason="needs the extra run")

Plan = list[dict[str, Any]]


Answer = Callable[[Plan], str | None]


def share(part: float) -> Callable[[Plan], str]:
    """An answer of `part` of each app's rate."""
    return lambda plan: ",".join(str(part * net["target_fps"]) for net in plan if not net["shared"])


AS_TARGETED = share(1.0)


class OldStreamer:
    """Serves in a thread, on a random port, until the block ends; `plans` holds what it got.

    `answer` makes the text of the reply, or None for a server that dies over the plan.
    """

    def __init__(self, answer: Answer = AS_TARGETED, *, wait_s: float = 0.0) -> None:
        self.plans: list[Plan] = []
        self._answer, self._wait_s = answer, wait_s
        self._ended = threading.Event()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REP)
        self.address = f"tcp://127.0.0.1:{self._socket.bind_to_random_port('tcp://127.0.0.1')}"
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        with self._socket:
            while not self._ended.is_set():
                if self._socket.poll(10):
                    self.plans.append(json.loads(self._socket.recv()))
                    self._ended.wait(self._wait_s)
                    reply = self._answer(self.plans[-1])
                    if reply is None or self._ended.is_set():
                        self._socket.linger = 0
                        return
                    self._socket.send(reply.encode(errors="surrogateescape"))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._context.term()
