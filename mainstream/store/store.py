"""A package store: push, pull, list and remove."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory
from typing import BinaryIO

from mainstream.description import nearest, shown
from mainstream.errors import ProblemError
from mainstream.files import naming, reason
from mainstream.formats.curve import Curve
from mainstream.formats.package import Package, read_package, save_package
from mainstream.store.address import PULLED, Address, Reference, absolute, check_name
from mainstream.store.cleaning import Cleaned, clean
from mainstream.store.file_records import FileRecords
from mainstream.store.folder import Folder
from mainstream.store.model_files import ModelFiles, Source
from mainstream.store.records import Records
from mainstream.store.redis_records import RedisRecords
from mainstream.store.under_way import UnderWay, alive, new_key
from mainstream.store.version import Version, model_files, read_record, write_record


@dataclass(frozen=True)
class Pushed:
    """What a push did.

    Attributes
    ----------
    version : Version
    sent : int
        Bytes of model files that were sent since the store did not have them.
    """

    version: Version
    sent: int


@dataclass(frozen=True)
class Entry:
    """A name in a store.

    Attributes
    ----------
    name : str
    numbers : tuple of int
        Its version numbers, increasing; at least one.
    newest : Version or None
    damage : str or None
        Why the newest version cannot be read.
    """

    name: str
    numbers: tuple[int, ...]
    newest: Version | None
    damage: str | None = None


def open_store(url: str | None = None) -> Store:
    """Open the store at a URL; see :meth:`mainstream.store.address.Address.of`. Nothing is written.

    Raises
    ------
    ProblemError
        It is not the URL of a store.
    MissingExtraError
        fsspec or redis is not installed.
    """
    address = Address.of(url)
    folder = Folder(address.files)
    records = RedisRecords(address.records) if address.in_redis else FileRecords(folder)
    return Store(str(address), records, ModelFiles(folder))


class Store:
    """Packages by name and version.

    Parameters
    ----------
    called : str
        The store's name in messages.
    records : Records
        The metadata.
    files : ModelFiles
    """

    def __init__(self, called: str, records: Records, files: ModelFiles) -> None:
        self._called = called
        self._records = records
        self._files = files

    def __str__(self) -> str:
        return self._called

    def check(self, name: str) -> None:
        """Check that a package can be pushed, before the work to make it is done.

        Raises
        ------
        ProblemError
            The name is not allowed in a store, or the store cannot be reached or written.
        """
        check_name(name)
        self._files.belong_to(self._records.identity())

    def push(self, folder: str | os.PathLike[str], name: str | None = None) -> Pushed:
        """Push a folder as the next version of a package.

        The version exists once its record is written, which happens last; so all of it is there or nothing.

        Parameters
        ----------
        folder : path
            An M-Package.
        name : str, optional
            Name in the store; default: the package's own.

        Raises
        ------
        ProblemError
            The folder is no package or lacks a model, or the store cannot be written.
        """
        folder = Path(folder)
        package, curve = read_package(folder)
        with naming(folder):
            name = check_name(package.name if name is None else name)
            sources = {path: Source.of(_inside(folder, path)) for path in _present(folder, package)}
        return self._add(name, package, curve, sources)

    def push_events(self, version: Version, package: Package) -> Pushed:
        """Push the next version of a stored one, with newly calibrated events and the same models.

        Raises
        ------
        ProblemError
            The store cannot be written, or lacks a model of the version.
        """
        sources = {}
        for path, file in version.files.items():
            called, key = f"{version}: {path}", version.copies.get(file.sha256, file.sha256)
            sources[path] = Source(called, file, partial(self._files.pieces, key, file, called))
        return self._add(version.name, package, version.curve, sources)

    def _add(self, name: str, package: Package, curve: Curve, sources: Mapping[str, Source]) -> Pushed:
        self._files.belong_to(self._records.identity())
        push = new_key()
        sent = 0
        shared = {source.digest.sha256: source.digest.sha256 for source in sources.values()}
        copies = {sha256: f"{sha256}.{push}" for sha256 in shared}
        needed = (*shared.values(), *copies.values())
        with UnderWay.noted(self._records, "pushing", push, needed) as under_way, naming(f"push of {name}"):
            keys = copies if alive(self._records, "cleaning") else shared
            files = {path: source.digest for path, source in sources.items()}
            record = write_record(package, curve, files, copies if keys is copies else {})
            for source in sources.values():
                sent += self._files.keep(source, keys[source.digest.sha256], push)
            under_way.check()
            number = self._records.add(name, record)
        return Pushed(read_record(name, number, record), sent)

    def read(self, reference: Reference) -> Version:
        """Read a version, without its models.

        Raises
        ------
        ProblemError
            There is no such version, it is damaged, or the store cannot be reached.
        """
        numbers = self._records.numbers(reference.name)
        if not numbers:
            raise self.unknown(reference.name)
        number = numbers[-1] if reference.version is None else reference.version
        record = self._records.read(reference.name, number) if number in numbers else None
        if record is None:
            there = ", ".join(map(str, numbers[-10:]))
            raise ProblemError(f"{self}: no version {number} of {reference.name}; there are: {there}")
        with naming(self):
            return read_record(reference.name, number, record)

    def pull(self, reference: Reference, folder: str | os.PathLike[str]) -> Version:
        """Write a version as an M-Package, checked against its digests.

        Parameters
        ----------
        reference : Reference
        folder : path
            New folder, or an empty one; it appears when all of the package is there.

        Raises
        ------
        ProblemError
            There is no such version, it is damaged, or the folder exists already or cannot be written.
        """
        folder = Path(folder)
        if _occupied(folder):
            raise ProblemError(f"{folder}: exists already; give a new folder")
        version = self.read(reference)
        with naming(self):
            self._write(version, folder)
        return version

    def fetch(self, name: str) -> Path:
        """A folder on this machine with a version; the version is pulled if it is not here yet.

        Parameters
        ----------
        name : str
            ``store://NAME`` or ``store://NAME@VERSION``.

        Raises
        ------
        ProblemError
            As :meth:`pull`.
        """
        version = self.read(Reference.of(name))
        folder = Path(absolute(PULLED)) / f"{version.name}-{version.digest.removeprefix('sha256:')[:32]}"
        if not _occupied(folder):
            try:
                folder.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ProblemError(f"{folder.parent}: cannot be made: {reason(error)}") from None
            try:
                with naming(self):
                    self._write(version, folder)
            except ProblemError:
                if not _occupied(folder):  # if it is, another process has just pulled the same version
                    raise
        return folder

    def _write(self, version: Version, folder: Path) -> None:
        """Write a package beside its place, then rename it."""
        try:
            _check_space(version, folder.absolute().parent)
            with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.absolute().parent) as beside:
                made = Path(beside) / "package"
                made.mkdir()
                for path, file in version.files.items():
                    target = made / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    key = version.copies.get(file.sha256, file.sha256)
                    with target.open("wb") as out:
                        _copy(self._files.pieces(key, file, f"{version}: {path}"), out)
                save_package(version.package, version.curve, made)
                made.rename(folder)
        except (OSError, ValueError) as error:
            if isinstance(error, ProblemError):
                raise
            raise ProblemError(f"{folder}: cannot be written: {reason(error)}") from None

    def entries(self) -> list[Entry]:
        """All packages, by name; a damaged one does not hide the others.

        Raises
        ------
        ProblemError
            The store cannot be reached.
        """
        found = []
        for name in self._records.names():
            numbers = self._records.numbers(name)
            if not numbers:
                continue
            try:
                found.append(Entry(name, tuple(numbers), self.read(Reference(name, numbers[-1]))))
            except ProblemError as error:
                found.append(Entry(name, tuple(numbers), None, str(error)))
        return found

    def numbers(self, name: str) -> list[int]:
        """The versions of a name, increasing.

        Raises
        ------
        ProblemError
            The store cannot be reached.
        """
        return self._records.numbers(check_name(name))

    def unknown(self, name: str) -> ProblemError:
        """The error for a name without versions; it suggests the nearest name."""
        known = [name for name in self._records.names() if self._records.numbers(name)]
        advice = nearest(name, known) if known else "there is none yet"
        return ProblemError(f"{self}: no package {shown(name)}; {advice[:200]}")

    def remove(self, name: str, numbers: list[int]) -> Cleaned:
        """Remove versions, and then the model files that no version names any more.

        Raises
        ------
        ProblemError
            There is no such version, or the store cannot be written.
        """
        check_name(name)
        self._files.belong_to(self._records.identity())
        for number in numbers:
            if not self._records.remove(name, number):
                raise ProblemError(f"{self}: no version {number} of {name}")
        return clean(self._records, self._files)


def _present(folder: Path, package: Package) -> list[str]:
    """Paths of the package's model files: each frozen graph, and other files of the same model that exist beside it."""
    frozen, beside = model_files(package)
    return sorted(frozen | {path for path in beside if (folder / path).is_file()})


def _inside(folder: Path, path: str) -> Path:
    """A file of the package. A link must not lead out of it: someone else's package could push your private files."""
    file = folder / path
    try:
        outside = not file.resolve().is_relative_to(folder.resolve())
        regular = file.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise ProblemError(f"{shown(path)}: {reason(error)}") from None
    if outside:
        raise ProblemError(f"{shown(path)}: is a link that leads out of the package; put the file itself there")
    if not regular:
        raise ProblemError(f"{shown(path)}: is missing or not a file; a version needs all the models that it names")
    return file


def _occupied(folder: Path) -> bool:
    try:
        return folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir())))
    except OSError as error:
        raise ProblemError(f"{folder}: {reason(error)}") from None


def _check_space(version: Version, at: Path) -> None:
    needed = sum(file.bytes for file in version.files.values())
    free = disk_usage(at).free
    if needed > free:
        raise ProblemError(f"{version}: has {needed:,} bytes of models; {at} has only {free:,} bytes free")


def _copy(pieces: Iterator[bytes], out: BinaryIO) -> None:
    for piece in pieces:
        out.write(piece)
