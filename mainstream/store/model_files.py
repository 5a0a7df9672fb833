"""The model files of a store, each kept once, under the digest of what it holds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.files import reason
from mainstream.store.folder import CHUNK, Folder
from mainstream.store.version import LARGEST_FILE, StoredFile

_FOLDER: Final = "files"
_OWNER: Final = "owner"


@dataclass(frozen=True)
class Source:
    """A file that is to be kept.

    Attributes
    ----------
    called : str
        In a message.
    digest : StoredFile
        What it holds.
    pieces : callable
        Gives its bytes from the beginning.
    """

    called: str
    digest: StoredFile
    pieces: Callable[[], Iterator[bytes]]

    @classmethod
    def of(cls, path: Path) -> Source:
        """A file of this machine, read through once.

        Raises
        ------
        ProblemError
            It cannot be read, or is larger than a store takes.
        """
        sha256, size = hashlib.sha256(), 0
        for piece in _pieces(path):
            sha256.update(piece)
            size += len(piece)
            if size > LARGEST_FILE:
                raise ProblemError(f"{path}: has more than {LARGEST_FILE:,} bytes, the most that a store takes")
        return cls(str(path), StoredFile(sha256=sha256.hexdigest(), bytes=size), lambda: _pieces(path))


class ModelFiles:
    """Files by key: the digest of what they hold, or that and a word where a file has to be no one else's.

    Parameters
    ----------
    folder : Folder
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return str(self._folder)

    def belong_to(self, identity: str) -> None:
        """Make sure that no records but these name files here, or cleaning would remove those of others.

        Raises
        ------
        ProblemError
            Other records do.
        """
        owner = self._folder.read(_OWNER, 1000)
        if owner is None:
            self._folder.put(_OWNER, iter([identity.encode()]))
            owner = self._folder.read(_OWNER, 1000)
        if owner != identity.encode():
            raise ProblemError(
                f"{self}: these model files belong to another store, or to one that lost its records; name another "
                f"folder, or, when no other store uses it, remove the file {_OWNER!r} there"
            )

    def keys(self) -> list[str]:
        """Of all files, those not yet whole included."""
        return self._folder.names(_FOLDER)

    def keep(self, source: Source, key: str, push: str) -> int:
        """Keep a file, unless it is there.

        Parameters
        ----------
        source : Source
        key : str
        push : str
            Word that the name of the file holds while it is not yet whole.

        Returns
        -------
        int
            Bytes that were sent.

        Raises
        ------
        ProblemError
            It cannot be written, or was changed meanwhile.
        """
        path = f"{_FOLDER}/{key}"
        if self._folder.size(path) == source.digest.bytes:
            return 0
        changed = f"{source.called}: was changed while it was pushed; push again"
        self._folder.put(path, _checked(source.pieces(), source.digest, changed), mark=push)
        return source.digest.bytes

    def pieces(self, key: str, digest: StoredFile, called: str) -> Iterator[bytes]:
        """What a file holds, checked on the way, so that what was read is sure only when it has ended.

        Raises
        ------
        ProblemError
            The file is gone, or does not hold what its digest says.
        """
        pieces = self._folder.pieces(f"{_FOLDER}/{key}")
        if pieces is None:
            raise ProblemError(f"{called}: is not in {self}: lost, or removed meanwhile")
        damaged = f"{called}: what {self} holds does not match its digest: it is damaged; remove it and push it again"
        return _checked(pieces, digest, damaged)

    def remove(self, key: str) -> bool:
        """Remove a file; whether there was one."""
        return self._folder.remove(f"{_FOLDER}/{key}")


def push_of(key: str) -> str | None:
    """The push that has not yet written a file whole; None for a whole one."""
    match = re.fullmatch(r".*\.([0-9a-f]{32})\.part", key)
    return match and match[1]


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                yield piece
    except (OSError, ValueError) as error:
        raise ProblemError(f"{shown(str(path))}: {reason(error)}") from None


def _checked(pieces: Iterator[bytes], digest: StoredFile, otherwise: str) -> Iterator[bytes]:
    sha256, size = hashlib.sha256(), 0
    for piece in pieces:
        sha256.update(piece)
        size += len(piece)
        if size > digest.bytes:
            raise ProblemError(otherwise)
        yield piece
    if sha256.hexdigest() != digest.sha256:
        raise ProblemError(otherwise)
