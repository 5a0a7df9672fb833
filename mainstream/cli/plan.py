"""``mainstream plan``, and what it shares with ``mainstream deploy``."""

from __future__ import annotations

from collections.abc import Mapping
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainstream.cli import options
from mainstream.cli.problem_file import ask, read_problem
from mainstream.errors import ProblemError

if TYPE_CHECKING:
    from mainstream.io import Problem
    from mainstream.schedule import Result
    from mainstream.streamer import NetPlan

    Plans = Mapping[str | None, NetPlan]


def command(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="PROBLEM.yaml|RESULT.json",
            help="A problem to solve, or a result saved by solve --json.",
            show_default=False,
        ),
    ],
    problem: Annotated[
        Path | None,
        typer.Option(metavar="PROBLEM.yaml", help="The problem that a RESULT.json answers.", show_default=False),
    ] = None,
    budget: options.Budget = None,
    utilisation: options.Utilisation = None,
    tree: Annotated[bool, typer.Option("--tree", help="Print it as a tree, for people.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.json", help="Write it there.", show_default=False)
    ] = None,
    quiet: options.Quiet = False,
    integer_fps: options.IntegerFps = False,
    store: options.StoreUrl = None,
) -> None:
    """Print the net plan of a schedule, as JSON.

    It is the request that Streamer takes. A result holds choices only; the model files of the apps and the layer names
    are in the problem that it answers. Of several streams there is a plan each, by the stream's name.
    """
    from mainstream.files import check_target, write_text

    if output is not None:
        check_target(output)
    if _is_result(file):
        if problem is None:
            raise ProblemError(f"{file} is a result; give the problem that it answers, too: --problem PROBLEM.yaml")
        for flag, value in (("--budget", budget), ("--utilisation", utilisation)):
            if value is not None:
                raise ProblemError(f"{file} is a result, solved with its own budget; leave {flag} out")
        plans = _plans_of_result(file, problem, store)
    else:
        if problem is not None:
            raise ProblemError(f"{file} is no result, so --problem has no use; leave it out")
        plans = plans_of_problem(file, {"budget": budget, "utilisation": utilisation}, store, quiet=quiet)
    if output is not None:
        write_text(output, written(plans, tree=False, integer_fps=integer_fps) + "\n")
    if tree or output is None:
        typer.echo(written(plans, tree=tree, integer_fps=integer_fps))


def plans_of_problem(
    file: Path, flags: Mapping[str, Any], store: str | None, *, calibrated: bool = True, quiet: bool = False
) -> Plans:
    """The net plans of a problem, which is solved first."""
    from mainstream.cli import console
    from mainstream.files import naming

    errors = console.errors(quiet=quiet)
    asked = ask(file, flags, store=store, calibrated=calibrated)
    asked.needs_budget()
    with naming(file), console.Watch(errors, quiet=quiet) as watch:
        return _plans(asked.prepare().solve(**asked.how(), progress=watch), asked.problem)


def _plans_of_result(file: Path, problem: Path, store: str | None) -> Plans:
    from mainstream.files import naming
    from mainstream.io import load_result

    result = load_result(file)
    described = read_problem(problem, store)
    with naming(problem):
        return _plans(result, described)


def _plans(result: Result, described: Problem) -> Plans:
    from mainstream.streamer import net_plans

    each = described.by_precision
    if result.precision is not None and result.precision not in each:
        raise ProblemError(f"the result is in {result.precision}, the problem in {' and '.join(each)}")
    chosen = next(iter(each.values())) if result.precision is None else each[result.precision]
    return net_plans(result, chosen.to_solve())


def written(plans: Plans, *, tree: bool, integer_fps: bool) -> str:
    """Net plans as text: the plan itself for one camera, plans by name for several streams."""
    if integer_fps:
        plans = {name: plan.with_integer_fps() for name, plan in plans.items()}
    if None in plans:
        return plans[None].tree() if tree else plans[None].to_json()
    if tree:
        return "\n".join(f"{name}\n{plan.tree()}" for name, plan in plans.items())
    return "{" + ",\n".join(f"{dumps(name)}:\n{plan.to_json()}" for name, plan in plans.items()) + "}"


def _is_result(file: Path) -> bool:
    """Whether a file holds a result and not a problem, which may also be JSON."""
    from mainstream.files import parse

    if file.suffix.lower() != ".json":
        return False
    content = parse(file)
    return isinstance(content, dict) and "format" in content
