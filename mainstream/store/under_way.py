"""Pushes and cleanings that run at the same time, in any processes, on any machines.

A push leaves a note of the files that it needs, and only then looks whether a cleaning is under way. A cleaning leaves
a note, and only then looks which files there are, which pushes are under way, and which records there are, in this
order. So of a push and a cleaning at the same time, at least one knows of the other:

- The cleaning sees the push, and spares its files. Where the push is over, it sees the record.
- The push sees the cleaning, and names no file that is there already, for it may go at any moment: it sends a copy of
  its own, with a key that nobody else has. When the cleaning looked, that copy was not there yet, or was in the note.

Nobody waits, and no clock decides, but for what a killed process leaves behind: a note older than a day counts for
nothing, and a push or a cleaning that has run half a day gives up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, time
from typing import Annotated, Final, Self
from uuid import uuid4

from pydantic import Field

from mainstream.description import Description
from mainstream.errors import ProblemError
from mainstream.files import json_values, naming
from mainstream.ranges import NonNegative
from mainstream.store.records import Kind, Records, as_json

_MOST_S: Final = 12 * 3600.0
_FORGOTTEN_S: Final = 24 * 3600.0


class Note(Description):
    """What is under way.

    Parameters
    ----------
    since : float
        When it began, in seconds since 1970.
    keys : sequence of str
        Of the model files that a push needs.
    """

    since: NonNegative
    keys: Annotated[tuple[str, ...], Field(max_length=10_000)] = ()


class UnderWay:
    """A push or a cleaning of this process, while its note is there.

    Attributes
    ----------
    key : str
        Of the note; a word that nobody else has.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self._begun = monotonic()

    @classmethod
    @contextmanager
    def noted(cls, records: Records, kind: Kind, key: str, keys: tuple[str, ...] = ()) -> Iterator[Self]:
        """Leave a note for as long as this goes on."""
        own = cls(key)
        records.note(kind, key, as_json(Note(since=time(), keys=keys).model_dump()))
        try:
            yield own
        finally:
            records.drop(kind, key)

    def check(self) -> None:
        """Give up before others take this for dead.

        Raises
        ------
        ProblemError
            It has run for half a day.
        """
        if monotonic() - self._begun > _MOST_S:
            raise ProblemError("has taken half a day, and others may take it for dead; nothing was changed; try again")


def new_key() -> str:
    """A word that nobody else has."""
    return uuid4().hex


def alive(records: Records, kind: Kind) -> dict[str, Note]:
    """What is under way, by key; notes that were left behind are taken away.

    Raises
    ------
    ProblemError
        A note is damaged.
    """
    found = {}
    for key, text in records.notes(kind).items():
        with naming(f"the note {kind}/{key} in the store is damaged; remove it"):
            try:
                note = Note.of(json_values(text.decode()), where="note")
            except UnicodeDecodeError:
                raise ProblemError("no UTF-8 text") from None
        if time() - note.since > _FORGOTTEN_S:
            records.drop(kind, key)
        else:
            found[key] = note
    return found
