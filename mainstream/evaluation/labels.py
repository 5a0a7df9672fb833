"""What a clip shows: for each label its events, as frames counted from 0, from any of five kinds of files.

=======================  ============================================================================================
file                     what it says
=======================  ============================================================================================
CSV frame,label          the label of each frame, or of every k-th: one holds until the next row. Before the first row
                         and behind the last nothing is known, and nothing there is scored.
CSV start,end,label      intervals of frames, `end` the first one behind
CSV start_s,end_s,label  the same in seconds
MOT (.txt, .csv)         boxes; each is an event of every app, where enough of it lies in the app's region
COCO-VID (.json)         boxes with categories
=======================  ============================================================================================

Frames with a label, one after the other, are one event.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np

from mainstream.apps import IntArray
from mainstream.description import Description, nearest, shown
from mainstream.errors import ProblemError
from mainstream.evaluation.boxes import Region, frames_in, read_coco, read_mot
from mainstream.evaluation.footage import Footage
from mainstream.files import csv_rows, naming, read_text
from mainstream.formats.calibration_files import label_rows
from mainstream.formats.intervals import intervals_of, read_intervals
from mainstream.ranges import NonNegative

NOTHING: Final = "nothing"
"""Label of frames that show no event, as scenes have it; every app knows it."""
_LARGEST: Final = 2**28
_WHOLE_FRAME: Final = Region()


@dataclass(frozen=True, eq=False)
class Labels:
    """The events of a clip.

    Attributes
    ----------
    events : mapping of str to (n, 2) int array
        Label -> first frame and first one behind, in their order in time.
    known : (int, int)
        The frames of which something is known: first, and first one behind.
    """

    events: Mapping[str, IntArray]
    known: tuple[int, int]


class _Seconds(Description):
    start_s: NonNegative
    end_s: NonNegative
    label: str


def read_events(
    path: Path, clip: Footage, apps: Collection[str], classes: Collection[str], regions: Mapping[str, Region]
) -> Labels:
    """The events in a file of labels.

    Parameters
    ----------
    path : Path
    clip : Footage
    apps : collection of str
        Labels that are the event of an app.
    classes : collection of str
        Further labels that some app's model knows.
    regions : mapping of str to Region
        By label, for files of boxes; the whole frame where there is none.

    Raises
    ------
    ProblemError
        The file cannot be read or has no label, a label is known to no app, or a frame lies outside the clip.
    """
    text = read_text(path, largest=_LARGEST)
    head = text.lstrip()[:200].partition("\n")[0]
    columns = {column.strip() for column in head.split(",")}
    known = (0, clip.frames)
    found: dict[str, IntArray]
    if path.suffix.lower() == ".json":
        boxes = read_coco(path)
        size = clip.width, clip.height
        found = {
            name: _runs(frames_in(boxes[name], regions.get(name, _WHOLE_FRAME), size)) for name in boxes if boxes[name]
        }
        last = max((box.frame for some in boxes.values() for box in some), default=-1)
    elif _is_number(head.partition(",")[0]):
        of_all = read_mot(path)
        size = clip.width, clip.height
        found = {name: _runs(frames_in(of_all, regions.get(name, _WHOLE_FRAME), size)) for name in apps if of_all}
        last = max((box.frame for box in of_all), default=-1)
    else:
        if regions:
            raise ProblemError(f"{path}: holds no boxes, so --region has no use; leave it out")
        if "frame" in columns:
            found, known = _of_frames(path, text)
            last = known[1] - 1
        else:
            found = _of_intervals(path, text, clip.fps, seconds="start_s" in columns)
            last = max(int(events[-1, 1]) for events in found.values()) - 1
    if not found:
        raise ProblemError(f"{path}: has no label; there is nothing to score against")
    for name in found:
        if name not in {*apps, *classes, NOTHING}:
            raise ProblemError(f"{path}: label {shown(name)} is no class of any app; {nearest(name, sorted(apps))}")
    if last >= clip.frames:
        raise ProblemError(f"{path}: labels frame {last:,}; {clip.path} has frames 0 to {clip.frames - 1:,}")
    return Labels(found, known)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _of_frames(path: Path, text: str) -> tuple[dict[str, IntArray], tuple[int, int]]:
    rows: dict[int, str] = {}
    with naming(path):
        for where, row in label_rows(text):
            if row.frame in rows:
                raise ProblemError(f"{where}: frame {row.frame} stands twice")
            rows[row.frame] = row.label
    frames = sorted(rows)
    runs = [(name, next(some)) for name, some in groupby(frames, key=lambda frame: rows[frame])]
    ends = [start for _, start in runs[1:]] + [frames[-1] + 1]
    events: dict[str, list[tuple[int, int]]] = {}
    for (name, start), end in zip(runs, ends, strict=True):
        events.setdefault(name, []).append((start, end))
    return {name: np.array(some) for name, some in events.items()}, (frames[0], frames[-1] + 1)


def _of_intervals(path: Path, text: str, fps: float, *, seconds: bool) -> dict[str, IntArray]:
    if seconds:
        with naming(path):
            timed = [_Seconds.of(keys, where=where) for where, keys in csv_rows(text, ("start_s", "end_s", "label"))]
            found = intervals_of(
                [{"start": round(t.start_s * fps), "end": round(t.end_s * fps), "label": t.label} for t in timed]
            )
    else:
        found = read_intervals(path)
    events: dict[str, list[tuple[int, int]]] = {}
    for one in found:
        events.setdefault(one.label, []).append((one.start, one.end))
    return {name: np.array(some) for name, some in events.items()}


def _runs(frames: Collection[int]) -> IntArray:
    """Frames in a row, as first and first behind."""
    shown_on = np.array(sorted(frames), np.int64)
    if not shown_on.size:
        return np.empty((0, 2), np.int64)
    breaks = np.flatnonzero(np.diff(shown_on) > 1)
    starts = shown_on[np.concatenate(([0], breaks + 1))]
    ends = shown_on[np.concatenate((breaks, [-1]))] + 1
    return np.stack([starts, ends], axis=1)
