"""The methods by name, and what "auto" makes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mainstream.apps import IntArray
from mainstream.errors import ProblemError
from mainstream.problem import Aggregate, Method
from mainstream.solver.branch_and_bound import SearchTree
from mainstream.solver.option_table import OptionTable, weighted
from mainstream.solver.search import Limits, Outcome

_SMALL: Final = 50
"""Apps up to which "auto" hands what branch and bound leaves open to CP-SAT."""
_FIRST_SHARE: Final = 0.5
"""Share of the time that branch and bound has of it then."""


def maximise(
    table: OptionTable, budget: float, limits: Limits, method: Method, aggregate: Aggregate, staircases: IntArray
) -> Outcome:
    """The schedule of largest mean, or largest smallest, value within a budget.

    Parameters
    ----------
    table : OptionTable
    budget : float
    limits : Limits
    method : str
    aggregate : str
        The greedies only take "mean".
    staircases : (S, D + 1) int array
        Stems for branch and bound to try first.

    Raises
    ------
    ProblemError
        The method cannot do this aggregate.
    InfeasibleError
        Nothing fits the budget.
    """
    fair = aggregate == "min"
    packed = table.packed
    if method in ("greedy", "greedy-released"):
        if fair:
            raise ProblemError(f"method {method!r} only takes aggregate 'mean'; for 'min' use 'branch-and-bound'")
        from mainstream.solver.greedy import greedy, greedy_released

        by_weight = weighted(packed, table.share)
        if method == "greedy":
            return greedy(by_weight, budget, limits)
        return greedy_released(table, by_weight, budget, limits)
    if method == "cp-sat":
        from mainstream.solver.cp_sat import cp_sat

        return cp_sat(packed, table.share, budget, limits, fair=fair)
    small = method == "auto" and len(table.apps) <= _SMALL
    own = replace(limits, time_limit=_FIRST_SHARE * limits.time_limit) if small else limits
    if fair:
        from mainstream.solver.max_min import max_min

        outcome = max_min(packed, table.share, budget, own)
    else:
        outcome = SearchTree(weighted(packed, table.share)).run(budget, own, staircases)
    if small and not outcome.finished and not outcome.interrupted and limits.left_s > 0:
        from mainstream.solver.cp_sat import cp_sat

        rest = cp_sat(packed, table.share, budget, limits, fair=fair, hint=outcome.cells)
        outcome = _better(table, outcome, rest)
    return outcome


def _better(table: OptionTable, first: Outcome, second: Outcome) -> Outcome:
    """The better schedule of the two with the sharper bound."""
    values = [table.schedule(outcome.cells).value for outcome in (first, second)]
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
