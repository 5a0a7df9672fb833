"""Ctrl-C where no handler runs: in a core of millions of states, in CP-SAT, in the compiler."""

from __future__ import annotations

import _thread
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Timer
from time import perf_counter, sleep
from typing import Any, Literal

import numpy as np
import pytest

from benchmarks.hard_problems import hard_problem
from mainstream import InterruptedSearch
from mainstream.experiments.workloads import workload
from mainstream.solver import branch_and_bound, kernels
from mainstream.solver.branch_and_bound import SearchTree
from mainstream.solver.cp_sat_model import CpSatModel
from mainstream.solver.progress import Progress
from mainstream.solver.search import Limits

CROSSING = Path(__file__).parents[2] / "data" / "problems" / "crossing.yaml"


def one_great_core(n: int = 60) -> tuple[kernels.Packed, float]:
    """A knapsack in which hardly any state dominates another: 4 million of them, for a gap of 0."""
    rng = np.random.default_rng(0)
    rate = np.concatenate([[0.0], np.sort(rng.uniform(1, 2, 4 * n))])
    cell = 1 + np.sort(rng.permutation(4 * n).reshape(n, 4), axis=1).astype(np.int32).ravel()
    packed = kernels.Packed(
        start=np.arange(0, 4 * n + 1, 4),
        value=rate[cell] / n / 2 + 1e-9 * rng.random(4 * n),
        cell=cell,
        own=rate[None],
        stem=np.zeros((1, len(rate))),
        rows=np.array([0, 1]),
        apps=np.array([0, n]),
        own_mb=np.zeros(1),
        stem_mb=np.zeros(1),
        memory_mb=np.inf,
    )
    return packed, 1.5123456 * n


@pytest.mark.parametrize("limit", [None, 0.1])
def test_a_core_of_millions_of_states_comes_back_when_asked(
    limit: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branch_and_bound, "_FIRST_STATES", branch_and_bound._MOST_STATES)
    packed, budget = one_great_core()
    begin = perf_counter()
    whole = SearchTree(packed).run(budget, Limits(0.0))
    seconds = perf_counter() - begin
    tree = SearchTree(packed)
    limit = limit and limit * seconds
    if limit is None:
        Timer(0.1 * seconds, _thread.interrupt_main).start()
    begin = perf_counter()
    outcome = tree.run(budget, Limits(0.0, np.inf if limit is None else limit))
    assert perf_counter() - begin < 0.75 * seconds
    assert outcome.interrupted == (limit is None) and not outcome.finished
    assert not tree.scratch.stop[0]
    assert outcome.bound >= whole.bound - 1e-12


def test_a_stop_at_any_moment_leaves_a_bound_that_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branch_and_bound, "_BRIEF", 0)
    instance = hard_problem(52)
    assert instance is not None
    best = instance.solve()
    held = 0
    for delay in np.geomspace(0.0003, 0.1, 40):
        timer = Timer(delay, _thread.interrupt_main)
        try:
            timer.start()
            instance.solve()
            timer.join()
        except InterruptedSearch as interrupt:
            result = interrupt.result
            if result is not None:
                assert result.objective - 1e-12 <= best.bound and best.objective <= result.bound + 1e-12
                held += 1
        except KeyboardInterrupt:
            pass  # before the search began, or after its end
    assert held >= 5


def test_cp_sat_comes_back_when_asked() -> None:
    packed, budget = one_great_core()
    model = CpSatModel.of(packed, budget, Limits(0.0))
    model.maximise_sum()
    Timer(0.5, _thread.interrupt_main).start()
    begin = perf_counter()
    found = model.solve(model.solver(Limits(0.0), workers=2))
    assert perf_counter() - begin < 10
    assert found.interrupted and (found.cells is None or np.isfinite(found.bound))


@pytest.mark.parametrize("aggregate", ["mean", "min"])
def test_ctrl_c_in_cp_sat_gives_its_best_so_far(aggregate: Literal["mean", "min"]) -> None:
    prepared = workload(30, seed=5).prepare()
    budget = 1.3 * prepared.smallest_budget()
    pressed: list[Progress] = []

    def press(progress: Progress) -> None:
        if not pressed:
            pressed.append(progress)
            _thread.interrupt_main()

    with pytest.raises(InterruptedSearch) as stopped:
        prepared.solve(budget, aggregate=aggregate, method="cp-sat", progress=press)
    result = stopped.value.result
    assert pressed and result is not None
    assert result.cost <= budget * (1 + 1e-9)
    assert result.bound >= prepared.solve(budget, aggregate=aggregate).objective - 1e-9


def test_ctrl_c_on_the_way_to_the_largest_smallest_value_gives_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = workload(10, seed=5).prepare()
    budget = 1.5 * prepared.smallest_budget()
    best = prepared.solve(budget, aggregate="min")
    calls: list[float] = []
    plain = SearchTree.cheapest

    def press(self: SearchTree, *given: Any) -> float:
        if any(cost <= budget for cost in calls):
            signal.raise_signal(signal.SIGINT)
        calls.append(plain(self, *given))
        return calls[-1]

    monkeypatch.setattr(SearchTree, "cheapest", press)
    with pytest.raises(InterruptedSearch) as stopped:
        prepared.solve(budget, aggregate="min")
    result = stopped.value.result
    assert result is not None and result.status == "feasible" and result.cost <= budget * (1 + 1e-9)
    assert 0 < result.objective <= best.objective + 1e-9 <= result.bound + 2e-9


@pytest.mark.parametrize("after_s", [0.3, 2.0])
def test_the_compiler_is_left(tmp_path: Path, after_s: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "mainstream", "solve", str(CROSSING)],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "compiling" in process.stderr.readline()
        sleep(after_s)
        process.send_signal(signal.SIGINT)
        begin = perf_counter()
        printed, errors = process.communicate(timeout=60)
        waited = perf_counter() - begin
    assert (process.returncode, printed, errors) == (130, "", "mainstream: interrupted\n")
    assert waited < 6  # what is left to compile takes longer
