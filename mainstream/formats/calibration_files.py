"""Labelled frames, and a model's decisions on frames: CSV, or the results of the runtime."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import StrictBool

from mainstream.description import Description, nearest, shown
from mainstream.errors import ProblemError
from mainstream.files import csv_rows, json_values, naming, read_text
from mainstream.formats.intervals import Interval, read_intervals
from mainstream.ranges import Probability, Whole

Frames = NDArray[np.int64]
Flags = NDArray[np.bool_]

_LARGEST: Final = 2**30
"""The most bytes of labels or scores; a million frames need some hundred million."""
_MOST_FRAMES: Final = 10**8
"""The most frames of a clip that is marked in intervals: a month or more of a camera."""


class FrameLabel(Description):
    frame: Whole
    label: str


def label_rows(text: str) -> Iterator[tuple[str, FrameLabel]]:
    """The rows of CSV with the columns frame and label, each with its line for messages."""
    for where, keys in csv_rows(text, ("frame", "label")):
        yield where, FrameLabel.of(keys, where=where)


def read_labels(path: Path, classes: Sequence[str], event_class: str) -> tuple[Frames, Flags]:
    """Read labelled frames from CSV with the columns frame and label, or start, end and label.

    With the latter, rows are intervals, and ``end`` is the first frame after one. All other frames up to the last
    ``end`` show no event.

    Parameters
    ----------
    path : Path
    classes : sequence of str
        The allowed labels.
    event_class : str
        The label of the event.

    Returns
    -------
    (n,) int array, (n,) bool array
        Frame numbers, increasing, and whether each shows the event.

    Raises
    ------
    ProblemError
        The file cannot be read, a label is not one of the classes, or a frame is listed twice.
    """
    text = read_text(path, largest=_LARGEST)
    found: dict[int, bool] = {}
    if "start" in text.partition("\n")[0]:
        return _marked(read_intervals(path), path, classes, event_class)
    with naming(path):
        for where, row in label_rows(text):
            if row.label not in classes:
                raise ProblemError(f"{where}: label {shown(row.label)} is not a class; {nearest(row.label, classes)}")
            _add(found, row.frame, row.label == event_class, where)
    return _arrays(found)


@dataclass(frozen=True)
class FrameLabels:
    """The labels of frames in a file.

    Attributes
    ----------
    marked : tuple of (int, int, str)
        First frame, first frame after, and their label; in order of time, without overlaps.
    intervals : bool
        Whether the file has intervals. If so, it covers all frames: a frame in no interval shows nothing.
    """

    marked: tuple[tuple[int, int, str], ...]
    intervals: bool

    @classmethod
    def of_marked(cls, found: Iterable[tuple[int, int, str]], *, intervals: bool) -> Self:
        """Make it from `found`, which may be in any order.

        Raises
        ------
        ProblemError
            A frame has two labels.
        """
        marked = sorted(found)
        for (_, end, before), (start, _, label) in pairwise(marked):
            if start < end:
                raise ProblemError(f"frame {start} has two labels, {shown(before)} and {shown(label)}; give it one")
        return cls(tuple(marked), intervals)

    @property
    def last(self) -> int:
        """The last frame that is labelled."""
        return self.marked[-1][1] - 1

    @property
    def names(self) -> frozenset[str]:
        """The labels."""
        return frozenset(label for _, _, label in self.marked)

    def of(self, frame: int) -> str | None:
        """The label of a frame; None if it has none."""
        place = bisect_right(self.marked, frame, key=itemgetter(0)) - 1
        return self.marked[place][2] if place >= 0 and frame < self.marked[place][1] else None


def read_frame_labels(path: Path) -> FrameLabels:
    """Read any labels from CSV in the form that :func:`read_labels` takes.

    Raises
    ------
    ProblemError
        The file cannot be read, has no label, or a frame has two labels.
    """
    text = read_text(path, largest=_LARGEST)
    if "start" in text.partition("\n")[0]:
        found = [(one.start, one.end, one.label) for one in read_intervals(path)]
        with naming(path):
            return FrameLabels.of_marked(found, intervals=True)
    with naming(path):
        found = [(row.frame, row.frame + 1, row.label) for _, row in label_rows(text)]
        return FrameLabels.of_marked(found, intervals=False)


def _marked(
    intervals: Sequence[Interval], path: Path, classes: Sequence[str], event_class: str
) -> tuple[Frames, Flags]:
    last = max((one.end for one in intervals), default=0)
    if last > _MOST_FRAMES:
        raise ProblemError(f"{path}: an interval ends at frame {last:,}; at most {_MOST_FRAMES:,} are allowed")
    event = np.zeros(last, bool)
    for one in intervals:
        if one.label not in classes:
            raise ProblemError(f"{path}: label {shown(one.label)} is not a class; {nearest(one.label, classes)}")
        if one.label == event_class:
            event[one.start : one.end] = True
    return np.arange(last, dtype=np.int64), event


def read_scores(path: Path, threshold: float, app_id: int | None = None) -> tuple[Frames, Flags]:
    """Read a model's decisions: CSV with the columns frame and score, or the runtime's results as JSON lines.

    Parameters
    ----------
    path : Path
        It holds JSON lines if it begins with a brace.
    threshold : float
        A score of this or more is a positive decision. Not used for the runtime's results, which have decisions.
    app_id : int, optional
        The app whose results to take, if there are several.

    Returns
    -------
    (m,) int array, (m,) bool array
        Frame numbers, increasing, and the decisions.

    Raises
    ------
    ProblemError
        The file cannot be read, a line is wrong, a frame is listed twice, there are results of several apps and none
        is chosen, or there are none of the chosen app.
    """
    text = read_text(path, largest=_LARGEST)
    found: dict[int, bool] = {}
    with naming(path):
        if text.lstrip().startswith("{"):
            for where, result in _of_one_app(text, app_id):
                if result.positive is None:
                    raise ProblemError(f"{where}: no decision, since the app had no event_class; deploy it with one")
                _add(found, result.frame, result.positive, where)
        else:
            for where, keys in csv_rows(text, ("frame", "score")):
                row = _Score.of(keys, where=where)
                _add(found, row.frame, row.score >= threshold, where)
    return _arrays(found)


class _Score(Description):
    frame: Whole
    score: Probability


class _Result(Description):
    """One line of the runtime's results, with the keys that are needed here."""

    frame: Whole
    app_id: Whole
    positive: StrictBool | None


def _of_one_app(text: str, app_id: int | None) -> Iterator[tuple[str, _Result]]:
    first = app_id
    count = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"line {number}"
        with naming(where):
            keys = json_values(line)
        if not isinstance(keys, dict):
            raise ProblemError(f"{where}: got {shown(keys)}; it has to be a result of the runtime, a JSON object")
        result = _Result.of({key: keys[key] for key in _Result.model_fields if key in keys}, where=where)
        first = result.app_id if first is None else first
        if result.app_id == first:
            count += 1
            yield where, result
        elif app_id is None:
            raise ProblemError(
                f"{where}: results of app {result.app_id}, after those of app {first}; choose one with --app-id"
            )
    if not count:
        raise ProblemError(f"it has no results of app {app_id}")


def _add(found: dict[int, bool], frame: int, flag: bool, where: str) -> None:
    if frame in found:
        raise ProblemError(f"{where}: frame {frame} is listed twice; the file has to be of one recording")
    found[frame] = flag


def _arrays(found: dict[int, bool]) -> tuple[Frames, Flags]:
    frames = sorted(found)
    return np.array(frames, np.int64), np.array([found[frame] for frame in frames], bool)
