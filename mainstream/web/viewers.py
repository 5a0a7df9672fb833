"""Viewers of the page: server-sent events are made once and sent to all; a viewer that does not keep up is cut off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

MOST: Final = 100
_WAITING: Final = 64
"""Messages that may wait for one viewer."""
_EVERY_S: Final = 1.0


class Viewers:
    """Sends all viewers what happens and, once a second, how things are.

    Parameters
    ----------
    status : callable
        Makes the message of each second; called in a thread.
    """

    def __init__(self, status: Callable[[], Mapping[str, Any]]) -> None:
        self._status = status
        self._queues: set[asyncio.Queue[bytes | None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking: asyncio.Event | None = None

    def __len__(self) -> int:
        return len(self._queues)

    async def run(self) -> None:
        """Send how things are, for ever, while there are viewers."""
        self._loop = asyncio.get_running_loop()
        self._looking = asyncio.Event()
        while True:
            await self._looking.wait()
            status = await asyncio.to_thread(self._status)
            self._send(_message("status", status))
            await asyncio.sleep(_EVERY_S)

    def publish(self, kind: str, values: Mapping[str, Any]) -> None:
        """Tell all viewers of something, from any thread."""
        if self._loop is not None and self._queues:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._send, _message(kind, values))

    def _send(self, message: bytes) -> None:
        for queue in list(self._queues):
            if queue.qsize() < _WAITING:
                queue.put_nowait(message)
            else:
                self._queues.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)

    async def stream(self) -> AsyncIterator[bytes]:
        """The messages for one viewer, until it disconnects."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._queues.add(queue)
        if self._looking is not None:
            self._looking.set()
        try:
            yield b"retry: 2000\n\n"
            while (message := await queue.get()) is not None:
                yield message
        finally:
            self._queues.discard(queue)
            if not self._queues and self._looking is not None:
                self._looking.clear()


def _message(kind: str, values: Mapping[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(values)}\n\n".encode()
