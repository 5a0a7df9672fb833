"""The search against HiGHS on the same packed options as a mixed-integer program.

One binary for each option, one for each step of the staircase (segment k runs at rate j or more), one option for each
app, and for each app and step one constraint: the sum of its options that need the step is at most the step. The
budget is scaled to 1. HiGHS runs in a process of its own, since it clashes with ortools in one; our solves run there
too, before and after.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.instances import GAP, Instance
from benchmarks.parts.solver import seconds_of_one
from benchmarks.processes import apart
from benchmarks.row import Row, duration

if TYPE_CHECKING:
    from mainstream.problem import FloatArray
    from mainstream.solver.kernels import Packed

_SEEDS: Final = {10: 5, 30: 3}
_QUICK_SEEDS: Final = {10: 2, 30: 1}
_LIMIT_S: Final = 120.0
_OURS: Final = 5
_THREADS: Final = 2
_INTEGRAL: Final = 1e-9


def rows(quick: bool) -> Iterator[Row]:
    """10 and 30 apps."""
    limit = 20.0 if quick else _LIMIT_S
    for n, seeds in (_QUICK_SEEDS if quick else _SEEDS).items():
        what = f"{n} apps: HiGHS's time over ours"
        if find_spec("highspy") is None:
            missing = "highspy is not installed; pip install 'mainstream[test]'"
            yield Row(what, None, "x", verdict="not measured", notes=missing)
            continue
        yield _row(what, [apart(race, n=n, seed=seed, limit=limit) for seed in range(seeds)], limit)


def _row(what: str, runs: list[dict[str, Any]], limit: float) -> Row:
    ours, theirs = median(run["ours_s"] for run in runs), median(run["theirs_s"] for run in runs)
    stopped = [run for run in runs if not run["proven"]]
    wrong = sum(not _agree(run) for run in runs)
    worst_gap = max((run["gap"] for run in stopped), default=0.0)
    return Row(
        what,
        theirs / ours,
        "x",
        worst=min(run["theirs_s"] / run["ours_s"] for run in runs),
        at_least=True,
        verdict="THE TWO DISAGREE" if wrong else "",
        notes=f"medians of {len(runs)} seeds: HiGHS {duration(theirs)}, its model built before; ours {duration(ours)}; "
        + (
            f"HiGHS stopped at {limit:g} s in {len(stopped)}, gap up to {worst_gap:.2g}: the ratio is a lower bound; "
            if stopped
            else ""
        )
        + f"objectives differ by {max(abs(run['ours'] - run['theirs']) for run in runs):.1g} at most",
    )


def _agree(run: dict[str, Any]) -> bool:
    """Both are within the gap of the same optimum, as far as HiGHS came, and its schedule fits."""
    lead = run["ours"] - run["theirs"]
    return bool(run["fits"] and -GAP <= lead <= max(run["gap"], GAP) + GAP)


def race(n: int, seed: int, limit: float) -> dict[str, Any]:
    """One problem by both; runs in its own process."""
    from mainstream import prepare
    from mainstream.solver.option_table import weighted
    from mainstream.solver.search import FEASIBLE_TOLERANCE, schedule_cost

    instance = Instance.hard(n, seed)
    instance.solve()
    ours = [seconds_of_one(instance, "branch-and-bound") for _ in range(_OURS)]
    options = prepare(instance.apps, instance.model, instance.video, objective="f1").table
    packed = weighted(options.packed, options.share)
    allowed = instance.budget * (1 + FEASIBLE_TOLERANCE)
    solver = highs_solver(packed, allowed, limit)
    solver.run()
    ours += [seconds_of_one(instance, "branch-and-bound") for _ in range(_OURS)]
    info = solver.getInfo()
    found = np.array(solver.getSolution().col_value)[: len(packed.cell)] > 0.5
    whole = len(packed.start) - 1 == found.sum()
    value = float(packed.value[found].sum()) if whole else 0.0
    return {
        "ours_s": median(seconds for seconds, _ in ours),
        "theirs_s": solver.getRunTime(),
        "ours": ours[0][1].objective,
        "theirs": value,
        "gap": float(info.mip_dual_bound) - value,
        "proven": solver.modelStatusToString(solver.getModelStatus()) == "Optimal",
        "fits": whole and schedule_cost(packed, packed.cell[found]) <= allowed * (1 + FEASIBLE_TOLERANCE),
    }


def highs_solver(packed: Packed, allowed: float, limit: float) -> Any:
    """A HiGHS that holds the program and its settings."""
    import highspy

    program = highspy.HighsLp()
    costs, matrix, low, high = _program(packed, allowed)
    program.num_col_, program.num_row_ = len(costs), len(low)
    program.sense_ = highspy.ObjSense.kMaximize
    program.col_cost_ = costs
    program.col_lower_, program.col_upper_ = np.zeros(len(costs)), np.ones(len(costs))
    program.integrality_ = [highspy.HighsVarType.kInteger] * len(costs)
    program.row_lower_, program.row_upper_ = low, high
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.start_, program.a_matrix_.index_, program.a_matrix_.value_ = matrix
    solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    settings: dict[str, Any] = {
        "output_flag": False,
        "threads": _THREADS,
        "parallel": "on",
        "time_limit": limit,
        "mip_abs_gap": GAP,
        "mip_rel_gap": 0.0,
        "mip_feasibility_tolerance": _INTEGRAL,
        "primal_feasibility_tolerance": _INTEGRAL,
    }
    for name, value in settings.items():
        solver.setOptionValue(name, value)
    solver.passModel(program)
    return solver


def _program(packed: Packed, allowed: float) -> tuple[FloatArray, tuple[Any, Any, Any], FloatArray, FloatArray]:
    """Objective, rows (start, index, value), and the rows' limits; columns are options, then steps (k, j)."""
    rates, options = packed.own.shape[1] - 1, len(packed.cell)
    depth, rate = np.divmod(packed.cell.astype(np.int64), packed.own.shape[1])
    steps = [(k, j) for k in range(1, len(packed.own)) for j in range(rates)]
    column = {step: options + number for number, step in enumerate(steps)}
    rows: list[tuple[list[int], list[float], float, float]] = []
    for (k, j), step in column.items():
        for before in ((k - 1, j), (k, j - 1)):
            if before in column:
                rows.append(([step, column[before]], [1.0, -1.0], -np.inf, 0.0))
    for i in range(len(packed.start) - 1):
        own = np.arange(packed.start[i], packed.start[i + 1])
        rows.append((own.tolist(), [1.0] * len(own), 1.0, 1.0))
        for (k, j), step in column.items():
            need = own[(depth[own] >= k) & (rate[own] > j)].tolist()
            if need:
                rows.append(([*need, step], [1.0] * len(need) + [-1.0], -np.inf, 0.0))
    tails = packed.own[depth, rate]
    stems = np.diff(packed.stem[1:], axis=1).ravel()
    rows.append((list(range(options + len(steps))), (np.concatenate([tails, stems]) / allowed).tolist(), -np.inf, 1.0))
    start = np.concatenate([[0], np.cumsum([len(index) for index, *_ in rows])]).astype(np.int32)
    index = np.concatenate([np.array(index, np.int32) for index, *_ in rows])
    value = np.concatenate([np.array(value) for _, value, *_ in rows])
    costs = np.concatenate([packed.value, np.zeros(len(steps))])
    return costs, (start, index, value), np.array([row[2] for row in rows]), np.array([row[3] for row in rows])
