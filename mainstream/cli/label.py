"""``mainstream label``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mainstream.cli import options
from mainstream.errors import ProblemError

_USUAL_FPS = 10.0


def command(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="A video file.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE.csv", help="Labels; else CLIP.labels.csv beside it.", show_default=False
        ),
    ] = None,
    classes: options.ClassNames = "event",
    port: options.Port = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
) -> None:
    """Mark in the browser what a clip shows, and when.

    Opens a page on which keys mark intervals. Writes the intervals as CSV start,end,label: frames counted from 0 as the
    runtime counts them, `end` the first after the interval. Every change is saved at once, and a file that is there is
    continued; Ctrl-C ends it. The page is seen by this machine only and needs no network. At most 9 classes; port 0 is
    any that is free.
    """
    import secrets
    import socket
    import webbrowser
    from tempfile import TemporaryDirectory

    from mainstream.files import check_target
    from mainstream.formats.intervals import Interval
    from mainstream.labelling.pictures import Pictures
    from mainstream.labelling.server import HOST, application, server
    from mainstream.ranges import Range
    from mainstream.streamer.decoding import VideoReader

    Range(0, 65535, whole=True).check("--port", port)
    names = [name.strip() for name in classes.split(",")]
    if len(names) > 9 or len(set(names)) < len(names):
        raise ProblemError(f"--classes {classes}: it has to be 1 to 9 names that differ")
    for name in names:
        Interval.of({"start": 0, "end": 1, "label": name}, where="--classes")
    if not clip.is_file():
        raise ProblemError(f"{clip}: there is no such file; give a clip")
    labels = output or clip.with_name(f"{clip.name}.labels.csv")
    check_target(labels)
    with (
        VideoReader(str(clip), str(clip)) as reader,
        TemporaryDirectory(prefix="mainstream-label-") as folder,
        socket.socket() as listening,
    ):
        word = secrets.token_urlsafe(16)
        page = application(Pictures(reader, Path(folder)), reader.fps or _USUAL_FPS, names, labels, word)
        serving = server(page)
        try:
            listening.bind((HOST, port))
            listening.listen()
        except OSError as error:
            raise ProblemError(f"--port {port}: {error.strerror}; give another, or 0") from None
        address = f"http://{HOST}:{listening.getsockname()[1]}/{word}/"
        typer.echo(f"page       {address}")
        typer.echo(f"labels     {labels}")
        if browser:
            webbrowser.open(address)
        serving.run(sockets=[listening])
