"""What is measured, one part a file; a part yields its rows, fewer or smaller ones when it has to be quick."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from benchmarks.parts import (
    cp_sat,
    frontier,
    greedy,
    hard,
    hard_rivals,
    highs,
    loading,
    one_app,
    options,
    simulator,
    solver,
    starting,
    streams,
)
from benchmarks.row import Row

Part = Callable[[bool], Iterator[Row]]

PARTS: Final[dict[str, tuple[str, Part]]] = {
    "solver": ("Solver: solve() by branch and bound, option building included", solver.rows),
    "large": ("Solver: 100,000 apps, in a process of its own", solver.large_rows),
    "options": ("Options: what comes before the search", options.rows),
    "hard": ("Solver: hard problems, one core", hard.rows),
    "streams": ("Several streams on one budget, half of the apps x_vote auto, options built anew", streams.rows),
    "hard-rivals": ("Solver: hard problems against CP-SAT, 2 workers, and HiGHS, 2 threads", hard_rivals.rows),
    "starting": ("Start: whole processes", starting.rows),
    "loading": ("A large problem from its file", loading.rows),
    "cp-sat": ("Against CP-SAT, 2 workers, both to 1e-6", cp_sat.rows),
    "highs": ("Against HiGHS, 2 threads, both to 1e-6", highs.rows),
    "greedy": ("Greedies: loss against the optimum", greedy.loss_rows),
    "greedy-large": ("Greedy: many apps, in a process of its own", greedy.large_rows),
    "frontier": ("Frontier", frontier.rows),
    "one-app": ("One app among 30 arrives or leaves", one_app.rows),
    "simulator": ("Event simulator", simulator.rows),
}
