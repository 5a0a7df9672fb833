"""Frames, which come out of a camera or a clip, and what the built-in sources have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from threading import Event, Lock, local
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from mainstream._optional import require
from mainstream.errors import ProblemError
from mainstream.region import Region, box

if TYPE_CHECKING:
    from av import VideoFrame

_View = tuple[int, int, int, Region | None]
"""Height, width, channels, region."""
_FORMATS: Final = {1: "gray", 3: "rgb24"}
_PLANAR: Final = {1: "gray", 3: "gbrp"}
"""FFmpeg's formats with a plane for each channel; resizing into them takes half as long as into rgb24."""
_MOST_SIZES: Final = 16
"""Sizes for which a thread keeps a resizer; a plan has one or two."""
_QUALITY: Final = 4
"""Quality of JPEG pictures, as FFmpeg's quantiser: 2 is the best, 31 the worst."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a stream.

    Attributes
    ----------
    number : int
        Its place in the stream, from 0; numbers go on when a clip begins again or a camera is reopened.
    time_s : float
        Seconds since the stream's first frame.
    """

    number: int
    time_s: float
    _picture: VideoFrame = field(repr=False)
    _made: dict[_View, NDArray[np.uint8]] = field(default_factory=dict, init=False, repr=False)
    _making: Lock = field(default_factory=Lock, init=False, repr=False)

    @classmethod
    def from_pixels(cls, number: int, time_s: float, pixels: NDArray[np.uint8]) -> Self:
        """Make a frame of pixels that come from elsewhere.

        Parameters
        ----------
        number, time_s
            As the attributes.
        pixels : array of uint8, shape (height, width, 3) or (height, width, 1)
            RGB or grey; copied.

        Raises
        ------
        MissingExtraError
            PyAV is not installed.
        ProblemError
            The array has another shape or type.
        """
        require("av", "run")
        from av import VideoFrame

        given = np.asarray(pixels)
        if given.dtype != np.uint8 or given.ndim != 3 or given.shape[2] not in _FORMATS or not given.size:
            raise ProblemError(
                f"pixels: got {given.dtype} of shape {given.shape}; "
                "they have to be uint8, (height, width, 3) for RGB or (height, width, 1) for grey"
            )
        channels = given.shape[2]
        plane = np.ascontiguousarray(given if channels > 1 else given[:, :, 0])
        return cls(number, time_s, VideoFrame.from_ndarray(plane, _FORMATS[channels]))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._picture.width, self._picture.height

    def pixels(self, height: int, width: int, channels: int, region: Region | None = None) -> NDArray[np.uint8]:
        """The frame, or a region of it, stretched to a size; made once for each size and region.

        Parameters
        ----------
        height, width : int
        channels : int
            3 for RGB, 1 for grey.
        region : (float, float, float, float), optional
            x, y, width, height, as shares of the frame's width and height; default the whole.

        Returns
        -------
        array of uint8, shape (height, width, channels)
            Read-only.
        """
        view = height, width, channels, region
        with self._making:
            if view not in self._made:
                picture = self._picture if region is None else _crops.of(self._picture, region)
                self._made[view] = _resized(picture, height, width, channels, region)
            return self._made[view]

    def jpeg(self, widest: int | None = None) -> bytes:
        """The frame as a JPEG picture in its own size, or scaled down to be no wider than `widest`."""
        from av import CodecContext

        width, height = self.size
        if widest is not None and width > widest:
            width, height = widest, max(2, round(height * widest / width / 2) * 2)
        coder: Any = CodecContext.create("mjpeg", "w")
        coder.width, coder.height = width, height
        coder.pix_fmt, coder.time_base = "yuvj420p", Fraction(1)
        coder.qmin = coder.qmax = _QUALITY
        picture = self._picture.reformat(width, height, "yuvj420p", threads=1)
        picture.pts = 0
        return b"".join(bytes(packet) for packet in [*coder.encode(picture), *coder.encode(None)])


class _Resizers(local):
    """FFmpeg's resizers, by size: making one takes as long as resizing a small picture.

    Each thread has its own, since a resizer serves one at a time. FFmpeg sets it up again when frames come in another
    format.
    """

    def __init__(self) -> None:
        self._by_size: dict[_View, Any] = {}

    def to(self, size: _View) -> Any:
        from av.video.reformatter import VideoReformatter

        if size not in self._by_size:
            if len(self._by_size) == _MOST_SIZES:
                self._by_size.clear()
            self._by_size[size] = VideoReformatter()
        return self._by_size[size]


_resizers: Final = _Resizers()


class _Crops(local):
    """FFmpeg's filters that cut a region out of a frame without copying; each thread has its own, as above."""

    def __init__(self) -> None:
        self._graphs: dict[tuple[Any, ...], Any] = {}

    def of(self, picture: VideoFrame, region: Region) -> VideoFrame:
        shape = picture.width, picture.height, picture.format.name, picture.colorspace, picture.color_range, region
        if shape not in self._graphs:
            if len(self._graphs) >= _MOST_SIZES:
                self._graphs.clear()
            self._graphs[shape] = self._made(picture, region)
        graph = self._graphs[shape]
        graph.push(picture)
        cropped: VideoFrame = graph.vpull()
        return cropped

    def _made(self, picture: VideoFrame, region: Region) -> Any:
        from av.filter import Graph

        left, top, right, bottom = box(region, picture.width, picture.height)
        graph = Graph()
        fed = graph.add_buffer(
            width=picture.width, height=picture.height, format=picture.format, time_base=Fraction(1, 1000)
        )
        cropped = graph.add("crop", f"{right - left}:{bottom - top}:{left}:{top}")
        fed.link_to(cropped)
        cropped.link_to(graph.add("buffersink"))
        graph.configure()
        return graph


_crops: Final = _Crops()


def _resized(picture: VideoFrame, height: int, width: int, channels: int, region: Region | None) -> NDArray[np.uint8]:
    """Resize as Pillow's BILINEAR does, since it resized the training images.

    Both weigh pixels by a triangle as wide as the scale asks for. swscale's short cuts for chroma would add 1.5 of
    255; without them the two differ by 0.5 on average. It uses one thread: a pool of threads for each frame costs more.

    FFmpeg can give floats, too, but does not round them as it rounds bytes: they are 0.4 of 255 lower.
    """
    from av.video.reformatter import Interpolation

    exact = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
    small = _resizers.to((height, width, channels, region)).reformat(
        picture, width, height, _PLANAR[channels], interpolation=Interpolation.BILINEAR | exact, threads=1
    )
    pixels = np.asarray(small.to_ndarray(), np.uint8).reshape(height, width, channels)
    pixels.flags.writeable = False
    return pixels


class StoppableSource(ABC):
    """A :class:`mainstream.extensions.Source` that ends when it is told to; use it in a ``with`` block or close it.

    Attributes
    ----------
    fps : float
        The stream's frames a second, as its container says; measured if it does not say.
    live : bool
        Whether frames come at the camera's pace, even if nobody takes them.
    reconnects : int
        How many times a camera that was lost has come back.
    damaged : int
        How many frames were left out because they are damaged.
    """

    live: bool = False
    fps: float
    reconnects: int = 0
    damaged: int = 0

    def __init__(self) -> None:
        self._closed = Event()

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """The frames, each when it is due; a ``ProblemError`` where the stream is damaged."""

    def close(self) -> None:
        """End the stream, also for a thread that waits for its next frame."""
        self._closed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
