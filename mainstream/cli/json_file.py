"""``--json FILE``: an answer as JSON in a file, or on stdout with nothing else on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

STDOUT = "-"


def check_json(file: str | None) -> None:
    """Before the work, raise :class:`ProblemError` if the file could not be written after it."""
    from mainstream.files import check_target

    if file not in (None, STDOUT):
        check_target(Path(str(file)))


def put_json(answer: Callable[[], Any], file: str | None) -> None:
    """Write the plain values that `answer` gives there; for None, write nothing."""
    from mainstream.files import write_text

    if file is None:
        return
    text = json.dumps(answer(), indent=1, allow_nan=False)
    if file == STDOUT:
        typer.echo(text)
    else:
        write_text(Path(file), text + "\n")
