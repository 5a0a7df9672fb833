"""CP-SAT on the same packed options: an exact method that shares no code with the search.

One Boolean for each option, one for each step of the staircase (segment k runs at rate j or more). CP-SAT works on
integers. Costs are rounded down and values up, so that every schedule that fits is still there and looks no worse:
its bound is a bound. A schedule that it finds is checked with the true costs; should the rounding have let one pass
that does not fit, a second solve with costs rounded up finds one that does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mainstream.errors import OutOfTimeError
from mainstream.problem import FloatArray
from mainstream.solver import kernels
from mainstream.solver.branch_and_bound import SearchTree
from mainstream.solver.cp_sat_subprocess import cp_sat_apart, would_crash
from mainstream.solver.kernels.lagrangian import worth
from mainstream.solver.option_table import CellArray, at_least, weighted
from mainstream.solver.search import FEASIBLE_TOLERANCE, Limits, Outcome, Progress, schedule_cost

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

WORKERS: Final = 2
_UNITS: Final = 2**30
"""Integer units that the budget, and an objective of 1, are divided into. From 2**36 on, CP-SAT 9.15 has returned
schedules as optimal that were not."""

_ROUNDING: Final = 1e-9
"""What values rounded up to units add to the smallest of them, at most."""


@dataclass(frozen=True, eq=False)
class _Found:
    cells: CellArray | None
    bound: float
    nodes: int


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
        Unweighted values.
    share : (N,) array
        What each app's value counts in the mean.
    budget : float
    limits : Limits
    fair : bool
        The smallest value first, then the mean among the schedules that reach it.
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
    # With little time there may be no schedule of CP-SAT's own.
    spare = _cheapest(packed, budget, limits) if np.isfinite(limits.time_limit) else None
    smallest_bound = None
    closed = True
    if fair:
        stage = _solve(packed, allowed, limits, hint, fair=True)
        reached = _first_of(stage.cells, spare, packed, budget, limits)
        floor = _smallest(packed, reached)
        most = float(np.maximum.reduceat(packed.value, packed.start[:-1]).min())
        smallest_bound = max(min(stage.bound, most), floor)
        closed = smallest_bound - floor <= max(limits.gap, _ROUNDING)
        packed = at_least(packed, floor - 1e-12)
        spare = hint = reached
    packed = weighted(packed, share)
    found = _solve(packed, allowed, limits, hint)
    cells = _first_of(found.cells, spare, packed, budget, limits)
    value = worth(packed, cells)
    most = float(np.maximum.reduceat(packed.value, packed.start[:-1]).sum())
    bound = max(min(found.bound, most), value)
    outcome = Outcome(
        cells=cells,
        bound=bound,
        nodes=found.nodes,
        finished=closed and bound - value <= limits.gap,
        method="cp-sat",
    )
    return outcome if smallest_bound is None else replace(outcome, bound=smallest_bound, mean_bound=bound)


def _first_of(
    found: CellArray | None, spare: CellArray | None, packed: kernels.Packed, budget: float, limits: Limits
) -> CellArray:
    """What CP-SAT found, or else the spare schedule, or else the cheapest, which tells when there is none at all."""
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
) -> _Found:
    """One solve, or two when the first one's schedule only fits in rounded costs."""
    first = _solve_rounded(packed, allowed, limits, hint, fair=fair, round_cost=np.floor)
    if first.cells is None or schedule_cost(packed, first.cells) <= allowed:
        return first
    second = _solve_rounded(packed, allowed, limits, hint, fair=fair, round_cost=np.ceil)
    return replace(first, cells=second.cells, nodes=first.nodes + second.nodes)


