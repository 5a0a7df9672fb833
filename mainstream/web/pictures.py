"""The camera's picture: it is encoded when someone looks, once for all viewers, and less often the more there are."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Final

from mainstream.streamer.frames import Frame

WIDEST: Final = 640
_EVERY_S: Final = 0.5
"""Least seconds between two pictures for one viewer."""
_MOST_A_SECOND: Final = 10
"""Most pictures for all viewers together."""


class Pictures:
    """The newest frame as JPEG.

    Parameters
    ----------
    newest : callable
        Gives the newest frame; None if there is none.
    """

    def __init__(self, newest: Callable[[], Frame | None]) -> None:
        self._newest = newest
        self._lock = Lock()
        self._frame: Frame | None = None
        self._picture: bytes | None = None
        self._made_s = 0.0
        self._second = 0
        self._given = 0

    def get(self) -> bytes | None:
        """The picture; None if there is no frame yet."""
        with self._lock:
            frame, now = self._newest(), monotonic()
            if frame is not None and frame is not self._frame and now >= self._made_s + _EVERY_S / 2:
                self._picture = frame.jpeg(WIDEST)
                self._frame, self._made_s = frame, now
            return self._picture

    def too_many(self) -> bool:
        """Count a request; return whether there are too many in this second."""
        second = int(monotonic())
        if second != self._second:
            self._second, self._given = second, 0
        self._given += 1
        return self._given > 2 * _MOST_A_SECOND  # twice what pages ask for, to allow for jitter


def every_s(viewers: int) -> float:
    """Seconds after which each of so many viewers should ask for the next picture."""
    return max(_EVERY_S, viewers / _MOST_A_SECOND)
