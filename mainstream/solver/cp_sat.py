"""CP-SAT on the same packed options: an exact method that shares no code with the search.

``cp_sat_model.py`` has the model. A schedule is checked with the true costs. If the rounding has let one pass that does
not fit, a second solve with costs rounded up finds one that does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mainstream.errors import OutOfTimeError
from mainstream.problem import FloatArray
from mainstream.solver import kernels
from mainstream.solver.branch_and_bound import SearchTree
from mainstream.solver.cp_sat_model import UNITS, CpSatModel, Found
from mainstream.solver.cp_sat_subprocess import cp_sat_apart, would_crash
from mainstream.solver.kernels.lagrangian import worth
from mainstream.solver.memory import fits
from mainstream.solver.option_table import CellArray, at_least, weighted
from mainstream.solver.progress import Progress
from mainstream.solver.search import FEASIBLE_TOLERANCE, Limits, Outcome

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

_WORKERS: Final = 2
_ROUNDING: Final = 1e-9
"""The most that rounding values up to units adds to the smallest of them."""


def cp_sat(
    packed: kernels.Packed,
    share: FloatArray,
    budget: float,
    limits: Limits,
    *,
    fair: bool = False,
    hint: CellArray | None = None,
) -> Outcome:
    """Maximise the weighted mean (or first the smallest value) by CP-SAT.

    Parameters
    ----------
    packed : Packed
        Its values are unweighted.
    share : (N,) array
        What each app's value counts in the mean.
    budget : float
    limits : Limits
    fair : bool
        Maximise the smallest value first, then the mean among the schedules that reach it.
    hint : (N,) int, optional
        Cells to start from.

    Raises
    ------
    InfeasibleError
        Nothing fits the budget.
    OutOfTimeError
        A limit came before any schedule that fits.
    """
    if would_crash():
        return cp_sat_apart(packed, share, budget, limits, fair=fair, hint=hint)
    allowed = budget * (1 + FEASIBLE_TOLERANCE)
    # With little time CP-SAT may find no schedule of its own.
    spare = _cheapest(packed, budget, limits) if np.isfinite(limits.time_limit) else None
    smallest_bound = None
    closed, interrupted = True, False
    if fair:
        stage = _solve(packed, allowed, limits, hint, fair=True)
        reached = _first_of(stage.cells, spare, packed, budget, limits)
        floor = _smallest(packed, reached)
        most = float(np.maximum.reduceat(packed.value, packed.start[:-1]).min())
        smallest_bound = max(min(stage.bound, most), floor)
        closed = smallest_bound - floor <= max(limits.gap, _ROUNDING)
        interrupted = stage.interrupted
        packed = at_least(packed, floor - 1e-12)
        spare = hint = reached
    packed = weighted(packed, share)
    found = Found(None, np.inf, 0, interrupted=True) if interrupted else _solve(packed, allowed, limits, hint)
    cells = _first_of(found.cells, spare, packed, budget, limits)
    value = worth(packed, cells)
    most = float(np.maximum.reduceat(packed.value, packed.start[:-1]).sum())
    bound = max(min(found.bound, most), value)
    outcome = Outcome(
        cells=cells,
        bound=bound,
        nodes=found.nodes,
        finished=closed and bound - value <= limits.gap,
        interrupted=found.interrupted,
        method="cp-sat",
    )
    return outcome if smallest_bound is None else replace(outcome, bound=smallest_bound, mean_bound=bound)


def _first_of(
    found: CellArray | None, spare: CellArray | None, packed: kernels.Packed, budget: float, limits: Limits
) -> CellArray:
    """CP-SAT's schedule, else the spare one, else the cheapest; raises an error if nothing fits."""
    if found is not None:
        return found
    return spare if spare is not None else _cheapest(packed, budget, limits)


def _cheapest(packed: kernels.Packed, budget: float, limits: Limits) -> CellArray:
    """A schedule that fits the budget."""
    search = SearchTree(packed)
    search.feasible(budget, limits)
    return search.tree.best


def _solve(
    packed: kernels.Packed, allowed: float, limits: Limits, hint: CellArray | None, *, fair: bool = False
) -> Found:
    """Solve once, and again if the schedule fits the rounded costs but not the true ones."""
    first = _solve_rounded(packed, allowed, limits, hint, fair=fair, round_cost=np.floor)
    if first.cells is None or fits(packed, first.cells, allowed):
        return first
    if first.interrupted:
        return replace(first, cells=None)
    second = _solve_rounded(packed, allowed, limits, hint, fair=fair, round_cost=np.ceil)
    return replace(first, cells=second.cells, nodes=first.nodes + second.nodes, interrupted=second.interrupted)


def _solve_rounded(
    packed: kernels.Packed, allowed: float, limits: Limits, hint: CellArray | None, *, fair: bool, round_cost: Any
) -> Found:
    try:
        model = CpSatModel.of(packed, allowed, limits, round_cost)
    except OutOfTimeError:
        return Found(None, np.inf, 0)
    if fair:
        model.maximise_smallest()
    else:
        model.maximise_sum()
    if hint is not None:
        model.suggest(hint)
    solver = model.solver(limits, _WORKERS)
    found = model.solve(solver, None if limits.progress is None else _reporter(limits.started, limits.progress))
    # Costs of less than a unit may round up beyond the budget: then the search for the cheapest schedule decides.
    return found if found.bound > -np.inf else replace(found, bound=np.inf)


def _reporter(started: float, progress: Callable[[Progress], None]) -> cp_model.CpSolverSolutionCallback:
    """Reports progress at each schedule that CP-SAT finds."""
    from ortools.sat.python import cp_model

    class Reporter(cp_model.CpSolverSolutionCallback):
        def on_solution_callback(self) -> None:
            progress(
                Progress(
                    objective=self.objective_value / UNITS,
                    bound=self.best_objective_bound / UNITS,
                    nodes=int(self.num_branches),
                    runtime_s=perf_counter() - started,
                )
            )

    return Reporter()


def _smallest(packed: kernels.Packed, cells: CellArray) -> float:
    """The smallest value among one cell for each app."""
    own = packed.cell == np.repeat(cells, np.diff(packed.start))
    return float(packed.value[own].min())
