"""A source's frames, taken out by one thread while another keeps them fresh: the newest frame wins."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Condition, Thread
from time import monotonic
from typing import Final

from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.extensions import Source
from mainstream.streamer.frames import Frame
from mainstream.streamer.meters import Rate

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
        Of the frames that come.
    error : Exception or None
        What ended the source before its end.
    """

    def __init__(self, source: Source, *, keep_all: bool) -> None:
        self.source = source
        self.rate = Rate()
        self.error: Exception | None = None
        self._keep_all = keep_all
        self._changed = Condition()
        self._newest: Arrival | None = None
        self._ended = False
        self._thread = Thread(target=self._read, name="mainstream-feed", daemon=True)

    def start(self) -> None:
        """Begin to read, if that has not begun."""
        if not self._thread.is_alive() and not self._ended:
            self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether the source has no more frames and the last one was taken."""
        with self._changed:
            return self._ended and self._newest is None

    def take(self, timeout_s: float) -> Arrival | None:
        """The newest frame that was not taken yet; None when there is none within `timeout_s` or no more at all."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._ended, timeout_s)
            newest, self._newest = self._newest, None
            self._changed.notify_all()
            return newest

    def close(self) -> None:
        """End the source and the thread."""
        with self._changed:
            self._ended = True
            self._newest = None
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
                self._changed.wait_for(lambda: self._newest is None or self._ended)
            if self._ended:
                return False
            self.rate.tick()
            self._newest = arrival
            self._changed.notify_all()
            return True
