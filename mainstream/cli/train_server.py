"""``mainstream train-server``."""

from __future__ import annotations

from typing import Annotated

import typer

from mainstream.cli import options
from mainstream.ranges import Range


def command(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: options.Port = 8265,
    cpus: options.Cpus = None,
    gpus: options.Gpus = None,
) -> None:
    """Take trainings from other machines.

    They come from `mainstream train --server`, until Ctrl-C. This is the head of a Ray cluster: who has the token,
    ~/.ray/auth_token, may run any command here. It is made at the first start. Jobs may take all of this machine unless
    --cpus or --gpus say less.
    """
    from mainstream.executors.server import serve

    Range(1, 65535, whole=True).check("--port", port)
    whole_gpus = None if gpus is None else int(gpus)
    for name, number in (("--cpus", cpus), ("--gpus", whole_gpus if gpus == whole_gpus else gpus)):
        Range(0, 4096, whole=True).check(name, number or 0)
    serve(host, port, cpus, whole_gpus, lambda url: typer.echo(f"training server on {url}"))
