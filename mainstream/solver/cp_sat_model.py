"""The packed options as a CP-SAT model, and one solve of it.

There is one Boolean for each option, and one for each step of the staircase (segment k runs at rate j or more). CP-SAT
works on integers. Costs are rounded down and values up, so that every schedule that fits is still there and looks no
worse: so CP-SAT's bound holds. A schedule that it finds has to be checked with the true costs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from mainstream.apps import IntArray
from mainstream.errors import OutOfTimeError
from mainstream.interruptible import in_thread
from mainstream.problem import FloatArray
from mainstream.solver import kernels
from mainstream.solver.option_table import CellArray
from mainstream.solver.search import Limits

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

UNITS: Final = 2**30
"""The number of integer units in the budget, and in an objective of 1. From 2**36 on, CP-SAT 9.15 has returned
schedules as optimal that were not."""

_BYTES: Final = 3_000
"""About how many bytes an option of the model takes in CP-SAT, with all that belongs to it, presolve included."""
_LOADED_BYTES: Final = 200e6
"""The bytes that OR-Tools takes once it is loaded."""


@dataclass(frozen=True, eq=False)
class Found:
    """The result of one solve.

    Attributes
    ----------
    cells : (N,) int or None
        A cell for each app; it fits in rounded costs.
    bound : float
        Nothing that fits is worth more; -inf when nothing does.
    nodes : int
    interrupted : bool
        Whether Ctrl-C ended it.
    """

    cells: CellArray | None
    bound: float
    nodes: int
    interrupted: bool = False


class News(NamedTuple):
    """A message from one side to the other.

    Attributes
    ----------
    cells : (N,) int or None
        A schedule.
    value : float
        What it is worth, as the sender counts.
    bound : float
        Nothing is worth more; -inf when nothing fits.
    """

    cells: CellArray | None
    value: float
    bound: float


def model_bytes(packed: kernels.Packed) -> float:
    """About how many bytes a solve takes."""
    return _LOADED_BYTES + _BYTES * float(len(packed.cell))


@dataclass(frozen=True, eq=False)
class CpSatModel:
    """A problem in CP-SAT's terms.

    Attributes
    ----------
    packed : Packed
    model : CpModel
    option : list of literals
        As `packed.cell`.
    worth : list of int
        Values of the options in units, rounded up.
    """

    packed: kernels.Packed
    model: cp_model.CpModel
    option: list[Any]
    worth: list[int]

    @classmethod
    def of(
        cls,
        packed: kernels.Packed,
        allowed: float,
        limits: Limits,
        round_cost: Callable[[FloatArray], FloatArray] = np.floor,
    ) -> CpSatModel:
        """One option for each app, the staircase that they need, and the budget; no objective yet.

        Parameters
        ----------
        packed : Packed
        allowed : float
            The largest total cost allowed.
        limits : Limits
        round_cost : callable

        Raises
        ------
        OutOfTimeError
            Half of the time left was not enough (the solver also takes time to read a model of that size), or the model
            has no room in the memory.
        """
        if model_bytes(packed) > limits.memory:
            raise OutOfTimeError("no memory for a model of this size")
        enough = limits.left_s / 2
        from ortools.sat.python import cp_model

        row, rate = np.divmod(packed.cell.astype(np.int64), packed.own.shape[1])
        fastest = (np.isfinite(packed.own).sum(axis=1) - 1).tolist()

        def whole(taken: FloatArray, allowed: float) -> list[int]:
            with np.errstate(over="ignore"):  # even 1e-300 is a valid budget
                return [int(c) for c in round_cost(np.minimum(taken / allowed, 4.0) * UNITS)]

        model = cp_model.CpModel()
        runs: dict[tuple[int, int], Any] = {}
        option: list[Any] = []
        for g, (top, end) in enumerate(itertools.pairwise(packed.rows.tolist())):
            for k in range(top + 1, end):
                for j in range(fastest[k]):
                    step = runs[k, j] = model.new_bool_var("")
                    if k > top + 1:
                        model.add_implication(step, runs[k - 1, j])
                    if j > 0:
                        model.add_implication(step, runs[k, j - 1])
            for i in range(packed.apps[g], packed.apps[g + 1]):
                if limits.left_s < enough:
                    raise OutOfTimeError("no time left for a model of this size")
                own = slice(packed.start[i], packed.start[i + 1])
                literals = [model.new_bool_var("") for _ in range(own.start, own.stop)]
                option.extend(literals)
                model.add_exactly_one(literals)
                for k, j, need in _needs(row[own], rate[own], top):
                    model.add_at_most_one(*(literals[o] for o in need), ~runs[k, j])
        literals = [*option, *runs.values()]
        tails = whole(packed.own[row, rate], allowed)
        stems = whole(np.array([packed.stem[k, j + 1] - packed.stem[k, j] for k, j in runs]), allowed)
        model.add(cp_model.LinearExpr.weighted_sum(literals, [*tails, *stems]) <= UNITS)
        if np.isfinite(packed.memory_mb):
            tails = whole(np.where(rate > 0, packed.own_mb[row], 0.0), packed.memory_mb)
            stems = whole(np.array([packed.stem_mb[k] if j == 0 else 0.0 for k, j in runs]), packed.memory_mb)
            model.add(cp_model.LinearExpr.weighted_sum(literals, [*tails, *stems]) <= UNITS)
        return cls(packed, model, option, [int(v) for v in np.ceil(packed.value * UNITS)])

    def maximise_sum(self, least: float = -math.inf, most: float = math.inf) -> None:
        """Maximise the sum of the values, which is known to lie between two numbers."""
        from ortools.sat.python import cp_model

        total = cp_model.LinearExpr.weighted_sum(self.option, self.worth)
        # Each app's value is rounded up by less than a unit.
        if least > 0:
            self.model.add(total >= math.floor(least * UNITS))
        if most < math.inf:
            self.model.add(total <= math.ceil(most * UNITS) + len(self.packed.start))
        self.model.maximize(total)

    def maximise_smallest(self) -> None:
        """Maximise the smallest value."""
        from ortools.sat.python import cp_model

        smallest = self.model.new_int_var(min(self.worth), max(self.worth), "smallest")
        for first, end in itertools.pairwise(self.packed.start.tolist()):
            self.model.add(smallest <= cp_model.LinearExpr.weighted_sum(self.option[first:end], self.worth[first:end]))
        self.model.maximize(smallest)

    def suggest(self, cells: CellArray) -> None:
        """A schedule to begin with."""
        chosen = self.packed.cell == np.repeat(cells, np.diff(self.packed.start))
        for literal, value in zip(self.option, chosen, strict=True):
            self.model.add_hint(literal, bool(value))

    def cells(self, solution: Any) -> CellArray:
        """The cells of a solution: a solver or a callback."""
        chosen = np.fromiter(map(solution.boolean_value, self.option), np.bool_, len(self.option))
        cells: CellArray = self.packed.cell[chosen]
        return cells

    def solver(self, limits: Limits, workers: int) -> cp_model.CpSolver:
        """A solver that keeps to the limits."""
        from ortools.sat.python import cp_model

        solver = cp_model.CpSolver()
        solver.parameters.num_workers = workers
        # Python handles Ctrl-C.
        solver.parameters.catch_sigint_signal = False
        # Each app's value is rounded up by less than a unit.
        solver.parameters.absolute_gap_limit = min(1e18, max(0.0, limits.gap * UNITS - (len(self.packed.start) - 1)))
        solver.parameters.relative_gap_limit = 0.0
        if np.isfinite(limits.memory):
            solver.parameters.max_memory_in_mb = max(1, min(1 << 30, int(limits.memory / 1e6)))
        if np.isfinite(limits.time_limit):
            solver.parameters.max_time_in_seconds = max(limits.left_s, 1e-3)
        return solver

    def solve(self, solver: cp_model.CpSolver, callback: cp_model.CpSolverSolutionCallback | None = None) -> Found:
        """One solve; Ctrl-C ends it within a second or so, with the best so far."""
        from ortools.sat.python import cp_model

        ended: list[Any] = []
        interrupted = False
        try:
            in_thread(
                lambda: ended.append(solver.solve(self.model, callback)),
                stop=solver.stop_search,
                enough=lambda: False,
            )
        except KeyboardInterrupt:
            if not ended:
                raise
            interrupted = True
        (status,) = ended
        nodes = int(solver.num_branches)
        if status == cp_model.INFEASIBLE:
            return Found(None, -np.inf, nodes, interrupted)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return Found(None, np.inf, nodes, interrupted)
        return Found(self.cells(solver), solver.best_objective_bound / UNITS, nodes, interrupted)


def _needs(row: IntArray, rate: IntArray, top: int) -> list[tuple[int, int, list[int]]]:
    """Which of an app's options need a step (segment k at rate j or more): (k, j, options).

    All options that need a step are in one constraint, as its relaxation is tighter than that of one for each option.
    If the same options need the next segment, or the next rate, the constraint of that step is enough. Row `top` shares
    nothing.
    """
    shared = row > top
    highest = {int(k): int(rate[row == k].max()) for k in np.unique(row[shared])}
    deepest = {int(j): int(row[rate == j].max()) for j in np.unique(rate[shared])}
    return [
        (k, j - 1, np.flatnonzero((row >= k) & (rate >= j)).tolist())
        for k, most in highest.items()
        for j, most_deep in deepest.items()
        if most >= j and most_deep >= k
    ]
