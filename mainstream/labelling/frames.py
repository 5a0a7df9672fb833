"""Write frames of a labelled clip as images to train on: a folder for each label, and a file of groups.

Frames are counted as the runtime counts them. Successive frames with the same label look nearly the same, so they are
one group, which training does not split. A frame without a label is left out; but if labels are intervals or boxes, it
gets the label of frames that show nothing.
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
    """Write the labelled frames of a clip, uncropped and at the clip's own size.

    Parameters
    ----------
    clip : Path
    labels : Path
        As for :func:`~mainstream.formats.calibration_files.read_frame_labels`, or for
        :func:`~mainstream.formats.boxes.read_boxes`.
    folder : Path
        New or empty; gets ``LABEL/000123.jpg`` and ``groups.csv``.
    every : int
        Take only labelled frames whose number is a multiple of this.
    nothing : str
        Label of the frames in no interval, or without a box.
    region : Region
        Where boxes count.
    box_label : str, optional
        The category whose boxes count; for MOT, the label of its boxes.

    Returns
    -------
    Counter of str
        Images by label.

    Raises
    ------
    ProblemError
        Labels are missing, lie outside the clip or cannot name a folder; the clip cannot be read; the folder cannot be
        written.
    """
    require("PIL", "train")
    found, last = _read(clip, labels, region, box_label)
    for label in {nothing, *found.names}:
        if not label.strip(". ") or "/" in label or "\\" in label or label.startswith("."):
            raise ProblemError(f"{labels}: label {shown(label)} cannot name a folder; give it another name")
    if found.intervals and nothing in found.names:
        raise ProblemError(
            f"{labels}: label {shown(nothing)} is taken: frames in no interval get it; give them another with --nothing"
        )
    with _beside(folder) as partial:
        counts, frames = _written(clip, found, partial, every, nothing)
        if last >= frames:
            raise ProblemError(f"{labels}: it labels frame {last}, but {clip} has frames 0 to {frames - 1}")
        if not counts:
            raise ProblemError(
                f"{labels}: no frame that it labels has a number that is a multiple of {every}; give a smaller --every"
            )
    return counts


def _read(clip: Path, file: Path, region: Region, box_label: str | None) -> tuple[FrameLabels, int]:
    """The labels of frames, and the last frame that the file mentions."""
    boxes = read_boxes(file)
    if boxes is None:
        if region != WHOLE_FRAME or box_label is not None:
            raise ProblemError(
                f"{file}: has no boxes, so --region, --inside and --label have no effect; leave them out"
            )
        found = read_frame_labels(file)
        return found, found.last
    if box_label is not None and None not in boxes and box_label not in boxes:
        names = [name for name in boxes if name is not None]
        raise ProblemError(f"{file}: has no box with label {shown(box_label)}; {nearest(box_label, names)}")
    with VideoReader(str(clip), str(clip)) as reader:
        first = next(reader.pictures())
    marked = []
    for name, some in boxes.items():
        called = box_label if name is None else name
        if called is None:
            raise ProblemError(f"{file}: boxes of MOT have no label; give one with --label NAME")
        if box_label in (None, called):
            shown_on = frames_in(some, region, (first.width, first.height))
            marked += [(frame, frame + 1, called) for frame in shown_on]
    if not marked:
        raise ProblemError(
            f"{file}: no box lies far enough inside the region; give a larger one, or a smaller --inside"
        )
    with naming(f"{file}: --label NAME takes one category"):
        found = FrameLabels.of_marked(marked, intervals=True)
    return found, max(box.frame for some in boxes.values() for box in some)


def _written(clip: Path, found: FrameLabels, folder: Path, every: int, nothing: str) -> tuple[Counter[str], int]:
    """Write the images; give the number of images with each label, and the number of frames of the clip."""
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
    """A folder to fill; at the end it is renamed to `folder`, which has to be new or empty."""
    with naming(folder):
        try:
            if folder.exists() and any(folder.iterdir()):
                raise ProblemError("it is not empty; give a new folder")
            made = TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent)
        except OSError as error:
            raise ProblemError(f"cannot be created: {reason(error)}") from None
    with made as partial:
        whole = Path(partial) / folder.name
        whole.mkdir()
        yield whole
        try:
            whole.rename(folder)
        except OSError as error:
            raise ProblemError(f"{folder}: cannot be created: {reason(error)}") from None


def _save(picture: VideoFrame, path: Path) -> None:
    decoded: Any = picture
    try:
        path.parent.mkdir(exist_ok=True)
        decoded.to_image().save(path, quality=_QUALITY)
    except OSError as error:
        raise ProblemError(f"{path}: cannot be written: {reason(error)}") from None
