"""Puts the options of all streams into one set of arrays, and turns the chosen ones into a schedule for each stream."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from mainstream.apps import IntArray
from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.problem import FloatArray
from mainstream.schedule import Choice, Result, Schedule
from mainstream.solver import kernels
from mainstream.solver.option_table import PACKED_BYTES, CellArray, OptionTable
from mainstream.solver.search import FEASIBLE_TOLERANCE, Limits

_WEIGHTED_BYTES: Final = 8
"""Bytes of an option: its value times the share of its app."""
_APP_BYTES: Final = 160
"""Bytes of an app, in the arrays that a greedy and the root of the tree work in."""


@dataclass(frozen=True, eq=False)
class JointTable:
    """The options of each app of each stream, with their values; a method gets this table.

    Attributes
    ----------
    parts : tuple of OptionTable
        One for each of the G streams.
    memory_mb : float
        Megabytes for the models; infinite for no limit.
    """

    parts: tuple[OptionTable, ...]
    memory_mb: float = np.inf

    def __len__(self) -> int:
        """The number of apps."""
        return sum(len(part.apps) for part in self.parts)

    def check_memory(self, limits: Limits) -> Limits:
        """The limits less the memory of the options, which stay in memory during the search.

        Raises
        ------
        OutOfTimeError
            There is not enough left for the shortest search.
        """
        options, joined = len(self.packed.value), len(self.parts) > 1
        left = limits.less(sum(part.nbytes for part in self.parts) + joined * PACKED_BYTES * options)
        left.check_memory(_WEIGHTED_BYTES * options + _APP_BYTES * len(self))
        return left.less(_WEIGHTED_BYTES * options)

    @cached_property
    def packed(self) -> kernels.Packed:
        """The options that are not dominated, as the kernels take them: a group for each stream, values unweighted."""
        return self._joined(lambda part: part.packed)

    @cached_property
    def every(self) -> kernels.Packed:
        """All options, with the dominated ones."""
        return self._joined(lambda part: part.every)

    @cached_property
    def share(self) -> FloatArray:
        """What each app's value counts in the objective: its weight, scaled to a sum of 1; shape (N,)."""
        weight = np.concatenate([part.apps.weight for part in self.parts])
        # Divide by the largest first, as the plain sum may be infinite.
        scaled = weight / weight.max()
        shares: FloatArray = scaled / scaled.sum()
        return shares

    def schedules(self, cells: CellArray) -> tuple[Schedule, ...]:
        """The schedule of each stream, from one cell for each app.

        Parameters
        ----------
        cells : (N,) int
            row * (R + 1) + rate index, as in :mod:`mainstream.solver.kernels`.
        """
        rows, apps, width = self.packed.rows, self.packed.apps, self.packed.own.shape[1]
        found = []
        for g, part in enumerate(self.parts):
            row, rate = np.divmod(cells[apps[g] : apps[g + 1]].astype(np.int64), width)
            found.append(part.schedule(((row - rows[g]) * (len(part.rates) + 1) + rate).astype(np.int32)))
        return tuple(found)

    def values(self, cells: CellArray) -> FloatArray:
        """The value that each app gets from its cell, unweighted; shape (N,)."""
        return np.concatenate([schedule.value for schedule in self.schedules(cells)])

    def staircases(self, warm_start: Result | Iterable[Choice] | None) -> IntArray:
        """The stems of a schedule made for a similar problem, as rate indices for each row.

        A choice belongs to the stream that has its app, or to the only one.

        Returns
        -------
        (S, D) array, S = 0 without a warm start
        """
        if warm_start is None:
            return np.zeros((0, len(self.packed.own)), np.int64)
        if not isinstance(warm_start, Result | Iterable):
            raise ProblemError(f"warm_start: got {shown(warm_start)}; it has to be a Result or a list of Choice")
        choices = warm_start.choices if isinstance(warm_start, Result) else tuple(warm_start)
        for choice in choices:
            if not isinstance(choice, Choice):
                raise ProblemError(f"warm_start: got {shown(choice)} in the list; it has to hold Choice objects")
        if len(self.parts) == 1:
            return self.parts[0].staircase(choices)[None, :]
        known = [set(part.apps.app_ids.tolist()) for part in self.parts]
        own = [[choice for choice in choices if choice.app_id in ids] for ids in known]
        return np.concatenate([part.staircase(some) for part, some in zip(self.parts, own, strict=True)])[None, :]

    def _joined(self, packed_of: Callable[[OptionTable], kernels.Packed]) -> kernels.Packed:
        """The groups one after the other; a rate that a group does not have gets an infinite cost."""
        each = [packed_of(part) for part in self.parts]
        allowed = self.memory_mb * (1 + FEASIBLE_TOLERANCE)
        if len(each) == 1:
            return each[0]._replace(memory_mb=allowed)
        width = max(packed.own.shape[1] for packed in each)
        rows = np.cumsum([0, *(len(packed.own) for packed in each)])
        own = np.full((int(rows[-1]), width), np.inf)
        stem = np.zeros_like(own)
        cells = []
        for packed, (first, end) in zip(each, itertools.pairwise(rows.tolist()), strict=True):
            narrow = packed.own.shape[1]
            own[first:end, :narrow] = packed.own
            stem[first:end, :narrow] = packed.stem
            stem[first + 1 : end, narrow:] = np.inf
            row, rate = np.divmod(packed.cell, narrow)
            cells.append(((row + first) * width + rate).astype(np.int32))
        return kernels.Packed(
            start=np.concatenate([[0], np.cumsum(np.concatenate([np.diff(packed.start) for packed in each]))]),
            value=np.concatenate([packed.value for packed in each]),
            cell=np.concatenate(cells),
            own=own,
            stem=stem,
            rows=rows,
            apps=np.cumsum([0, *(len(part.apps) for part in self.parts)]),
            own_mb=np.concatenate([packed.own_mb for packed in each]),
            stem_mb=np.concatenate([packed.stem_mb for packed in each]),
            memory_mb=allowed,
        )
