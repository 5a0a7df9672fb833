"""Frames of a labelled clip as images to train on: a folder for each label, and which of them belong together.

Frames are counted as the runtime counts them. Those under one label, one after the other, show nearly the same: they
are one group, which a training does not split. A frame that has no label is left out, or, where labels are intervals or
boxes, is one of nothing.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from mainstream._optional import require
from mainstream.description import nearest, shown
from mainstream.errors import ProblemError
from mainstream.files import naming, reason, write_text
from mainstream.formats.boxes import WHOLE_FRAME, Region, frames_in, read_boxes
from mainstream.formats.calibration_files import FrameLabels, read_frame_labels
from mainstream.streamer.decoding import VideoReader

if TYPE_CHECKING:
    from av import VideoFrame

GROUPS: Final = "groups.csv"
_QUALITY: Final = 95


def save_frames(
    clip: Path,
    labels: Path,
    folder: Path,
    *,
    every: int = 1,
    nothing: str = "nothing",
    region: Region = WHOLE_FRAME,
    box_label: str | None = None,
) -> Counter[str]:
    """Write the labelled frames of a clip, whole and in its own size.

    Parameters
    ----------
    clip : Path
    labels : Path
        As for :func:`~mainstream.formats.calibration_files.read_frame_labels`, or for
        :func:`~mainstream.formats.boxes.read_boxes`.
    folder : Path
        New or empty; gets ``LABEL/000123.jpg`` and ``groups.csv``.
    every : int
        Of the labelled frames each so many-th one.
    nothing : str
        Label of the frames that lie in no interval, and of those without a box.
    region : Region
        Where boxes count.
    box_label : str, optional
        The category whose boxes count; what those of MOT are called.

    Returns
    -------
    Counter of str
        Images by label.

    Raises
    ------
    ProblemError
        Labels are missing, lie outside the clip or cannot name a folder; the clip is none; nothing can be written.
    """
    require("PIL", "train")
    found, last = _read(clip, labels, region, box_label)
    for label in {nothing, *found.names}:
        if not label.strip(". ") or "/" in label or "\\" in label or label.startswith("."):
            raise ProblemError(f"{labels}: label {shown(label)} cannot name a folder; give it another name")
    if found.intervals and nothing in found.names:
        raise ProblemError(f"{labels}: label {shown(nothing)} is that of frames in no interval; name those another way")
    with _beside(folder) as partial:
        counts, frames = _written(clip, found, partial, every, nothing)
        if last >= frames:
            raise ProblemError(f"{labels}: it labels frame {last}; {clip} has frames 0 to {frames - 1}")
        if not counts:
            raise ProblemError(f"{labels}: none of the frames that it labels is one of each {every}; take more of them")
    return counts


def _read(clip: Path, file: Path, region: Region, box_label: str | None) -> tuple[FrameLabels, int]:
    """The labels of frames, and the last frame of which the file speaks."""
    boxes = read_boxes(file)
    if boxes is None:
        if region != WHOLE_FRAME or box_label is not None:
            raise ProblemError(f"{file}: holds no boxes, so --region, --inside and --label have no use; leave them out")
        found = read_frame_labels(file)
        return found, found.last
    if box_label is not None and None not in boxes and box_label not in boxes:
        names = [name for name in boxes if name is not None]
        raise ProblemError(f"{file}: has no box of {shown(box_label)}; {nearest(box_label, names)}")
    with VideoReader(str(clip), str(clip)) as reader:
        first = next(reader.pictures())
    marked = []
    for name, some in boxes.items():
        called = box_label if name is None else name
        if called is None:
            raise ProblemError(f"{file}: boxes of MOT have no label; say what they are with --label NAME")
        if box_label in (None, called):
            shown_on = frames_in(some, region, (first.width, first.height))
            marked += [(frame, frame + 1, called) for frame in shown_on]
    if not marked:
        raise ProblemError(f"{file}: no box lies far enough in the region")
    with naming(f"{file}: --label NAME takes one category"):
        found = FrameLabels.of_marked(marked, intervals=True)
    return found, max(box.frame for some in boxes.values() for box in some)


def _written(clip: Path, found: FrameLabels, folder: Path, every: int, nothing: str) -> tuple[Counter[str], int]:
    """Write the images; how many of each label, and how many frames the clip has."""
    counts: Counter[str] = Counter()
    groups = io.StringIO()
    rows = csv.writer(groups, lineterminator="\n")
    before, run, number = None, 0, -1
    with VideoReader(str(clip), str(clip)) as reader:
        for number, picture in enumerate(reader.pictures()):
            label = found.of(number) or (nothing if found.intervals else None)
            run, before = run + (label != before), label
            if label is not None and number % every == 0:
                name = f"{label}/{number:06}.jpg"
                _save(picture, folder / name)
                counts[label] += 1
                rows.writerow((name, f"{label} {run}"))
    write_text(folder / GROUPS, groups.getvalue())
    return counts, number + 1


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A folder that takes the place of `folder`, new or empty, when all of it is there."""
    with naming(folder):
        try:
            if folder.exists() and any(folder.iterdir()):
                raise ProblemError("it holds something already; give a new folder")
            made = TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent)
        except OSError as error:
            raise ProblemError(f"cannot be made: {reason(error)}") from None
    with made as partial:
        whole = Path(partial) / folder.name
        whole.mkdir()
        yield whole
        try:
            whole.rename(folder)
        except OSError as error:
            raise ProblemError(f"{folder}: cannot be made: {reason(error)}") from None


def _save(picture: VideoFrame, path: Path) -> None:
    decoded: Any = picture
    try:
        path.parent.mkdir(exist_ok=True)
        decoded.to_image().save(path, quality=_QUALITY)
    except OSError as error:
        raise ProblemError(f"{path}: cannot be written: {reason(error)}") from None
