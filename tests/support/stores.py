"""Packages to push, and stores of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.packages import make

from mainstream import ProblemError
from mainstream.store.address import Address
from mainstream.store.file_records import FileRecords
from mainstream.store.folder import Folder
from mainstream.store.records import Records
from mainstream.store.redis_records import RedisRecords


def package(folder: Path, *, fill: int = 1, size: int = 20_000, **changes: Any) -> Path:
    """A package named dogs with two models, one of them with its Keras model."""
    make(folder, **{"name": "dogs", **changes})
    (folder / "models").mkdir()
    for file, byte in (("0.pb", fill), ("4.pb", fill + 1), ("4.keras", fill + 2)):
        (folder / "models" / file).write_bytes(bytes([byte]) * size)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """What is in a folder, by path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def parts(url: str) -> tuple[Records, Folder]:
    """The records and the folder of model files of a store."""
    address = Address.of(url)
    folder = Folder(address.files)
    return (RedisRecords(address.records) if address.in_redis else FileRecords(folder)), folder


def refused(call: object, *given: object) -> str:
    """The one line of a refusal."""
    assert callable(call)
    with pytest.raises(ProblemError) as refusal:
        call(*given)
    message = str(refusal.value)
    assert "\n" not in message and len(message) < 500
    return message
