"""Results of several threads, delivered in the order in which the work began."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock


class InOrder:
    """Delivers what several threads finish in the order in which they began it: votes count frames in a row."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: dict[int, Callable[[], None]] = {}
        self._next = 0

    def put(self, number: int, deliver: Callable[[], None]) -> None:
        """Number `number`, counted from 0, is finished: deliver it and those that waited for it."""
        with self._lock:
            self._waiting[number] = deliver
            while self._next in self._waiting:
                self._waiting.pop(self._next)()
                self._next += 1
