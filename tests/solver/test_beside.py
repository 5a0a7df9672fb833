"""CP-SAT beside the search: what the two tell each other, when it is called in, and that its process ends in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest

from benchmarks.hard_problems import hard_problem
from benchmarks.instances import Instance
from mainstream.solver import beside, branch_and_bound, prepare
from mainstream.solver.beside import Beside
from mainstream.solver.branch_and_bound import SearchTree
from mainstream.solver.cp_sat_beside import search_beside
from mainstream.solver.cp_sat_model import News
from mainstream.solver.cp_sat_subprocess import start
from mainstream.solver.kernels import Packed
from mainstream.solver.kernels.lagrangian import worth
from mainstream.solver.option_table import weighted
from mainstream.solver.search import FEASIBLE_TOLERANCE, Limits, schedule_cost

PATIENCE_S = 60.0


def packed_of(instance: Instance, metric: str = "f1") -> Packed:
    table = prepare(instance.apps, instance.model, instance.video, objective=metric).table
    return weighted(table.packed, table.share)


def wait_for(condition: Any) -> None:
    end = monotonic() + PATIENCE_S
    while not condition():
        assert monotonic() < end
        sleep(0.05)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_STALLED_S", 0.0)


@pytest.fixture
def weak_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """No states for the cores: a search that closes nothing, and gives up."""
    monkeypatch.setattr(branch_and_bound, "_FIRST_STATES", 1)
    monkeypatch.setattr(branch_and_bound, "_MOST_STATES", 0)


def test_cp_sat_told_of_a_poor_schedule_finds_the_best_and_proves_it(impatient: None) -> None:
    instance = Instance.hard(8, 3)
    packed, allowed = packed_of(instance), instance.budget * (1 + FEASIBLE_TOLERANCE)
    best = SearchTree(packed).run(instance.budget, Limits(1e-6))
    value = worth(packed, best.cells)
    tree = SearchTree(packed)
    tree.cheapest(allowed)
    poor = News(tree.tree.best, worth(packed, tree.tree.best), 1.0)
    helper = Beside(packed, allowed, Limits(1e-6))
    heard: list[News] = []
    try:
        wait_for(lambda: heard.extend(helper.exchange(poor, 0.0)) or helper.over)
        heard.extend(helper.exchange(poor, 0.0))
    finally:
        helper.close()
    found = [news.cells for news in heard if news.cells is not None]
    assert all(schedule_cost(packed, cells) <= allowed for cells in found)
    assert max(worth(packed, cells) for cells in found) == pytest.approx(value, abs=1e-6)
    assert value - 1e-12 <= min(news.bound for news in heard) <= value + 2e-6


def test_what_the_search_tells_is_where_the_next_round_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstream.solver.cp_sat_beside._ROUND_S", 0.0)
    instance = Instance.hard(8, 4)
    packed, allowed = packed_of(instance), instance.budget * (1 + FEASIBLE_TOLERANCE)
    best = SearchTree(packed).run(instance.budget, Limits(1e-6))
    value = worth(packed, best.cells)
    sent: list[News] = []
    news = [News(best.cells, value, value + 1e-5)]
    search_beside(packed, allowed, Limits(1e-6), known=News(None, -np.inf, np.inf), news=news, send=sent.append)
    # Between a schedule and a bound so near there is little else to find.
    assert all(worth(packed, told.cells) >= value - 1e-6 for told in sent if told.cells is not None)
    assert min(told.bound for told in sent) == pytest.approx(value, abs=2e-6)


@pytest.mark.parametrize("aggregate", ["mean", "min"])
@pytest.mark.parametrize("seed", range(3))
def test_what_the_tree_leaves_open_is_proven(weak_tree: None, seed: int, aggregate: str) -> None:
    instance = Instance.hard(8, seed)
    result = instance.solve("auto", aggregate=aggregate)
    assert result.status == "optimal" and result.gap <= 1e-6
    assert result.cost <= instance.budget * (1 + FEASIBLE_TOLERANCE)


def test_it_finds_what_fits_where_the_search_for_it_has_stalled(
    impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = Instance.hard(8, 5)
    packed, allowed = packed_of(instance), instance.budget * (1 + FEASIBLE_TOLERANCE)
    monkeypatch.setattr(branch_and_bound, "cheapest", lambda *given: branch_and_bound.kernels.RUNNING)
    tree = SearchTree(packed, accompanied=True)
    assert tree.cheapest(allowed, allowed) <= allowed
    assert schedule_cost(packed, tree.tree.best) <= allowed
    none = SearchTree(packed, accompanied=True)
    assert none.cheapest(1e-3 * allowed, 1e-3 * allowed) == np.inf


def test_none_is_started_for_an_easy_problem_without_ortools_or_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(**given: Any) -> Any:
        raise AssertionError("started")

    monkeypatch.setattr(beside, "start", start)
    assert Instance.hard(30, 1).solve("auto").method == "branch-and-bound"
    monkeypatch.setattr(beside, "_STALLED_S", 0.0)
    instance = hard_problem(142)
    assert instance is not None
    assert instance.solve("auto", time_limit=1, memory_limit=1e8).status == "feasible"
    monkeypatch.setattr(beside, "find_spec", lambda name: None)
    assert instance.solve("auto", time_limit=1).status == "feasible"


SCRIPT = """
import sys
from mainstream.solver import beside
beside._STALLED_S = 0.1
from benchmarks.hard_problems import hard_problem
instance = hard_problem(142)
print("ready", flush=True)
try:
    instance.solve("auto", time_limit=None if sys.argv[1] == "none" else float(sys.argv[1]))
except KeyboardInterrupt as interrupt:
    print(interrupt.result.status, flush=True)
print("done", flush=True)
sys.stdin.read()
"""


def children(pid: int) -> list[int]:
    """CP-SAT's processes that a process has started."""
    path = Path(f"/proc/{pid}/task")
    found = [int(one) for task in path.iterdir() for one in (task / "children").read_text().split()]
    return [one for one in found if alive(one)]


def alive(pid: int) -> bool:
    try:
        return "cp_sat_subprocess" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def test_one_that_starts_while_ctrl_c_comes_is_ended_too(impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start_interrupted(**given: Any) -> Any:
        process, line = start(**given)
        started.append(process)
        signal.raise_signal(signal.SIGINT)
        return process, line

    monkeypatch.setattr(beside, "start", start_interrupted)
    instance = Instance.hard(8, 3)
    packed = packed_of(instance)
    helper = Beside(packed, instance.budget, Limits(1e-6))
    try:
        with pytest.raises(KeyboardInterrupt):
            helper.exchange(News(None, -np.inf, np.inf), 0.0, now=True)
        helper.close()
        assert started[0].poll() is not None
    finally:
        started[0].kill()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize("end", ["time", "interrupt", "kill"])
def test_its_process_ends_with_the_search(end: str) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "8" if end == "time" else "none"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            wait_for(lambda: children(process.pid))
            (child,) = children(process.pid)
            if end == "kill":
                sleep(1.0)  # it may or may not listen by now
                process.kill()
            else:
                if end == "interrupt":
                    process.send_signal(signal.SIGINT)
                    assert process.stdout.readline() == "feasible\n"
                assert process.stdout.readline() == "done\n"
                assert not alive(child)  # the process that called it in is still there
            wait_for(lambda: not alive(child))
        finally:
            process.kill()
