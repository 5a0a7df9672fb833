"""Events in a folder: a JSON line for each that has ended, a file for each that goes on, pictures and clips.

===================  ===========================================================================================
``events.jsonl``     the events that have ended, in the order of their ends
``open/ID.json``     one that goes on, as it was at most a second ago
``media/ID.jpg``     the picture of its peak
``media/ID.mp4``     the video around it (``.mkv`` for what MP4 does not hold)
``lock``             keeps a second process out
===================  ===========================================================================================

An event that was open when the process was killed is ended when the folder is opened again. Its line is written first
and its open file removed last, so an event that has a line has ended. If the disk is full or broken all this pauses,
with one warning; lines wait in memory, pictures and clips do not.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Final

from mainstream.errors import ProblemError
from mainstream.files import read_text, reason, write_bytes, write_text
from mainstream.streamer.events.event import Event
from mainstream.streamer.events.retention import clean
from mainstream.streamer.line_file import LineFile

_PAUSE_S: Final = 1.0
"""Seconds before a full disk is tried again, and before an open event's file is written again."""
_MOST_WAITING: Final = 1000
"""Lines of events that may wait for a disk."""
_TAIL: Final = 2**20
"""Bytes at the end of ``events.jsonl`` that may hold lines of the events that were open last."""
_CLEAN_S: Final = 600.0

_log = logging.getLogger(__name__)


class EventStore:
    """A folder of events; :meth:`close` it.

    Parameters
    ----------
    folder : Path
        Created if it is missing.
    keep_days : float
        Events, pictures and clips that are older are deleted.
    keep_gb : float
        Gigabytes (2**30 bytes) that pictures and clips may take; the oldest are deleted first.
    lost : callable
        Called for each event, picture or clip that could not be written.

    Attributes
    ----------
    pausing : str or None
        Why nothing is written now.

    Raises
    ------
    ProblemError
        The folder cannot be created or written, or another process uses it.
    """

    def __init__(self, folder: Path, keep_days: float, keep_gb: float, lost: Callable[[], None]) -> None:
        self._folder, self._keep = folder, (keep_days, keep_gb)
        self._lost = lost
        self._open, self._media, self._lines = folder / "open", folder / "media", folder / "events.jsonl"
        self.pausing: str | None = None
        self._paused_until_s = 0.0
        self._waiting: deque[Event] = deque()
        self._written_s: dict[str, float] = {}
        try:
            self._open.mkdir(parents=True, exist_ok=True)
            self._media.mkdir(exist_ok=True)
            self._lock = _locked(folder)
            for half in (*self._open.glob(".*.tmp"), *self._media.glob(".*.tmp"), *folder.glob(".*.tmp")):
                half.unlink()
            self._file = LineFile(self._lines)
        except ProblemError:  # another process uses it
            raise
        except (OSError, ValueError) as error:
            raise ProblemError(f"events: {folder} cannot be written: {reason(error)}") from None
        self._clean_s = monotonic()
        self._clean()

    def recovered(self) -> Iterator[Event]:
        """End the events that a killed process left open, and give them."""
        ended = _tail(self._lines)
        for path in sorted(self._open.glob("*.json")):
            try:
                event = Event.from_json(read_text(path))
                if f'"{event.event_id}"' not in ended:
                    event = replace(event, interrupted=True)
                    self._file.append(event.to_json())
                    yield event
            except ProblemError as error:
                _log.warning("an event that was open is lost: %s", error)
            except OSError as error:  # it stays open until the folder is opened again
                _log.warning("events: %s cannot be written: %s", self._folder, reason(error))
                return
            with suppress(OSError):
                path.unlink()

    def opened(self, event: Event, last: float) -> None:
        """An event has begun or goes on; its last positive frame was taken at `last`."""
        now = monotonic()
        if now >= self._written_s.get(event.event_id, 0.0) + _PAUSE_S:
            self._written_s[event.event_id] = now
            text = replace(event, end=last).to_json()
            self._write(partial(write_text, self._open / f"{event.event_id}.json", text))

    def ended(self, event: Event) -> None:
        """An event has ended."""
        self._written_s.pop(event.event_id, None)
        self._waiting.append(event)
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft()
            self._lost()
        self._write_lines()

    def media(self, name: str, content: bytes) -> None:
        """Keep a picture or clip."""
        if not self._write(partial(write_bytes, self._media / name, content)):
            self._lost()

    def tick(self) -> None:
        """Do what is due: write lines that wait, delete what is too old or too much."""
        self._write_lines()
        if monotonic() >= self._clean_s:
            self._clean()

    def close(self) -> None:
        """Release the folder."""
        self._write_lines()
        for _ in self._waiting:
            self._lost()
        with suppress(OSError):
            self._file.close()
            os.close(self._lock)

    def _write_lines(self) -> None:
        while self._waiting:
            event = self._waiting[0]
            if not self._write(partial(self._file.append, event.to_json())):
                return
            self._waiting.popleft()
            with suppress(OSError):
                (self._open / f"{event.event_id}.json").unlink(missing_ok=True)

    def _write(self, do: Callable[[], None]) -> bool:
        """Write something; return whether that worked. A disk that fails is logged once, and left alone for a while."""
        if self.pausing is not None and monotonic() < self._paused_until_s:
            return False
        try:
            do()
        except (OSError, ProblemError) as error:
            if self.pausing is None:
                why = str(error) if isinstance(error, ProblemError) else f"{self._lines}: {reason(error)}"
                self.pausing = f"events: {why}; they pause until it can be written again"
                _log.warning("%s", self.pausing)
            self._paused_until_s = monotonic() + _PAUSE_S
            return False
        if self.pausing is not None:
            _log.warning("events: %s can be written again", self._folder)
            self.pausing = None
        return True

    def _clean(self) -> None:
        self._clean_s += _CLEAN_S
        try:
            if clean(self._lines, self._media, *self._keep):
                self._file.close()
                self._file = LineFile(self._lines)
        except (OSError, ProblemError) as error:
            _log.warning("events: %s cannot be cleaned: %s", self._folder, reason(error))


def _locked(folder: Path) -> int:
    import fcntl  # not on Windows, where no runtime comes as far as here

    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise ProblemError(f"events: {folder} is used by another process; give a folder of its own") from None
    return lock


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return file.read().decode("utf-8", "replace")
