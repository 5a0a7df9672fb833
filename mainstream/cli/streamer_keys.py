"""``mainstream streamer-keys``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to make; may exist, but empty.", show_default=False)
    ],
) -> None:
    """Make keys: a server with them answers known clients only.

    They are CURVE keys, and encrypt what is sent. Both take the folder as --curve-keys DIR. On another machine the
    client's folder needs two of the files only.
    """
    from mainstream.streamer.keys import write_keys

    write_keys(folder)
    typer.echo(f"server  keep {folder}; mainstream streamer --curve-keys {folder} lets in whose *.key lies there")
    typer.echo(f"client  copy {folder / 'client.key_secret'} and {folder / 'server.key'} into a folder on its machine")
    typer.echo("        and run mainstream deploy --curve-keys with it; the two *.key_secret are for nobody else")
