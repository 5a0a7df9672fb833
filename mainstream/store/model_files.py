"""The model files of a store; each is kept once, named by the digest of its content."""

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
    """A file to be kept.

    Attributes
    ----------
    called : str
        Its name in messages.
    digest : StoredFile
        Digest and size of its content.
    pieces : callable
        Gives its bytes from the beginning, piece by piece.
    """

    called: str
    digest: StoredFile
    pieces: Callable[[], Iterator[bytes]]

    @classmethod
    def of(cls, path: Path) -> Source:
        """A file on this machine; it is read once to find its digest.

        Raises
        ------
        ProblemError
            It cannot be read, or is larger than a store accepts.
        """
        sha256, size = hashlib.sha256(), 0
        for piece in _pieces(path):
            sha256.update(piece)
            size += len(piece)
            if size > LARGEST_FILE:
                raise ProblemError(f"{path}: has more than {LARGEST_FILE:,} bytes, the most that a store takes")
        return cls(str(path), StoredFile(sha256=sha256.hexdigest(), bytes=size), lambda: _pieces(path))


class ModelFiles:
    """Files by key: the digest of the content, or the digest and a unique word for a copy that belongs to one push.

    Parameters
    ----------
    folder : Folder
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return str(self._folder)

    def belong_to(self, identity: str) -> None:
        """Make sure that these files belong to the records `identity`; cleaning would remove files of other records.

        Raises
        ------
        ProblemError
            They belong to other records.
        """
        owner = self._folder.read(_OWNER, 1000)
        if owner is None:
            self._folder.put(_OWNER, iter([identity.encode()]))
            owner = self._folder.read(_OWNER, 1000)
        if owner != identity.encode():
            raise ProblemError(
                f"{self}: these model files belong to another store, or to one that lost its records; give another "
                f"folder or, if no other store uses this one, remove the file {_OWNER!r} there"
            )

    def keys(self) -> list[str]:
        """Keys of all files, including those that are still being written."""
        return self._folder.names(_FOLDER)

    def keep(self, source: Source, key: str, push: str) -> int:
        """Store a file, unless it is there already.

        Parameters
        ----------
        source : Source
        key : str
        push : str
            Key of the push; the file's name contains it while the file is being written.

        Returns
        -------
        int
            Bytes that were sent.

        Raises
        ------
        ProblemError
            It cannot be written, or was changed in the meantime.
        """
        path = f"{_FOLDER}/{key}"
        if self._folder.size(path) == source.digest.bytes:
            return 0
        changed = f"{source.called}: was changed while it was pushed; push again"
        self._folder.put(path, _checked(source.pieces(), source.digest, changed), mark=push)
        return source.digest.bytes

    def pieces(self, key: str, digest: StoredFile, called: str) -> Iterator[bytes]:
        """Content of a file, piece by piece. It is checked on the way: do not trust it before the last piece is read.

        Raises
        ------
        ProblemError
            The file is gone, or its content does not match its digest.
        """
        pieces = self._folder.pieces(f"{_FOLDER}/{key}")
        if pieces is None:
            raise ProblemError(f"{called}: is not in {self}: it is lost, or was just removed")
        damaged = f"{called}: what {self} holds does not match its digest: it is damaged; remove it and push it again"
        return _checked(pieces, digest, damaged)

    def remove(self, key: str) -> bool:
        """Remove a file, and say whether there was one."""
        return self._folder.remove(f"{_FOLDER}/{key}")


def push_of(key: str) -> str | None:
    """The key of the push that is writing this file; None if the file is complete."""
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
