"""The exact search: it calls the kernels for about 50 ms each and handles limits, progress and Ctrl-C in between."""

from __future__ import annotations

from dataclasses import replace
from time import sleep
from typing import Final

import numpy as np

from mainstream.apps import IntArray
from mainstream.description import rounded_up
from mainstream.errors import InfeasibleError, OutOfTimeError
from mainstream.interruptible import in_thread
from mainstream.solver import compilation, kernels, memory
from mainstream.solver.arrays import new_scratch, new_tree, with_shares, with_states
from mainstream.solver.beside import Beside
from mainstream.solver.cp_sat_model import News
from mainstream.solver.groups import box_within, groups_of, minimise
from mainstream.solver.kernels import calls
from mainstream.solver.kernels.lagrangian import worth
from mainstream.solver.kernels.tree import cheapest, search
from mainstream.solver.option_table import CellArray
from mainstream.solver.progress import Progress
from mainstream.solver.search import (
    FEASIBLE_TOLERANCE,
    REPORT_EVERY_S,
    Limits,
    Outcome,
    Ticker,
    highest_staircase,
    schedule_cost,
)

_EFFORT: Final = 25_000_000
"""Options that the kernels look at between two returns to Python: about 50 ms."""
_FIRST_SLOTS: Final = 256
_FIRST_STATES: Final = 1 << 16
_HARD_STATES: Final = 1 << 18
"""States of a core, once a tree has turned out to be hard."""
_MOST_STATES: Final = 1 << 22
"""States of one knapsack's core, 32 bytes each, after which the search ends unfinished."""
_PATIENCE: Final = 30
"""Nodes after which each app gets a share of its own."""
_BRIEF: Final = 1 << 18
"""With up to this many states of a core, or options, kernels come back within some tenths of a second."""
_NEVER: Final = 1 << 62
_SLOWEST_RATE: Final = 5e7
"""The kernels look at no fewer options a second than this."""
_TRIED: Final = 3
"""How many prices of several groups have their staircases tried at the start."""
_VISITED: Final = 1 << 12


