"""The log of a server that runs for months: lines for people, or JSON for programs that collect logs."""

from __future__ import annotations

import json
import logging
import sys
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_OURS = "mainstream"


class LogForm(StrEnum):
    """The form of the log's lines."""

    TEXT = "text"
    JSON = "json"


class _Json(logging.Formatter):
    """One JSON object a line: time in seconds since 1970, level, where, message, and the error behind it."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _OneLine(logging.Formatter):
    """A line for people, without the error behind it."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {record.getMessage()}"


class Log:
    """Writes messages to stderr, and the package's own warnings in the same form.

    Parameters
    ----------
    form : LogForm
    screen : Console
        Of stderr.
    quiet : bool
        Say nothing but errors.
    """

    def __init__(self, form: LogForm, screen: Console, *, quiet: bool = False) -> None:
        self._form = form
        self._screen = screen
        self._quiet = quiet
        self._last: dict[str, str] = {}
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Json() if form is LogForm.JSON else _OneLine())
        logger = logging.getLogger(_OURS)
        logger.handlers = [handler]
        logger.setLevel(logging.ERROR if quiet else logging.INFO)
        logger.propagate = False

    def say(self, text: str) -> None:
        """Say what is no warning."""
        if self._quiet:
            return
        if self._form is LogForm.JSON:
            logging.getLogger(_OURS).info(text)
        else:
            self._screen.print(text)

    def fail(self, text: str) -> None:
        """Say the error that ends the command."""
        if self._form is LogForm.JSON:
            logging.getLogger(_OURS).error(text)
        else:
            self._screen.print(text)

    def say_new(self, text: str) -> None:
        """Log what holds from now on, unless the last message here with the same first word was the same."""
        word = text.split(maxsplit=1)[0]
        if self._last.get(word) != text:
            self._last[word] = text
            self.say(text)
