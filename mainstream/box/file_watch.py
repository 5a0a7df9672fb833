"""Watches whether a file has changed on disk, once whoever writes it has finished."""

from __future__ import annotations

from pathlib import Path

_State = tuple[int, int, int] | None


class FileWatch:
    """Looks at a file now and then; a change counts once two looks in a row see the same.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = self._last = self._state()

    def changed(self) -> bool:
        """Whether the file has changed since this last returned True, or since the start."""
        before, self._last = self._last, self._state()
        if self._last != before or self._last == self._known or self._last is None:
            return False
        self._known = self._last
        return True

    def _state(self) -> _State:
        """When it was written, its size, and its inode; None if there is no file, as in the middle of a save."""
        try:
            state = self._path.stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_size, state.st_ino
