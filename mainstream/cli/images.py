"""``mainstream images``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mainstream.errors import ProblemError


def command(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="A video file.", show_default=False)],
    labels: Annotated[
        Path, typer.Option(metavar="FILE.csv", help="Its labels: frame,label or start,end,label.", show_default=False)
    ],
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="New folder for the images.", show_default=False)
    ],
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Take each N-th frame.")] = 1,
    nothing: Annotated[str, typer.Option(metavar="NAME", help="Label of frames in no interval.")] = "nothing",
) -> None:
    """Cut images to train on out of a labelled clip: a subfolder for each label.

    Frames are written whole; `mainstream train --region` takes its part of them. Those under one label, one after the
    other, are a group in DIR/groups.csv, which is for `mainstream train --groups`.
    """
    from mainstream.labelling.frames import GROUPS, save_frames

    if not clip.is_file():
        raise ProblemError(f"{clip}: there is no such file; give a clip")
    counts = save_frames(clip, labels, folder, every=every, nothing=nothing)
    width = max(map(len, counts))
    for label, count in sorted(counts.items()):
        typer.echo(f"{label:<{width}}  {count:,} images")
    typer.echo(f"groups     {folder / GROUPS}")
