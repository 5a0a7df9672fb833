"""``mainstream fleet``: many boxes at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mainstream.cli import options
from mainstream.cli.exit_codes import BAD_INPUT
from mainstream.cli.json_file import check_json, put_json
from mainstream.ranges import COUNT, SECONDS, WHOLE

if TYPE_CHECKING:
    from rich.console import Console

    from mainstream.fleet.boxes import Runtime
    from mainstream.fleet.fleet import Fleet
    from mainstream.fleet.planning import FleetPlan

app = typer.Typer(
    help="Plan, deploy and watch many boxes at once.",
    rich_markup_mode=None,
    add_completion=False,
)

FleetFile = Annotated[Path, typer.Argument(metavar="FLEET.yaml", help="Fleet file, YAML or JSON.", show_default=False)]
Plans = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Plans that fleet plan -o wrote; else the fleet is solved first.", show_default=False
    ),
]


@app.callback()
def _group() -> None:
    """Plan, deploy and watch many boxes at once."""


@app.command()
def plan(
    fleet: FleetFile,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Write BOX.json there, its net plans.", show_default=False),
    ] = None,
    json: options.Json = None,
    jobs: options.Jobs = None,
    quiet: options.Quiet = False,
    store: options.StoreUrl = None,
) -> None:
    """Put cameras on boxes and solve each box.

    A camera that may be on several boxes goes where prices of the budgets say; the gap is how far the whole is from the
    best at most. `price` is what one more of a box's budget would bring to the objective. Without --jobs, as many boxes
    are solved at a time as there are cores.
    """
    from mainstream.cli import console
    from mainstream.cli.ending import interruptible
    from mainstream.files import naming
    from mainstream.fleet.plan_files import check_folder, save_plans
    from mainstream.fleet.text import plan_table, plan_totals

    screen = console.output(quiet=quiet, json=json)
    if jobs is not None:
        COUNT.check("--jobs", jobs)
    if output is not None:
        check_folder(output)
    check_json(json)
    with interruptible():
        made = _solved(fleet, store, jobs, quiet=quiet)
        with naming(fleet):
            plans = None if output is None else made.net_plans()
    if plans is not None and output is not None:
        save_plans(plans, output)
    put_json(made.to_dict, json)
    screen.print(plan_table(made))
    for line in plan_totals(made):
        screen.print(line)
    if output is not None:
        screen.print(f"written    {len(made.boxes):,} files in {output}")


@app.command()
def deploy(
    fleet: FleetFile,
    plans: Plans = None,
    at_once: Annotated[int, typer.Option(metavar="N", help="Boxes to which plans are sent at a time.")] = 10,
    max_failures: Annotated[
        int, typer.Option(metavar="K", help="Begin no other box once so many have failed; those away count.")
    ] = 1,
    retries: options.Retries = 0,
    timeout: options.Timeout = 60,
    curve_keys: options.CurveKeys = None,
    json: options.Json = None,
    quiet: options.Quiet = False,
    store: options.StoreUrl = None,
) -> None:
    """Send each box its plan, some boxes at a time.

    Boxes that run theirs already are left alone, so the same command again, after a failure, goes on with those that
    are missing. Ends with 2 unless all boxes run their plans.
    """
    from mainstream.cli import console
    from mainstream.cli.ending import interruptible
    from mainstream.files import naming
    from mainstream.fleet.deploying import deploy_fleet
    from mainstream.fleet.text import counted, outcome_line

    with naming("command line"):
        COUNT.check("--at-once", at_once)
        COUNT.check("--max-failures", max_failures)
        WHOLE.check("--retries", retries)
        SECONDS.check("--timeout", timeout)
    check_json(json)
    screen, errors = console.output(quiet=quiet, json=json), console.errors(quiet=quiet)
    with interruptible():
        outcomes = deploy_fleet(
            _runtimes(fleet, plans, store, quiet=quiet),
            at_once=at_once,
            max_failures=max_failures,
            timeout_s=timeout,
            ask_timeout_s=min(timeout, _ASK_S),
            retries=retries,
            curve_keys=curve_keys,
            progress=lambda one: screen.print(outcome_line(one)),
        )
    put_json(lambda: [one.to_dict() for one in outcomes], json)
    screen.print(f"ended      {counted([one.state for one in outcomes])}")
    failed = [one for one in outcomes if one.state == "failed"]
    if failed:
        left = sum(one.state == "not begun" for one in outcomes)
        behind = f"; {left} not begun, as {max_failures} may fail at most (--max-failures)" if left else ""
        first = outcome_line(failed[0]).removeprefix(f"{failed[0].box}: failed: ")
        _end(errors, fleet, len(outcomes), "failed", [one.box for one in failed], f"{first}{behind}")


@app.command()
def status(
    fleet: FleetFile,
    plans: Plans = None,
    timeout: options.Timeout = 5,
    curve_keys: options.CurveKeys = None,
    json: options.Json = None,
    quiet: options.Quiet = False,
    store: options.StoreUrl = None,
) -> None:
    """Ask every box what it runs.

    Shows whether each is there, whether its plan is the one wanted, and what was measured. 64 boxes are asked at a
    time. Ends with 2 unless all boxes run their plans.
    """
    from mainstream.cli import console
    from mainstream.cli.ending import interruptible
    from mainstream.files import naming
    from mainstream.fleet.boxes import ask_all
    from mainstream.fleet.text import asked_table, counted

    with naming("command line"):
        SECONDS.check("--timeout", timeout)
    check_json(json)
    screen, errors = console.output(quiet=quiet, json=json), console.errors(quiet=quiet)
    with interruptible():
        runtimes = _runtimes(fleet, plans, store, quiet=quiet)
        asked = ask_all(runtimes, timeout_s=timeout, curve_keys=curve_keys)
    screen.print(asked_table(asked))
    screen.print(f"{len(asked)} runtimes: {counted([one.state for one in asked])}")
    put_json(lambda: [one.to_dict() for one in asked], json)
    wrong = [one for one in asked if one.state != "as planned"]
    if wrong:
        boxes = len({one.runtime.box for one in asked})
        why = wrong[0].away or f"stream {wrong[0].runtime.stream}: {wrong[0].state}"
        names = list(dict.fromkeys(one.runtime.box for one in wrong))
        _end(errors, fleet, boxes, "are not as planned" if len(names) > 1 else "is not as planned", names, why)


_ASK_S = 5.0
"""How many seconds may pass to ask a box what it runs before it is sent its plan."""


def _end(errors: Console, fleet: Path, boxes: int, what: str, names: Sequence[str], why: str) -> None:
    """Say in one line what is wrong, and end with the exit code."""
    from mainstream.ids import id_list

    errors.print(
        f"mainstream: {fleet}: {len(names)} of {boxes} boxes {what}: {id_list(names)}: {' '.join(why.split())}"
    )
    raise typer.Exit(BAD_INPUT)


def _runtimes(file: Path, plans: Path | None, store: str | None, *, quiet: bool) -> list[Runtime]:
    """The runtimes of a fleet and their plans, which are read from files or made now."""
    from mainstream.files import naming
    from mainstream.fleet.boxes import runtimes_of
    from mainstream.fleet.plan_files import load_plans

    if plans is not None:
        fleet = _loaded(file, store)
        wanted = load_plans(fleet, plans)
    else:
        made = _solved(file, store, None, quiet=quiet)
        fleet = made.fleet
        with naming(file):
            wanted = made.net_plans()
    with naming(file):
        return runtimes_of(fleet, wanted)


def _solved(file: Path, store: str | None, threads: int | None, *, quiet: bool) -> FleetPlan:
    from mainstream.cli import console
    from mainstream.files import naming
    from mainstream.fleet.planning import plan_fleet

    console.errors(quiet=quiet)
    fleet = _loaded(file, store)
    with naming(file):
        return plan_fleet(fleet, threads=threads)


def _loaded(file: Path, store: str | None) -> Fleet:
    from mainstream.fleet.fleet_file import load_fleet

    def fetch(name: str) -> Path:
        from mainstream.store import open_store

        return open_store(store).fetch(name)

    return load_fleet(file, fetch=fetch)
