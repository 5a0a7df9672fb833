"""Max-min fairness: the largest smallest value first, then the best mean among the schedules that reach it.

A smallest value of t can be reached if the cheapest schedule of the options worth at least t fits the budget. This is
monotone in t, and only the options' own values matter for t, so a search by halves finds it. An optional app that is
left out counts as 0, so it may stay out only if t is at most 0.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mainstream.errors import InterruptedSearch, OutOfTimeError
from mainstream.problem import FloatArray
from mainstream.solver import kernels
from mainstream.solver.branch_and_bound import SearchTree
from mainstream.solver.option_table import at_least, weighted
from mainstream.solver.search import FEASIBLE_TOLERANCE, Limits, Outcome

_SAME: float = 1e-12
"""Values that differ by no more than this are one value to the second stage."""


def max_min(
    packed: kernels.Packed, share: FloatArray, budget: float, limits: Limits, *, accompanied: bool = False
) -> Outcome:
    """Maximise the smallest value, then the weighted mean.

    Parameters
    ----------
    packed : Packed
        Its values are unweighted.
    share : (N,) array
        What each app's value counts in the mean.
    budget : float
    limits : Limits
        The gap holds for the mean; the smallest value is exact unless the time runs out.
    accompanied : bool
        Whether CP-SAT joins in once a search has stalled.

    Returns
    -------
    Outcome
        `bound` is the bound of the smallest value, and `mean_bound` that of the mean.

    Raises
    ------
    InfeasibleError
        Nothing fits the budget.
    OutOfTimeError
        A limit came before any schedule that fits.
    """
    allowed = budget * (1 + FEASIBLE_TOLERANCE)
    values = np.unique(packed.value)
    # values[low] can be reached if anything can; run() below raises an error if not even that.
    low, high = 0, int(np.searchsorted(values, np.maximum.reduceat(packed.value, packed.start[:-1]).min()))
    first = None
    try:
        while low < high and limits.left_s > 0:
            middle = (low + high + 1) // 2
            search = SearchTree(at_least(packed, values[middle]), accompanied=accompanied)
            if search.cheapest(allowed, allowed, limits) <= allowed:
                low, first = middle, search.tree.best
            else:
                high = middle - 1
    except OutOfTimeError:
        pass  # between low and high it stays open
    except KeyboardInterrupt:
        if first is None:
            raise InterruptedSearch(None) from None
        return Outcome(cells=first, bound=float(values[high]), nodes=0, finished=False, interrupted=True)
    kept = weighted(at_least(packed, values[low] - _SAME), share)
    second = SearchTree(kept, accompanied=accompanied).run(budget, limits, first=first)
    return replace(second, bound=float(values[high]), mean_bound=second.bound, finished=second.finished and low == high)
