"""Fleets on the screen: plans, deployments and what boxes run, as plain text and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from mainstream.description import printable

if TYPE_CHECKING:
    from rich.table import Table

    from mainstream.fleet.boxes import Asked
    from mainstream.fleet.deploying import Outcome
    from mainstream.fleet.planning import BoxPlan, FleetPlan

_NUMBERS = ("apps", "left out", "cost", "budget", "price", "fps", "of")


def plan_table(plan: FleetPlan) -> Table:
    """The plan as a table with a line for each box."""
    metric = f"{'smallest' if plan.aggregate == 'min' else 'mean'} {plan.metric}"
    table = _table(["box", "streams", "apps", "left out", metric, "cost", "budget", "price", "status"], metric)
    for one in plan.boxes:
        table.add_row(*_plan_cells(plan, one))
    return table


def _plan_cells(plan: FleetPlan, one: BoxPlan) -> Iterator[str]:
    box, result = plan.fleet.boxes[one.box], one.result
    price = "-" if one.price is None else f"{one.price:.3g}"
    yield str(box.name)
    if result is None:
        yield from ("-", "0", "0", "-", "0", f"{box.budget:.6g}", price, "no stream")
        return
    yield ", ".join(plan.fleet.cameras[k].name for k in one.cameras)
    yield str(len(result.choices))
    yield str(len(result.left_out))
    yield f"{result.objective:.6f}"
    yield f"{result.cost:.6g}"
    yield f"{box.budget:.6g}"
    yield price
    yield result.status


def plan_totals(plan: FleetPlan) -> Iterator[str]:
    """Lines that sum up the whole fleet: how good the plan is, and how far from the best it can be at most."""
    apps = sum(0 if one.result is None else len(one.result.choices) for one in plan.boxes)
    loose = sum(not camera.placed for camera in plan.fleet.cameras)
    of_them = f", {loose} of them assigned to boxes here" if loose else ""
    yield f"fleet      {len(plan.boxes):,} boxes, {len(plan.fleet.cameras):,} streams{of_them}, {apps:,} apps run"
    kind = "smallest" if plan.aggregate == "min" else "mean"
    yield f"objective  {kind} {plan.metric} {plan.objective:.6f}, bound {plan.bound:.6f}, gap {max(0.0, plan.gap):.2e}"
    yield f"time       {plan.runtime_s:.3g} s"


def asked_table(asked: Sequence[Asked]) -> Table:
    """The answers as a table with a line for each runtime; headings say what is measured."""
    headings = ["box", "stream", "address", "state", "apps", "measured fps", "of", "measured ms/s", "trouble"]
    table = _table(headings, "measured fps", "measured ms/s")
    for one in asked:
        told = one.status
        apps = () if told is None else told.apps
        core = "-" if told is None or told.core_s is None else f"{1000 * told.core_s:.4g}"
        stopped = sum(app.stopped for app in apps)
        trouble = one.away or (told and told.trouble) or (f"{stopped} apps are stopped" if stopped else "")
        busy = ", deploying" if told is not None and told.deploying else ""
        table.add_row(
            one.runtime.box,
            one.runtime.stream,
            one.runtime.address,
            one.state + busy,
            str(len(apps)) if apps else "-",
            f"{sum(app.observed_fps for app in apps):.4g}" if apps else "-",
            f"{sum(app.target_fps for app in apps):.4g}" if apps else "-",
            core,
            printable(trouble).removeprefix(f"{one.runtime.address}: "),
        )
    return table


def outcome_line(outcome: Outcome) -> str:
    """The outcome on a box, in one line."""
    if outcome.state == "failed":
        return f"{outcome.box}: failed: {printable(' '.join((outcome.why or '').split()))}"
    if outcome.state != "deployed":
        return f"{outcome.box}: {outcome.state}"
    fps = sum(rate for one in outcome.observed.values() for rate in one.values())
    target = sum(rate for one in outcome.observed.values() for rate in one.plan.target_fps.values())
    core = "" if outcome.cores is None else f", {1000 * outcome.cores:.4g} ms/s"
    return f"{outcome.box}: deployed; measured {fps:.4g} of {target:.4g} fps{core}"


def counted(states: Sequence[str]) -> str:
    """How many are in each state, such as "3 deployed, 1 failed"."""
    return ", ".join(f"{len(list(same))} {state}" for state, same in groupby(sorted(states)))


def _table(headings: Sequence[str], *numbers: str) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in (*_NUMBERS, *numbers) else "left", no_wrap=True)
    return table
