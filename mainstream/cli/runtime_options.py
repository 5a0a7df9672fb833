"""The flags of a runtime in this process, for the commands that have one."""

from __future__ import annotations

from typing import Annotated

import typer

from mainstream.cli.log import LogForm

Results = Annotated[
    str | None,
    typer.Option(metavar="FILE|-", help="Add a JSON line to it for each app and frame.", show_default=False),
]
Metrics = Annotated[
    str | None,
    typer.Option(metavar="[HOST:]PORT", help="Answer Prometheus there; HOST is 127.0.0.1.", show_default=False),
]
LogAs = Annotated[LogForm, typer.Option("--log", help="How to say what happens, on stderr.")]
