"""The jitted search. It takes arrays and scalars and returns arrays, scalars and status codes. This file defines them.

Packed by ``joint_table.py``: app i chooses one of its options o in ``start[i]..start[i+1]-1``; option o is worth
``value[o]`` and is in the cell (d, j) = ``divmod(cell[o], R + 1)``: row d and the rate of index j, 0 for none.
Each group of apps g, a stream, has the rows ``rows[g]..rows[g+1]-1``: the first shares nothing, each other one d shares
the segments ``rows[g]+1..d`` of the group's stem. All options of a cell have the same tail cost ``own[d, j]``. The
stems are a staircase M: segment k runs at the rate of index M[k], which costs ``stem[k, M[k]]``; M never rises with k
within a group, and an option fits under it when ``j <= M[d]``. Maximise the sum of the values with

    sum_k stem[k, M[k]] + sum_i tail cost_i <= budget.

Memory is a second resource: a segment that runs (M[k] > 0) takes ``stem_mb[k]`` of it, an app that runs the
``own_mb[d]`` of its row, whatever the rate. Any theta >= 0 makes one resource of the two, cost + theta memory, of which
a schedule that fits takes at most budget + theta memory_mb. The tree searches that relaxation, for one theta, and looks
at both where it comes to a single staircase.

``tree.py`` searches boxes of staircases, ``lagrangian.py`` and ``charges.py`` bound them, and ``knapsack.py`` solves
what is left under one staircase.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Cells = NDArray[np.int32]
Staircase = NDArray[np.int64]

RUNNING = 0
DONE = 1
NEED_SLOTS = 2
NEED_STATES = 3
NEED_SHARES = 4

# Slots of Tree.floats and Tree.counts: the scalars of a search that survive between calls.
INCUMBENT = 0
CLOSED = 1
NODES = 0
HEAP = 1
VISITED = 2
ASIDE = 3
RELAXED = 4

# Marks of a box that must not be split: not looked at yet, or one staircase whose knapsack is not closed yet.
NEW = -1
LEAF = 0


class Packed(NamedTuple):
    """N apps in G groups, with M options in all, D rows, and R rates besides 0; see the docstring above."""

    start: NDArray[np.int64]  # (N + 1,)
    value: NDArray[np.float64]  # (M,)
    cell: NDArray[np.int32]  # (M,); 0, 1, 2, ... where each option has a weight of its own
    own: NDArray[np.float64]  # (D, R + 1) tail cost; infinite at a rate that the group does not have
    stem: NDArray[np.float64]  # (D, R + 1) cost of each segment; 0 in a group's first row
    rows: NDArray[np.int64]  # (G + 1,) where the rows of each group begin
    apps: NDArray[np.int64]  # (G + 1,) where its apps do
    own_mb: NDArray[np.float64]  # (D,) memory of a tail
    stem_mb: NDArray[np.float64]  # (D,) memory of each segment that runs
    memory_mb: float  # the memory there is; infinite where memory does not count


class Terms(NamedTuple):
    """The limits that a search keeps to."""

    budget: float  # of costs, or of cost + theta memory
    theta: float
    gap: float  # a schedule that is better by no more than this is not looked for
    capacity: int  # states of a core after which it gives up
    steps: int  # successors that a core looks at before it gives up
    patience: int  # nodes after which the shares become unequal


class Calls(NamedTuple):
    """Addresses of functions, see ``calls.py``."""

    close_knapsack: int
    close_two: int  # 0 where memory does not count
    charge_box: int  # 0 while all apps have one share


class Scratch(NamedTuple):
    """Memory that the functions share; `choice` and `weight` also pass answers between them."""

    weight: NDArray[np.float64]  # weight under the box at hand, by packed.cell; infinite where closed
    price: NDArray[np.float64]  # the same times the price
    choice: NDArray[np.int64]  # (N,) options that fit the budget
    spare: NDArray[np.int64]  # (N,) options
    order: NDArray[np.int64]  # (N,) apps
    top: NDArray[np.float64]  # (N,) best score of each app
    near: NDArray[np.float64]  # (N + 1,) smallest reduced costs
    doubt: NDArray[np.int64]  # (N + 1,) apps whose option in `choice` may not be their best at the price; [N]: how many
    states: NDArray[np.float64]  # (2, capacity) weight and loss of the core's states
    links: NDArray[np.int64]  # (2, capacity) their predecessor and option
    needed: NDArray[np.int64]  # (D,) a staircase
    trial: NDArray[np.int32]  # (N,) cells
    cell: NDArray[np.int32]  # (M,)
    plain: NDArray[np.float64]  # (cells,) weight of each cell before any share that is the app's own
    even: NDArray[np.float64]  # (G,) share of its own x that each app of a group is charged: 1 / its apps
    ahead: NDArray[np.float64]  # (2, N + 1) what the apps of a core, from each one on, can still do
    moves: NDArray[np.float64]  # (3, most options of an app) those of one app of a core, see Moves
    move_links: NDArray[np.int64]  # (3, the same)
    tilt: NDArray[np.float64]  # (tilts,) prices that states are bounded at, in units of the price
    rise: NDArray[np.float64]  # (tilts + 1, N + 1)
    stop: NDArray[np.int64]  # (1,) not 0 once another thread wants the kernels to return
    # Empty where memory does not count:
    memory: NDArray[np.float64]  # (capacity,) of the core's states
    front: NDArray[np.float64]  # (2, capacity) memory and worth of those that no other one beats
    next_states: NDArray[np.float64]  # (3, capacity) cost, loss and memory
    next_links: NDArray[np.int64]  # (3, capacity) predecessor, option and order
    less: NDArray[np.float64]  # (2, N + 1) cost and memory that the apps of a core from each on can still save
    # Empty while all apps have one share:
    x: NDArray[np.float64]  # (cells,) what a cell adds to the stem of the box at hand
    share: NDArray[np.float64]  # (N,) of its own x that each app is charged
    # (3, M) of the corners of the apps' hulls: x; a, later the share to be gained; -x, sorted
    hull: NDArray[np.float64]
    corner: NDArray[np.int64]  # (3, M) their app, option and order


class Moves(NamedTuple):
    """What one app of a core can do, and a heap of it by the weight of the state that comes next."""

    weight: NDArray[np.float64]  # more than that of the app's option in `choice`
    loss: NDArray[np.float64]
    option: NDArray[np.int64]
    pointer: NDArray[np.int64]  # the state that comes next
    next_weight: NDArray[np.float64]
    heap: NDArray[np.int64]


class Tree(NamedTuple):
    """The state of a search: the incumbent and the open boxes."""

    best: NDArray[np.int32]  # (N,) cells of the incumbent
    floats: NDArray[np.float64]  # INCUMBENT, CLOSED
    counts: NDArray[np.int64]  # NODES, HEAP, VISITED, ASIDE
    heap: NDArray[np.int64]  # (slots,) slots in heap order by bound, the free ones, and at the end those set aside
    bound: NDArray[np.float64]  # (slots,)
    lam: NDArray[np.float64]  # (slots,)
    lo: NDArray[np.int64]  # (slots, D)
    hi: NDArray[np.int64]  # (slots, D)
    cut: NDArray[np.int64]  # (slots, 2) segment and rate index to split at, or NEW or LEAF
    boxes: NDArray[np.int64]  # (2, 2, D) the box at hand in two: lo and hi of each
    visited: NDArray[np.uint64]  # (a power of 2,) hashes of the staircases tried
