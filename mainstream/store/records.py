"""The interface that a store needs from the place that holds its metadata."""

from __future__ import annotations

import json
import re
from typing import Final, Literal, Protocol

from mainstream.errors import ProblemError

Kind = Literal["pushing", "cleaning"]

LARGEST: Final = 2**22
"""The most bytes of a record or a note; a record with a hundred chokepoints has 20,000."""


LARGEST_NUMBER: Final = 10**9 - 1
TRIES: Final = 1000
"""How many numbers in a row others may take before an addition gives up."""


class Records(Protocol):
    """Small texts by name and number, and notes about pushes and cleanings that are under way.

    A reader sees each text whole or not at all. Whoever asks after a write sees what was written.
    """

    def identity(self) -> str:
        """A text that no other store's records have; it never changes."""
        ...

    def names(self) -> list[str]:
        """All names that have records or once had some."""
        ...

    def numbers(self, name: str) -> list[int]:
        """The numbers of a name's records, increasing."""
        ...

    def read(self, name: str, number: int) -> bytes | None:
        """A record; None if there is no such record."""
        ...

    def add(self, name: str, record: bytes) -> int:
        """Add a record; its number is larger than any that the name ever had, and nobody else gets it.

        Raises
        ------
        ProblemError
            The name has no numbers left.
        """
        ...

    def remove(self, name: str, number: int) -> bool:
        """Remove a record, and say whether there was one; its number is not used again."""
        ...

    def note(self, kind: Kind, key: str, text: bytes) -> None:
        """Leave a note."""
        ...

    def notes(self, kind: Kind) -> dict[str, bytes]:
        """The notes of a kind, by key."""
        ...

    def drop(self, kind: Kind, key: str) -> None:
        """Remove a note."""
        ...


def as_number(text: str) -> int | None:
    """The text as the number of a record; None if it is not one."""
    return int(text) if re.fullmatch("[1-9][0-9]{0,8}", text) else None


def no_number(name: str) -> ProblemError:
    """The error to raise when an addition finds no number."""
    return ProblemError(
        f"{name}: no version number is left, or others took {TRIES:,} numbers in a row; try again, or use another name"
    )


def as_json(values: object, *, sort_keys: bool = False) -> bytes:
    """Plain values as JSON text; with `sort_keys`, equal values give equal text, whatever the order of their keys."""
    return json.dumps(values, sort_keys=sort_keys, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
