"""``--executor local|ray`` and what belongs to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mainstream.errors import ProblemError

if TYPE_CHECKING:
    from mainstream.executors import Executor


class Where(StrEnum):
    """Where the work is done."""

    LOCAL = "local"
    RAY = "ray"


ExecutorOption = Annotated[Where, typer.Option("--executor", help="Work on this machine, or in a Ray cluster.")]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="auto|ray://HOST:PORT",
        help="For --executor ray: auto for the cluster of this machine, or another's; else one is started here.",
        show_default=False,
    ),
]


def check(executor: Where, address: str | None) -> None:
    """Before any work, raise an error if the options do not go together, or if the extra is missing."""
    from mainstream._optional import require
    from mainstream.executors.cluster import EXTRA, check_address

    if executor is Where.LOCAL:
        if address is not None:
            raise ProblemError("--address is for --executor ray; leave it out")
        return
    check_address(address)
    require("ray", EXTRA)


@contextmanager
def open_executor(executor: Where, address: str | None, jobs: int = 1) -> Iterator[Executor | None]:
    """The executor; None if this process does all the work."""
    from mainstream.executors.local import Local
    from mainstream.executors.on_ray import OnRay

    if executor is Where.LOCAL and jobs == 1:
        yield None
        return
    with Local(jobs) if executor is Where.LOCAL else OnRay(address) as opened:
        yield opened
