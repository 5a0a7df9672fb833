"""What a clip shows: for each app its events, as frames counted from 0, from any of five kinds of files.

=======================  ============================================================================================
file                     what it says
=======================  ============================================================================================
CSV frame,label          the label of each frame, or of every k-th: one holds until the next row. Before the first row
                         and behind the last nothing is known, and nothing there is scored.
CSV start,end,label      intervals of frames, `end` the first one behind
CSV start_s,end_s,label  the same in seconds
MOT (.txt, .csv)         boxes, for every app
COCO-VID (.json)         boxes with categories
=======================  ============================================================================================

Frames with a label, one after the other, are one event. A box counts where enough of it lies in the app's region, or
in the one that is given for its label.
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
"""Label of frames that show no event, as scenes have it; every app knows it."""
CLOCK_FPS: Final = 1000.0
"""Frames a second that labels by the clock are counted as."""
LEAST_EVENTS: Final = 2
"""Of an app; with fewer there is no interval."""
_LARGEST: Final = 2**28
_NO_EVENTS: Final = np.empty((0, 2), np.int64)


@dataclass(frozen=True, eq=False)
class Labels:
    """The events of a clip.

    Attributes
    ----------
    events : mapping of int or str to (n, 2) int array
        `app_id` -> first frame and first one behind, in their order in time.
    known : (int, int)
        The frames of which something is known: first, and first one behind.
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
    """The events in a file of labels; two of each app at least, without which nothing can be said.

    Parameters
    ----------
    path : Path
    clip : Footage
    watched : sequence of Watched
    regions : mapping of str to Region
        By label, for files of boxes; else each app's own.
    inside : float
        Share of a box that has to be in an app's own region.

    Raises
    ------
    ProblemError
        The file cannot be read or has no label, a label is known to no app, a frame lies outside the clip, or an app
        has fewer than two events.
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
            raise ProblemError(f"{path}: holds no boxes, so --region has no use; leave it out")
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
        raise ProblemError(f"{path}: has no label; there is nothing to score against")
    if last >= clip.frames:
        raise ProblemError(f"{path}: labels frame {last:,}; {clip.path} has frames 0 to {clip.frames - 1:,}")
    _check(path, watched, names, found)
    return Labels(found, known)


def check_times(path: Path) -> None:
    """Check that a file has labels by the clock, as a camera needs them; there may be none in it yet.

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
            f"{path}: frames of a camera have no numbers; labels have to be CSV start_s,end_s,label, in seconds since "
            "1970, and are read in the end"
        )
    return text


def read_times(path: Path, watched: Sequence[Watched]) -> Labels:
    """Labels by the clock, ``start_s,end_s,label`` in seconds since 1970, as "frames" of a millisecond.

    Raises
    ------
    ProblemError
        The file cannot be read, a label is known to no app, or an app has fewer than two events.
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
            f"{path}: label {shown(name)} is no class of any app; {nearest(name, sorted({w.label for w in watched}))}"
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
        return _NO_EVENTS
    breaks = np.flatnonzero(np.diff(shown_on) > 1)
    starts = shown_on[np.concatenate(([0], breaks + 1))]
    ends = shown_on[np.concatenate((breaks, [-1]))] + 1
    return np.stack([starts, ends], axis=1)
