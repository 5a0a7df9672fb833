"""The flags of a runtime in this process, for the commands that have one."""

from __future__ import annotations

from typing import Annotated

import typer

Once = Annotated[bool, typer.Option("--once", help="Play a clip once, and end with it; else it loops.")]
TrustModels = Annotated[
    bool, typer.Option("--trust-models", help="Run models that may do more than compute: touch files, loop.")
]
Threads = Annotated[
    int | None,
    typer.Option(metavar="N", help="Frames in work at a time; else one a core.", show_default=False),
]
Results = Annotated[
    str | None,
    typer.Option(metavar="FILE|-", help="Add a JSON line to it for each app and frame.", show_default=False),
]
Metrics = Annotated[
    str | None,
    typer.Option(metavar="[HOST:]PORT", help="Answer Prometheus there; HOST is 127.0.0.1.", show_default=False),
]
