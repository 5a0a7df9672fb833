"""Files below one URL, through fsspec: bounded in time and size, written whole or not at all, errors in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import IO, Any, Final, TypeVar
from uuid import uuid4

from mainstream._optional import require
from mainstream.errors import MissingExtraError, ProblemError
from mainstream.files import reason
from mainstream.store.address import safe, without_passwords
from mainstream.store.patience import within

CHUNK: Final = 2**20
"""Bytes read or written at a time."""

_ANSWER_S: Final = 20.0
"""How long a small request may take; the first one includes the connection."""
_TRANSFER_S: Final = 300.0
"""How long a piece of a file may take; some file systems collect 50 MB before they send anything."""
_MOST: Final = 1_000_000
"""Entries that a folder may have."""
_T = TypeVar("_T")


class Folder:
    """A folder of any file system that fsspec knows.

    Parameters
    ----------
    url : str

    Raises
    ------
    ProblemError
        fsspec does not know this kind of URL, or the package for it is not installed.
    MissingExtraError
        fsspec is not installed.
    """

    def __init__(self, url: str) -> None:
        require("fsspec", "store")
        self.shown = without_passwords(url)
        self._url = url
        with self._telling("cannot be opened"):
            self._files, root = within(_ANSWER_S, lambda: _opened(url))
        self._near = "file" in _protocols(self._files)
        self._root = root.rstrip("/")

    def __str__(self) -> str:
        return self.shown

    def names(self, folder: str) -> list[str]:
        """Names of the entries in a folder; empty if there is no such folder."""
        at = self._at(folder)
        with self._telling(f"{folder} cannot be listed"):
            try:
                self._files.invalidate_cache()  # some file systems would answer from memory
                found = self._call(lambda: self._files.ls(at, detail=False))
            except FileNotFoundError:
                return []
        if len(found) > _MOST:
            raise ProblemError(f"{self}: {folder} has more than {_MOST:,} entries, far more than a store needs")
        names = {str(path).rstrip("/").rpartition("/")[2] for path in found}
        return sorted(names - {at.rpartition("/")[2], ""})

    def size(self, path: str) -> int | None:
        """Size of a file in bytes; None if there is no such file."""
        with self._telling(f"{path} cannot be looked at"):
            try:
                self._files.invalidate_cache()
                size = self._call(lambda: self._files.info(self._at(path)))["size"]
            except FileNotFoundError:
                return None
        return None if size is None else int(size)

    def read(self, path: str, largest: int) -> bytes | None:
        """Content of a small file; None if there is no such file.

        Raises
        ------
        ProblemError
            It has more than `largest` bytes, or cannot be read.
        """
        content = bytearray()
        for piece in self.pieces(path) or ():
            content += piece
            if len(content) > largest:
                raise ProblemError(f"{self}: {path} has more than {largest:,} bytes, far more than it needs")
        return bytes(content) if content or self.size(path) is not None else None

    def pieces(self, path: str) -> Iterator[bytes] | None:
        """Content of a file, piece by piece; None if there is no such file."""
        with self._telling(f"{path} cannot be read"):
            try:
                file = self._call(lambda: self._files.open(self._at(path), "rb"))
            except FileNotFoundError:
                return None
        return self._pieces(path, file)

    def _pieces(self, path: str, file: IO[bytes]) -> Iterator[bytes]:
        with closing(file):
            while True:
                with self._telling(f"{path} cannot be read"):
                    piece = self._call(lambda: file.read(CHUNK), _TRANSFER_S)
                if not piece:
                    return
                yield piece

    def create(self, path: str, content: bytes) -> bool:
        """Create a file that nobody has created before; False if there is one, even if made at the same moment.

        A reader may see the file before its content is there.
        """
        with self._telling(f"{path} cannot be written"):
            self._make_parent(path)
            try:
                self._write(path, "xb", iter([content]))
            except FileExistsError:
                return False
        return True

    def put(self, path: str, pieces: Iterator[bytes], *, mark: str | None = None) -> None:
        """Write or replace a file as a whole: first beside it, under a name with `mark`, then rename."""
        beside = f"{path}.{mark or uuid4().hex}.part"
        with self._telling(f"{path} cannot be written"):
            self._make_parent(path)
            try:
                self._write(beside, "wb", pieces)
                self._call(lambda: self._files.mv(self._at(beside), self._at(path)), _TRANSFER_S)
            except BaseException:
                with suppress(Exception):
                    self._call(lambda: self._files.rm_file(self._at(beside)))
                raise

    def _write(self, path: str, mode: str, pieces: Iterator[bytes]) -> None:
        file = self._call(lambda: self._files.open(self._at(path), mode))
        try:
            for piece in pieces:
                self._call(partial(file.write, piece), _TRANSFER_S)
        finally:
            self._call(file.close, _TRANSFER_S)

    def remove(self, path: str) -> bool:
        """Remove a file, and say whether there was one."""
        with self._telling(f"{path} cannot be removed"):
            try:
                self._call(lambda: self._files.rm_file(self._at(path)))
            except FileNotFoundError:
                return False
        return True

    def _make_parent(self, path: str) -> None:
        parent = self._at(path).rpartition("/")[0]
        self._call(lambda: self._files.makedirs(parent, exist_ok=True))

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _call(self, call: Callable[[], _T], seconds: float | None = None) -> _T:
        return call() if self._near else within(_ANSWER_S if seconds is None else seconds, call)

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        """Turn any file system's error into one line without passwords."""
        try:
            yield
        except (ProblemError, MissingExtraError):
            raise
        except Exception as error:  # each file system has its own errors
            said = reason(error) or type(error).__name__
            if isinstance(error, NotImplementedError):
                said = "this kind of store cannot do that"
            raise ProblemError(f"{self}: {what}: {safe(said, self._url)}") from None


def _opened(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    files, root = url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
    return files, str(root)


def _protocols(files: Any) -> tuple[str, ...]:
    protocol = files.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
