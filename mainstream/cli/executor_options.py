"""``--engine local|ray`` and what belongs to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mainstream.errors import ProblemError

if TYPE_CHECKING:
    from mainstream.executors import Executor


class Engine(StrEnum):
    """Where the work is done."""

    LOCAL = "local"
    RAY = "ray"


EngineOption = Annotated[Engine, typer.Option("--engine", help="This machine, or a Ray cluster.")]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="auto|ray://HOST:PORT",
        help="For --engine ray: the cluster that this machine is part of, or one elsewhere; else one is started here.",
        show_default=False,
    ),
]


def check(engine: Engine, address: str | None) -> None:
    """Find out before anything is done that the options do not go together, or that the extra is missing."""
    from mainstream._optional import require
    from mainstream.executors.cluster import EXTRA, check_address

    if engine is Engine.LOCAL:
        if address is not None:
            raise ProblemError("--address is for --engine ray; leave it out")
        return
    check_address(address)
    require("ray", EXTRA)


@contextmanager
def open_executor(engine: Engine, address: str | None, jobs: int = 1) -> Iterator[Executor | None]:
    """The executor; None where all is to be done in this process."""
    from mainstream.executors.local import Local
    from mainstream.executors.on_ray import OnRay

    if engine is Engine.LOCAL and jobs == 1:
        yield None
        return
    with Local(jobs) if engine is Engine.LOCAL else OnRay(address) as executor:
        yield executor
