"""CP-SAT beside the search: in a process of its own, on another core, once the search has stalled.

Each tells the other of every better schedule and sharper bound. The search does not trust CP-SAT's figures: it
computes the cost and value of each schedule itself.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final

from mainstream.interruptible import unbroken
from mainstream.solver import kernels
from mainstream.solver.cp_sat_model import News, model_bytes
from mainstream.solver.cp_sat_subprocess import limits_there, start
from mainstream.solver.search import Limits

_MOST_OPTIONS: Final = 100_000
"""CP-SAT takes minutes to read larger problems."""
_STALLED_S: Final = 3.0
"""A search counts as stalled after this many seconds."""
_STALLED_SHARE: Final = 0.25
"""The same as a share of the time limit, where that is less."""


class Beside:
    """CP-SAT's process as the search sees it; it starts once the search has stalled.

    Parameters
    ----------
    packed : Packed
        Its values are weighted.
    allowed : float
        The largest total cost allowed.
    limits : Limits
    """

    def __init__(self, packed: kernels.Packed, allowed: float, limits: Limits) -> None:
        self._problem = packed, allowed
        self._limits = limits
        self._begun = limits.spent_s
        self._running: _Process | None = None
        self.lent = 0.0
        """Bytes that the process may take."""
        self.helped = False
        """Whether CP-SAT has sent anything new."""
        self._wanted = find_spec("ortools") is not None and len(packed.cell) <= _MOST_OPTIONS

    def exchange(self, known: News, used: float, *, now: bool = False) -> list[News]:
        """Tell CP-SAT where the search stands; return what CP-SAT has found since the last call.

        Parameters
        ----------
        known : News
        used : float
            Bytes that the search has taken.
        now : bool
            True when the search has given up: then CP-SAT need not wait until it has stalled.
        """
        stalled = self._limits.spent_s - self._begun > min(_STALLED_S, _STALLED_SHARE * self._limits.time_limit)
        if self._wanted and (stalled or now):
            self._wanted = False
            self._start(known, used)
        if self._running is None:
            return []
        self._running.tell(known, self._limits.gap)
        return self._running.hear()

    def _start(self, known: News, used: float) -> None:
        lent = 0.5 * (self._limits.memory - used)
        if model_bytes(self._problem[0]) <= lent:
            self.lent = lent

            def start_process() -> None:
                self._running = _Process(*self._problem, replace(self._limits, memory_limit=lent), known)

            # Ctrl-C must not come between the start and the moment when close() knows about the process.
            unbroken(start_process)

    @property
    def over(self) -> bool:
        """Whether nothing more will come, since the process ended or could not be started."""
        return not self._wanted and (self._running is None or self._running.over)

    def close(self) -> None:
        """End the process."""
        if self._running is not None:
            self._running.close()
            self._running = None


class _Process:
    """The process itself; it takes a while until it listens."""

    def __init__(self, packed: kernels.Packed, allowed: float, limits: Limits, known: News) -> None:
        # It may well end for lack of memory or time; nobody needs to hear of that.
        self._process, self._line = start(silent=True)
        self._told = known
        self._out: SimpleQueue[Any] = SimpleQueue()
        self._sender = Thread(target=self._send, daemon=True)
        self._out.put(("beside", (packed, allowed), limits_there(limits), {"known": _copy(known)}))
        self._sender.start()

    def tell(self, known: News, least_gain: float) -> None:
        """Tell it where the search stands, when that is better by more than `least_gain`."""
        if known.value > self._told.value + least_gain or known.bound < self._told.bound - least_gain:
            self._told = known
            self._out.put(_copy(known))

    def hear(self) -> list[News]:
        """What it has found since the last call; empty when there is nothing new, or the process has ended."""
        news: list[News] = []
        try:
            while self._line.poll():
                news.append(self._line.recv())
        except (EOFError, OSError):
            self._process.kill()
        return news

    @property
    def over(self) -> bool:
        """Whether it has ended; news that it sent earlier may still be waiting."""
        return self._process.poll() is not None

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._out.put(None)
        self._sender.join()
        self._line.close()

    def _send(self) -> None:
        try:
            while (said := self._out.get()) is not None:
                self._line.send(said)
        except OSError:
            pass  # it has ended


def _copy(known: News) -> News:
    """A copy whose cells the search will not change."""
    return known._replace(cells=None if known.cells is None else known.cells.copy())
