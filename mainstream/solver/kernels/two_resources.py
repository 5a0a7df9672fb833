"""What is left under one staircase if memory counts, too: a multiple-choice knapsack with two weights."""

from __future__ import annotations

import numpy as np

from mainstream._jit import inner, jit
from mainstream.solver.kernels import Cells, FloatArray, IntArray, Packed, Scratch, Terms
from mainstream.solver.kernels.knapsack import fill, find_core, sort, total_of

# States of a core up to which it spends none of the gap.
_FEW = 64


@inner
def _memory_of(packed: Packed, scratch: Scratch, o: int) -> float:
    """The memory that an option takes in addition to the stem's."""
    width = packed.own.shape[1]
    c = scratch.cell[o]
    return packed.own_mb[c // width] if c % width > 0 else 0.0


@inner
def _is_new(front: FloatArray, size: int, memory: float, worth: float, allowance: float, blur: float) -> int:
    """Insert a state into the front unless one with no more memory is worth as much; returns the new size, else -1.

    The front is sorted by memory, and worth rises along it. All its states cost no more than the new one.
    """
    # Binary search for the last state that takes no more memory; of those it is the most valuable one.
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if front[0, middle] <= memory + blur:
            low = middle + 1
        else:
            high = middle
    if low > 0 and front[1, low - 1] >= worth - 1e-15:
        return -1
    first = low
    while first > 0 and front[0, first - 1] >= memory:
        first -= 1
    last = first
    # States after the new one take more memory; those that are worth no more are not needed.
    while last < size and front[1, last] <= worth + allowance:
        last += 1
    shift = 1 - (last - first)
    if shift > 0:
        for k in range(size - 1, last - 1, -1):
            front[0, k + 1], front[1, k + 1] = front[0, k], front[1, k]
    elif shift < 0:
        for k in range(last, size):
            front[0, k + shift], front[1, k + shift] = front[0, k], front[1, k]
    front[0, first], front[1, first] = memory, worth + allowance
    return size + shift


@jit
def close_two(
    packed: Packed,
    scratch: Scratch,
    terms: Terms,
    budget: float,
    room: float,
    lam: float,
    bound: float,
    goal: float,
    best: Cells,
) -> tuple[float, bool, int]:
    """As :func:`~mainstream.solver.kernels.knapsack.close_knapsack`, within `room` of memory as well.

    Weights are cost + theta memory, and `budget` is what is left of both together; reduced costs, the bounds
    that follow from them and the order of the core are the same. A state here has its cost and its memory, and goes
    when one of no more of either is worth as much. The proof there holds with "no heavier" read as "of no more cost and
    no more memory"; sums of memory that differ by 1e-12 of the room are one.

    best : (N,) cells, overwritten when there is a better choice

    Returns (value of the better choice or -inf, whether the search was complete, options looked at).
    """
    start, value, cell = packed.start, packed.value, packed.cell
    choice, weight, top = scratch.choice, scratch.weight, scratch.top
    states, links, memory, front = scratch.states, scratch.links, scratch.memory, scratch.front
    next_states, next_links = scratch.next_states, scratch.next_links
    theta = terms.theta
    # `budget` is for cost + theta memory; without theta times the room, this much is for cost alone.
    cash = budget - theta * room
    found = -np.inf
    fill(packed, scratch, budget, lam)
    total, total_weight, loss = total_of(packed, scratch, lam)
    total_memory = 0.0
    for i in range(len(choice)):
        total_memory += _memory_of(packed, scratch, choice[i])
    left = 0.5 * terms.gap
    margin = terms.gap - left
    goal -= left
    if total > goal and total_memory <= room and total_weight - theta * total_memory <= cash:
        goal = total + margin
        found = total
        for i in range(len(choice)):
            best[i] = scratch.cell[choice[i]]
    core, least, relief, pending = find_core(packed, scratch, lam, bound - goal)
    limit = bound - goal
    # What the apps core[t:] can still save of cost and of memory, each by itself.
    less_cost, less_memory = scratch.less[0], scratch.less[1]
    less_cost[len(core)] = less_memory[len(core)] = 0.0
    for t in range(len(core) - 1, -1, -1):
        less_cost[t] = less_memory[t] = 0.0
        i = core[t]
        own_memory = _memory_of(packed, scratch, choice[i])
        own_cost = weight[cell[choice[i]]] - theta * own_memory
        for o in range(start[i], start[i + 1]):
            w = weight[cell[o]]
            if w < np.inf and top[i] - (value[o] - lam * w) < limit:
                m = _memory_of(packed, scratch, o)
                less_memory[t] = max(less_memory[t], own_memory - m)
                less_cost[t] = max(less_cost[t], own_cost - (w - theta * m))
        less_memory[t] += less_memory[t + 1]
        less_cost[t] += less_cost[t + 1]
    work: int = 5 * start[-1]
    patience = work + terms.steps
    states[0, 0] = total_weight - theta * total_memory
    states[1, 0] = loss - pending[0]
    memory[0] = total_memory
    links[0, 0] = -1
    begin, end = 0, 1
    from_state, from_option, from_step = -1, -1, -1
    closed = True
    for t in range(len(core)):
        if least[t] >= bound - goal or begin == end:
            break
        i = core[t]
        own_memory = _memory_of(packed, scratch, choice[i])
        own_cost = weight[cell[choice[i]]] - theta * own_memory
        size = 0
        for o in range(start[i], start[i + 1]):
            w = weight[cell[o]]
            if w == np.inf or (top[i] - (value[o] - lam * w) >= bound - goal and o != choice[i]):
                continue
            extra_loss = top[i] - (value[o] - lam * w)
            extra_memory = _memory_of(packed, scratch, o) - own_memory
            extra_cost = w - theta * (extra_memory + own_memory) - own_cost
            work += end - begin
            for s in range(begin, end):
                cost, held, so_far = states[0, s] + extra_cost, memory[s] + extra_memory, states[1, s] + extra_loss
                if so_far >= bound - goal or cost - less_cost[t + 1] > cash or held - less_memory[t + 1] > room:
                    continue
                # The reduced costs belong to both together, and so does the bound that they give.
                both = cost + theta * held
                if both - relief[t + 1] > budget:
                    continue
                total = bound - so_far - pending[t + 1] - lam * (budget - both)
                if total > goal and cost <= cash and held <= room:
                    goal = total + margin
                    found = total
                    from_state, from_option, from_step = s, o, t
                elif so_far + least[t + 1] >= bound - goal:
                    continue
                if size == terms.capacity or work > patience or scratch.stop[0] != 0:
                    closed = False
                    break
                next_states[0, size] = cost
                next_states[1, size] = so_far
                next_states[2, size] = held
                next_links[0, size] = s
                next_links[1, size] = o
                next_links[2, size] = size
                size += 1
            if not closed:
                break
        order = next_links[2, :size]
        # Sorting moves the keys; the other rows stay, and `order` tells which row belongs to which key.
        sort(next_states[0, :size], order)
        allowance = left / (len(core) - t) if end - begin > _FEW else 0.0
        left -= allowance
        begin = end
        # In order of cost, so every state on the front costs no more than the next one, and memory and worth decide.
        height = 0
        for k in range(size):
            cost, so_far, held = next_states[0, k], next_states[1, order[k]], next_states[2, order[k]]
            if so_far >= bound - goal:
                continue
            kept = _is_new(front, height, held, lam * (cost + theta * held) - so_far, allowance, 1e-12 * room)
            if kept < 0:
                continue
            height = kept
            if end == terms.capacity:
                closed = False
                break
            states[0, end], states[1, end], memory[end] = cost, so_far, held
            links[0, end], links[1, end] = next_links[0, order[k]], next_links[1, order[k]]
            end += 1
        if not closed:
            break
    if from_state >= 0:
        _trace(scratch, core, from_state, from_option, from_step, best)
    return found, closed, work


@inner
def _trace(scratch: Scratch, core: IntArray, state: int, option: int, step: int, best: Cells) -> None:
    """Write the cells of the choice that an option makes of a state."""
    for i in range(len(best)):
        best[i] = scratch.cell[scratch.choice[i]]
    while step >= 0:
        best[core[step]] = scratch.cell[option]
        option = scratch.links[1, state]
        state = scratch.links[0, state]
        step -= 1
