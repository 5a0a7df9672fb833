"""The search against the better of CP-SAT and HiGHS on hard problems, all to one gap, those that both sides close."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from statistics import median
from time import perf_counter
from typing import Any, Final

import numpy as np

from benchmarks.hard_problems import hard_problem
from benchmarks.instances import GAP, Instance
from benchmarks.parts.highs import highs_solver
from benchmarks.parts.solver import seconds_of_one
from benchmarks.processes import ChildFailedError, apart
from benchmarks.row import Row, duration

_SEEDS: Final = range(0, 200, 8)
_QUICK_SEEDS: Final = range(0, 200, 50)
_LIMIT_S, _QUICK_LIMIT_S = 30.0, 5.0
_OURS: Final = 3


def rows(quick: bool) -> Iterator[Row]:
    """The median of the ratios, and the smallest."""
    what = "hard problems: time of the better of CP-SAT and HiGHS over ours"
    if find_spec("highspy") is None:
        yield Row(
            what, None, "x", verdict="not measured", notes="highspy is not installed; pip install 'mainstream[test]'"
        )
        return
    limit = _QUICK_LIMIT_S if quick else _LIMIT_S
    Instance.hard(10, 0).solve()
    Instance.hard(3, 0).solve("cp-sat")  # imports ortools
    ratios: dict[int, float] = {}
    open_to_all, ours_only, theirs_only, wrong = [], [], [], []
    for seed in _QUICK_SEEDS if quick else _SEEDS:
        instance = hard_problem(seed)
        if instance is None:
            continue
        runs = [seconds_of_one(instance, "branch-and-bound", time_limit=limit) for _ in range(_OURS)]
        ours_s, ours = median(seconds for seconds, _ in runs), runs[0][1]
        theirs = [_cp_sat(instance, limit), _highs(seed, limit)]
        closed = [run for run in theirs if run["proven"]]
        if any(abs(run["value"] - ours.objective) > 2 * GAP for run in closed if ours.status == "optimal"):
            wrong.append(seed)
        if ours.status == "optimal" and closed:
            ratios[seed] = min(run["seconds"] for run in closed) / ours_s
        else:
            kind = ours_only if ours.status == "optimal" else theirs_only if closed else open_to_all
            kind.append(seed)
    behind = sorted(seed for seed, ratio in ratios.items() if ratio < 0.5)
    notes = (
        f"{len(ratios)} that both sides close within {duration(limit)}; only ours {len(ours_only)}, only theirs "
        f"{len(theirs_only)}, nobody {len(open_to_all)}"
    )
    verdict = f"THEY DISAGREE: seeds {wrong}" if wrong else "" if ratios else "not measured"
    every = list(ratios.values()) or [0.0]
    yield Row(what, median(every), "x", figure=20.0, at_least=True, verdict=verdict, notes=notes)
    slower = f"more than 2x behind: seeds {', '.join(map(str, behind))}" if behind else "never more than 2x behind"
    yield Row(f"{what}, the smallest", min(every), "x", figure=0.5, at_least=True, verdict=verdict, notes=slower)


def _cp_sat(instance: Instance, limit: float) -> dict[str, Any]:
    seconds, result = seconds_of_one(instance, "cp-sat", time_limit=limit)
    return {"seconds": seconds, "value": result.objective, "proven": result.status == "optimal"}


def _highs(seed: int, limit: float) -> dict[str, Any]:
    try:
        return apart(by_highs, seed=seed, limit=limit)
    except ChildFailedError:  # for want of memory
        return {"seconds": np.inf, "value": np.nan, "proven": False}


def by_highs(seed: int, limit: float) -> dict[str, Any]:
    """HiGHS: its run, and the making of the options that all three need, but not of its model.

    In a process of its own, as it clashes with ortools.
    """
    from mainstream import prepare
    from mainstream.solver.kernels import Packed
    from mainstream.solver.option_table import weighted
    from mainstream.solver.search import FEASIBLE_TOLERANCE, schedule_cost

    instance = hard_problem(seed)
    assert instance is not None

    def options() -> Packed:
        table = prepare(instance.apps, instance.model, instance.video, objective="recall").table
        return weighted(table.packed, table.share)

    options()  # loads what it calls
    begin = perf_counter()
    packed = options()
    options_s = perf_counter() - begin
    allowed = instance.budget * (1 + FEASIBLE_TOLERANCE)
    solver = highs_solver(packed, allowed, limit)
    solver.run()
    chosen = np.array(solver.getSolution().col_value)[: len(packed.cell)] > 0.5
    fits = chosen.sum() == len(packed.start) - 1 and schedule_cost(packed, packed.cell[chosen]) <= allowed * (1 + 1e-9)
    return {
        "seconds": options_s + solver.getRunTime(),
        "value": float(packed.value[chosen].sum()),
        "proven": bool(fits) and solver.modelStatusToString(solver.getModelStatus()) == "Optimal",
    }
