"""``mainstream quantise``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mainstream.cli import options
from mainstream.cli.json_file import check_json, put_json
from mainstream.cli.package import as_plain


def command(
    package: Annotated[Path, typer.Argument(metavar="PACKAGE", help="Folder of the M-Package.", show_default=False)],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="New folder for the variant.", show_default=False)],
    images: options.Images,
    test_images: options.TestImages = None,
    groups: options.Groups = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Images to find the ranges of tensors with, the same for all apps that are to share a stem; else "
            "training images.",
            show_default=False,
        ),
    ] = None,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Make the int8 variant of a package.

    Its models are in 8 bits, for the engine onnx, and have a curve of their own. Give --images, --test-images and
    --groups as for the training: the curve is measured on the images that the package's was measured on.
    """
    from mainstream.cli import console
    from mainstream.trainer.quantisation import quantise

    check_json(json)
    screen = console.output(quiet=quiet, json=json)
    done = quantise(
        package,
        out,
        images,
        test_images=test_images,
        groups=groups,
        calibration=calibration,
        progress=screen.print,
    )
    screen.print(f"package {out}")
    plain = as_plain(done.package, done.curve) | {"kept": list(done.package.models)}
    put_json(lambda: {**plain, "before": done.before._asdict(), "folder": str(out)}, json)
