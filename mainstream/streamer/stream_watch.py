"""What the frames tell of the stream: when it began, its rate, and whether it is there."""

from __future__ import annotations

import logging
from time import monotonic, time
from typing import Final

from mainstream.streamer.feed import Arrival, Feed
from mainstream.streamer.frames import Frame
from mainstream.streamer.measured_rate import MeasuredRate

_SILENT_S: Final = 1.0
_SILENT_FRAMES: Final = 5
"""A live source is away when it has given no frame for a second and for the time of five frames."""

_log = logging.getLogger(__name__)


class StreamWatch:
    """Watches a stream, frame by frame.

    Parameters
    ----------
    feed : Feed

    Attributes
    ----------
    newest : Frame or None
        The newest frame.
    began_s : float or None
        When the stream's first frame was taken, in seconds since 1970; None if no frame has come.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._measured = MeasuredRate(float(feed.source.fps))
        self._newest_s: float | None = None
        self.newest: Frame | None = None
        self.began_s: float | None = None

    @property
    def fps(self) -> float:
        """Frames a second of the source; those of a live one are measured all the time."""
        return self._measured.fps

    @property
    def silent_s(self) -> float:
        """Seconds for which a live source has given no frame although one was due; else 0."""
        if self._newest_s is None or not self._feed.source.live or self._feed.ended:
            return 0.0
        silent = monotonic() - self._newest_s
        return silent if silent > max(_SILENT_S, _SILENT_FRAMES / self.fps) else 0.0

    @property
    def away(self) -> str | None:
        """Why there are no frames to analyse; None if they come."""
        if self.newest is None:
            return "no frame has come yet"
        return f"the camera has been away for {self.silent_s:.0f} s" if self.silent_s else None

    def note(self, arrival: Arrival) -> bool:
        """Note a frame; return whether a live stream has another rate now, which is logged."""
        frame = arrival.frame
        if self.began_s is None:
            self.began_s = time() - frame.time_s
        self._newest_s, self.newest = arrival.at_s, frame
        changed = self._feed.source.live and self._measured.frame(frame.number, frame.time_s)
        if changed:
            _log.warning("the stream has %.4g frames a second now", self.fps)
        return changed