class SearchTree:
    """One search tree over the packed options of a problem.

    Parameters
    ----------
    packed : Packed
    accompanied : bool
        Whether CP-SAT joins in once the search has stalled.
    """

    def __init__(self, packed: kernels.Packed, *, accompanied: bool = False) -> None:
        self.packed = packed = memory.only_if_it_counts(packed)
        self._two = np.isfinite(packed.memory_mb)
        self._theta = 0.0
        self.scratch = with_states(new_scratch(packed), _FIRST_STATES, memory=self._two)
        # What the kernels see: later with memory priced in, or with a weight for each option.
        self._keyed = packed
        close_two = calls.close_two_address() if self._two else 0
        self._calls = kernels.Calls(calls.close_knapsack_address(), close_two, 0)
        self.tree = new_tree(packed, _FIRST_SLOTS, _VISITED, _HARD_STATES // 2)
        # What every app at its best comes to, or what CP-SAT has proven.
        self._most = float(np.maximum.reduceat(packed.value, packed.start[:-1]).sum())
        self._accompanied = accompanied
        self._beside: Beside | None = None
        self._several = len(packed.apps) > 2
        self._elsewhere = -np.inf  # no schedule outside of all boxes surpasses this

    def cheapest(self, enough: float, hopeless: float = np.inf, limits: Limits | None = None) -> float:
        """The cost of the cheapest schedule, which becomes the incumbent; infinite if none fits the memory.

        Parameters
        ----------
        enough : float
            A schedule that costs no more than this will do.
        hopeless : float
            If no schedule costs this or less, any greater cost may come back.
        limits : Limits, optional
            By default there are no limits.

        Raises
        ------
        OutOfTimeError
            A limit came first.
        """
        limits = Limits(0.0) if limits is None else limits
        if self._two:
            return self._cheapest_in_memory(enough, hopeless, limits)
        if self._several:
            return self._cheapest_of_each(limits)
        self._open_root()
        # For CP-SAT the question is whether any schedule costs no more than that.
        plain = self.packed._replace(value=np.zeros_like(self.packed.value))
        beside = Beside(plain, enough, limits) if self._accompanied and enough > 0 else None
        try:
            self._find_cheapest(enough, hopeless, limits, beside)
        finally:
            if beside is not None:
                beside.close()
        self.tree.counts[kernels.HEAP] = 0
        self.tree.counts[kernels.NODES] = 0
        return -float(self.tree.floats[kernels.INCUMBENT])

    def _find_cheapest(self, enough: float, hopeless: float, limits: Limits, beside: Beside | None) -> None:
        """Go on until the incumbent is one that :meth:`cheapest` may return."""
        while True:
            effort = self._effort(limits)
            status = cheapest(self.packed, self.scratch, self.tree, enough, hopeless, effort)
            if status == kernels.DONE:
                return
            for news in [] if beside is None else beside.exchange(News(None, -np.inf, np.inf), self._taken):
                if news.cells is not None and (cost := schedule_cost(self.packed, news.cells)) <= enough:
                    self.tree.best[:], self.tree.floats[kernels.INCUMBENT] = news.cells, -cost
                    return
                if news.bound == -np.inf and enough == hopeless:
                    return
            if limits.left_s <= 0 or (status == kernels.NEED_SLOTS and not self._more_slots(limits)):
                raise OutOfTimeError(
                    f"no schedule of cost {enough:.12g} or less was found within the limits, nor that there is none; "
                    f"the cheapest so far costs {-self.tree.floats[kernels.INCUMBENT]:.12g}, none costs less than "
                    f"{max(0.0, -self.tree.bound[self.tree.heap[0]]):.12g}; give it more time, or a larger budget"
                )

    def _cheapest_of_each(self, limits: Limits) -> float:
        """Find the cheapest schedule of each group in turn; returns the cost of all."""
        total, width, best = 0.0, self.packed.own.shape[1], self.tree.best
        for g, group in enumerate(groups_of(self.packed)):
            own = SearchTree(group)
            try:
                total += own.cheapest(0.0, np.inf, limits)
            except OutOfTimeError:
                raise OutOfTimeError(
                    f"the cheapest schedule of stream {g} was not found within the limits; give it more time"
                ) from None
            first, end = self.packed.apps[g : g + 2]
            best[first:end] = own.tree.best + self.packed.rows[g] * width
        self.tree.floats[kernels.INCUMBENT] = -total
        return total

    def _cheapest_in_memory(self, enough: float, hopeless: float, limits: Limits) -> float:
        """The cheapest schedule that keeps to the memory, to 1e-9 of its cost.

        It lies between the cheapest and the leanest schedule. Each step asks whether any schedule keeps to the memory
        and to a budget.
        """
        leanest, cheap = SearchTree(memory.alone(self.packed)), SearchTree(self.packed._replace(memory_mb=np.inf))
        if leanest.cheapest(0.0, np.inf, limits) > self.packed.memory_mb:
            return np.inf
        least = cheap.cheapest(0.0, np.inf, limits)
        best = leanest.tree.best
        if memory.schedule_memory(self.packed, cheap.tree.best) <= self.packed.memory_mb:
            best = cheap.tree.best
        cost = schedule_cost(self.packed, best)
        while cost > enough and cost - least > 1e-9 * cost:
            # Try `enough` first, as that is mostly the question; then halve, where each step proves one side.
            asked = enough if least < enough else 0.5 * (least + cost)
            found = self._any_within(asked, limits)
            if found is not None:
                best, cost = found, schedule_cost(self.packed, found)
            else:
                least = asked
                if asked >= hopeless:
                    break
        self.tree.best[:], self.tree.floats[kernels.INCUMBENT] = best, -cost
        return cost

    def _any_within(self, allowed: float, limits: Limits) -> CellArray | None:
        """A schedule that keeps to the memory and costs no more than `allowed`, or None if there is none."""
        asked, out = memory.admission(self.packed)
        search = SearchTree(asked)
        # A value is minus the number of apps left out, so above -0.5 no app is left out.
        outcome = search.run(allowed / (1 + FEASIBLE_TOLERANCE), replace(limits, gap=0.5, progress=None), first=out)
        if search.tree.floats[kernels.INCUMBENT] > -0.5:
            return outcome.cells
        if outcome.interrupted:
            raise KeyboardInterrupt
        if not outcome.finished:
            raise OutOfTimeError(
                f"no schedule of cost {allowed:.12g} or less and memory_mb {self.packed.memory_mb:.10g} was found "
                "within the limits, nor that there is none; give it more time, or more of both"
            )
        return None

    def feasible(self, budget: float, limits: Limits) -> None:
        """Find a schedule that fits the budget and make it the incumbent.

        Raises
        ------
        InfeasibleError
            There is none; it carries the smallest budget that would do.
        OutOfTimeError
            A limit came first.
        """
        smallest = self.cheapest(budget * (1 + FEASIBLE_TOLERANCE), np.inf, limits)
        if smallest == np.inf:
            least = SearchTree(memory.alone(self.packed)).cheapest(0.0, np.inf, limits)
            given = self.packed.memory_mb / (1 + FEASIBLE_TOLERANCE)
            least = rounded_up(least)
            raise InfeasibleError(f"no schedule fits memory_mb {given:.12g}; the smallest that would do is {least:g}")
        if smallest > budget * (1 + FEASIBLE_TOLERANCE):
            least = rounded_up(smallest)
            text = f"no schedule fits the budget {budget:.12g}; the smallest budget that would do is {least:g}"
            raise InfeasibleError(text, smallest)

    def root_bound(self, budget: float, cells: CellArray, limits: Limits) -> float:
        """An upper bound of all schedules within the budget, from the root of the tree alone.

        Parameters
        ----------
        budget : float
        cells : (N,) int
            A schedule that fits, to start from.
        limits : Limits
        """
        self.tree.best[:] = cells
        self.tree.floats[kernels.INCUMBENT] = worth(self.packed, cells)
        allowed = budget * (1 + FEASIBLE_TOLERANCE)
        if self._two:
            self._theta = memory.price(self.packed, self.scratch, allowed)
            self._keyed = memory.together(self.packed, self._theta)
        allowed = self._both(allowed)
        if self._several:
            groups, price = list(groups_of(self._keyed)), self._first_price(allowed)
            points = minimise(groups, allowed, price, 0.25 * limits.gap, lambda: limits.left_s > 0)
            self._elsewhere = min((point.bound for point in points), default=np.inf)
            return self.bound
        self._open_root()
        terms = kernels.Terms(allowed, self._theta, 0.0, _FIRST_STATES, 100 * _FIRST_STATES, _PATIENCE)
        self._call(terms, 0, limits)
        return self.bound

    def run(
        self,
        budget: float,
        limits: Limits,
        staircases: IntArray | None = None,
        first: CellArray | None = None,
    ) -> Outcome:
        """Maximise the sum of the packed values within a budget.

        Parameters
        ----------
        budget : float
            Cost units a second.
        limits : Limits
        staircases : (S, D) int array, optional
            Stems to try first.
        first : (N,) int, optional
            A schedule that fits; without one, the search first looks for the cheapest.

        Raises
        ------
        InfeasibleError
            Nothing fits the budget.
        OutOfTimeError
            A limit came before any schedule that fits.
        """
        if first is None:
            self.feasible(budget, limits)
        else:
            self.tree.best[:] = first
        budget = budget * (1 + FEASIBLE_TOLERANCE)
        if self._two:
            self._theta = memory.price(self.packed, self.scratch, budget)
            self._keyed = memory.together(self.packed, self._theta)
        # So that sums in another order still keep to the budget.
        gap = max(0.0, limits.gap * (1 - 1e-6) - len(self.tree.best) * np.finfo(np.float64).eps)
        floats = self.tree.floats
        floats[kernels.INCUMBENT] = worth(self.packed, self.tree.best)
        ticker = Ticker(limits, self._progress)
        finished = interrupted = False
        self._elsewhere = self._most
        # Boxes of one staircase each go on top of the heap: an early incumbent keeps the cores small.
        for staircase in [] if staircases is None else staircases:
            self._open(staircase, staircase, np.inf)
        beside = Beside(self.packed, budget, limits) if self._accompanied else None
        self._beside = beside
        try:
            if self._several:
                self._open_groups(budget, gap, limits, ticker)
            else:
                self._open_root()
            self._elsewhere = -np.inf
            finished = self._search(budget, gap, limits, ticker) or self._wait(budget, gap, limits, ticker)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            if beside is not None:
                beside.close()
        return Outcome(
            cells=self.tree.best,
            bound=self.bound,
            nodes=int(self.tree.counts[kernels.NODES]),
            finished=finished,
            interrupted=interrupted,
            method="branch-and-bound, cp-sat" if beside is not None and beside.helped else "branch-and-bound",
        )

    @property
    def bound(self) -> float:
        """The upper bound of all schedules that is proven so far."""
        floats, heap = self.tree.floats, self.tree.heap
        still_open = self.tree.bound[heap[0]] if self.tree.counts[kernels.HEAP] else -np.inf
        aside = self.tree.bound[self._aside].max(initial=-np.inf)
        return float(
            max(
                floats[kernels.INCUMBENT],
                min(self._most, max(floats[kernels.CLOSED], still_open, aside, self._elsewhere)),
            )
        )

    @property
    def _aside(self) -> IntArray:
        """The slots of the leaves that wait for more states."""
        return self.tree.heap[len(self.tree.heap) - self.tree.counts[kernels.ASIDE] :]

    def _open_root(self) -> None:
        """Put the box of all staircases at the end of the heap."""
        highest = highest_staircase(self.packed)
        self._open(np.zeros(len(highest), np.int64), highest, self._most)

    def _open_groups(self, budget: float, gap: float, limits: Limits, ticker: Ticker) -> None:
        """As :meth:`_open_root`, but the box holds only what may still matter, see :mod:`mainstream.solver.groups`.

        The staircases that the groups need by themselves are tried first.
        """
        groups, both = list(groups_of(self._keyed)), self._both(budget)
        points = minimise(groups, both, self._first_price(both), 0.25 * gap, ticker.go_on)
        best = min(points, key=lambda point: point.bound, default=None)
        if best is None or best.bound >= self._most:
            return self._open_root()
        self._elsewhere = best.bound
        for point in points[-_TRIED:]:
            self._open(point.staircase, point.staircase, best.bound)
        self._search(budget, gap, limits, ticker)
        # A group's staircase that loses more than this lowers the whole bound under the incumbent plus the gap.
        slack = max(0.0, best.bound - self.tree.floats[kernels.INCUMBENT] - gap)
        lo, hi = box_within(groups, best.lam, slack, ticker.go_on)
        self._open(lo, hi, best.bound)
        return None

    def _both(self, budget: float) -> float:
        """The largest cost + theta memory allowed."""
        return budget + self._theta * self.packed.memory_mb if self._theta > 0 else budget

    def _first_price(self, budget: float) -> float:
        """A guess at the price of the budget."""
        return max(0.5 * self._most / budget, 1e-100)

    def _open(self, lo: IntArray, hi: IntArray, bound: float) -> None:
        """Put a box at the end of the heap; no bound in the heap may be smaller."""
        tree = self.tree
        slot = tree.heap[tree.counts[kernels.HEAP]]
        tree.lo[slot], tree.hi[slot], tree.bound[slot], tree.lam[slot] = lo, hi, bound, 0.0
        tree.cut[slot] = kernels.NEW
        tree.counts[kernels.HEAP] += 1

    def _search(self, budget: float, gap: float, limits: Limits, ticker: Ticker) -> bool:
        """Go on until the tree is empty; False when a limit ends it before."""
        patience = _PATIENCE
        while ticker.go_on():
            if self._meet(budget, limits) <= gap:
                return True
            capacity = self.scratch.states.shape[1]
            # A core cannot look at the clock, so it gets as many steps as there is time for.
            steps = min(100 * capacity, int(_SLOWEST_RATE * min(limits.left_s, 1e6)))
            terms = kernels.Terms(self._both(budget), self._theta, gap, capacity, steps, patience)
            status = self._call(terms, self._effort(limits), limits)
            if status == kernels.DONE:
                return True
            if status == kernels.NEED_SLOTS:
                if not self._more_slots(limits):
                    return False
            elif status == kernels.NEED_SHARES:
                patience = _PATIENCE if self._unequal_shares(limits) else _NEVER
            elif status == kernels.NEED_STATES:
                if not self._more_states(4 * capacity, limits):
                    return False
                self._take_up_leaves()
        return False

    def _call(self, terms: kernels.Terms, effort: int, limits: Limits) -> int:
        """Call the kernels once. Ctrl-C or the end of the time stops a call that may take long."""
        compilation.wait()
        # A thread costs more than a small search takes, and small searches come back soon enough for Ctrl-C.
        if max(terms.capacity, len(self.packed.value)) <= _BRIEF:
            return search(self._keyed, self.scratch, self.tree, terms, self._calls, effort)
        stop = self.scratch.stop
        try:
            return in_thread(
                lambda: search(self._keyed, self.scratch, self.tree, terms, self._calls, effort),
                stop=lambda: stop.fill(1),
                enough=lambda: limits.left_s <= 0,
            )
        finally:
            stop[0] = 0

    def _wait(self, budget: float, gap: float, limits: Limits, ticker: Ticker) -> bool:
        """Wait for CP-SAT once the tree has reached a limit of its own; returns whether the gap is proven."""
        while self._beside is not None and ticker.go_on():
            over = self._beside.over
            if self._meet(budget, limits, now=True) <= gap:
                return True
            if over:
                break
            sleep(REPORT_EVERY_S)
        return False

    def _meet(self, budget: float, limits: Limits, *, now: bool = False) -> float:
        """Exchange schedules and bounds with CP-SAT if it runs; returns the gap that is left."""
        if self._beside is not None:
            tree = self.tree
            known = News(tree.best, float(tree.floats[kernels.INCUMBENT]), self.bound)
            for news in self._beside.exchange(known, self._taken, now=now):
                self._beside.helped |= news.bound < self.bound
                self._most = min(self._most, news.bound)
                if news.cells is not None and memory.fits(self.packed, news.cells, budget):
                    # CP-SAT rounds values and costs, so the figures of its schedule are computed again.
                    value = worth(self.packed, news.cells)
                    if value > tree.floats[kernels.INCUMBENT]:
                        self._beside.helped = True
                        tree.best[:], tree.floats[kernels.INCUMBENT] = news.cells, value
        return self.bound - float(self.tree.floats[kernels.INCUMBENT])

    def _progress(self, runtime_s: float) -> Progress:
        nodes = int(self.tree.counts[kernels.NODES])
        return Progress(float(self.tree.floats[kernels.INCUMBENT]), self.bound, nodes, runtime_s)

    @property
    def _taken(self) -> float:
        """Bytes of all arrays."""
        return float(sum(array.nbytes for array in (*self.scratch, *self.tree)))

    def _effort(self, limits: Limits) -> int:
        """How many options to look at before returning to Python: about 50 ms of work, less when time runs out."""
        return int(min(_EFFORT, max(0.0, limits.left_s) * _SLOWEST_RATE))

    def _take_up_leaves(self) -> None:
        """Move the leaves that were set aside back to the heap, which is empty."""
        tree, aside = self.tree, self._aside.copy()
        free = tree.heap[: len(tree.heap) - len(aside)].copy()
        # A list sorted by falling bound is a heap.
        tree.heap[:] = np.concatenate([aside[np.argsort(-tree.bound[aside])], free])
        tree.counts[kernels.HEAP], tree.counts[kernels.ASIDE] = len(aside), 0

    def _affordable(self, more: int, limits: Limits) -> bool:
        """Whether the arrays may grow by this many bytes."""
        lent = 0.0 if self._beside is None else self._beside.lent
        return self._taken + more <= limits.memory - lent

    def _more_states(self, capacity: int, limits: Limits) -> bool:
        """Make room for this many states of a core, if memory allows; returns whether it does."""
        if capacity > _MOST_STATES or not self._affordable((104 if self._two else 32) * capacity, limits):
            return False
        self.scratch = with_states(self.scratch, capacity, memory=self._two)
        return True

    def _more_slots(self, limits: Limits) -> bool:
        """Make room for twice as many boxes, if memory allows; returns whether it does."""
        tree = self.tree
        # For a moment both copies are in memory.
        if not self._affordable(2 * sum(array.nbytes for array in tree), limits):
            return False
        slots = len(tree.heap)
        kept = slots - tree.counts[kernels.ASIDE]
        self.tree = tree._replace(
            heap=np.concatenate([tree.heap[:kept], np.arange(slots, 2 * slots), tree.heap[kept:]]),
            bound=np.concatenate([tree.bound, tree.bound]),
            lam=np.concatenate([tree.lam, tree.lam]),
            lo=np.concatenate([tree.lo, tree.lo]),
            hi=np.concatenate([tree.hi, tree.hi]),
            cut=np.concatenate([tree.cut, tree.cut]),
        )
        return True

    def _unequal_shares(self, limits: Limits) -> bool:
        """Give each option a weight of its own, and each app a share of its own, if memory allows."""
        options = len(self.packed.value)
        if not self._affordable(68 * options, limits):
            return False
        self._more_states(_HARD_STATES, limits)
        self._calls = self._calls._replace(charge_box=calls.charge_box_address())
        # Two apps in one cell are charged differently now, so each option is a cell of its own.
        self._keyed = self._keyed._replace(cell=np.arange(options, dtype=np.int32))
        scratch = with_shares(self.scratch, self.packed)
        self.scratch = scratch._replace(weight=np.empty(options), price=np.empty(options))
        return True
