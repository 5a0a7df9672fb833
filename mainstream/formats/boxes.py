"""Boxes around things, frame by frame, from MOT and COCO-VID files, and which of them lie in a region.

MOT (.txt, .csv) is CSV without a header: frame (from 1), identity, left, top, width, height in pixels. A seventh
number, if there is one, is 0 for a box that does not count. COCO-VID (.json) has ``images`` with an ``id`` and a
``frame_id`` (from 0), ``categories`` with a name, and ``annotations`` with ``image_id``, ``category_id`` and ``bbox``:
left, top, width, height.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, Self

from pydantic import Field, model_validator

from mainstream.description import Description, shown
from mainstream.errors import ProblemError
from mainstream.files import json_values, naming, read_text
from mainstream.ranges import Probability, Share, Whole
from mainstream.region import OfFrame, check_inside

_LARGEST: Final = 2**28
"""The most bytes of a file of boxes."""
_MOST: Final = 5_000_000
"""The most boxes in a file."""
_NUMBER: Final = re.compile(r"\s*[-+.\d]")
"""How a line of MOT begins; a header does not."""


class Box(NamedTuple):
    """A box on one frame, in pixels."""

    frame: int
    left: float
    top: float
    width: float
    height: float


class Region(Description):
    """A part of the picture, and how much of a box has to lie in it to count.

    Parameters
    ----------
    x, y, width, height : float
        Shares of the frame's width and height.
    inside : float
        Share of a box's area that has to lie inside.
    """

    x: Probability = 0.0
    y: Probability = 0.0
    width: Share = 1.0
    height: Share = 1.0
    inside: Share = 0.5

    @model_validator(mode="after")
    def _in_the_frame(self) -> Self:
        check_inside(self.x, self.y, self.width, self.height)
        return self

    @classmethod
    def parse(cls, text: str, inside: float, where: str) -> Self:
        """Read a region from ``x,y,width,height``.

        Raises
        ------
        ProblemError
            The text is not a region, or the region reaches outside the frame.
        """
        try:
            x, y, width, height = (float(part) for part in text.split(","))
        except ValueError:
            raise ProblemError(f"{where}: got {shown(text)}; it has to be x,y,width,height as shares, 0 to 1") from None
        return cls.of({"x": x, "y": y, "width": width, "height": height, "inside": inside}, where=where)

    @classmethod
    def seen_by(cls, region: OfFrame, inside: float) -> Self:
        """The region that an app sees; the whole frame if it has none."""
        x, y, width, height = region or (0, 0, 1, 1)
        return cls(x=x, y=y, width=width, height=height, inside=inside)

    def holds(self, box: Box, size: tuple[int, int]) -> bool:
        """Whether enough of a box lies inside; `size` is the frame's width and height."""
        across = min(box.left + box.width, (self.x + self.width) * size[0]) - max(box.left, self.x * size[0])
        down = min(box.top + box.height, (self.y + self.height) * size[1]) - max(box.top, self.y * size[1])
        return across > 0 and down > 0 and across * down >= self.inside * box.width * box.height * (1 - 1e-9)


WHOLE_FRAME: Final = Region()


def read_boxes(path: Path) -> dict[str | None, tuple[Box, ...]] | None:
    """Read the boxes in a file, by the name of their category; MOT has no categories.

    Returns
    -------
    dict or None
        None if the file does not hold boxes but CSV with a header.

    Raises
    ------
    ProblemError
        The file cannot be read, a line is not a box, or the boxes are from several videos.
    """
    text = read_text(path, largest=_LARGEST)
    with naming(path):
        if path.suffix.lower() == ".json":
            return _coco(json_values(text))
        return {None: _mot(text)} if _NUMBER.match(text) else None


def _mot(text: str) -> tuple[Box, ...]:
    found: list[Box] = []
    for number, row in enumerate(csv.reader(text.splitlines()), start=1):
        if not row:
            continue
        try:
            frame, _, left, top, width, height, *rest = map(float, row)
        except ValueError:
            raise ProblemError(
                f"line {number}: got {shown(','.join(row))}; it has to be frame,identity,left,top,width,height,..."
            ) from None
        if frame < 1 or not frame.is_integer():
            raise ProblemError(f"line {number}: frame {frame:g}; MOT counts from 1")
        box = _checked(Box(int(frame) - 1, left, top, width, height), f"line {number}", len(found))
        if not rest or rest[0] != 0:
            found.append(box)
    return tuple(found)


class _Image(Description):
    id: Whole
    frame_id: Whole
    video_id: Whole = 0


class _Category(Description):
    id: Whole
    name: str


class _Annotation(Description):
    image_id: Whole
    category_id: Whole
    bbox: Annotated[tuple[float, ...], Field(min_length=4, max_length=4)]


def _coco(values: Any) -> dict[str | None, tuple[Box, ...]]:
    images = {one.id: one for one in _each(values, "images", _Image)}
    if len({one.video_id for one in images.values()}) > 1:
        raise ProblemError("images: they are from several videos; give a file that has only those of the clip")
    names = {one.id: one.name for one in _each(values, "categories", _Category)}
    found: dict[str, list[Box]] = {name: [] for name in names.values()}
    for place, one in enumerate(_each(values, "annotations", _Annotation)):
        where = f"annotations[{place}]"
        if one.image_id not in images or one.category_id not in names:
            raise ProblemError(
                f"{where}: no image has image_id {one.image_id}, or no category has category_id {one.category_id}"
            )
        box = _checked(Box(images[one.image_id].frame_id, *one.bbox), where, place)
        found[names[one.category_id]].append(box)
    return {name: tuple(boxes) for name, boxes in found.items() if boxes}


def _each(values: Any, key: str, kind: type[Any]) -> Iterable[Any]:
    given = values.get(key) if isinstance(values, Mapping) else None
    if not isinstance(given, list) or len(given) > _MOST:
        raise ProblemError(f"{key}: it has to be a list of at most {_MOST:,}, as in COCO-VID")
    for place, one in enumerate(given):
        known = {name: one[name] for name in kind.model_fields if name in one} if isinstance(one, Mapping) else one
        yield kind.of(known, where=f"{key}[{place}]")


def _checked(box: Box, where: str, before: int) -> Box:
    if not all(map(math.isfinite, box)) or box.width <= 0 or box.height <= 0:
        raise ProblemError(
            f"{where}: a box of {box.width:g} x {box.height:g} at {box.left:g}, {box.top:g}; "
            "width and height have to be positive, and all numbers finite"
        )
    if before >= _MOST:
        raise ProblemError(f"it has more than {_MOST:,} boxes")
    return box


def frames_in(boxes: Sequence[Box], region: Region, size: tuple[int, int]) -> set[int]:
    """The frames with at least one box that lies in the region; `size` is the frames' width and height."""
    return {box.frame for box in boxes if region.holds(box, size)}
