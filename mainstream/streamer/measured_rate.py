"""Measures the frames a second of a live stream all the time: a camera that comes back may have another rate."""

from __future__ import annotations

from collections import deque
from typing import Final

_OVER_S: Final = 3.0
_LEAST_S: Final = 2.0
_OVER_FRAMES: Final = 10
"""The rate is measured over the last 3 s, or over 10 frames if those take longer."""
_CHANGE: Final = 0.1
"""A smaller change is jitter."""
_REST: Final = 0.02
"""After a change this much counts: the change was noticed half way through it, so the rate is measured again."""


class MeasuredRate:
    """The rate of a live stream.

    Parameters
    ----------
    fps : float
        What it is at first.

    Attributes
    ----------
    fps : float
        What it is now.
    """

    def __init__(self, fps: float) -> None:
        self.fps = fps
        self._frames: deque[tuple[int, float]] = deque()
        self._jitter = _CHANGE

    def frame(self, number: int, time_s: float) -> bool:
        """Note a frame, by its number in the stream and its time; return whether the rate has changed."""
        frames = self._frames
        frames.append((number, time_s))
        while len(frames) > _OVER_FRAMES and time_s - frames[0][1] > _OVER_S:
            frames.popleft()
        first, begun_s = frames[0]
        if time_s - begun_s < _LEAST_S or len(frames) < _OVER_FRAMES:
            return False
        fps = (number - first) / (time_s - begun_s)
        if abs(fps / self.fps - 1) <= self._jitter:
            self._jitter = _CHANGE
            return False
        self._jitter = _REST if self._jitter == _CHANGE else _CHANGE
        self.fps = fps
        frames.clear()
        return True
