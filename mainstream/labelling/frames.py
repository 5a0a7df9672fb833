"""Frames of a labelled clip as images to train on: a folder for each label, and which of them belong together.

Frames are counted as the runtime counts them. Those under one label, one after the other, show nearly the same: they
are one group, which a training does not split. A frame that has no label is left out, or, where labels are intervals,
is one of nothing.
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
from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.files import naming, reason, write_text
from mainstream.formats.calibration_files import FrameLabels, read_frame_labels
from mainstream.streamer.decoding import VideoReader

if TYPE_CHECKING:
    from av import VideoFrame

GROUPS: Final = "groups.csv"
_QUALITY: Final = 95


def save_frames(clip: Path, labels: Path, folder: Path, *, every: int = 1, nothing: str = "nothing") -> Counter[str]:
    """Write the labelled frames of a clip, whole and in its own size.

    Parameters
    ----------
    clip : Path
    labels : Path
        As for :func:`~mainstream.formats.calibration_files.read_frame_labels`.
    folder : Path
        New or empty; gets ``LABEL/000123.jpg`` and ``groups.csv``.
    every : int
        Of the labelled frames each so many-th one.
    nothing : str
        Label of the frames that lie in no interval.

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
    found = read_frame_labels(labels)
    for label in {nothing, *found.names}:
        if not label.strip(". ") or "/" in label or "\\" in label or label.startswith("."):
            raise ProblemError(f"{labels}: label {shown(label)} cannot name a folder; give it another name")
    if found.intervals and nothing in found.names:
        raise ProblemError(f"{labels}: label {shown(nothing)} is that of frames in no interval; name those another way")
    with _beside(folder) as partial:
        counts = _written(clip, labels, found, partial, every, nothing)
    return counts


def _written(clip: Path, file: Path, found: FrameLabels, folder: Path, every: int, nothing: str) -> Counter[str]:
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
    if found.last > number:
        raise ProblemError(f"{file}: it labels frame {found.last}; {clip} has frames 0 to {number}")
    if not counts:
        raise ProblemError(f"{file}: none of the frames that it labels is one of each {every}; take more of them")
    write_text(folder / GROUPS, groups.getvalue())
    return counts


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
