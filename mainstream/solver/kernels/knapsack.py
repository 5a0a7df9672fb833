"""What is left under one staircase, or in a box once the stem is charged for: a multiple-choice knapsack (MCKP).

Each app chooses one of its options, and the weights keep to a budget. The knapsack is closed by a core of the apps
whose choice is in doubt; :func:`close_knapsack` says how, and proves it.
"""

from __future__ import annotations

import numpy as np

from mainstream._jit import inner, jit
from mainstream.solver.kernels import Cells, FloatArray, IntArray, Moves, Packed, Scratch, Terms

# How many successors a core looks at before it checks again whether to stop.
_LOOK = 1 << 18
# States of a core up to which it spends none of the gap, and up to which it bounds them at one price only.
_FEW = 64
_MANY = 256


@inner
def insert(
    weight: FloatArray, worth: FloatArray, option: IntArray, first: int, end: int, w: float, v: float, o: int
) -> int:
    """Insert an option into [first, end), which is sorted by weight, unless a lighter one is worth as much.

    Options that it beats are removed. Returns the new end.
    """
    at = end
    while at > first and (weight[at - 1] > w or (weight[at - 1] == w and worth[at - 1] < v)):
        at -= 1
    if at > first and worth[at - 1] >= v:
        return end
    beaten = at
    while beaten < end and worth[beaten] <= v:
        beaten += 1
    shift = 1 - (beaten - at)
    if shift > 0:
        for m in range(end - 1, at - 1, -1):
            weight[m + 1] = weight[m]
            worth[m + 1] = worth[m]
            option[m + 1] = option[m]
    else:
        for m in range(beaten, end):
            weight[m + shift] = weight[m]
            worth[m + shift] = worth[m]
            option[m + shift] = option[m]
    weight[at] = w
    worth[at] = v
    option[at] = o
    return end + shift


@inner
def fill(packed: Packed, scratch: Scratch, budget: float, lam: float) -> float:
    """Give each app its best option at lam, as far as the budget goes; returns the budget that is left.

    The choice fits, as one made for a somewhat larger lam does; of equal scores the heavier uses up more. Only apps in
    scratch.doubt can still have another option than their best. Also fills scratch.top, each app's best score.
    """
    choice, weight = scratch.choice, scratch.weight
    start, value, cell = packed.start, packed.value, packed.cell
    slack = budget
    for i in range(len(choice)):
        w = weight[cell[choice[i]]]
        slack -= w
        scratch.top[i] = value[choice[i]] - lam * w
    for i in scratch.doubt[: scratch.doubt[len(choice)]]:
        base = choice[i]
        base_weight = weight[cell[base]]
        score = value[base] - lam * base_weight
        best = score
        for o in range(start[i], start[i + 1]):
            w = weight[cell[o]]
            if w < np.inf:
                own = value[o] - lam * w
                best = max(best, own)
                # Equal scores differ in their last digits; the larger value is then the heavier option, which leaves
                # less unused.
                better = own > score + 1e-13 or (own >= score - 1e-13 and value[o] > value[base])
                if better and w <= base_weight + slack:
                    slack -= w - base_weight
                    base = o
                    base_weight = w
                    score = own
        choice[i] = base
        scratch.top[i] = best
    return slack


@inner
def total_of(packed: Packed, scratch: Scratch, lam: float) -> tuple[float, float, float]:
    """The value, weight and loss of the choice."""
    value, weight, loss = 0.0, 0.0, 0.0
    for i in range(len(scratch.choice)):
        o = scratch.choice[i]
        w = scratch.weight[packed.cell[o]]
        value += packed.value[o]
        weight += w
        loss += scratch.top[i] - (packed.value[o] - lam * w)
    return value, weight, loss


@inner
def sort(keys: FloatArray, items: IntArray) -> None:
    # Shell's: NumPy's argsort takes a second to compile.
    step = 1
    while step < len(items) // 3:
        step = 3 * step + 1
    while step > 0:
        for a in range(step, len(items)):
            key, item = keys[a], items[a]
            b = a
            while b >= step and keys[b - step] > key:
                keys[b], items[b] = keys[b - step], items[b - step]
                b -= step
            keys[b], items[b] = key, item
        step //= 3


