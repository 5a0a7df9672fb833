"""``mainstream quantise``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    package: Annotated[Path, typer.Argument(metavar="PACKAGE", help="Folder of the M-Package.", show_default=False)],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="New folder for the variant.", show_default=False)],
    images: Annotated[
        Path, typer.Option(metavar="DIR", help="The images that it was trained with.", show_default=False)
    ],
    test_images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Those that it was measured on, if it was given any.", show_default=False),
    ] = None,
    groups: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="As for the training.", show_default=False)
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Images to find the ranges of tensors with, the same for all apps that are to share a stem; else "
            "training images.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make the int8 variant of an M-Package: its models in 8 bits for the engine onnx, and a curve of their own.

    The curve is measured on the images that the package's was measured on.
    """
    from mainstream.trainer.quantisation import quantise

    quantise(
        package,
        out,
        images,
        test_images=test_images,
        groups=groups,
        calibration=calibration,
        progress=typer.echo,
    )
    typer.echo(f"package {out}")
