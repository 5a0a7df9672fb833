"""The first solve on a machine compiles the search; this says so, and counts the seconds that it takes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from numba.core import event

_log = logging.getLogger("mainstream")


_spent_s = 0.0


def compiled_s() -> float:
    """Seconds that this process has spent on compiling while it was :func:`announced`."""
    return _spent_s


class _Notice(event.Listener):
    def __init__(self) -> None:
        self._said = False
        self._depth = 0
        self._begun = 0.0

    def on_start(self, event: Any) -> None:
        if not self._depth:
            self._begun = perf_counter()
        self._depth += 1
        if not self._said:
            self._said = True
            _log.warning("compiling the search for this machine: half a minute or so, this once")

    def on_end(self, event: Any) -> None:
        global _spent_s  # noqa: PLW0603  one count for the process
        self._depth -= 1
        if not self._depth:
            _spent_s += perf_counter() - self._begun


@contextmanager
def announced() -> Iterator[None]:
    """Log one warning if anything has to be compiled meanwhile; what the disk cache holds is not compiled."""
    with event.install_listener("numba:compile", _Notice()):
        yield
