"""Lines that are added to a file, each whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

_LONGEST_LINE: Final = 2**20
"""Bytes at the end of a file among which the last end of a line is looked for."""


class LineFile:
    """A file to add lines to; half a line that a killed process left is removed.

    Parameters
    ----------
    path : str or Path
        Lines are added to a file that exists already.

    Attributes
    ----------
    regular : bool
        Whether it is a file on a disk.

    Raises
    ------
    OSError, ValueError
        It cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self.regular = stat.S_ISREG(os.fstat(self._file).st_mode)
        if self.regular:
            _drop_half_a_line(self._file)

    def append(self, line: str) -> None:
        """Add a line.

        Raises
        ------
        OSError
            It cannot be written; on a disk, no part of the line is left.
        """
        content = f"{line}\n".encode()
        before = os.fstat(self._file).st_size
        try:
            if os.write(self._file, content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            if self.regular:
                os.ftruncate(self._file, before)
            raise

    def close(self) -> None:
        """Close it."""
        os.close(self._file)


def _drop_half_a_line(file: int) -> None:
    """Cut off what follows the last end of a line."""
    size = os.fstat(file).st_size
    start = max(0, size - _LONGEST_LINE)
    tail = os.pread(file, size - start, start)
    if tail and not tail.endswith(b"\n") and (b"\n" in tail or not start):
        os.ftruncate(file, start + tail.rfind(b"\n") + 1)
