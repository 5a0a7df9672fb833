"""The search tree: a node is a box lo <= M <= hi of staircases, split until its bound is no better than the incumbent.

Open boxes are in a heap, with the best bound on top. For each box, the search tries the staircase that its bound asks
for: the apps under it are a knapsack, whose answer may become the incumbent.
"""

from __future__ import annotations

import numpy as np

from mainstream._jit import inlined, inner, jit
from mainstream.solver.kernels import (
    ASIDE,
    CLOSED,
    DONE,
    HEAP,
    INCUMBENT,
    LEAF,
    NEED_SHARES,
    NEED_SLOTS,
    NEED_STATES,
    NEW,
    NODES,
    RELAXED,
    RUNNING,
    VISITED,
    Calls,
    Cells,
    Packed,
    Scratch,
    Staircase,
    Terms,
    Tree,
)
from mainstream.solver.kernels.calls import call_charge_box, call_close_knapsack, call_close_two
from mainstream.solver.kernels.charges import spread
from mainstream.solver.kernels.lagrangian import copy, dual, lightest, room_beside, stem_cost, weigh


@inner
def staircase_of(packed: Packed, cells: Cells, staircase: Staircase) -> None:
    """The staircase that these cells need: staircase[k] = the group's largest rate index in row k or beyond."""
    width = packed.own.shape[1]
    for k in range(len(staircase)):
        staircase[k] = 0
    for c in cells:
        d = c // width
        staircase[d] = max(staircase[d], c - d * width)
    for g in range(len(packed.rows) - 1):
        first = packed.rows[g]
        staircase[first] = 0
        for k in range(packed.rows[g + 1] - 2, first, -1):
            staircase[k] = max(staircase[k], staircase[k + 1])


@inner
def seen(staircase: Staircase, tree: Tree) -> bool:
    """Whether this staircase was tried before; remembers it. Two staircases of one hash count as one."""
    visited = tree.visited
    # A hash in the manner of FNV-1a. A clash only leaves a staircase untried: it costs a chance for a better incumbent,
    # never the proof.
    key = np.uint64(1469598103934665603)
    for k in range(len(staircase)):
        key = (key ^ np.uint64(staircase[k] + 1)) * np.uint64(1099511628211)
    key |= np.uint64(1)
    mask = np.uint64(len(visited) - 1)
    at = (key >> np.uint64(20)) & mask
    while visited[at] != 0:
        if visited[at] == key:
            return True
        at = (at + np.uint64(1)) & mask
    # Half full at most, as linear probing slows down beyond that; later staircases are not remembered.
    if 2 * tree.counts[VISITED] < len(visited):
        visited[at] = key
        tree.counts[VISITED] += 1
    return False


@inner
def push(tree: Tree) -> None:
    """Put the slot heap[size], already filled, into the heap; heap[size:] are the free slots."""
    bound, heap, counts = tree.bound, tree.heap, tree.counts
    at = counts[HEAP]
    counts[HEAP] += 1
    while at > 0:
        up = (at - 1) // 2
        if bound[heap[up]] >= bound[heap[at]]:
            break
        heap[up], heap[at] = heap[at], heap[up]
        at = up


@inner
def pop(tree: Tree) -> int:
    """Take the slot of the largest bound off the heap; it is then free, at heap[size]."""
    bound, heap, counts = tree.bound, tree.heap, tree.counts
    counts[HEAP] -= 1
    size = counts[HEAP]
    heap[0], heap[size] = heap[size], heap[0]
    at = 0
    while True:
        down = 2 * at + 1
        if down >= size:
            break
        if down + 1 < size and bound[heap[down + 1]] > bound[heap[down]]:
            down += 1
        if bound[heap[at]] >= bound[heap[down]]:
            break
        heap[at], heap[down] = heap[down], heap[at]
        at = down
    return int(heap[size])


@inner
def _close(tree: Tree, terms: Terms, bound: float) -> None:
    """Record the bound of a closed part of the tree: nothing in it beats the incumbent by more than the gap."""
    tree.floats[CLOSED] = max(tree.floats[CLOSED], min(bound, tree.floats[INCUMBENT] + terms.gap))


