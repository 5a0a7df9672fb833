"""A source's frames: one thread reads them, another takes them out, and the newest frame wins.

While a plan is being loaded a few frames are kept: loading is work for the box, too, and need not cost any frames.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from threading import Condition, Thread
from time import monotonic
from typing import Final

from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.extensions import Source
from mainstream.streamer.frames import Frame
from mainstream.streamer.meters import Rate

_DRAIN_S: Final = (0.5, 3.0)
"""Seconds for which frames are still kept after a plan was loaded, at least and at most: those kept are late, too."""
_END_S: Final = 1.0
"""Seconds that closing waits for a source that is busy."""


@dataclass(frozen=True)
class Arrival:
    """A frame, and when it came."""

    frame: Frame
    at_s: float


class Feed:
    """Reads a source in a thread of its own.

    Parameters
    ----------
    source : Source
    keep_all : bool
        Wait until each frame is taken; otherwise a newer frame replaces one that waits.

    Attributes
    ----------
    rate : Rate
        Rate of the frames that come, since reading began.
    error : Exception or None
        What ended the source early.
    """

    def __init__(self, source: Source, *, keep_all: bool) -> None:
        self.source = source
        self.rate = Rate()
        self.error: Exception | None = None
        self._keep_all = keep_all
        self._changed = Condition()
        self._waiting: deque[Arrival] = deque()
        self._most = 1
        self._from_s = self._until_s = math.inf
        self._ended = False
        self._thread = Thread(target=self._read, name="mainstream-feed", daemon=True)

    def start(self) -> None:
        """Begin to read, if it has not begun."""
        if not self._thread.is_alive() and not self._ended:
            self.rate.begin()
            self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether the source has no more frames and the last one was taken."""
        with self._changed:
            return self._ended and not self._waiting

    @property
    def holds(self) -> bool:
        """Whether frames are kept because a plan is being loaded."""
        return self._most > 1 and self._from_s == math.inf

    def hold(self, frames: int) -> None:
        """Keep the last `frames` frames that were not taken: while a plan is being loaded, taking them falters."""
        with self._changed:
            self._most, self._from_s, self._until_s = max(1, frames), math.inf, math.inf

    def release(self) -> None:
        """Keep only the newest frame again, once those that wait are taken, or after 3 s if they come too fast."""
        with self._changed:
            self._from_s, self._until_s = (monotonic() + seconds for seconds in _DRAIN_S)

    def take(self, timeout_s: float, *, newest: bool = False) -> Arrival | None:
        """The next frame, or the newest; None if none comes within `timeout_s`, or the source has ended."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting) or self._ended, timeout_s)
            while newest and len(self._waiting) > 1:
                self._waiting.popleft()
            taken = self._waiting.popleft() if self._waiting else None
            if monotonic() > self._from_s and not self._waiting:
                self._most = 1
            self._changed.notify_all()
            return taken

    def close(self) -> None:
        """End the source and the thread."""
        with self._changed:
            self._ended = True
            self._waiting.clear()
            self._changed.notify_all()
        self.source.close()
        if self._thread.is_alive():
            self._thread.join(_END_S)

    def _read(self) -> None:
        number = -1
        try:
            for frame in self.source:
                if not isinstance(frame, Frame) or frame.number <= number:
                    raise ProblemError(
                        f"source: gave {shown(frame)} after frame {number}; it has to be a Frame with a higher number"
                    )
                number = frame.number
                if not self._put(Arrival(frame, monotonic())):
                    return
        except Exception as error:  # whatever ends this thread has to reach those who wait
            self.error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, arrival: Arrival) -> bool:
        """Offer a frame; return False if nobody wants more."""
        with self._changed:
            if self._keep_all:
                self._changed.wait_for(lambda: not self._waiting or self._ended)
            if self._ended:
                return False
            self.rate.tick()
            if monotonic() > self._until_s:
                self._most = 1
            while len(self._waiting) >= self._most:
                self._waiting.popleft()
            self._waiting.append(arrival)
            self._changed.notify_all()
            return True
