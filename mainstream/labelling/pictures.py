"""The frames of a clip as JPEG files: decoded in order, up to the latest one that was asked for, and kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from mainstream._optional import require
from mainstream.streamer.decoding import VideoReader

if TYPE_CHECKING:
    from av import VideoFrame

MOST: Final = 100_000
"""The most frames that are kept: some 3 GB."""
_WIDEST: Final = 960
_QUALITY: Final = 80


class Pictures:
    """The frames of a clip by number; several threads may call it.

    Parameters
    ----------
    reader : VideoReader
        Open, with nothing read from it yet.
    folder : Path
        Where the files are kept.

    Attributes
    ----------
    count : int or None
        Frames of the clip; None until its end is reached.
    """

    def __init__(self, reader: VideoReader, folder: Path) -> None:
        require("PIL", "label")
        self._frames: Iterator[VideoFrame] = reader.pictures()
        self._folder = folder
        self._lock = Lock()
        self._known = 0
        self.count: int | None = None

    def get(self, number: int) -> bytes | None:
        """A frame as JPEG; None after the end of the clip, or after the last frame that is kept.

        Raises
        ------
        ProblemError
            The clip is damaged or cut off before that frame.
        """
        with self._lock:
            while self.count is None and self._known <= number:
                frame = next(self._frames, None) if self._known < MOST else None
                if frame is None:
                    self.count = self._known
                    break
                height = max(1, round(frame.height * min(1.0, _WIDEST / frame.width)))
                small: Any = frame.reformat(width=min(frame.width, _WIDEST), height=height)
                small.to_image().save(self._path(self._known), quality=_QUALITY)
                self._known += 1
        return self._path(number).read_bytes() if number < self._known else None

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.jpg"
