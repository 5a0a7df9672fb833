"""The exact search: drives the kernels, which come back every 50 ms or so, through limits, progress and Ctrl-C."""

from __future__ import annotations

from functools import cached_property
from time import perf_counter
from typing import Final

import numpy as np

from mainstream.apps import IntArray
from mainstream.errors import InfeasibleError
from mainstream.solver import kernels
from mainstream.solver.option_table import CellArray
from mainstream.solver.search import FEASIBLE_TOLERANCE, Limits, Outcome, Progress

_EFFORT: Final = 25_000_000
"""Options that the kernels look at between two returns to Python: about 50 ms."""
_FIRST_SLOTS: Final = 256
_FIRST_STATES: Final = 1 << 16
_HARD_STATES: Final = 1 << 18
_MOST_STATES: Final = 1 << 24
"""States of one knapsack's core, 32 bytes each, after which the search ends unfinished."""
PATIENCE = 30
_VISITED: Final = 1 << 12
_REPORT_EVERY_S: Final = 0.05


class SearchTree:
    """One search tree over the packed options of a problem."""

    def __init__(self, packed: kernels.Packed) -> None:
        n, depths = len(packed.start) - 1, len(packed.tail)
        cells = depths * len(packed.rate)
        self.packed = packed
        self.scratch = kernels.Scratch(
            weight=np.empty(cells),
            price=np.empty(cells),
            choice=np.empty(n, np.int64),
            spare=np.empty(n, np.int64),
            order=np.empty(n, np.int64),
            top=np.empty(n),
            near=np.empty(n + 1),
            states=np.empty((2, _FIRST_STATES)),
            links=np.empty((2, _FIRST_STATES), np.int64),
            needed=np.zeros(depths, np.int64),
            trial=np.zeros(n, np.int32),
        )
        self.charges = self._charges(0, 0)
        self.tree = _new_tree(n, depths)

    def cheapest(self, enough: float, hopeless: float = np.inf) -> float:
        """The cost of the cheapest schedule, which becomes the incumbent.

        Parameters
        ----------
        enough : float
            A schedule that costs no more than this will do.
        hopeless : float
            When there is none that costs at most this, any greater cost may come back.
        """
        self._open_root()
        while True:
            status = kernels.cheapest(self.packed, self.scratch, self.tree, self._share, enough, hopeless, _EFFORT)
            if status == kernels.DONE:
                break
            if status == kernels.NEED_SLOTS:
                self.tree = _more_slots(self.tree)
        self.tree.counts[kernels.HEAP] = 0
        self.tree.counts[kernels.NODES] = 0
        return -float(self.tree.floats[kernels.INCUMBENT])

    def feasible(self, budget: float) -> None:
        """Make a schedule that fits the budget the incumbent.

        Raises
        ------
        InfeasibleError
            There is none; it carries the smallest budget that would do.
        """
        smallest = self.cheapest(budget * (1 + FEASIBLE_TOLERANCE))
        if smallest > budget * (1 + FEASIBLE_TOLERANCE):
            raise InfeasibleError(
                f"no schedule fits the budget {budget:.12g}; the smallest budget that would do is {smallest:.12g}",
                smallest,
            )

    def root_bound(self, budget: float, cells: CellArray) -> float:
        """What no schedule within the budget surpasses, from the root of the tree alone.

        Parameters
        ----------
        budget : float
        cells : (N,) int
            A schedule that fits, to begin with.
        """
        self.tree.best[:] = cells
        self.tree.floats[kernels.INCUMBENT] = kernels.worth(self.packed, cells)
        self._open_root()
        terms = kernels.Terms(budget * (1 + FEASIBLE_TOLERANCE), 0.0, self._share, _FIRST_STATES, PATIENCE)
        kernels.search(self.packed, self.scratch, self.tree, terms, self.charges, 0)
        return self.bound

    def run(self, budget: float, limits: Limits, staircases: IntArray | None = None) -> Outcome:
        """Maximise the sum of the packed values within a budget.

        Parameters
        ----------
        budget : float
            Cost units a second.
        limits : Limits
        staircases : (S, D + 1) int array, optional
            Stems to try first.

        Raises
        ------
        InfeasibleError
            Nothing fits the budget.
        """
        self.feasible(budget)
        budget = budget * (1 + FEASIBLE_TOLERANCE)
        gap = limits.gap * (1 - 1e-6)  # so that sums in another order still keep to it
        floats = self.tree.floats
        floats[kernels.INCUMBENT] = kernels.worth(self.packed, self.tree.best)
        ticker = _Ticker(self, limits)
        finished = interrupted = False
        for staircase in [] if staircases is None else staircases:
            self._open(staircase, staircase, np.inf)
        self._open_root()
        try:
            finished = self._search(budget, gap, ticker)
        except KeyboardInterrupt:
            interrupted = True
        return Outcome(
            cells=self.tree.best,
            bound=self.bound,
            nodes=int(self.tree.counts[kernels.NODES]),
            finished=finished,
            interrupted=interrupted,
        )

    @property
    def bound(self) -> float:
        """What no schedule surpasses, as far as the search has come."""
        floats, heap = self.tree.floats, self.tree.heap
        still_open = self.tree.bound[heap[0]] if self.tree.counts[kernels.HEAP] else -np.inf
        return float(max(floats[kernels.INCUMBENT], min(self._most, max(floats[kernels.CLOSED], still_open))))

    @cached_property
    def _most(self) -> float:
        """Every app at its best."""
        return float(np.maximum.reduceat(self.packed.value, self.packed.start[:-1]).sum())

    def _open_root(self) -> None:
        """Put the box of all staircases on the heap; what is there already comes first."""
        highest = np.full(len(self.packed.tail), len(self.packed.rate) - 1)
        highest[0] = 0  # depth 0 has no segment
        self._open(np.zeros(len(highest), np.int64), highest, self._most)

    def _open(self, lo: IntArray, hi: IntArray, bound: float) -> None:
        """Put a box at the end of the heap; no bound there may be smaller."""
        tree = self.tree
        slot = tree.heap[tree.counts[kernels.HEAP]]
        tree.lo[slot], tree.hi[slot], tree.bound[slot], tree.lam[slot] = lo, hi, bound, 0.0
        tree.cut[slot] = kernels.NEW
        tree.counts[kernels.HEAP] += 1

    def _search(self, budget: float, gap: float, ticker: _Ticker) -> bool:
        """Go on until the tree is empty; False when a limit ends it before."""
        while ticker.go_on():
            terms = kernels.Terms(budget, gap, self._share, self.scratch.states.shape[1], PATIENCE)
            status = kernels.search(self.packed, self.scratch, self.tree, terms, self.charges, _EFFORT)
            if status == kernels.DONE:
                return True
            if status == kernels.NEED_SLOTS:
                self.tree = _more_slots(self.tree)
            elif status == kernels.NEED_CHARGES:
                self._more_states(_HARD_STATES)
                self.charges = self._unequal_charges()
            elif status == kernels.NEED_STATES:
                capacity = 4 * self.scratch.states.shape[1]
                if capacity > _MOST_STATES:
                    return False
                self._more_states(capacity)
        return False

    def _more_states(self, capacity: int) -> None:
        """Room for so many states of a core."""
        room = {"states": np.empty((2, capacity)), "links": np.empty((2, capacity), np.int64)}
        self.scratch = self.scratch._replace(**room)
        self.charges = self.charges._replace(scratch=self.charges.scratch._replace(**room))

    def _charges(self, n: int, options: int) -> kernels.Charges:
        """Room for the shares of n apps with so many options."""
        return kernels.Charges(
            x=np.empty(len(self.scratch.weight)),
            share=np.zeros(n),
            hull=np.empty((3, options)),
            corner=np.empty((3, options), np.int64),
            packed=self.packed,
            scratch=self.scratch,
        )

    def _unequal_charges(self) -> kernels.Charges:
        """What the kernels need to charge each app its own share."""
        options = len(self.packed.value)
        return self._charges(len(self.scratch.choice), options)._replace(
            packed=self.packed._replace(cell=np.arange(options, dtype=np.int32)),
            scratch=self.scratch._replace(weight=np.empty(options), price=np.empty(options)),
        )

    @property
    def _share(self) -> float:
        return 1 / len(self.scratch.choice)


