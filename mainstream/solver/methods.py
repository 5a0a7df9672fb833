"""The built-in methods, behind the door :data:`mainstream.extensions.METHODS`.

What each of them needs is imported when it runs, since numba and OR-Tools are slow to import.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mainstream.apps import IntArray

if TYPE_CHECKING:
    from mainstream.solver.joint_table import JointTable
    from mainstream.solver.option_table import CellArray
    from mainstream.solver.search import Limits, Outcome

_BOTH: Final = ("mean", "min")


@dataclass(frozen=True)
class BranchAndBound:
    """The search tree over staircases."""

    name: str = "branch-and-bound"
    aggregates: tuple[str, ...] = _BOTH
    exact: bool = True

    def maximise(
        self, table: JointTable, budget: float, limits: Limits, aggregate: str, staircases: IntArray
    ) -> Outcome:
        """See :meth:`mainstream.extensions.Method.maximise`."""
        return _search(table, budget, limits, aggregate, staircases=staircases)

    def improve(self, table: JointTable, budget: float, limits: Limits, aggregate: str, first: CellArray) -> Outcome:
        """See :meth:`mainstream.extensions.Improver.improve`."""
        return _search(table, budget, limits, aggregate, first=first)


@dataclass(frozen=True)
class CpSat:
    """OR-Tools CP-SAT, which shares no code with the search tree."""

    name: str = "cp-sat"
    aggregates: tuple[str, ...] = _BOTH
    exact: bool = True

    def maximise(
        self, table: JointTable, budget: float, limits: Limits, aggregate: str, staircases: IntArray
    ) -> Outcome:
        """See :meth:`mainstream.extensions.Method.maximise`; makes no use of `staircases`."""
        from mainstream.solver.cp_sat import cp_sat

        return cp_sat(table.packed, table.share, budget, limits, fair=aggregate == "min")

    def improve(self, table: JointTable, budget: float, limits: Limits, aggregate: str, first: CellArray) -> Outcome:
        """See :meth:`mainstream.extensions.Improver.improve`."""
        from mainstream.solver.cp_sat import cp_sat

        return cp_sat(table.packed, table.share, budget, limits, fair=aggregate == "min", hint=first)


@dataclass(frozen=True)
class Auto:
    """Branch and bound, with CP-SAT beside it on another core once it has stalled."""

    name: str = "auto"
    aggregates: tuple[str, ...] = _BOTH
    exact: bool = True

    def maximise(
        self, table: JointTable, budget: float, limits: Limits, aggregate: str, staircases: IntArray
    ) -> Outcome:
        """See :meth:`mainstream.extensions.Method.maximise`."""
        return _search(table, budget, limits, aggregate, staircases=staircases, accompanied=True)

    def improve(self, table: JointTable, budget: float, limits: Limits, aggregate: str, first: CellArray) -> Outcome:
        """See :meth:`mainstream.extensions.Improver.improve`."""
        return _search(table, budget, limits, aggregate, first=first, accompanied=True)


@dataclass(frozen=True)
class Greedy:
    """Our greedy, for a million apps."""

    name: str = "greedy"
    aggregates: tuple[str, ...] = ("mean",)
    exact: bool = False

    def maximise(
        self, table: JointTable, budget: float, limits: Limits, aggregate: str, staircases: IntArray
    ) -> Outcome:
        """See :meth:`mainstream.extensions.Method.maximise`; makes no use of `staircases`."""
        from mainstream.solver.greedy import greedy
        from mainstream.solver.option_table import weighted

        return greedy(weighted(table.packed, table.share), budget, limits)


@dataclass(frozen=True)
class GreedyReleased:
    """The greedy that was published with the paper, to reproduce its figures."""

    name: str = "greedy-released"
    aggregates: tuple[str, ...] = ("mean",)
    exact: bool = False

    def maximise(
        self, table: JointTable, budget: float, limits: Limits, aggregate: str, staircases: IntArray
    ) -> Outcome:
        """See :meth:`mainstream.extensions.Method.maximise`; makes no use of `staircases`."""
        from mainstream.solver.greedy_released import greedy_released
        from mainstream.solver.option_table import PACKED_BYTES, weighted

        limits.check_memory(PACKED_BYTES * sum(part.values.size for part in table.parts))
        return greedy_released(table.every, weighted(table.packed, table.share), table.share, budget, limits)


def _search(
    table: JointTable,
    budget: float,
    limits: Limits,
    aggregate: str,
    staircases: IntArray | None = None,
    first: CellArray | None = None,
    *,
    accompanied: bool = False,
) -> Outcome:
    """Branch and bound; for the smallest value it uses neither `staircases` nor `first`."""
    from mainstream.solver.branch_and_bound import SearchTree
    from mainstream.solver.max_min import max_min
    from mainstream.solver.option_table import weighted

    if aggregate == "min":
        return max_min(table.packed, table.share, budget, limits, accompanied=accompanied)
    packed = weighted(table.packed, table.share)
    return SearchTree(packed, accompanied=accompanied).run(budget, limits, staircases, first)


AUTO: Final = Auto()
BRANCH_AND_BOUND: Final = BranchAndBound()
CP_SAT: Final = CpSat()
GREEDY: Final = Greedy()
GREEDY_RELEASED: Final = GreedyReleased()
