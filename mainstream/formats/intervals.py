"""Labelled intervals of frames: CSV with the columns start, end, label; `end` is the first frame after the interval."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, model_validator

from mainstream.description import Description, refuse, shown
from mainstream.errors import ProblemError
from mainstream.files import csv_rows, naming, read_text, write_text
from mainstream.ranges import Whole

MOST: Final = 100_000
"""The most intervals in a file."""
_LARGEST: Final = 2**24
_LONGEST: Final = 100
_COLUMNS: Final = ("start", "end", "label")


def _word(label: str) -> str:
    if not label.strip() or len(label) > _LONGEST or not label.isprintable():
        raise refuse(f"it has to be 1 to {_LONGEST} printable characters")
    return label


Label = Annotated[str, AfterValidator(_word)]


class Interval(Description):
    """Successive frames with one label.

    Parameters
    ----------
    start, end : int
        The first frame, and the first frame after the last.
    label : str
    """

    start: Whole
    end: Whole
    label: Label

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end <= self.start:
            raise refuse(f"end {self.end} is not after start {self.start}")
        return self


def intervals_of(given: Any) -> tuple[Interval, ...]:
    """Make intervals from plain values, in order of time.

    Raises
    ------
    ProblemError
        `given` is not a list of intervals, has too many, or two with the same label overlap.
    """
    if not isinstance(given, list) or len(given) > MOST:
        raise ProblemError(f"labels: got {shown(given)}; it has to be a list of at most {MOST:,} intervals")
    found = sorted(
        (Interval.of(one, where=f"labels[{i}]") for i, one in enumerate(given)), key=lambda one: (one.start, one.end)
    )
    ends: dict[str, int] = {}
    for one in found:
        if one.start < ends.get(one.label, 0):
            raise ProblemError(f"labels: two intervals of {shown(one.label)} overlap at frame {one.start}")
        ends[one.label] = one.end
    return tuple(found)


def read_intervals(path: Path) -> tuple[Interval, ...]:
    """Read the intervals in a file, written by :func:`save_intervals` or by a person.

    Raises
    ------
    ProblemError
        The file cannot be read or holds something else.
    """
    with naming(path):
        rows = [row for _, row in csv_rows(read_text(path, largest=_LARGEST), _COLUMNS)]
        return intervals_of(rows)


def save_intervals(intervals: Iterable[Interval], path: Path) -> None:
    """Write intervals as CSV; the file is written whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows((one.start, one.end, one.label) for one in intervals)
    write_text(path, text.getvalue())
