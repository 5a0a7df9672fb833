"""Metadata as files, through fsspec.

packages/dogs/3.number   this number is given; stays when its record goes
packages/dogs/3.json     its record
pushing/, cleaning/      notes
"""

from __future__ import annotations

import re
from typing import Final

from mainstream.store.address import is_name
from mainstream.store.folder import Folder
from mainstream.store.records import LARGEST, LARGEST_NUMBER, TRIES, Kind, as_number, no_number

_PACKAGES: Final = "packages"


class FileRecords:
    """:class:`~mainstream.store.records.Records` in a folder.

    To take a number, a process creates a file exclusively, which file systems allow only one process to do. Then the
    record is written beside its place and renamed. A push that is killed in between leaves a number without a record.

    Parameters
    ----------
    folder : Folder
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def identity(self) -> str:
        return "the records in this folder"

    def names(self) -> list[str]:
        return [name for name in self._folder.names(_PACKAGES) if is_name(name)]

    def numbers(self, name: str) -> list[int]:
        return self._numbers(name, ".json")

    def _numbers(self, name: str, *endings: str) -> list[int]:
        files = self._folder.names(f"{_PACKAGES}/{name}")
        found = {as_number(file.removesuffix(end)) for file in files for end in endings if file.endswith(end)}
        return sorted(number for number in found if number is not None)

    def read(self, name: str, number: int) -> bytes | None:
        return self._folder.read(f"{_PACKAGES}/{name}/{number}.json", LARGEST)

    def add(self, name: str, record: bytes) -> int:
        first = max(self._numbers(name, ".number", ".json"), default=0) + 1
        for number in range(first, min(first + TRIES, LARGEST_NUMBER + 1)):
            if self._folder.create(f"{_PACKAGES}/{name}/{number}.number", b"taken\n"):
                self._folder.put(f"{_PACKAGES}/{name}/{number}.json", iter([record]))
                return number
        raise no_number(name)

    def remove(self, name: str, number: int) -> bool:
        return self._folder.remove(f"{_PACKAGES}/{name}/{number}.json")

    def note(self, kind: Kind, key: str, text: bytes) -> None:
        self._folder.put(f"{kind}/{key}", iter([text]))

    def notes(self, kind: Kind) -> dict[str, bytes]:
        keys = [key for key in self._folder.names(kind) if re.fullmatch("[0-9a-f]{32}", key)]
        read = {key: self._folder.read(f"{kind}/{key}", LARGEST) for key in keys}
        return {key: text for key, text in read.items() if text is not None}

    def drop(self, kind: Kind, key: str) -> None:
        self._folder.remove(f"{kind}/{key}")