class _Ticker:
    """Asked between two kernels: reports progress, and says whether there is time left."""

    def __init__(self, search: SearchTree, limits: Limits) -> None:
        self._search = search
        self._limits = limits
        self._reported = limits.started

    def go_on(self) -> bool:
        now = perf_counter()
        if self._limits.progress is not None and now - self._reported >= _REPORT_EVERY_S:
            self._reported = now
            tree = self._search.tree
            self._limits.progress(
                Progress(
                    objective=float(tree.floats[kernels.INCUMBENT]),
                    bound=self._search.bound,
                    nodes=int(tree.counts[kernels.NODES]),
                    runtime_s=now - self._limits.started,
                )
            )
        return self._limits.left_s > 0


def _new_tree(n: int, depths: int) -> kernels.Tree:
    return kernels.Tree(
        best=np.zeros(n, np.int32),
        floats=np.full(2, -np.inf),
        counts=np.zeros(3, np.int64),
        heap=np.arange(_FIRST_SLOTS),
        bound=np.empty(_FIRST_SLOTS),
        lam=np.zeros(_FIRST_SLOTS),
        lo=np.zeros((_FIRST_SLOTS, depths), np.int64),
        hi=np.zeros((_FIRST_SLOTS, depths), np.int64),
        cut=np.zeros((_FIRST_SLOTS, 2), np.int64),
        visited=np.zeros(_VISITED, np.uint64),
    )


def _more_slots(tree: kernels.Tree) -> kernels.Tree:
    """The same tree with twice the slots; the new ones are free."""
    slots = len(tree.heap)
    return tree._replace(
        heap=np.concatenate([tree.heap, np.arange(slots, 2 * slots)]),
        bound=np.concatenate([tree.bound, tree.bound]),
        lam=np.concatenate([tree.lam, tree.lam]),
        lo=np.concatenate([tree.lo, tree.lo]),
        hi=np.concatenate([tree.hi, tree.hi]),
        cut=np.concatenate([tree.cut, tree.cut]),
    )
