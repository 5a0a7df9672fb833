"""A fleet solved: which box has which streams, the best schedule of each box, and what no plan surpasses."""

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
        Its place in the fleet.
    cameras : tuple of int
        Places of the streams that are on it.
    result : Result or None
        None where it has no stream.
    price : float or None
        What one more unit of its budget would be worth to the fleet, in units of the objective, predicted; None where
        no camera could come or go.
    """

    box: int
    cameras: tuple[int, ...]
    result: Result | None
    price: float | None


@dataclass(frozen=True, eq=False)
class FleetPlan:
    """A fleet solved.

    Attributes
    ----------
    fleet : Fleet
    boxes : tuple of BoxPlan
    objective : float
        Weighted mean of the values of all apps of the fleet; with ``aggregate="min"`` the smallest value.
    bound : float
        No plan surpasses it, whatever box the cameras are on.
    runtime_s : float
        Seconds that it took.
    """

    fleet: Fleet
    boxes: tuple[BoxPlan, ...]
    objective: float
    bound: float
    runtime_s: float
    _problems: FleetProblems

    @property
    def gap(self) -> float:
        """Bound less objective: what a better assignment and better schedules can still gain at most."""
        return self.bound - self.objective

    @property
    def metric(self) -> str:
        """What is maximised: f1, recall or precision."""
        return str(self._problems.what["objective"])

    @property
    def aggregate(self) -> str:
        """Over the apps: mean or min."""
        return self.fleet.options.aggregate or "mean"

    def net_plans(self) -> dict[str, dict[str, NetPlan]]:
        """The net plan of each stream of each box, by their names; nothing of streams of which no app runs.

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
        """The same as text."""
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
        Boxes that are solved at a time; default: the cores that this process may use.

    Returns
    -------
    FleetPlan

    Raises
    ------
    ProblemError
        Apps lack what the objective needs, or do not fit their network; cameras have a choice of boxes and the
        aggregate is "min".
    InfeasibleError
        A box has no schedule within its budget, or cameras do not find room; it says what would have to give.
    OutOfTimeError
        The limits came before any schedule of a box.
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
            raise ProblemError("aggregate: 'min' says nothing of which box a camera should be on; give each its box")
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
    """Give each camera a box and solve these; returns what no assignment surpasses, and the price of each budget."""
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
        raise InfeasibleError(f"cameras: no assignment was found that fits, {where} has too little; {_advice(market)}")
    return found.bound, {b: float(price) for b, price in zip(chosen, found.prices, strict=True)}


def _advice(market: Market) -> str:
    least = np.full(market.cameras, np.inf)
    np.minimum.at(least, market.camera, -market.most[market.row, -1] / market.prices[-1])
    free = market.budgets.sum() + (market.own[:, -1] / market.prices[-1]).sum()
    return (
        f"the {market.cameras} cameras that may go to several need {least.sum():.6g} at least, the boxes have "
        f"{free:.6g} for them together; give boxes more, or cameras more boxes, or make apps optional"
    )


def _solve(
    problems: FleetProblems, on: Mapping[int, Sequence[int]], results: dict[int, Result], threads: int | None
) -> None:
    """Solve boxes whose streams are certain; where some have no schedule, tell of the first, and name the others."""

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
