"""One group alone at a price of the budget: the best of value - price * cost, over all of its staircases.

At one price the groups are independent, so the sum of their bests plus price * budget bounds a problem of several
groups. A box is bounded as in ``charges.py``, but at one price.
"""

from __future__ import annotations

import numpy as np

from mainstream._jit import inner, jit
from mainstream.solver.kernels import (
    DONE,
    HEAP,
    INCUMBENT,
    LEAF,
    NEED_SLOTS,
    NODES,
    RUNNING,
    Packed,
    Scratch,
    Staircase,
    Tree,
)
from mainstream.solver.kernels.charges import charge, stem_additions
from mainstream.solver.kernels.lagrangian import at_price, copy, stem_cost, weigh
from mainstream.solver.kernels.tree import halves, pop, push, seen, staircase_of, where_to_cut


@inner
def _try_staircase(packed: Packed, scratch: Scratch, tree: Tree, staircase: Staircase, lam: float) -> float:
    """The best value - price * cost under one staircase; it becomes the incumbent if it beats the old one."""
    weigh(packed, scratch, staircase, staircase, 0.0)
    # One staircase and one price: each app has its own best option, and no knapsack is left.
    value, weight = at_price(packed, scratch, lam)
    weight += stem_cost(packed, staircase)
    total = value - lam * weight
    if total > tree.floats[INCUMBENT]:
        tree.floats[INCUMBENT] = total
        for i in range(len(tree.best)):
            tree.best[i] = scratch.cell[scratch.spare[i]]
    return total


@inner
def _add_box(packed: Packed, scratch: Scratch, tree: Tree, lo: Staircase, hi: Staircase, lam: float) -> None:
    """Bound a box and put it on the heap."""
    tree.counts[NODES] += 1
    slot = tree.heap[tree.counts[HEAP]]
    leaf = True
    for k in range(len(lo)):
        leaf = leaf and lo[k] == hi[k]
    if leaf:
        tree.bound[slot] = _try_staircase(packed, scratch, tree, lo, lam)
        tree.cut[slot, 0] = LEAF
    else:
        weigh(packed, scratch, lo, hi, 0.0)
        stem_additions(packed, scratch, lo)
        value, weight = charge(packed, scratch, lam)
        if weight == np.inf:
            return
        tree.bound[slot] = value - lam * (weight + stem_cost(packed, lo))
        for i in range(len(scratch.trial)):
            # The corner above the common height, so that the staircase is one that the mixture asks for.
            scratch.trial[i] = scratch.cell[scratch.corner[1, scratch.order[i]]]
        staircase_of(packed, scratch.trial, scratch.needed)
        tree.cut[slot, 0], tree.cut[slot, 1] = where_to_cut(packed, lo, hi, scratch.needed)
        if not seen(scratch.needed, tree):
            _try_staircase(packed, scratch, tree, scratch.needed, lam)
    copy(lo, tree.lo[slot])
    copy(hi, tree.hi[slot])
    push(tree)


@jit
def priced(
    packed: Packed,
    scratch: Scratch,
    tree: Tree,
    lam: float,
    margin: float,
    low: Staircase,
    high: Staircase,
    effort: int,
) -> int:
    """Continue until no open box has a bound over the incumbent + margin, or for about `effort` options.

    low, high : (D,) the box around all single staircases met that come to more than that

    Returns a status code. A margin below 0 asks for all staircases that come this near to the best.
    """
    heap, counts = tree.heap, tree.counts
    work = 0
    # The largest bound is on top of the heap: once it is near enough, all others are.
    while counts[HEAP] > 0 and tree.bound[heap[0]] > tree.floats[INCUMBENT] + margin:
        if work > effort:
            return RUNNING
        if counts[HEAP] + 2 > len(heap):
            return NEED_SLOTS
        slot = pop(tree)
        if tree.cut[slot, 0] == LEAF:
            # A single staircase is not split; only the box around all of them is asked for.
            for k in range(len(low)):
                low[k] = min(low[k], tree.lo[slot, k])
                high[k] = max(high[k], tree.lo[slot, k])
            continue
        for side in range(halves(packed, tree, slot)):
            _add_box(packed, scratch, tree, tree.boxes[side, 0], tree.boxes[side, 1], lam)
            work += 8 * packed.start[-1]
    return DONE
