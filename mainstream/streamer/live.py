"""Cameras: frames come at the camera's pace, the newest wins, and a lost camera is opened again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from threading import Condition, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mainstream._optional import require
from mainstream.errors import ProblemError
from mainstream.streamer.decoding import TIMEOUT_S, VideoReader
from mainstream.streamer.frames import Frame, StoppableSource

if TYPE_CHECKING:
    from av import Packet, VideoFrame

_START_S: Final = 3 * TIMEOUT_S
"""FFmpeg cannot be stopped while it looks up a name; nobody waits longer than this."""
_PAUSES_S: Final = (0.25, 0.5)
"""The first and the longest pause before a camera is opened again; each is twice the one before. Opening a slow stream
takes FFmpeg up to a second, and a camera that is back should be seen within two."""
_WAITING_S: Final = 0.5
"""Seconds in which FFmpeg hands out the frames that it read to examine the stream; they are old."""
_MEASURED_S: Final = 2.0
"""Seconds over which a rate is measured."""
_END_S: Final = 0.5

_log = logging.getLogger(__name__)


class Camera(StoppableSource):
    """A live stream, which a thread of its own reads.

    Parameters
    ----------
    name : str
        What to call it in a message.
    address, form, options
        As for :class:`mainstream.streamer.decoding.VideoReader`.

    Raises
    ------
    MissingExtraError
        PyAV is not installed.
    ProblemError
        It cannot be opened, or no frame comes.
    """

    live = True
    on_packet: Callable[[Packet[Any], bool], None] | None = None

    def __init__(
        self, name: str, address: str, form: str | None = None, options: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        require("av", "run")
        self._name = name
        self._address, self._form, self._options = address, form, options
        self._changed = Condition()
        self._newest: Frame | None = None
        self._ready = False
        self._error: Exception | None = None
        self._began = self._last_s = 0.0
        self._number = -1
        self._thread = Thread(target=self._read, name="mainstream-camera", daemon=True)
        self._thread.start()
        try:
            self._await_start()
        except BaseException:
            self.close()
            raise

    def _await_start(self) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._ready or self._error, _START_S):
                raise ProblemError(f"{self._name}: nothing came within {_START_S:g} s; is it there, and switched on?")
            if self._error is not None:
                raise self._error

    def __iter__(self) -> Iterator[Frame]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest or self._error or self._closed.is_set())
                if self._closed.is_set():
                    return
                if self._error is not None:
                    raise self._error
                frame, self._newest = self._newest, None
            if frame is not None:
                yield frame

    def close(self) -> None:
        """End the stream; a thread that waits for its next frame is let go at once."""
        super().close()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(_END_S)

    def _read(self) -> None:
        try:
            self._read_on()
        except Exception as error:  # whatever ends this thread has to reach those who wait
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _read_on(self) -> None:
        """Open the stream and take its frames, again and again."""
        first, longest = _PAUSES_S
        pause = first
        while not self._closed.is_set():
            before = self._number
            try:
                # The rate of a camera that is back is measured anyway; letting FFmpeg look for it would take a second.
                options = {**(self._options or {}), **({"fpsprobesize": "0"} if self._ready else {})}
                with VideoReader(self._name, self._address, self._form, options) as video:
                    self._take(video)
            except ProblemError as error:
                if not self._ready:
                    raise
                if self._number > before and not self._closed.is_set():
                    _log.warning("the camera is lost: %s", error)
            pause = first if self._number > before else min(2 * pause, longest)
            self._closed.wait(pause)

    def _take(self, video: VideoReader) -> None:
        """Take frames until there are no more."""
        pictures = _fresh(self._sound(video))
        back = self._ready
        if not back:
            if not video.endless and self._address.startswith("http"):
                raise ProblemError(f"{self._name}: is a file, no live stream; fetch it and give its path")
            self.fps = video.fps or self._measured(pictures)
        for picture in pictures:
            if self._closed.is_set():
                return
            if back:
                _log.warning("the camera is back: %s, after %.1f s", self._name, monotonic() - self._last_s)
            self._put(picture, back)
            back = False
        raise ProblemError(f"{self._name}: ended")

    def _sound(self, video: VideoReader) -> Iterator[VideoFrame]:
        """Its pictures; damaged ones are left out and counted."""
        before = self.damaged
        for picture in video.pictures(self._packet):
            self.damaged = before + video.damaged
            yield picture

    def _packet(self, packet: Packet[Any], stamped: bool) -> None:
        if self.on_packet is not None:
            self.on_packet(packet, stamped)

    def _put(self, picture: VideoFrame, back: bool) -> None:
        now = monotonic()
        with self._changed:
            if not self._ready:
                self._began = now
            # A camera that is back skips the numbers of the frames that it missed.
            passed = round((now - self._last_s) * self.fps) if back else 1
            self.reconnects += back
            self._number += max(1, passed)
            self._last_s = now
            self._newest = Frame(self._number, now - self._began, picture)
            self._ready = True
            self._changed.notify_all()

    def _measured(self, pictures: Iterator[VideoFrame]) -> float:
        """Frames a second, by the clock; this takes the measured frames out of `pictures`."""
        arrivals: list[float] = []
        for _ in pictures:
            arrivals.append(monotonic())
            since = np.array(arrivals) - arrivals[0]
            if since[-1] >= _MEASURED_S:
                # A line through all arrivals: from the first and last alone, one late frame would spoil the rate.
                return float(np.polyfit(since, np.arange(len(since)), 1)[0])
        raise ProblemError(f"{self._name}: ended before its frame rate was known")


def _fresh(pictures: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """The pictures without those that FFmpeg read to examine the stream."""
    opened = monotonic()
    for picture in pictures:
        if monotonic() - opened >= _WAITING_S:
            yield picture
