"""What a store needs from the place that holds its metadata."""

from __future__ import annotations

import json
import re
from typing import Final, Literal, Protocol

from mainstream.errors import ProblemError

Kind = Literal["pushing", "cleaning"]

LARGEST: Final = 2**22
"""Bytes of a record or a note; one of a hundred chokepoints has 20,000."""


LARGEST_NUMBER: Final = 10**9 - 1
TRIES: Final = 1000
"""Numbers that others may take first, one after the other."""


class Records(Protocol):
    """Small texts by name and number, and notes of what is under way.

    Each is whole or not there, for every reader at every moment. What was written is seen by all who ask afterwards.
    """

    def identity(self) -> str:
        """What tells these records from those of any other store; it stays the same."""
        ...

    def names(self) -> list[str]:
        """Of what has records or once had."""
        ...

    def numbers(self, name: str) -> list[int]:
        """Of the records of a name, increasing."""
        ...

    def read(self, name: str, number: int) -> bytes | None:
        """A record; None where there is none."""
        ...

    def add(self, name: str, record: bytes) -> int:
        """Keep a record; its number is larger than any that the name ever had, and nobody else gets it.

        Raises
        ------
        ProblemError
            The numbers of the name have come to their end.
        """
        ...

    def remove(self, name: str, number: int) -> bool:
        """Remove a record, whose number is not given again; whether there was one."""
        ...

    def note(self, kind: Kind, key: str, text: bytes) -> None:
        """Leave a note."""
        ...

    def notes(self, kind: Kind) -> dict[str, bytes]:
        """The notes of a kind, by key."""
        ...

    def drop(self, kind: Kind, key: str) -> None:
        """Take a note away."""
        ...


def as_number(text: str) -> int | None:
    """The number of a record; None where a text is none."""
    return int(text) if re.fullmatch("[1-9][0-9]{0,8}", text) else None


def no_number(name: str) -> ProblemError:
    """What an addition raises that finds no number."""
    return ProblemError(f"{name}: has no number left, or {TRIES:,} others took one first; try again, or another name")


def as_json(values: object, *, sort_keys: bool = False) -> bytes:
    """The JSON text of plain values; with `sort_keys`, one text for equal values, whatever the order of their keys."""
    return json.dumps(values, sort_keys=sort_keys, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
