"""The best of value - price * cost at several prices: lines that bound the frontier from above.

At a price lam the best of value - lam cost, over all schedules, is

    g(lam) = max (value - lam cost),

which is convex, falls with lam, and bounds the frontier: no schedule of cost b is worth more than g(lam) + lam b.
It ignores limits of memory, which makes it no smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mainstream.problem import FloatArray
from mainstream.solver import memory
from mainstream.solver.branch_and_bound import SearchTree
from mainstream.solver.groups import at_price, groups_of
from mainstream.solver.option_table import weighted
from mainstream.solver.prepared import Prepared


@dataclass(frozen=True, eq=False)
class AtPrices:
    """What a problem comes to at K prices.

    Attributes
    ----------
    most : (K,) float
        g at each price, or up to the tolerance more; values are multiplied by the apps' weights and added up.
    cost : (K,) float
        The cost of the best schedule at each price.
    """

    most: FloatArray
    cost: FloatArray


def at_prices(prepared: Prepared, prices: Sequence[float], tolerance: float) -> AtPrices:
    """What a problem comes to at several prices.

    Parameters
    ----------
    prepared : Prepared
        Its budget and `memory_mb` are ignored.
    prices : (K,) float
        At least 0, in units of weighted value by compute a second.
    tolerance : float
        In units of the weighted values.

    Raises
    ------
    InfeasibleError
        An app that is not optional has no option.
    """
    table = prepared.table
    weights = np.concatenate([part.apps.weight for part in table.parts])
    groups = list(groups_of(weighted(table.packed, weights)))
    most, cost = np.zeros((2, len(prices)))
    for k, price in enumerate(prices):
        point = at_price(groups, 0.0, float(price), tolerance, lambda: True)
        assert point is not None, "there is time without end"
        most[k], cost[k] = point.bound, point.cost
    return AtPrices(most, cost)


def least_memory(prepared: Prepared) -> float:
    """Megabytes that the leanest schedule takes.

    Parameters
    ----------
    prepared : Prepared
        It has to have a `memory_mb`, of any size.
    """
    return SearchTree(memory.alone(prepared.table.packed)).cheapest(0.0)
