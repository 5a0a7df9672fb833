"""The first solve on a machine compiles the search; this says so, since it takes some seconds."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

_log = logging.getLogger("mainstream")


class _Notice(event.Listener):
    def __init__(self) -> None:
        self._said = False

    def on_start(self, event: Any) -> None:
        if not self._said:
            self._said = True
            _log.warning("compiling the search for this machine: 10 to 15 s, this once")

    def on_end(self, event: Any) -> None:
        """Nothing to say: the answer follows."""


@contextmanager
def announced() -> Iterator[None]:
    """Log one warning if anything has to be compiled meanwhile; what the disk cache holds is not compiled."""
    with event.install_listener("numba:compile", _Notice()):
        yield
