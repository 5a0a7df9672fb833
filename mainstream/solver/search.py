"""What all methods share: limits, progress, the outcome, and the cost of a schedule."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np

from mainstream.apps import IntArray
from mainstream.errors import OutOfTimeError
from mainstream.solver.compilation import compiled_s
from mainstream.solver.kernels import Packed
from mainstream.solver.option_table import CellArray
from mainstream.solver.progress import Progress

REPORT_EVERY_S: Final = 0.05
FEASIBLE_TOLERANCE: Final = 1e-9
"""A schedule fits when its cost is at most budget * (1 + this)."""
_LITTLE: Final = 1 << 24
"""For fewer bytes than this nobody looks at how many are free, since that takes longer than a small search."""


@dataclass(frozen=True, eq=False)
class Limits:
    """When a search has to stop, and who hears about its progress.

    Attributes
    ----------
    gap : float
        It may stop once bound - objective is at most this.
    time_limit : float
        Seconds since `started`, without those for compiling; infinite for no limit.
    started : float
        The perf_counter() at which the clock began.
    progress : callable, optional
        Called with a :class:`Progress` about every 50 ms.
    memory_limit : float, optional
        Bytes that the options and the search tree may take. By default the options may take all that is free, and the
        tree half of what is then free.
    """

    gap: float
    time_limit: float = np.inf
    started: float = field(default_factory=perf_counter)
    progress: Callable[[Progress], None] | None = None
    memory_limit: float | None = None
    compiled_s: float = field(default_factory=compiled_s)
    """Seconds that had been spent on compiling when the clock began."""

    @property
    def spent_s(self) -> float:
        """Seconds since the clock began, without those for compiling."""
        # Compiling happens once on a machine; a limit is about the problem.
        return perf_counter() - self.started - (compiled_s() - self.compiled_s)

    @property
    def left_s(self) -> float:
        """Seconds left."""
        return self.time_limit - self.spent_s

    @cached_property
    def memory(self) -> float:
        """Bytes that the search tree may take."""
        return 0.5 * free_memory() if self.memory_limit is None else self.memory_limit

    def check_time(self) -> None:
        """Raise :class:`OutOfTimeError` when the time is over before all options are there."""
        if self.left_s <= 0:
            raise OutOfTimeError(
                f"time_limit {self.time_limit:g} s was over before the values of all options were there; "
                "give it more time"
            )

    def check_memory(self, needed: float) -> None:
        """Raise :class:`OutOfTimeError` when the options need more bytes than are left."""
        if self.memory_limit is None and needed <= _LITTLE:
            return
        allowed = free_memory() if self.memory_limit is None else self.memory_limit
        if needed > allowed:
            raise OutOfTimeError(
                f"the options of this problem need {needed:.3g} more bytes of memory, {allowed:.3g} are "
                + ("free" if self.memory_limit is None else "left of memory_limit; give it more")
            )

    def less(self, taken: float) -> Limits:
        """The same limits when this many bytes are already taken."""
        if self.memory_limit is None:
            return self
        return replace(self, memory_limit=max(0.0, self.memory_limit - taken))


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a search found.

    Attributes
    ----------
    cells : (N,) int
        A cell for each app.
    bound : float
        No schedule is worth more.
    nodes : int
    finished, interrupted : bool
        Whether the gap asked for is proven, and whether Ctrl-C ended the search.
    method : str
    mean_bound : float or None
        When the smallest value comes first, no schedule that reaches it has a larger mean than this.
    """

    cells: CellArray
    bound: float
    nodes: int
    finished: bool
    interrupted: bool = False
    method: str = "branch-and-bound"
    mean_bound: float | None = None


class Ticker:
    """Called between two runs of the kernels: reports progress and says whether there is time left.

    Parameters
    ----------
    limits : Limits
    progress : callable
        Takes the seconds since the search began; returns where it stands.
    """

    def __init__(self, limits: Limits, progress: Callable[[float], Progress]) -> None:
        self._limits = limits
        self._progress = progress
        self._reported = limits.started

    def go_on(self) -> bool:
        """Whether there is time left."""
        now = perf_counter()
        if self._limits.progress is not None and now - self._reported >= REPORT_EVERY_S:
            self._reported = now
            self._limits.progress(self._progress(now - self._limits.started))
        return self._limits.left_s > 0


def free_memory() -> float:
    """Bytes that a process may still take before the machine swaps; infinite if the system does not say."""
    try:
        # MemAvailable counts caches that the kernel would give up, MemFree does not.
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return np.inf


def schedule_cost(packed: Packed, cells: CellArray) -> float:
    """Compute a second of one cell for each app, stem included.

    Parameters
    ----------
    packed : Packed
    cells : (N,) int
        row * (R + 1) + rate index, as in :mod:`mainstream.solver.kernels`.
    """
    row, rate = np.divmod(cells.astype(np.int64), packed.own.shape[1])
    staircase = staircase_of(packed, cells)
    return float(packed.stem[np.arange(len(staircase)), staircase].sum() + packed.own[row, rate].sum())


def staircase_of(packed: Packed, cells: CellArray) -> IntArray:
    """The staircase that one cell for each app needs, as rate indices; shape (D,)."""
    row, rate = np.divmod(cells.astype(np.int64), packed.own.shape[1])
    staircase = np.zeros(len(packed.stem), np.int64)
    # The largest rate of each row, then of each row and all deeper ones: deeper apps run the segments before, too.
    np.maximum.at(staircase, row, rate)
    for first, end in itertools.pairwise(packed.rows.tolist()):
        staircase[first:end] = np.maximum.accumulate(staircase[first:end][::-1])[::-1]
        staircase[first] = 0
    return staircase


def highest_staircase(packed: Packed) -> IntArray:
    """The staircase of all segments at full rate, as rate indices; shape (D,)."""
    highest: IntArray = np.isfinite(packed.own).sum(axis=1) - 1
    highest[packed.rows[:-1]] = 0  # no segment
    return highest
