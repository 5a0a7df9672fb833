"""The clip of an evaluation: its length, and its frames, counted as the runtime counts them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from mainstream.errors import ProblemError
from mainstream.streamer.decoding import VideoReader
from mainstream.streamer.frames import Frame
from mainstream.streamer.playback import Clip

MOST_FRAMES: Final = 10_000_000
"""The most frames of a clip: eleven days at 10 frames a second. A decision on each is kept for each app."""


@dataclass(frozen=True)
class Footage:
    """A clip that has been read once from beginning to end.

    Attributes
    ----------
    path : Path
    frames : int
    fps : float
    width, height : int
        Pixels of its first frame.
    """

    path: Path
    frames: int
    fps: float
    width: int
    height: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read a clip to its end.

        Raises
        ------
        MissingExtraError
            PyAV is not installed.
        ProblemError
            It cannot be decoded to its end, does not say its frame rate, or is too long.
        """
        fps = Clip(path, loop=False, paced=False).fps
        width = height = frames = 0
        with VideoReader(str(path), f"file:{path}") as video:
            for picture in video.pictures():
                if not frames:
                    width, height = picture.width, picture.height
                frames += 1
                if frames > MOST_FRAMES:
                    raise ProblemError(f"{path}: has more than {MOST_FRAMES:,} frames; cut it into shorter clips")
        return cls(path, frames, fps, width, height)

    def __iter__(self) -> Iterator[Frame]:
        """The frames, without waiting between them."""
        with Clip(self.path, loop=False, paced=False) as clip:
            yield from clip

    def thumbnails(self, numbers: Collection[int], width: int) -> dict[int, bytes]:
        """Some frames as small JPEG pictures, by frame number; `width` is in pixels."""
        wanted = set(numbers)
        height = max(2, round(width * self.height / self.width))
        found: dict[int, bytes] = {}
        for frame in self if wanted else ():
            if frame.number in wanted:
                small = Frame.from_pixels(frame.number, frame.time_s, frame.pixels(height, width, 3))
                found[frame.number] = small.jpeg()
                if len(found) == len(wanted):
                    break
        return found