@inner
def _spend(packed: Packed, scratch: Scratch, lam: float, slack: float) -> None:
    """Spend the budget that the choice leaves on moves to heavier, better options, first those of least loss at lam.

    If many apps are alike, the choices on both sides of the best lam lie far apart, and the budget lies in between.
    """
    start, value, cell = packed.start, packed.value, packed.cell
    choice, weight = scratch.choice, scratch.weight
    size = 0
    for i in range(len(choice)):
        base = choice[i]
        base_weight = weight[cell[base]]
        least = np.inf
        for o in range(start[i], start[i + 1]):
            extra = weight[cell[o]] - base_weight
            gain = value[o] - value[base]
            if gain > 0.0 and extra <= slack and lam * extra - gain < least:
                least = lam * extra - gain
                scratch.spare[i] = o
        if least < np.inf:
            scratch.near[size] = least
            scratch.order[size] = i
            size += 1
    sort(scratch.near[:size], scratch.order[:size])
    for i in scratch.order[:size]:
        extra = weight[cell[scratch.spare[i]]] - weight[cell[choice[i]]]
        if extra <= slack:
            slack -= extra
            choice[i] = scratch.spare[i]


@inner
def find_core(
    packed: Packed, scratch: Scratch, lam: float, limit: float
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """The apps whose choice is in doubt: those with another option of reduced cost under `limit`.

    Returns core (C,), apps by their smallest such reduced cost; least (C + 1,), those costs, then infinity; and what
    the apps core[t:] can still do: relief (N + 1,), make a choice lighter by so much; pending (N + 1,), the loss that
    they stand for as they are; up to place C.
    """
    start, value, cell = packed.start, packed.value, packed.cell
    choice, weight, top = scratch.choice, scratch.weight, scratch.top
    size = 0
    for i in range(len(choice)):
        smallest = np.inf
        for o in range(start[i], start[i + 1]):
            w = weight[cell[o]]
            if w < np.inf and o != choice[i]:
                smallest = min(smallest, top[i] - (value[o] - lam * w))
        # Otherwise every other option of the app loses `limit` or more, so it is part of no better choice.
        if smallest < limit:
            scratch.near[size] = smallest
            scratch.order[size] = i
            size += 1
    core, least = scratch.order[:size], scratch.near[: size + 1]
    least[size] = np.inf
    sort(least, core)
    # Suffix sums, so that a state knows at once whether the apps to come can still make it fit.
    relief, pending = scratch.ahead[0], scratch.ahead[1]
    relief[size] = pending[size] = 0.0
    for t in range(size - 1, -1, -1):
        i = core[t]
        own = weight[cell[choice[i]]]
        lightest = own
        for o in range(start[i], start[i + 1]):
            w = weight[cell[o]]
            if w < lightest and top[i] - (value[o] - lam * w) < limit:
                lightest = w
        relief[t] = relief[t + 1] + own - lightest
        pending[t] = pending[t + 1] + top[i] - (value[choice[i]] - lam * own)
    return core, least, relief, pending


@inner
def _find_moves(packed: Packed, scratch: Scratch, moves: Moves, lam: float, i: int, limit: float) -> int:
    """Fill `moves` with an app's options by weight, without those that a lighter one beats; returns their number."""
    base = scratch.choice[i]
    own = scratch.weight[packed.cell[base]]
    top = scratch.top[i]
    weight, worth, loss, option = moves.weight, moves.next_weight, moves.loss, moves.option
    size = 0
    for o in range(packed.start[i], packed.start[i + 1]):
        w = scratch.weight[packed.cell[o]]
        v = packed.value[o]
        if w == np.inf or (top - (v - lam * w) >= limit and o != base):
            continue
        size = insert(weight, worth, option, 0, size, w, v, o)
    for m in range(size):
        loss[m] = top - (worth[m] - lam * weight[m])
        weight[m] -= own
    return size


@inner
def _sift(moves: Moves, size: int) -> None:
    """Let the move on top of the heap sink to where it belongs."""
    keys, heap = moves.next_weight, moves.heap
    at = 0
    while True:
        down = 2 * at + 1
        if down >= size:
            break
        if down + 1 < size and keys[heap[down + 1]] < keys[heap[down]]:
            down += 1
        if keys[heap[at]] <= keys[heap[down]]:
            break
        heap[at], heap[down] = heap[down], heap[at]
        at = down


@jit
def close_knapsack(
    packed: Packed, scratch: Scratch, terms: Terms, budget: float, lam: float, bound: float, goal: float, best: Cells
) -> tuple[float, bool, int]:
    """Close a multiple-choice knapsack: is there a choice worth more than `goal`, and if so the best one.

    With r(o) = max_o' (value - lam weight) - (value - lam weight)(o) >= 0 the reduced cost of an option, a choice of
    loss L (sum of its r) and weight W is worth bound - L - lam (budget - W), bound being the Lagrangian at lam. So
    only options with r < bound - goal can be part of a better one. The core's apps are added to scratch.choice, which
    fits the budget, one after the other; a state is (weight, loss so far), kept while no lighter one is worth as much
    and while it can still come to fit and to beat the goal. Where states are many, that is also asked at other prices
    mu: what is chosen so far is worth V and weighs W, so the whole is worth at most
    V + mu (budget - W) + sum over the apps to come of max_o (value - mu weight).

    Dominance within the gap. Write worth = lam weight - loss. Step t drops a state when a lighter one, kept, has a
    worth of at least its own less e_t. The e_t are taken out of `left` = gap / 2, so sum e_t <= gap / 2. Claim: for
    every choice C and every t some kept state of step t is no heavier than C's own state there, its worth is at least
    C's less e_1 + ... + e_t, or a bound dropped it or one it came from. By induction: follow C's option from the state
    claimed for t - 1; weight and worth change as C's do, and step t costs at most e_t. (The filter on options in
    `_find_moves` costs nothing: there a lighter option is worth as much.) So C's end is matched within gap / 2. Bounds
    drop only what cannot come to more than the incumbent + gap / 2, `goal` here. Hence if C is worth more than the
    incumbent + gap, its match is worth more than that and is never dropped, and the core finds it. What a core leaves
    is so worth at most the incumbent + gap, and never more is spent than the gap asked for.

    best : (N,) cells, overwritten when there is a better choice

    Returns (value of the better choice or -inf, whether the search was complete, options looked at).
    """
    start, value, cell = packed.start, packed.value, packed.cell
    choice, weight, top = scratch.choice, scratch.weight, scratch.top
    states, links = scratch.states, scratch.links
    found = -np.inf
    slack = fill(packed, scratch, budget, lam)
    if lam * slack > terms.gap:
        _spend(packed, scratch, lam, slack)
    total, total_weight, loss = total_of(packed, scratch, lam)
    # Half of the gap is for dominance; the bounds below keep to the other half, see the proof above.
    left = 0.5 * terms.gap
    margin = terms.gap - left
    goal -= left
    if total > goal:
        goal = total + margin
        found = total
        for i in range(len(choice)):
            best[i] = scratch.cell[choice[i]]
    core, least, relief, pending = find_core(packed, scratch, lam, bound - goal)
    work: int = 5 * start[-1]
    patience = work + terms.steps
    look = min(patience, work + _LOOK)
    moves = Moves(
        scratch.moves[0],
        scratch.moves[1],
        scratch.move_links[0],
        scratch.move_links[1],
        scratch.moves[2],
        scratch.move_links[2],
    )
    # The first state is the choice as it stands. Each app of the core then trades its own option for another.
    states[0, 0] = total_weight
    states[1, 0] = loss - pending[0]
    links[0, 0] = -1
    begin, end, last = 0, 1, -1
    closed = True
    tilted = False
    before, tilting = work, 6 * start[-1] * len(core) // len(choice)
    tilt, rise = scratch.tilt, scratch.rise
    tilts = len(tilt)
    for t in range(len(core)):
        if least[t] >= bound - goal or begin == end:
            break
        size = _find_moves(packed, scratch, moves, lam, core[t], bound - goal)
        work += start[core[t] + 1] - start[core[t]]
        for m in range(size):
            moves.pointer[m] = begin
            moves.next_weight[m] = states[0, begin] + moves.weight[m]
            moves.heap[m] = m
        # Up to some 8 moves a scan for the lightest is quicker than a heap, which has to be sifted for each successor.
        few = size <= 8
        next_weight, pointer = moves.next_weight, moves.pointer
        extra_weight, extra_loss = moves.weight, moves.loss
        if not tilted and end - begin > _MANY and work - before > tilting:
            # Bounds at other prices cost a pass over all options to come, so they wait until the states cost more.
            tilted = True
            for k in range(tilts + 1):
                rise[k, len(core)] = 0.0
            for u in range(len(core) - 1, t, -1):
                i = core[u]
                rise[tilts, u] = rise[tilts, u + 1] + weight[cell[choice[i]]]
                for k in range(tilts):
                    best_score = -np.inf
                    for o in range(start[i], start[i + 1]):
                        w = weight[cell[o]]
                        if w < np.inf and (top[i] - (value[o] - lam * w) < bound - goal or o == choice[i]):
                            best_score = max(best_score, value[o] - lam * tilt[k] * w)
                    rise[k, u] = rise[k, u + 1] + best_score - top[i]
        at = end
        most_worth = -np.inf
        # Few states need no help: the gap that they do not spend is left for later steps, which have more states.
        allowance = left / (len(core) - t) if end - begin > _FEW else 0.0
        left -= allowance
        while size > 0:
            # The lightest successor not yet looked at: each move's successors come sorted by weight.
            m = moves.heap[0]
            if few:
                w = np.inf
                for k in range(size):
                    if pointer[k] < end and states[0, pointer[k]] + extra_weight[k] < w:
                        w = states[0, pointer[k]] + extra_weight[k]
                        m = k
                if w == np.inf:
                    break
            else:
                w = next_weight[m]
            source = pointer[m]
            so_far = states[1, source] + extra_loss[m]
            pointer[m] = source + 1
            if not few:
                if source + 1 < end:
                    next_weight[m] = states[0, source + 1] + extra_weight[m]
                else:
                    size -= 1
                    moves.heap[0] = moves.heap[size]
                _sift(moves, size)
            work += 1
            if work > look:
                look = min(patience, work + _LOOK)
                if work > patience or scratch.stop[0] != 0:
                    closed = False
                    break
            # States come by rising weight, so a kept one that is worth as much is no heavier: the largest worth is
            # enough.
            worth = lam * w - so_far
            if worth <= most_worth or so_far >= bound - goal or w - relief[t + 1] > budget:
                continue
            total = bound - so_far - pending[t + 1] - lam * (budget - w)
            better = w <= budget and total > goal
            if tilted and not better:
                # The bound at the price tilt * lam less `goal`, written with losses in place of values.
                free = lam * (budget - w + rise[tilts, t + 1])
                ahead = bound - so_far - goal
                hopeless = False
                for k in range(tilts):
                    hopeless = hopeless or ahead + (tilt[k] - 1.0) * free + rise[k, t + 1] <= 0.0
                if hopeless:
                    continue
            # A state that only waits has to change one more app, which costs at least `least`.
            if not better and so_far + least[t + 1] >= bound - goal:
                continue
            # Sums of equal weights differ in their last digits; two states would be kept where one will do.
            if at > end and w - states[0, at - 1] <= 1e-12 * budget and last != at - 1:
                at -= 1
            if at == terms.capacity:
                closed = False
                break
            most_worth = worth + allowance
            states[0, at] = w
            states[1, at] = so_far
            links[0, at] = source
            links[1, at] = moves.option[m]
            if better:
                goal = total + margin
                found = total
                last = at
            at += 1
        begin, end = end, at
        if not closed:
            break
    if last >= 0:
        _trace(packed, scratch, core, last, best)
    return found, closed, work


@inner
def _trace(packed: Packed, scratch: Scratch, core: IntArray, last: int, best: Cells) -> None:
    """Write the cells of the choice that ends in the state `last`."""
    links = scratch.links
    for i in range(len(best)):
        best[i] = scratch.cell[scratch.choice[i]]
    t = 0
    state = last
    while links[0, state] >= 0:
        state = links[0, state]
        t += 1
    while t > 0:
        t -= 1
        best[core[t]] = scratch.cell[links[1, last]]
        last = links[0, last]
