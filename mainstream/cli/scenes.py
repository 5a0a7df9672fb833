"""``mainstream scenes``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from mainstream.cli import options
from mainstream.description import Description
from mainstream.errors import ProblemError
from mainstream.ranges import Count, Positive, StreamFps, Whole

_STAMPS: Final = Path("/usr/share/tuxpaint/stamps")
_MOST_EVENTS: Final = 100_000


class _Numbers(Description):
    num_events: Count
    seed: Whole
    fps: StreamFps
    event_s: Positive
    gap_s: Positive
    width: Count
    height: Count


def command(
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where the clips and labels go.", show_default=False)
    ],
    footage: Annotated[Path, typer.Option(metavar="CLIP", help="Real footage for the background.", show_default=False)],
    cutouts: Annotated[
        Path, typer.Option(metavar="DIR", help="A folder for each class, with photos cut out, PNG.")
    ] = _STAMPS,
    classes: options.ClassNames = "animals,plants,vehicles",
    events: Annotated[int, typer.Option("--num-events", metavar="N", help="Events of each clip.")] = 300,
    fps: options.Fps = 10,
    event_s: Annotated[float, typer.Option(metavar="SECONDS", help="Mean length of a visit.")] = 3,
    gap_s: Annotated[float, typer.Option(metavar="SECONDS", help="Mean length of a gap.")] = 4,
    width: Annotated[int, typer.Option(help="Pixels; even.")] = 160,
    height: Annotated[int, typer.Option(help="Pixels; even.")] = 120,
    seed: options.Seed = 0,
    quiet: options.Quiet = False,
) -> None:
    """Make two labelled clips, to train on and to test on.

    Photos enter, cross and leave over real footage. Writes train.mkv and test.mkv, beside each NAME.labels.csv
    (frame,label) and NAME.intervals.csv (start,end,label), and sources.csv, which says where each photo went: none is
    in both, and neither is a frame of the footage. Photos come from Debian's package tuxpaint-stamps-default, or any
    folder with a folder for each class.
    """
    import csv
    import io

    import numpy as np

    from mainstream.cli import console
    from mainstream.files import write_text
    from mainstream.scenes.cutouts import split_cutouts
    from mainstream.scenes.filming import film
    from mainstream.scenes.filming import footage as frames_of
    from mainstream.scenes.script import visits

    console.errors(quiet=quiet)
    screen = console.output(quiet=quiet)
    given = {"num_events": events, "seed": seed, "fps": fps, "event_s": event_s, "gap_s": gap_s}
    numbers = _Numbers.of({**given, "width": width, "height": height}, where="command line")
    if numbers.num_events > _MOST_EVENTS:
        raise ProblemError(f"--num-events {events}: at most {_MOST_EVENTS:,} are allowed")
    for name, side in (("--width", numbers.width), ("--height", numbers.height)):
        if side % 2 or not 32 <= side <= 4096:
            raise ProblemError(f"{name} {side}: it has to be an even number, 32 to 4096")
    if not cutouts.is_dir():
        hint = "; apt install tuxpaint-stamps-default" if cutouts == _STAMPS else ""
        raise ProblemError(f"{cutouts}: there is no such folder of cut-outs{hint}")
    if not footage.is_file():
        raise ProblemError(f"{footage}: there is no such file; give a clip")
    if not folder.parent.is_dir() or folder.is_file():
        raise ProblemError(f"{folder}: cannot be made a folder")
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng([seed, 0])
    names = [name.strip() for name in classes.split(",")]
    split = split_cutouts(cutouts, list(dict.fromkeys(names)), random)
    size = numbers.width, numbers.height
    sources = io.StringIO()
    rows = csv.writer(sources, lineterminator="\n")
    rows.writerow(("file", "class", "clip"))
    for k, (name, chosen) in enumerate(split._asdict().items()):
        drawn = np.random.default_rng([seed, k + 1])
        labels = [one.label for one in chosen]
        plan = visits(numbers.num_events, labels, numbers.fps, numbers.event_s, numbers.gap_s, drawn)
        background = frames_of(footage, size, (k / 2, (k + 1) / 2))
        path = folder / f"{name}.mkv"
        found = film(path, background, plan, chosen, numbers.fps, size, drawn)
        of_class = ", ".join(f"{sum(one.label == label for one in found)} {label}" for label in dict.fromkeys(names))
        screen.print(f"{path}: {plan[-1].end:,} frames, {len(found)} events: {of_class}")
        rows.writerows((one.file, one.label, name) for one in chosen)
    write_text(folder / "sources.csv", sources.getvalue())
