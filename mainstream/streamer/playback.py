"""Streams that are played here at their rate by the wall clock: clips, and the test pattern."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, Final

import numpy as np

from mainstream._optional import require
from mainstream.description import Description
from mainstream.errors import ProblemError
from mainstream.files import reason
from mainstream.ranges import SIDE, Count, StreamFps
from mainstream.streamer.decoding import VideoReader
from mainstream.streamer.frames import Frame, StoppableSource

if TYPE_CHECKING:
    from av import Packet, VideoFrame

_TURN: Final = 40
"""Frames in which the test pattern goes round once."""


class Played(StoppableSource):
    """Plays pictures once or over and over.

    Parameters
    ----------
    fps : float
    loop : bool
        Begin again at the end.
    paced : bool
        Give frame n no earlier than n / `fps` seconds after the first; otherwise give frames as fast as they are taken.
    """

    def __init__(self, fps: float, *, loop: bool, paced: bool) -> None:
        super().__init__()
        self.fps = fps
        self._loop = loop
        self._paced = paced

    def __iter__(self) -> Iterator[Frame]:
        number = 0
        began: float | None = None
        while True:
            for picture in self._pictures():
                began = monotonic() if began is None else began
                # Timed from the start, not from the frame before, so that a late frame makes no other one late.
                left = began + number / self.fps - monotonic() if self._paced else 0.0
                if self._closed.wait(left) if left > 0 else self._closed.is_set():
                    return
                yield Frame(number, number / self.fps, picture)
                number += 1
            if not self._loop:
                return

    @abstractmethod
    def _pictures(self) -> Iterator[VideoFrame]:
        """All of them, once."""


class Clip(Played):
    """A video file.

    Raises
    ------
    MissingExtraError
        PyAV is not installed.
    ProblemError
        There is no such file, or it is not a video that can be decoded.
    """

    on_packet: Callable[[Packet[Any], bool], None] | None = None

    def __init__(self, path: Path, *, loop: bool, paced: bool) -> None:
        self._path = path
        _check_file(path)
        with self._open() as video:
            if video.fps is None:
                raise ProblemError(f"{path}: does not say its frame rate; put it into a container that does")
            next(video.pictures())
            super().__init__(video.fps, loop=loop, paced=paced)

    def _open(self) -> VideoReader:
        return VideoReader(str(self._path), f"file:{self._path}")

    def _pictures(self) -> Iterator[VideoFrame]:
        before = self.damaged
        with self._open() as video:
            for picture in video.pictures(self.on_packet):
                self.damaged = before + video.damaged
                yield picture
            self.damaged = before + video.damaged


def _check_file(path: Path) -> None:
    try:
        is_file, size = path.is_file(), path.stat().st_size
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ProblemError(f"{path}: {reason(error)}; name a clip, or a camera by its URI") from None
    if not is_file:
        raise ProblemError(f"{path}: is not a file; name a clip, or a camera by its URI")
    if not size:
        raise ProblemError(f"{path}: the file is empty")


Side = Annotated[int, replace(SIDE, low=2, high_told=True)]


class PatternOptions(Description):
    """What may stand behind ``test://?``; each of it may be left out.

    Parameters
    ----------
    fps : float
    width, height : int
        Pixels.
    frames : int, optional
        How many there are; by default there is no end.
    """

    fps: StreamFps = 10.0
    width: Side = 640
    height: Side = 480
    frames: Count | None = None


class Pattern(Played):
    """A rainbow that goes round; frame n is always the same."""

    def __init__(self, options: PatternOptions, *, loop: bool, paced: bool) -> None:
        require("av", "run")
        super().__init__(options.fps, loop=loop, paced=paced)
        self._frames = options.frames
        turn = np.linspace(0, 2 * np.pi, options.width, endpoint=False)
        rainbow = 0.5 + 0.5 * np.cos(turn[:, None] - np.arange(3) * 2 * np.pi / 3)
        shade = np.linspace(1.0, 0.3, options.height)
        self._base = np.rint(255 * shade[:, None, None] * rainbow).astype(np.uint8)
        self._step = max(1, options.width // _TURN)

    def _pictures(self) -> Iterator[VideoFrame]:
        from av import VideoFrame

        number = 0
        while self._frames is None or number < self._frames:
            yield VideoFrame.from_ndarray(np.roll(self._base, number * self._step, axis=1))
            number += 1
