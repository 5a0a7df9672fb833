"""``mainstream train-server``."""

from __future__ import annotations

from typing import Annotated

import typer

from mainstream.ranges import Range


def command(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of the job API.")] = 8265,
    cpus: Annotated[
        int | None, typer.Option(metavar="N", help="CPUs for jobs; else all of this machine.", show_default=False)
    ] = None,
    gpus: Annotated[
        int | None, typer.Option(metavar="N", help="GPUs for jobs; else all of this machine.", show_default=False)
    ] = None,
) -> None:
    """Take trainings from `mainstream train --server`, until Ctrl-C: the head of a Ray cluster.

    Who has the token, ~/.ray/auth_token, may run any command here. It is made at the first start.
    """
    from mainstream.executors.server import serve

    Range(1, 65535, whole=True).check("--port", port)
    for name, number in (("--cpus", cpus), ("--gpus", gpus)):
        Range(0, 4096, whole=True).check(name, number or 0)
    serve(host, port, cpus, gpus, lambda url: typer.echo(f"training server on {url}"))