@inner
def _try_staircase(
    packed: Packed, scratch: Scratch, tree: Tree, terms: Terms, calls: Calls, staircase: Staircase, lam: float
) -> tuple[float, bool, int]:
    """Solve the MCKP under one staircase and keep what beats the incumbent; returns (bound, closed, work)."""
    left = terms.budget - stem_cost(packed, staircase)
    room = room_beside(packed, staircase)
    goal = tree.floats[INCUMBENT] + terms.gap
    if left < 0.0 or room < 0.0:
        return -np.inf, True, 1
    weigh(packed, scratch, staircase, staircase, 0.0)
    if len(scratch.share) > 0:
        # The stem is paid for, so no app is charged for what it would add.
        for i in range(len(scratch.share)):
            scratch.share[i] = 0.0
        spread(packed, scratch)
    bound, lam, passes = dual(packed, scratch, left, lam, goal, 0.01)
    work: int = passes * packed.start[-1]
    if bound <= goal:
        return bound, True, work
    if scratch.stop[0] != 0:
        return bound, False, work
    if room < np.inf:
        found, closed, more = call_close_two(
            calls.close_two, (packed, scratch, terms, left, room, lam, bound, goal, tree.best)
        )
    else:
        found, closed, more = call_close_knapsack(
            calls.close_knapsack, (packed, scratch, terms, left, lam, bound, goal, tree.best)
        )
    if found > -np.inf:
        tree.floats[INCUMBENT] = found
    return bound, closed, work + more


@inner
def _briefly(terms: Terms, capacity: int) -> Terms:
    """The same terms with a core of no more than this many states."""
    capacity = min(capacity, terms.capacity)
    return Terms(terms.budget, terms.theta, terms.gap, capacity, min(terms.steps, 100 * capacity), terms.patience)


@inner
def where_to_cut(packed: Packed, lo: Staircase, hi: Staircase, needed: Staircase) -> tuple[int, int]:
    """The segment k and rate index m at which to split a box into M[k] <= m and M[k] > m.

    The box is split at the corner of the needed staircase that adds most to the stem of lo by itself, in the middle. If
    no more than lo is needed, it is split right above lo at the first open segment: the lower part is then often only
    lo.
    """
    stem, rows = packed.stem, packed.rows
    best_k, best_m, best_cost = 0, 0, -1.0
    open_k = 0
    for g in range(len(rows) - 2, -1, -1):
        for k in range(rows[g + 1] - 1, rows[g], -1):
            if hi[k] > lo[k]:
                open_k = k
            if needed[k] > lo[k]:
                cost = 0.0
                for d in range(rows[g] + 1, k + 1):
                    cost += max(0.0, stem[d, needed[k]] - stem[d, lo[d]])
                # The costliest corner: raising lo there moves the bound most, and halfway up both parts feel it.
                if cost >= best_cost:
                    best_k, best_m, best_cost = k, (lo[k] + needed[k]) // 2, cost
    if best_k == 0:
        return open_k, lo[open_k]
    return best_k, best_m


@inner
def halves(packed: Packed, tree: Tree, slot: int) -> int:
    """Split a box into M[k] <= m and M[k] > m, written to tree.boxes, or copy it uncut; returns the number of parts."""
    k, m = tree.cut[slot, 0], tree.cut[slot, 1]
    boxes = tree.boxes
    sides = 2 if k > 0 else 1
    for side in range(sides):
        copy(tree.lo[slot], boxes[side, 0])
        copy(tree.hi[slot], boxes[side, 1])
    if k > 0:
        g = 0
        while packed.rows[g + 1] <= k:
            g += 1
        # M never rises with depth: an upper limit holds for all deeper segments too, a lower one for all before.
        for d in range(k, packed.rows[g + 1]):
            boxes[0, 1, d] = min(boxes[0, 1, d], m)
        for d in range(packed.rows[g] + 1, k + 1):
            boxes[1, 0, d] = max(boxes[1, 0, d], m + 1)
    return sides