def _solve_rounded(
    packed: kernels.Packed, allowed: float, limits: Limits, hint: CellArray | None, *, fair: bool, round_cost: Any
) -> _Found:
    from ortools.sat.python import cp_model

    try:
        model, option = _formulate(packed, allowed, limits, round_cost)
    except OutOfTimeError:
        return _Found(None, np.inf, 0)
    worth = [int(v) for v in np.ceil(packed.value * _UNITS)]
    if fair:
        smallest = model.new_int_var(min(worth), max(worth), "smallest")
        for first, end in itertools.pairwise(packed.start.tolist()):
            model.add(smallest <= cp_model.LinearExpr.weighted_sum(option[first:end], worth[first:end]))
        model.maximize(smallest)
    else:
        model.maximize(cp_model.LinearExpr.weighted_sum(option, worth))
    if hint is not None:
        for literal, chosen in zip(option, packed.cell == np.repeat(hint, np.diff(packed.start)), strict=True):
            model.add_hint(literal, bool(chosen))

    solver = cp_model.CpSolver()
    solver.parameters.num_workers = WORKERS
    # Each app's value is rounded up by less than a unit.
    solver.parameters.absolute_gap_limit = min(1e18, max(0.0, limits.gap * _UNITS - (len(packed.start) - 1)))
    solver.parameters.relative_gap_limit = 0.0
    if np.isfinite(limits.time_limit):
        solver.parameters.max_time_in_seconds = max(limits.left_s, 1e-3)
    status = solver.solve(model, None if limits.progress is None else _reporter(limits.started, limits.progress))
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return _Found(None, np.inf, int(solver.num_branches))
    chosen = np.array([solver.boolean_value(literal) for literal in option])
    return _Found(
        cells=packed.cell[chosen],
        bound=solver.best_objective_bound / _UNITS,
        nodes=int(solver.num_branches),
    )


def _formulate(
    packed: kernels.Packed, allowed: float, limits: Limits, round_cost: Any
) -> tuple[cp_model.CpModel, list[Any]]:
    """One option for each app, the staircase that they need, and the budget; also the options' literals.

    Raises
    ------
    OutOfTimeError
        Half of the time that was left was not enough: the solver, too, takes time to read a model of that size.
    """
    from ortools.sat.python import cp_model

    groups = [range(first + 1, end) for first, end in itertools.pairwise(packed.rows.tolist())]
    fastest = (np.isfinite(packed.own).sum(axis=1) - 1).tolist()
    row, rate = np.divmod(packed.cell.astype(np.int64), packed.own.shape[1])

    def whole(cost: FloatArray) -> list[int]:
        with np.errstate(over="ignore"):  # a budget of 1e-300 is one, too
            return [int(c) for c in round_cost(np.minimum(cost / allowed, 4.0) * _UNITS)]

    enough = limits.left_s / 2

    model = cp_model.CpModel()
    option: list[Any] = []
    runs = [{(k, j): model.new_bool_var("") for k in group for j in range(fastest[k])} for group in groups]
    for g, steps in enumerate(runs):
        for (k, j), step in steps.items():
            if k > groups[g].start:
                model.add_implication(step, steps[k - 1, j])
            if j > 0:
                model.add_implication(step, steps[k, j - 1])
        for i in range(packed.apps[g], packed.apps[g + 1]):
            if limits.left_s < enough:
                raise OutOfTimeError("no time left for a model of this size")
            own = range(packed.start[i], packed.start[i + 1])
            option.extend(model.new_bool_var("") for _ in own)
            model.add_exactly_one(option[o] for o in own)
            for (k, j), step in steps.items():
                # All options that need this step, in one constraint: its relaxation is tighter than one for each.
                need = [option[o] for o in own if row[o] >= k and rate[o] > j]
                if need:
                    model.add(sum(need) <= step)
    every_step = {place: step for steps in runs for place, step in steps.items()}
    tails = whole(packed.own[row, rate])
    stems = whole(np.array([packed.stem[k, j + 1] - packed.stem[k, j] for k, j in every_step]))
    spent = cp_model.LinearExpr.weighted_sum([*option, *every_step.values()], [*tails, *stems])
    model.add(spent <= _UNITS)
    return model, option


def _reporter(started: float, progress: Callable[[Progress], None]) -> cp_model.CpSolverSolutionCallback:
    """Progress at each schedule that CP-SAT finds."""
    from ortools.sat.python import cp_model

    class Reporter(cp_model.CpSolverSolutionCallback):
        def on_solution_callback(self) -> None:
            progress(
                Progress(
                    objective=self.objective_value / _UNITS,
                    bound=self.best_objective_bound / _UNITS,
                    nodes=int(self.num_branches),
                    runtime_s=perf_counter() - started,
                )
            )

    return Reporter()


def _smallest(packed: kernels.Packed, cells: CellArray) -> float:
    """The smallest value among one cell for each app."""
    own = packed.cell == np.repeat(cells, np.diff(packed.start))
    return float(packed.value[own].min())
