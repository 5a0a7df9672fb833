"""Cleans what is printed: names, and answers of servers, may hold characters that a terminal would obey."""

from __future__ import annotations

import sys
from typing import Any


class Cleaned:
    """A text stream that writes such characters as escapes: for ``print``, ``typer.echo`` and logs.

    Rich writes escape sequences of its own, so its consoles bypass this stream. Ours clean their text themselves, see
    :class:`mainstream.result_text.PlainConsole`.

    Parameters
    ----------
    stream : text stream

    Attributes
    ----------
    rich_proxied_file : text stream
        The stream itself: rich looks for this name.
    """

    def __init__(self, stream: Any) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        """Write a text."""
        if not text.replace("\n", "").isprintable():
            from mainstream.description import printable

            text = printable(text, but="\n\t")
        return int(self.rich_proxied_file.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


def clean_output() -> None:
    """From now on stdout and stderr are clean."""
    sys.stdout, sys.stderr = Cleaned(sys.stdout), Cleaned(sys.stderr)
