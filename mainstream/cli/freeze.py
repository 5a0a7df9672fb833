"""``mainstream freeze``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL.keras|PREFIX",
            help="A Keras file; a SavedModel folder; PREFIX of PREFIX.json and .h5, or of PREFIX.ckpt.meta and .ckpt.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.pb",
            help="The graph; else MODEL.pb or PREFIX-frozen.pb.",
            show_default=False,
        ),
    ] = None,
    tensor: Annotated[
        str | None,
        typer.Option(
            "--tensor", metavar="NAME", help="Output of a TensorFlow 1 graph that has several.", show_default=False
        ),
    ] = None,
) -> None:
    """Write the frozen graph of a model: one .pb file.

    A runtime can cut it at its chokepoints.
    """
    from mainstream.trainer.freeze import freeze

    made = freeze(model, output, output=tensor)
    places = f"{len(made.chokepoints)} chokepoints by name" if made.chokepoints else "no chokepoints by name"
    typer.echo(f"{made.path}: from {made.input_layer} to {made.output_layer}, {places}")
