"""Film a scene: a clip with exact labels.

A frame is in an event if at least half of the cut-out, by its opacity, is in the picture. The light of the whole scene
changes slowly, and every frame has the noise of a sensor.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mainstream.errors import ProblemError
from mainstream.files import reason, write_text
from mainstream.formats.intervals import Interval, save_intervals
from mainstream.scenes.cutouts import CutOut
from mainstream.scenes.script import Visit
from mainstream.streamer.decoding import VideoReader

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.uint8]
NOTHING: Final = "nothing"
"""Label of a frame without an event."""
_VISIBLE: Final = 0.5
_NOISE: Final = 4.0
_LIGHT: Final = 0.12
_BIT_RATE: Final = 12
"""Bits per pixel and second."""


def footage(clip: Path, size: tuple[int, int], part: tuple[float, float]) -> Iterator[Pixels]:
    """Yield the frames of a part of a clip, over and over, as (height, width, 3) arrays.

    Parameters
    ----------
    clip : Path
    size : (int, int)
        Width and height in pixels.
    part : (float, float)
        Begin and end of the part, as shares of the clip's frames.

    Raises
    ------
    ProblemError
        It cannot be read, or has too few frames.
    """
    with VideoReader(str(clip), str(clip)) as reader:
        count = sum(1 for _ in reader.pictures())
    first, last = (int(share * count) for share in part)
    if last <= first:
        raise ProblemError(f"{clip}: has {count} frames; 2 or more are needed, half of them for testing")
    while True:
        with VideoReader(str(clip), str(clip)) as reader:
            for number, frame in enumerate(reader.pictures()):
                if number >= last:
                    break
                if number >= first:
                    pixels: Any = frame.reformat(*size, format="rgb24").to_ndarray()
                    yield pixels


def film(
    path: Path,
    background: Iterator[Pixels],
    visits: Sequence[Visit],
    cutouts: Sequence[CutOut],
    fps: float,
    size: tuple[int, int],
    random: np.random.Generator,
) -> tuple[Interval, ...]:
    """Write a clip and, beside it, ``NAME.labels.csv`` (frame,label) and ``NAME.intervals.csv`` (start,end,label).

    Parameters
    ----------
    path : Path
        The clip; the ending of its name chooses the file format.
    background : iterator of (height, width, 3) arrays
    visits : sequence of Visit
    cutouts : sequence of CutOut
        Visits refer to them by index.
    fps : float
    size : (int, int)
        Width and height in pixels, both even.
    random : numpy.random.Generator

    Returns
    -------
    tuple of Interval
        The events.

    Raises
    ------
    ProblemError
        The clip cannot be written.
    """
    import av

    total = visits[-1].end + round(fps)
    shows = np.zeros(total, bool)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    phase = random.uniform(0, 2 * np.pi)
    # One large array of noise, cut at a random place for each frame: new noise for each would take most of the time.
    noise = random.normal(0, _NOISE, (2 * size[1], 2 * size[0], 3)).astype(np.float32)
    try:
        with av.open(str(partial), "w") as container:
            stream: Any = container.add_stream("mpeg4", rate=Fraction(fps).limit_denominator(1001))
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.bit_rate = round(_BIT_RATE * size[0] * size[1])
            upcoming = list(reversed(visits))
            drawn: _Drawn | None = None
            for number in range(total):
                picture = next(background).astype(np.float32)
                if drawn is None and upcoming and upcoming[-1].start <= number:
                    visit = upcoming.pop()
                    drawn = _Drawn(visit, cutouts[visit.cutout].picture, size)
                if drawn is not None:
                    shows[number] = drawn.onto(picture, number) >= _VISIBLE
                    if drawn.visit.end == number + 1:
                        drawn = None
                picture *= 1 + _LIGHT * np.sin(phase + 2 * np.pi * number / (60 * fps))
                top, left = int(random.integers(size[1])), int(random.integers(size[0]))
                picture += noise[top : top + size[1], left : left + size[0]]
                frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        partial.replace(path)
    except (OSError, av.error.FFmpegError) as error:
        raise ProblemError(f"{path}: cannot be written: {reason(error)}") from None
    finally:
        partial.unlink(missing_ok=True)
    events = _intervals(shows, visits, cutouts)
    labels = [NOTHING] * total
    for one in events:
        labels[one.start : one.end] = [one.label] * (one.end - one.start)
    save_intervals(events, path.with_suffix(".intervals.csv"))
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("frame", "label"))
    rows.writerows(enumerate(labels))
    write_text(path.with_suffix(".labels.csv"), text.getvalue())
    return events


class _Drawn:
    """A visit's cut-out, ready to draw: with its size, light and blur."""

    def __init__(self, visit: Visit, picture: Image, size: tuple[int, int]) -> None:
        from PIL import Image, ImageFilter

        self.visit = visit
        height = max(4, round(visit.height * size[1]))
        width = max(4, round(height * picture.width / picture.height))
        if width > size[0]:
            width, height = size[0], max(4, round(height * size[0] / width))
        made = picture.resize((width, height), Image.Resampling.LANCZOS)
        if visit.mirrored:
            made = made.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = np.asarray(made.filter(ImageFilter.GaussianBlur(visit.blur * size[1] / 100)), dtype=np.float32)
        self._opacity = pixels[..., 3:] / 255
        self._colour = pixels[..., :3] * visit.light
        self._whole = float(self._opacity.sum())

    def onto(self, picture: NDArray[np.float32], number: int) -> float:
        """Draw it onto frame `number`; give the share of it, by opacity, that is in the picture."""
        height, width = self._opacity.shape[:2]
        at = number - self.visit.start
        top = round(float(self.visit.y[at]) * picture.shape[0] - height / 2)
        left = round(float(self.visit.x[at]) * picture.shape[1] - width / 2)
        rows = slice(max(0, -top), max(0, min(height, picture.shape[0] - top)))
        columns = slice(max(0, -left), max(0, min(width, picture.shape[1] - left)))
        opacity = self._opacity[rows, columns]
        if not opacity.size:
            return 0.0
        under = picture[max(0, top) : max(0, top) + opacity.shape[0], max(0, left) : max(0, left) + opacity.shape[1]]
        under += opacity * (self._colour[rows, columns] - under)
        return float(opacity.sum()) / self._whole


def _intervals(shows: NDArray[np.bool_], visits: Sequence[Visit], cutouts: Sequence[CutOut]) -> tuple[Interval, ...]:
    """One event for each visit, from the first frame that shows it to the last."""
    found = []
    for visit in visits:
        shown = visit.start + np.flatnonzero(shows[visit.start : visit.end])
        if shown.size:
            label = cutouts[visit.cutout].label
            found.append(Interval(start=int(shown[0]), end=int(shown[-1]) + 1, label=label))
    return tuple(found)