@inner
def _keep(tree: Tree, slot: int, lo: Staircase, hi: Staircase, bound: float, lam: float) -> None:
    """Write a box into a slot."""
    copy(lo, tree.lo[slot])
    copy(hi, tree.hi[slot])
    tree.bound[slot] = bound
    tree.lam[slot] = lam


@inlined
def _add_node(
    packed: Packed,
    scratch: Scratch,
    tree: Tree,
    terms: Terms,
    calls: Calls,
    lo: Staircase,
    hi: Staircase,
    bound: float,
    lam: float,
) -> int:
    """Bound a box, try the staircase its bound suggests, put it on the heap unless that closes it; returns work."""
    tree.counts[NODES] += 1
    left = terms.budget - stem_cost(packed, lo)
    if left < 0.0 or room_beside(packed, lo) < 0.0:
        return 1
    slot = tree.heap[tree.counts[HEAP]]
    leaf = True
    for k in range(len(lo)):
        leaf = leaf and lo[k] == hi[k]
    if leaf:
        leaf_bound, closed, work = _try_staircase(packed, scratch, tree, terms, calls, lo, lam)
        bound = min(bound, leaf_bound)
        if closed:
            _close(tree, terms, bound)
            return work
        tree.cut[slot, 0] = LEAF
    else:
        goal = tree.floats[INCUMBENT] + terms.gap
        unequal = len(scratch.share) > 0
        # With unequal shares `charge_box` adds them itself, to weights without any.
        weigh(packed, scratch, lo, hi, 0.0 if unequal else 1.0)
        passes = 0
        if unequal:
            lam, passes = call_charge_box(calls.charge_box, (packed, scratch, lo, left, lam, goal))
        own_bound, lam, more = dual(packed, scratch, left, lam, goal, 0.01)
        passes += more
        work = int(passes * packed.start[-1])
        bound = min(bound, own_bound)
        if bound <= goal:
            _close(tree, terms, bound)
            return work
        if scratch.stop[0] != 0:
            tree.cut[slot, 0] = NEW
            _keep(tree, slot, lo, hi, bound, lam)
            push(tree)
            return work
        for i in range(len(scratch.trial)):
            scratch.trial[i] = scratch.cell[scratch.choice[i]]
        capacity = min(terms.capacity, tree.counts[RELAXED] if unequal else 4096)
        # A relaxation is worth only some effort: if its core gets long, a split tells more.
        brief = _briefly(terms, capacity)
        found, closed, more = call_close_knapsack(
            calls.close_knapsack, (packed, scratch, brief, left, lam, own_bound, goal, scratch.trial)
        )
        work += more
        if unequal:
            # As many states as were enough lately.
            tree.counts[RELAXED] = min(1 << 17, 2 * capacity) if closed else max(4096, capacity // 2)
        if closed:
            # The box's relaxation is itself solved: sharper than its Lagrangian.
            if found == -np.inf:
                _close(tree, terms, bound)
                return work
            bound = min(bound, found + terms.gap)
        needed = scratch.needed
        staircase_of(packed, scratch.trial, needed)
        tree.cut[slot, 0], tree.cut[slot, 1] = where_to_cut(packed, lo, hi, needed)
        if not seen(needed, tree):
            _, _, more = _try_staircase(packed, scratch, tree, _briefly(terms, 1 << 16), calls, needed, lam)
            work += more
            if bound <= tree.floats[INCUMBENT] + terms.gap:
                _close(tree, terms, bound)
                return work
    _keep(tree, slot, lo, hi, bound, lam)
    if leaf:
        # Its knapsack needs more states than there are; the rest of the tree shows whether it matters at all.
        tree.counts[ASIDE] += 1
        last = len(tree.heap) - tree.counts[ASIDE]
        tree.heap[tree.counts[HEAP]] = tree.heap[last]
        tree.heap[last] = slot
    else:
        push(tree)
    return work


@jit
def search(packed: Packed, scratch: Scratch, tree: Tree, terms: Terms, calls: Calls, effort: int) -> int:
    """Continue a search, best bound first, until it has looked at about `effort` options; returns a status code."""
    heap, counts = tree.heap, tree.counts
    work = 0
    while counts[HEAP] > 0:
        if work > effort or scratch.stop[0] != 0:
            return RUNNING
        if counts[HEAP] + counts[ASIDE] + 2 > len(heap):
            return NEED_SLOTS
        # Unequal shares cost several times as much a node, and pay only in a tree that does not close by itself.
        if counts[NODES] > terms.patience and len(scratch.share) == 0:
            return NEED_SHARES
        slot = pop(tree)
        bound, lam = tree.bound[slot], tree.lam[slot]
        if bound <= tree.floats[INCUMBENT] + terms.gap:
            # Best first: what is left is no better.
            _close(tree, terms, bound)
            counts[HEAP] = 0
            break
        for side in range(halves(packed, tree, slot)):
            lo, hi = tree.boxes[side, 0], tree.boxes[side, 1]
            work += _add_node(packed, scratch, tree, terms, calls, lo, hi, bound, lam)
    # The heap is empty. A leaf set aside may be hopeless by now, as the incumbent has grown since.
    for at in range(len(heap) - counts[ASIDE], len(heap)):
        if tree.bound[heap[at]] > tree.floats[INCUMBENT] + terms.gap:
            return NEED_STATES
        _close(tree, terms, tree.bound[heap[at]])
    counts[ASIDE] = 0
    return DONE


@inner
def _add_cheap_node(packed: Packed, scratch: Scratch, tree: Tree, lo: Staircase, hi: Staircase) -> None:
    """Like :func:`_add_node`, but only cost counts: bounds and the incumbent are negative costs."""
    tree.counts[NODES] += 1
    weigh(packed, scratch, lo, hi, 1.0)
    # Cost alone counts, so the best of each app is its lightest option, and no price is needed.
    _, weight = lightest(packed, scratch)
    bound = -(weight + stem_cost(packed, lo))
    if bound <= tree.floats[INCUMBENT]:
        return
    width = packed.own.shape[1]
    for i in range(len(scratch.trial)):
        scratch.trial[i] = packed.cell[scratch.spare[i]]
    staircase_of(packed, scratch.trial, scratch.needed)
    cost = stem_cost(packed, scratch.needed)
    for c in scratch.trial:
        cost += packed.own[c // width, c % width]
    if -cost > tree.floats[INCUMBENT]:
        tree.floats[INCUMBENT] = -cost
        for i in range(len(scratch.trial)):
            tree.best[i] = scratch.trial[i]
    # Costs are negative here: by a factor under 1 the bound has to be better by more than rounding.
    if bound <= tree.floats[INCUMBENT] * (1.0 - 1e-12):
        return
    slot = tree.heap[tree.counts[HEAP]]
    tree.cut[slot, 0], tree.cut[slot, 1] = where_to_cut(packed, lo, hi, scratch.needed)
    copy(lo, tree.lo[slot])
    copy(hi, tree.hi[slot])
    tree.bound[slot] = bound
    push(tree)


@jit
def cheapest(packed: Packed, scratch: Scratch, tree: Tree, enough: float, hopeless: float, effort: int) -> int:
    """Look for the schedule of least cost, or for one of at most `enough`; returns a status code.

    It also ends when no schedule costs `hopeless` or less. The heap holds the root box; tree.floats[INCUMBENT] comes
    back as minus the cost of tree.best.
    """
    heap, counts = tree.heap, tree.counts
    done = 0
    while counts[HEAP] > 0 and -tree.floats[INCUMBENT] > enough:
        if counts[HEAP] + 2 > len(heap):
            return NEED_SLOTS
        if done > effort:
            return RUNNING
        slot = pop(tree)
        bound = tree.bound[slot]
        if bound <= tree.floats[INCUMBENT] * (1.0 - 1e-12) or -bound > hopeless:
            break
        for side in range(halves(packed, tree, slot)):
            _add_cheap_node(packed, scratch, tree, tree.boxes[side, 0], tree.boxes[side, 1])
        done += packed.start[-1]
    return DONE
