"""The first solve on a machine compiles the search: log that, count the seconds, and share the work with a process.

Numba compiles one function at a time in a process. So while this one compiles what a solve needs first, another one
compiles the search itself into the cache on disk, where this one then finds it.
"""

from __future__ import annotations

import atexit
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import perf_counter
from typing import Any, Final

from numba.core import event

from mainstream._jit import is_kept
from mainstream._system import usable_cores
from mainstream.interruptible import unbroken

_log = logging.getLogger("mainstream")

_LONGEST_S: Final = 300.0
"""Seconds after which the other process is given up."""

_FIRST: Final = "compiling the search for this machine: half a minute or so, this once"
_MORE: Final = "compiling a part of the search that not all problems need, such as several streams: this once"

_spent_s = 0.0
_apart: subprocess.Popen[bytes] | None = None


def compiled_s() -> float:
    """Seconds that this process has spent on compiling while it was :func:`announced`, and on :func:`wait`."""
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
            _log.warning(_MORE if _search_is_kept() else _FIRST)

    def on_end(self, event: Any) -> None:
        global _spent_s  # noqa: PLW0603  one count for the process
        self._depth -= 1
        if not self._depth:
            _spent_s += perf_counter() - self._begun


def _search_is_kept() -> bool:
    # Importing the search compiles a part of it.
    search = getattr(sys.modules.get("mainstream.solver.kernels.tree"), "search", None)
    return search is not None and is_kept(search)


@contextmanager
def announced() -> Iterator[None]:
    """Log one warning if this block has to compile anything; code in the disk cache does not count."""
    with event.install_listener("numba:compile", _Notice()):
        yield


def begin() -> None:
    """Let another process compile the search, unless the disk has it or the machine has only one core."""
    from mainstream.solver.kernels.tree import search

    if _apart is not None or is_kept(search) or usable_cores() < 2:
        return

    def start() -> None:
        global _apart  # noqa: PLW0603  one for the process
        _apart = subprocess.Popen(
            [sys.executable, "-m", "mainstream.solver.compile_apart", str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,
        )
        atexit.register(_end, _apart)

    with suppress(OSError):
        unbroken(start)


def wait() -> None:
    """Wait for what :func:`begin` began; if that fails, this process compiles what is missing."""
    global _spent_s  # noqa: PLW0603  one count for the process
    if _apart is not None and _apart.returncode is None:
        begun = perf_counter()
        try:
            with suppress(subprocess.TimeoutExpired):
                _apart.wait(_LONGEST_S)
        finally:
            _end(_apart)
            _spent_s += perf_counter() - begun


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
