"""Solve a fleet: which box gets which streams, the best schedule of each box, and a bound on all plans."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

import numpy as np

from mainstream.errors import InfeasibleError, ProblemError
from mainstream.fleet.assignment import Market, assign
from mainstream.fleet.fleet import Fleet
from mainstream.fleet.improving import Improving
from mainstream.fleet.pricing import Pricing
from mainstream.fleet.problems import FleetProblems
from mainstream.fleet.side_by_side import side_by_side
from mainstream.ids import id_list
from mainstream.schedule import Result
from mainstream.streamer.plan import NetPlan

FORMAT: Final = "mainstream-fleet-plan-1"


@dataclass(frozen=True, eq=False)
class BoxPlan:
    """What one box runs.

    Attributes
    ----------
    box : int
        Its index in the fleet.
    cameras : tuple of int
        Indices of the streams on it.
    result : Result or None
        None if it has no stream.
    price : float or None
        Predicted gain of the fleet's objective by one more unit of this box's budget; None if no camera could come or
        go.
    """

    box: int
    cameras: tuple[int, ...]
    result: Result | None
    price: float | None


@dataclass(frozen=True, eq=False)
class FleetPlan:
    """The solution of a fleet.

    Attributes
    ----------
    fleet : Fleet
    boxes : tuple of BoxPlan
    objective : float
        Weighted mean of the values of all apps of the fleet; with ``aggregate="min"`` the smallest value.
    bound : float
        No plan exceeds it, on whichever boxes the cameras are.
    runtime_s : float
        Seconds that solving took.
    """

    fleet: Fleet
    boxes: tuple[BoxPlan, ...]
    objective: float
    bound: float
    runtime_s: float
    _problems: FleetProblems

    @property
    def gap(self) -> float:
        """Bound less objective: the most that a better assignment and better schedules could gain."""
        return self.bound - self.objective

    @property
    def metric(self) -> str:
        """What is maximised: f1, recall or precision."""
        return str(self._problems.what["objective"])

    @property
    def aggregate(self) -> str:
        """How the apps' values are combined: mean or min."""
        return self.fleet.options.aggregate or "mean"

    def net_plans(self) -> dict[str, dict[str, NetPlan]]:
        """Box -> stream -> net plan, by name; streams without a running app are left out.

        Raises
        ------
        ProblemError
            An app has no model file for its choice, or a network lacks a tensor or its size.
        """
        return {
            str(self.fleet.boxes[one.box].name): {}
            if one.result is None
            else self._problems.net_plans(one.box, one.cameras, one.result)
            for one in self.boxes
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts."""
        return {
            "format": FORMAT,
            "metric": self.metric,
            "aggregate": self.aggregate,
            "objective": self.objective,
            "bound": self.bound,
            "gap": self.gap,
            "runtime_s": self.runtime_s,
            "boxes": [self._box(one) for one in self.boxes],
        }

    def to_json(self) -> str:
        """:meth:`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def _box(self, one: BoxPlan) -> dict[str, Any]:
        box, result = self.fleet.boxes[one.box], one.result
        own: dict[str, Any] = {
            "name": box.name,
            "address": box.address,
            "budget": box.budget,
            "streams": [self.fleet.cameras[k].name for k in one.cameras],
            "price": one.price,
        }
        if result is None:
            return {**own, "apps": 0, "objective": None, "bound": None, "cost": 0.0, "status": "no stream"}
        return {
            **own,
            "apps": len(result.choices),
            "left_out": [str(app_id) for app_id in result.left_out],
            "objective": result.objective,
            "bound": result.bound,
            "cost": result.cost,
            "status": result.status,
        }


def plan_fleet(fleet: Fleet, *, threads: int | None = None) -> FleetPlan:
    """Put each camera on a box, and solve the boxes.

    Parameters
    ----------
    fleet : Fleet
    threads : int, optional
        How many boxes to solve at the same time; default: the cores that this process may use.

    Returns
    -------
    FleetPlan

    Raises
    ------
    ProblemError
        Apps lack what the objective needs, or do not fit their network; cameras have a choice of boxes and the
        aggregate is "min".
    InfeasibleError
        A box has no schedule within its budget, or there is no room for all cameras; the message says what to change.
    OutOfTimeError
        The limits were reached before a box had any schedule.
    """
    started = perf_counter()
    problems = FleetProblems(fleet)
    on: list[list[int]] = [[] for _ in fleet.boxes]
    for k, camera in enumerate(fleet.cameras):
        if len(camera.on) == 1:
            on[next(iter(camera.on))].append(k)
    chosen = sorted({b for camera in fleet.cameras if len(camera.on) > 1 for b in camera.on})
    results: dict[int, Result] = {}
    bound, prices = 0.0, dict[int, float]()
    _solve(problems, {b: on[b] for b in range(len(on)) if on[b] and b not in chosen}, results, threads)
    if chosen:
        if fleet.options.aggregate == "min":
            raise ProblemError("aggregate: 'min' cannot choose boxes for cameras; name one box for each, or use 'mean'")
        bound, prices = _assign(problems, on, chosen, results, threads)
    weights = {b: sum(fleet.cameras[k].weight for k in on[b]) for b in results}
    every = sum(weights.values())
    by_weight = {b: price / every for b, price in prices.items()}
    boxes = tuple(BoxPlan(b, tuple(on[b]), results.get(b), by_weight.get(b)) for b in range(len(on)))
    if fleet.options.aggregate == "min":
        objective, bound = (min(getattr(one, key) for one in results.values()) for key in ("objective", "bound"))
    else:
        objective = sum(weights[b] * one.objective for b, one in results.items()) / every
        bound += sum(weights[b] * one.bound for b, one in results.items() if b not in chosen)
        bound = max(objective, min(1.0, bound / every))
    return FleetPlan(fleet, boxes, objective, bound, perf_counter() - started, problems)


def _assign(
    problems: FleetProblems,
    on: list[list[int]],
    chosen: list[int],
    results: dict[int, Result],
    threads: int | None,
) -> tuple[float, dict[int, float]]:
    """Choose a box for each camera and solve the boxes; returns a bound on all assignments, and the budgets' prices."""
    pricing = Pricing(problems, chosen, threads)
    market, found = pricing.market()
    if found.bound < 0:
        raise InfeasibleError(f"cameras: no assignment fits the budgets of all boxes; {_advice(market)}")
    fixed = {b: on[b] for b in chosen}
    improving = Improving(problems, chosen, pricing.loose, fixed, market, assign(market))
    side_by_side(improving.solve, chosen, threads)
    improving.run()
    failed = []
    for b in chosen:
        on[b], result = list(improving.on(b)), improving.result(b)
        if isinstance(result, InfeasibleError):
            failed.append(b)
        elif result is not None:
            results[b] = result
    if failed:
        where = _names(problems, failed)
        raise InfeasibleError(
            f"cameras: no assignment that fits was found; {where} has too little budget; {_advice(market)}"
        )
    return found.bound, {b: float(price) for b, price in zip(chosen, found.prices, strict=True)}


def _advice(market: Market) -> str:
    least = np.full(market.cameras, np.inf)
    np.minimum.at(least, market.camera, -market.most[market.row, -1] / market.prices[-1])
    free = market.budgets.sum() + (market.own[:, -1] / market.prices[-1]).sum()
    return (
        f"the {market.cameras} cameras that may go to several boxes need {least.sum():.6g} at least, the boxes have "
        f"{free:.6g} for them together; raise budgets, let cameras go to more boxes, or make apps optional"
    )


def _solve(
    problems: FleetProblems, on: Mapping[int, Sequence[int]], results: dict[int, Result], threads: int | None
) -> None:
    """Solve boxes with fixed streams; if some have no schedule, the error explains the first and names the rest."""

    def solve(box: int) -> Result | InfeasibleError:
        try:
            return problems.solve(box, on[box], briefly=True)
        except InfeasibleError as error:
            return error

    short = []
    for box, found in zip(on, side_by_side(solve, on, threads), strict=True):
        if isinstance(found, Result):
            results[box] = found
        else:
            short.append(box)
    if not short:
        return
    first, *others = short
    try:
        results[first] = problems.solve(first, on[first])
    except InfeasibleError as error:
        more = f" (and {len(others)} more: {_names(problems, others)})" if others else ""
        raise InfeasibleError(f"{error}{more}", error.smallest_budget) from None


def _names(problems: FleetProblems, boxes: Sequence[int]) -> str:
    return f"box {id_list([str(problems.fleet.boxes[b].name) for b in boxes])}"
