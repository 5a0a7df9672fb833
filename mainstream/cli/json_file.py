"""``--json FILE``: an answer as JSON in a file, or on stdout with nothing else on it."""

from __future__ import annotations

from pathlib import Path

import typer

from mainstream.files import check_target, write_text

STDOUT = "-"


def check_json(file: str | None) -> None:
    """Raise :class:`ProblemError` before the work where the file cannot be written after it."""
    if file not in (None, STDOUT):
        check_target(Path(str(file)))


def put_json(text: str, file: str | None) -> None:
    """Put the text there; nowhere for None."""
    if file == STDOUT:
        typer.echo(text)
    elif file is not None:
        write_text(Path(file), text + "\n")
