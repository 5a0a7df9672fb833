"""Read what a clip shows: the events of each app, as frames counted from 0, from any of five kinds of files.

=======================  ============================================================================================
file                     what it says
=======================  ============================================================================================
CSV frame,label          the label of each frame, or of every k-th: a label holds until the next row. Before the first
                         row and after the last nothing is known, and nothing is scored there.
CSV start,end,label      intervals of frames; `end` is the first frame after one
CSV start_s,end_s,label  the same in seconds
MOT (.txt, .csv)         boxes, for every app
COCO-VID (.json)         boxes with categories
=======================  ============================================================================================

Successive frames with the same label are one event. A box counts if enough of it lies in the app's region, or in the
region that is given for its label.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np

from mainstream.apps import IntArray
from mainstream.description import Description, nearest, shown
from mainstream.errors import ProblemError
from mainstream.evaluation.footage import Footage
from mainstream.evaluation.watched import Watched
from mainstream.files import csv_rows, naming, read_text
from mainstream.formats.boxes import Region, frames_in, read_boxes
from mainstream.formats.calibration_files import label_rows
from mainstream.formats.intervals import intervals_of, read_intervals
from mainstream.ranges import NonNegative

NOTHING: Final = "nothing"
"""Label of frames without an event, as in scenes; every app knows it."""
CLOCK_FPS: Final = 1000.0
"""Labels by the clock are counted in "frames" of a millisecond: so many a second."""
LEAST_EVENTS: Final = 2
"""The fewest events of an app; with fewer there are no intervals."""
_LARGEST: Final = 2**28
_NO_EVENTS: Final = np.empty((0, 2), np.int64)


@dataclass(frozen=True, eq=False)
class Labels:
    """The events of a clip.

    Attributes
    ----------
    events : mapping of int or str to (n, 2) int array
        `app_id` -> first frame of each event, and first frame after it, in order of time.
    known : (int, int)
        The frames about which the labels say something: the first, and the first frame after them.
    """

    events: Mapping[int | str, IntArray]
    known: tuple[int, int]


class _Seconds(Description):
    start_s: NonNegative
    end_s: NonNegative
    label: str


def read_events(
    path: Path, clip: Footage, watched: Sequence[Watched], regions: Mapping[str, Region], inside: float
) -> Labels:
    """Read the events in a file of labels; there must be at least two of each app, since intervals need two.

    Parameters
    ----------
    path : Path
    clip : Footage
    watched : sequence of Watched
    regions : mapping of str to Region
        Label -> the region where its boxes count; for other labels it is each app's own region.
    inside : float
        Share of a box that has to lie in an app's own region.

    Raises
    ------
    ProblemError
        The file cannot be read or has no label, no app knows a label, a frame is outside the clip, or an app has fewer
        than two events.
    """
    known = (0, clip.frames)
    boxes = read_boxes(path)
    if boxes is not None:
        found = {
            one.app.app_id: _runs(
                frames_in(
                    boxes.get(one.label, boxes.get(None, ())),
                    regions.get(one.label) or Region.seen_by(one.app.region, inside),
                    (clip.width, clip.height),
                )
            )
            for one in watched
        }
        names = {name or watched[0].label for name, some in boxes.items() if some}
        last = max((box.frame for some in boxes.values() for box in some), default=-1)
    else:
        if regions:
            raise ProblemError(f"{path}: has no boxes, so --region has no effect; leave it out")
        text = read_text(path, largest=_LARGEST)
        columns = {column.strip() for column in text.lstrip().partition("\n")[0].split(",")}
        if "frame" in columns:
            marked, known = _of_frames(path, text)
            last = known[1] - 1
        else:
            marked = _of_intervals(path, text, clip.fps, seconds="start_s" in columns)
            last = max(int(events[-1, 1]) for events in marked.values()) - 1
        found = {one.app.app_id: marked.get(one.label, _NO_EVENTS) for one in watched}
        names = set(marked)
    if not names:
        raise ProblemError(f"{path}: has no label, so there is nothing to score against; label some events")
    if last >= clip.frames:
        raise ProblemError(f"{path}: labels frame {last:,}, but {clip.path} has frames 0 to {clip.frames - 1:,}")
    _check(path, watched, names, found)
    return Labels(found, known)


def check_times(path: Path) -> None:
    """Check that a file has the columns of labels by the clock, which a camera needs; it may have no labels yet.

    Raises
    ------
    ProblemError
        It cannot be read, or has other columns.
    """
    _timed(path)


def _timed(path: Path) -> str:
    """The text of a file of labels by the clock."""
    text = read_text(path, largest=_LARGEST)
    head = text.lstrip().partition("\n")[0]
    if {"start_s", "end_s", "label"} - {column.strip() for column in head.split(",")}:
        raise ProblemError(
            f"{path}: a camera's frames have no known numbers, so its labels have to be CSV start_s,end_s,label, in "
            "seconds since 1970; they are read at the end"
        )
    return text


def read_times(path: Path, watched: Sequence[Watched]) -> Labels:
    """Read labels by the clock: ``start_s,end_s,label`` in seconds since 1970, as "frames" of a millisecond.

    Raises
    ------
    ProblemError
        The file cannot be read, no app knows a label, or an app has fewer than two events.
    """
    marked = _of_intervals(path, _timed(path), CLOCK_FPS, seconds=True)
    found = {one.app.app_id: marked.get(one.label, _NO_EVENTS) for one in watched}
    _check(path, watched, set(marked), found)
    return Labels(found, (0, max(int(events[-1, 1]) for events in marked.values())))


def _check(path: Path, watched: Sequence[Watched], names: Set[str], found: Mapping[int | str, IntArray]) -> None:
    """Check that some app knows each label, and that each app has two events."""
    classes = {NOTHING}.union(*({one.label, *one.classes} for one in watched))
    for name in names - classes:
        raise ProblemError(
            f"{path}: label {shown(name)} is not a class of any app; "
            f"{nearest(name, sorted({w.label for w in watched}))}"
        )
    for one in watched:
        count = len(found[one.app.app_id])
        if count < LEAST_EVENTS:
            raise ProblemError(
                f"{path}: app {one.called}: the labels have {count} events of {one.label!r}; "
                "intervals need 2 or more: label more"
            )


def _of_frames(path: Path, text: str) -> tuple[dict[str, IntArray], tuple[int, int]]:
    rows: dict[int, str] = {}
    with naming(path):
        for where, row in label_rows(text):
            if row.frame in rows:
                raise ProblemError(f"{where}: frame {row.frame} is listed twice")
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
    """Runs of successive frames: the first frame of each, and the first frame after it."""
    shown_on = np.array(sorted(frames), np.int64)
    if not shown_on.size:
        return _NO_EVENTS
    breaks = np.flatnonzero(np.diff(shown_on) > 1)
    starts = shown_on[np.concatenate(([0], breaks + 1))]
    ends = shown_on[np.concatenate((breaks, [-1]))] + 1
    return np.stack([starts, ends], axis=1)
