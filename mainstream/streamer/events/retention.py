"""Deletes from a folder of events what is too old or too much."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Final

_DAY_S: Final = 86_400
_SHARE: Final = 0.1
"""Share of the file of lines that has to be too old before it is written again, since that takes a while."""


def clean(lines: Path, media: Path, keep_days: float, keep_gb: float) -> bool:
    """Delete pictures and clips that are too old, then the oldest while there are too many, and lines that are too old.

    Parameters
    ----------
    lines : Path
        File with a JSON line for each event.
    media : Path
        Folder of pictures and clips.
    keep_days, keep_gb : float

    Returns
    -------
    bool
        Whether the file of lines was replaced.
    """
    oldest = time() - keep_days * _DAY_S
    files = sorted(_files(media))
    too_much = sum(size for _, size, _ in files) - keep_gb * 2**30
    for modified, size, path in files:
        if modified >= oldest and too_much <= 0:
            break
        with suppress(OSError):
            path.unlink()
            too_much -= size
    return _drop_lines(lines, oldest)


def _files(folder: Path) -> list[tuple[float, int, Path]]:
    """When each was last written, and how many bytes it has."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                state = entry.stat(follow_symlinks=False)
                found.append((state.st_mtime, state.st_size, Path(entry.path)))
    return found


def _drop_lines(path: Path, oldest: float) -> bool:
    """Remove the lines of events that ended before `oldest`; they come first."""
    old = 0
    with path.open("rb") as file:
        while (line := file.readline()) and _ended(line) < oldest:
            old = file.tell()
        if old <= _SHARE * path.stat().st_size:
            return False
        beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with beside.open("wb") as kept:
                file.seek(old)
                while piece := file.read(2**20):
                    kept.write(piece)
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
    return True


def _ended(line: bytes) -> float:
    """When the event of a line ended; 0, which is too old, if the line is not an event."""
    try:
        return float(json.loads(line)["end"])
    except (ValueError, TypeError, KeyError):
        return 0.0
