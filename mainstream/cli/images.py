"""``mainstream images``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mainstream.cli import options
from mainstream.errors import ProblemError


def command(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="A video file.", show_default=False)],
    labels: options.Labels,
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="New folder for the images.", show_default=False)
    ],
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Take each N-th frame.")] = 1,
    nothing: Annotated[str, typer.Option(metavar="NAME", help="Label of frames in no interval or box.")] = "nothing",
    region: Annotated[
        str,
        typer.Option(metavar="X,Y,W,H", help="Part of the frame, as shares of it."),
    ] = "0,0,1,1",
    inside: options.Inside = 0.5,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Category of the boxes that count; what to call those of MOT.", show_default=False
        ),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Cut images to train on out of a labelled clip.

    The folder gets a subfolder for each label. Frames are written whole; `mainstream train --region` takes its part of
    them. Of boxes those count that lie in --region far enough: best the region that the app is to have. Frames under
    one label, one after the other, are a group in DIR/groups.csv, which is for `mainstream train --groups`.
    """
    from mainstream.cli import console
    from mainstream.formats.boxes import Region
    from mainstream.labelling.frames import GROUPS, save_frames

    if not clip.is_file():
        raise ProblemError(f"{clip}: there is no such file; give a clip")
    where = Region.parse(region, inside, f"--region {region} --inside {inside:g}")
    counts = save_frames(clip, labels, folder, every=every, nothing=nothing, region=where, box_label=label)
    screen = console.output(quiet=quiet)
    width = max(map(len, counts))
    for name, count in sorted(counts.items()):
        screen.print(f"{name:<{width}}  {count:,} images")
    screen.print(f"groups     {folder / GROUPS}")
