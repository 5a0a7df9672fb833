"""A version of a package: the record that is kept of it, and the content of that record."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, model_validator

from mainstream.description import Description, each_once, refuse, shown
from mainstream.errors import ProblemError
from mainstream.files import json_values, naming
from mainstream.formats.curve import Curve
from mainstream.formats.package import Package, check_curve
from mainstream.ranges import Probability, Range, Whole
from mainstream.store.records import LARGEST, as_json

LARGEST_FILE: Final = 2**32
"""The most bytes of a model file; a frozen graph cannot have more than 2**31."""
MOST_FILES: Final = 2000


def _matching(pattern: str, allowed: str) -> AfterValidator:
    def check(given: str) -> str:
        if not re.fullmatch(pattern, given):
            raise refuse(f"it has to be {allowed}")
        return given

    return AfterValidator(check)


_Sha256 = Annotated[str, _matching("[0-9a-f]{64}", "64 hexadecimal digits")]
_Digest = Annotated[str, _matching("sha256:[0-9a-f]{64}", "'sha256:' and 64 hexadecimal digits")]
_Key = Annotated[str, _matching(r"[0-9a-f]{64}\.[0-9a-f]{32}", "the key of a copy")]
_Moment = Annotated[str, _matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "a moment, such as 2026-11-24T19:05:00Z")]


class StoredFile(Description):
    """Digest and size of a model file's content.

    Parameters
    ----------
    sha256 : str
    bytes : int
    """

    sha256: _Sha256
    bytes: Annotated[int, Range(0, LARGEST_FILE, whole=True)]


class _Curve(Description):
    accuracies: Annotated[Mapping[Whole, Probability], each_once, Field(min_length=1)]
    false_positive_rates: Annotated[Mapping[Whole, Probability], each_once] | None = None


class _Content(Description):
    """The content of a version, from which its digest is computed."""

    package: Package
    curve: _Curve
    files: Mapping[str, StoredFile]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.files) > MOST_FILES:
            raise refuse(f"it has {len(self.files):,} files; a store takes at most {MOST_FILES:,}")
        frozen, beside = model_files(self.package)
        strange = self.files.keys() - frozen - beside
        if strange:
            raise refuse(f"files has {shown(min(strange))}, which is not a model of the package")
        if frozen - self.files.keys():
            raise refuse(f"files lacks {shown(min(frozen - self.files.keys()))}, a model of the package")
        return self


class _Record(Description):
    """A version as it is stored.

    Parameters
    ----------
    digest : str
        Digest of `content`.
    pushed : str
        When it was pushed, UTC.
    content : mapping
        As in :class:`_Content`.
    copies : mapping of str to str
        Digest of a model file -> its key, if the key is not the digest.
    """

    digest: _Digest
    pushed: _Moment
    content: Mapping[str, Any]
    copies: Mapping[_Sha256, _Key] = Field(default_factory=dict)


class Version(Description):
    """A version of a package in a store.

    Parameters
    ----------
    name : str
        Name in the store.
    number : int
    digest : str
        "sha256:..." of its content: versions with equal digests have equal content.
    pushed : str
        When it was pushed, UTC.
    package : Package
    accuracies, false_positive_rates : mapping of int to float
        Its curve.
    files : mapping of str to StoredFile
        Path in the package's folder -> digest and size.
    copies : mapping of str to str
        Digest of a model file -> its key in the store, if the key is not the digest.
    """

    name: str
    number: int
    digest: str
    pushed: str
    package: Package
    accuracies: Mapping[int, float]
    false_positive_rates: Mapping[int, float] | None
    files: Mapping[str, StoredFile]
    copies: Mapping[str, str]

    @property
    def curve(self) -> Curve:
        """Its accuracy curve."""
        rates = self.false_positive_rates
        return Curve(dict(self.accuracies), None if rates is None else dict(rates))

    @property
    def keys(self) -> frozenset[str]:
        """The keys of its model files in the store."""
        return frozenset(self.copies.get(file.sha256, file.sha256) for file in self.files.values())

    @property
    def size(self) -> int:
        """Bytes of its model files; equal files count once."""
        return sum({file.sha256: file.bytes for file in self.files.values()}.values())

    def __str__(self) -> str:
        return f"{self.name}@{self.number}"


def model_files(package: Package) -> tuple[frozenset[str], frozenset[str]]:
    """Paths in a package's folder: of its frozen graphs, and of Keras and ONNX models that may lie beside them."""
    frozen = frozenset(package.models.values())
    beside = (PurePosixPath(file).with_suffix(suffix) for file in frozen for suffix in (".keras", ".onnx"))
    return frozen, frozenset(map(str, beside))


def write_record(package: Package, curve: Curve, files: Mapping[str, StoredFile], copies: Mapping[str, str]) -> bytes:
    """The record of a version that is pushed now.

    Raises
    ------
    ProblemError
        A number in it is not finite, or it is larger than a store accepts.
    """
    content = {
        "package": package.model_dump(mode="json", exclude_none=True),
        "curve": {key: rates for key, rates in curve._asdict().items() if rates is not None},
        "files": {path: file.model_dump() for path, file in files.items()},
    }
    try:
        content = json_values(as_json(content).decode())  # turns keys into text, as a reader of the record sees them
    except ValueError:
        raise ProblemError("package.yaml has a number that is not finite or text that UTF-8 cannot hold") from None
    _Content.of(content, where="package")
    pushed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    record = as_json({"digest": _digest(content), "pushed": pushed, "content": content, "copies": dict(copies)})
    if len(record) > LARGEST:
        raise ProblemError(f"package.yaml and the curve have {len(record):,} bytes; a store takes {LARGEST:,}")
    return record


def read_record(name: str, number: int, record: bytes) -> Version:
    """Read and check a record.

    Raises
    ------
    ProblemError
        It is damaged: not JSON, a wrong key or value, or its digest does not match its content.
    """
    with naming(f"{name}@{number}: its record is damaged"):
        try:
            values = json_values(record.decode())
        except UnicodeDecodeError as error:
            raise ProblemError(f"not UTF-8 text: byte {error.start}") from None
        read = _Record.of(values, where="record")
        content = _Content.of(read.content, where="content")
        try:
            matches = _digest(dict(read.content)) == read.digest
        except ValueError:
            matches = False
        if not matches:
            raise ProblemError("its digest does not match its content")
        curve = Curve(**content.curve.model_dump())
        check_curve(content.package, curve)
    return Version(
        name=name,
        number=number,
        digest=read.digest,
        pushed=read.pushed,
        package=content.package,
        accuracies=curve.accuracies,
        false_positive_rates=curve.false_positive_rates,
        files=content.files,
        copies=read.copies,
    )


def _digest(content: object) -> str:
    return f"sha256:{hashlib.sha256(as_json(content, sort_keys=True)).hexdigest()}"
