"""Remove model files that no version's record names any more, also while pushes are under way."""

from __future__ import annotations

from dataclasses import dataclass

from mainstream.errors import ProblemError
from mainstream.store.model_files import ModelFiles, push_of
from mainstream.store.records import Records
from mainstream.store.under_way import UnderWay, alive, new_key
from mainstream.store.version import read_record


@dataclass(frozen=True)
class Cleaned:
    """What a cleaning did.

    Attributes
    ----------
    removed : int
        How many model files were removed.
    refused : str or None
        Why no more were removed; for example, a record cannot be read, and it may name any file.
    """

    removed: int = 0
    refused: str | None = None


def clean(records: Records, files: ModelFiles) -> Cleaned:
    """Remove each model file that no record names and no push needs; see :mod:`mainstream.store.under_way`."""
    removed = 0
    try:
        with UnderWay.noted(records, "cleaning", new_key()) as cleaning:
            there = files.keys()
            pushing = alive(records, "pushing")
            needed = {key for push in pushing.values() for key in push.keys}
            needed |= _named(records)
            for key in there:
                cleaning.check()
                if key not in needed and push_of(key) not in pushing:
                    removed += files.remove(key)
    except ProblemError as error:
        return Cleaned(removed, str(error))
    return Cleaned(removed)


def _named(records: Records) -> set[str]:
    """The keys that the records name."""
    keys: set[str] = set()
    for name in records.names():
        for number in records.numbers(name):
            record = records.read(name, number)
            if record is not None:  # None: it was removed in the meantime
                keys |= read_record(name, number, record).keys
    return keys
