"""Whether a file has changed on disk, once whoever writes it has finished."""

from __future__ import annotations

from pathlib import Path

_State = tuple[int, int, int] | None


class FileWatch:
    """Looks at a file now and then; what is new counts when it is the same at two looks in a row.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = self._last = self._state()

    def changed(self) -> bool:
        """Whether it is another one than when this last said so, or than at first."""
        before, self._last = self._last, self._state()
        if self._last != before or self._last == self._known or self._last is None:
            return False
        self._known = self._last
        return True

    def _state(self) -> _State:
        """When it was written, how long it is, and which one it is; None where there is none, as between two saves."""
        try:
            state = self._path.stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_size, state.st_ino
