"""A source's frames, taken out by one thread while another keeps them fresh: the newest frame wins.

But while a plan is being loaded a few are kept: that is work for the box, too, and no frame has to be lost to it.
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
"""Seconds for which frames are kept after a plan was loaded: at least, since they are late themselves, and at most."""
_END_S: Final = 1.0
"""Seconds that closing waits for a source that is in the middle of something."""


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
        Wait for each frame to be taken, rather than drop those that a newer one overtakes.

    Attributes
    ----------
    rate : Rate
        Of the frames that come, since it began to read.
    error : Exception or None
        What ended the source before its end.
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
        """Begin to read, if that has not begun."""
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
        """Whether frames are kept since a plan is being loaded."""
        return self._most > 1 and self._from_s == math.inf

    def hold(self, frames: int) -> None:
        """Keep the last `frames` frames that were not taken: as long as a plan is being loaded, taking them falters."""
        with self._changed:
            self._most, self._from_s, self._until_s = max(1, frames), math.inf, math.inf

    def release(self) -> None:
        """Keep the newest frame only, once those that wait are taken, or in 3 s when they come too fast."""
        with self._changed:
            self._from_s, self._until_s = (monotonic() + seconds for seconds in _DRAIN_S)

    def take(self, timeout_s: float, *, newest: bool = False) -> Arrival | None:
        """The next frame, or the newest; None when there is none within `timeout_s` or no more at all."""
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
        except Exception as error:  # whatever a thread of ours dies of has to reach whoever waits
            self.error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, arrival: Arrival) -> bool:
        """Offer a frame; False when nobody wants any more."""
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
