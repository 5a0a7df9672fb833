"""The methods that come along, behind the door :data:`mainstream.extensions.METHODS`.

What each of them needs is imported when it runs: numba and OR-Tools take their time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    """Branch and bound; what it leaves open of a small case is handed on to CP-SAT.

    Attributes
    ----------
    most_apps : int
        How many apps a small case has at most.
    first_share : float
        Share of the time that branch and bound has of it then.
    """

    name: str = "auto"
    aggregates: tuple[str, ...] = _BOTH
    exact: bool = True
    most_apps: int = 50
    first_share: float = 0.5

    def maximise(
        self, table: JointTable, budget: float, limits: Limits, aggregate: str, staircases: IntArray
    ) -> Outcome:
        """See :meth:`mainstream.extensions.Method.maximise`."""
        return self._both(table, budget, limits, aggregate, staircases=staircases)

    def improve(self, table: JointTable, budget: float, limits: Limits, aggregate: str, first: CellArray) -> Outcome:
        """See :meth:`mainstream.extensions.Improver.improve`."""
        return self._both(table, budget, limits, aggregate, first=first)

    def _both(
        self,
        table: JointTable,
        budget: float,
        limits: Limits,
        aggregate: str,
        staircases: IntArray | None = None,
        first: CellArray | None = None,
    ) -> Outcome:
        small = len(table) <= self.most_apps
        own = replace(limits, time_limit=self.first_share * limits.time_limit) if small else limits
        outcome = _search(table, budget, own, aggregate, staircases, first)
        if not small or outcome.finished or outcome.interrupted or limits.left_s <= 0:
            return outcome
        from mainstream.solver.cp_sat import cp_sat

        rest = cp_sat(table.packed, table.share, budget, limits, fair=aggregate == "min", hint=outcome.cells)
        return _better(table, outcome, rest)


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
        from mainstream.solver.greedy import greedy_released
        from mainstream.solver.option_table import weighted

        return greedy_released(table.every, weighted(table.packed, table.share), table.share, budget, limits)


def _search(
    table: JointTable,
    budget: float,
    limits: Limits,
    aggregate: str,
    staircases: IntArray | None = None,
    first: CellArray | None = None,
) -> Outcome:
    """Branch and bound; for the smallest value it makes use of neither `staircases` nor `first`."""
    from mainstream.solver.branch_and_bound import SearchTree
    from mainstream.solver.max_min import max_min
    from mainstream.solver.option_table import weighted

    if aggregate == "min":
        return max_min(table.packed, table.share, budget, limits)
    return SearchTree(weighted(table.packed, table.share)).run(budget, limits, staircases, first)


def _better(table: JointTable, first: Outcome, second: Outcome) -> Outcome:
    """The better schedule of the two with the sharper bound."""
    values = [table.values(outcome.cells) for outcome in (first, second)]
    fair = first.mean_bound is not None
    scores = [(float(value.min()) if fair else 0.0, float(value @ table.share)) for value in values]
    best = second if scores[1] >= scores[0] else first
    return replace(
        best,
        bound=min(first.bound, second.bound),
        mean_bound=best.mean_bound,
        finished=second.finished,
        nodes=first.nodes + second.nodes,
        method="branch-and-bound, cp-sat",
    )


AUTO: Final = Auto()
BRANCH_AND_BOUND: Final = BranchAndBound()
CP_SAT: Final = CpSat()
GREEDY: Final = Greedy()
GREEDY_RELEASED: Final = GreedyReleased()
