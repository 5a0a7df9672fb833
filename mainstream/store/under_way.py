"""Notes by which pushes and cleanings that run at the same time know of each other, in any process on any machine.

A push first leaves a note of the files that it needs, then looks whether a cleaning is under way. A cleaning first
leaves a note, then lists the files, the pushes under way, and the records, in this order. So if a push and a cleaning
run at the same time, at least one knows of the other:

- If the cleaning sees the push, it spares the push's files. If the push is over by then, the cleaning sees its record.
- If the push sees the cleaning, it uses no file that is there already, since that may be removed at any moment. It
  sends copies of its own, with keys that nobody else has. Either the copies were not there yet when the cleaning listed
  the files, or the note names them.

Nobody waits, and clocks do not matter, except for notes that a killed process leaves behind: a note older than a day is
ignored, and a push or a cleaning gives up after half a day.
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
    """A note about a push or a cleaning that is under way.

    Parameters
    ----------
    since : float
        When it began, in seconds since 1970.
    keys : sequence of str
        Keys of the model files that a push needs.
    """

    since: NonNegative
    keys: Annotated[tuple[str, ...], Field(max_length=10_000)] = ()


class UnderWay:
    """A push or a cleaning in this process, while its note is there.

    Attributes
    ----------
    key : str
        Key of the note; a word that nobody else has.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self._begun = monotonic()

    @classmethod
    @contextmanager
    def noted(cls, records: Records, kind: Kind, key: str, keys: tuple[str, ...] = ()) -> Iterator[Self]:
        """Leave a note, and remove it at the end of the ``with`` block."""
        own = cls(key)
        records.note(kind, key, as_json(Note(since=time(), keys=keys).model_dump()))
        try:
            yield own
        finally:
            records.drop(kind, key)

    def check(self) -> None:
        """Give up before others ignore the note.

        Raises
        ------
        ProblemError
            It has run for half a day.
        """
        if monotonic() - self._begun > _MOST_S:
            raise ProblemError("has taken half a day, so others may think it is dead; nothing was changed; try again")


def new_key() -> str:
    """A new word that nobody else has."""
    return uuid4().hex


def alive(records: Records, kind: Kind) -> dict[str, Note]:
    """The notes of what is under way, by key; old notes that were left behind are removed.

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
                raise ProblemError("not UTF-8 text") from None
        if time() - note.since > _FORGOTTEN_S:
            records.drop(kind, key)
        else:
            found[key] = note
    return found
