"""CP-SAT's side of ``beside.py``.

CP-SAT cannot be told anything while it searches. So it searches in rounds, each twice as long as the one before. After
that time a round ends as soon as a better schedule is known than the one that it began with. The next round begins from
the better schedule, and looks only between it and the bound.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from threading import Event, Lock, Thread
from time import perf_counter
from typing import Any, Final

import numpy as np

from mainstream.solver import kernels
from mainstream.solver.cp_sat_model import UNITS, CpSatModel, News
from mainstream.solver.search import Limits

_ROUND_S: Final = 5.0
_LOOK_S: Final = 0.2


def search_beside(
    packed: kernels.Packed,
    allowed: float,
    limits: Limits,
    *,
    known: News,
    news: list[News],
    send: Callable[[News], None],
) -> None:
    """Search in rounds until the best schedule of both sides is proven, or no side has anything new.

    Parameters
    ----------
    packed, allowed, limits
        As for :class:`mainstream.solver.beside.Beside`; the memory is that of this process.
    known : News
        Where the search stands.
    news : list of News
        What the search has told since, the newest last; the list grows.
    send : callable
    """
    writing = Lock()

    def tell(told: News) -> None:
        with writing:
            send(told)

    base = CpSatModel.of(packed, allowed, limits)
    for done in count():
        known = news[-1] if news else known
        model = CpSatModel(packed, base.model.clone(), base.option, base.worth)
        model.maximise_sum(known.value, known.bound)
        if known.cells is not None:
            model.suggest(known.cells)
        solver = model.solver(limits, workers=1)
        solver.best_bound_callback = lambda bound: tell(News(None, -np.inf, bound / UNITS))
        ended = Event()
        until = perf_counter() + 2**done * _ROUND_S
        stopper = Thread(target=_stop_when_told, args=(solver, known, news, until, ended), daemon=True)
        stopper.start()
        found = model.solve(solver, _teller(model, tell))
        ended.set()
        tell(News(found.cells, -np.inf, found.bound))
        if not news or news[-1] is known or limits.left_s <= 0:
            return


def _stop_when_told(solver: Any, known: News, news: list[News], until: float, ended: Event) -> None:
    """End a round whose time is over as soon as a schedule better than its first one is known."""
    while not ended.wait(_LOOK_S):
        if perf_counter() > until and news and news[-1].value > known.value:
            solver.stop_search()
            return


def _teller(model: CpSatModel, tell: Callable[[News], None]) -> Any:
    """Tells of each schedule that CP-SAT finds."""
    from ortools.sat.python import cp_model

    class Teller(cp_model.CpSolverSolutionCallback):
        def on_solution_callback(self) -> None:
            tell(News(model.cells(self), self.objective_value / UNITS, self.best_objective_bound / UNITS))

    return Teller()
