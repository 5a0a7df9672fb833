"""Labelled frames, and what a model decided on frames: CSV, or the results of the runtime."""

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
"""Bytes of labels or scores: a million frames have some hundred million."""
_MOST_FRAMES: Final = 10**8
"""Of a clip that is marked in intervals: a camera's of a month or more."""


class FrameLabel(Description):
    frame: Whole
    label: str


def label_rows(text: str) -> Iterator[tuple[str, FrameLabel]]:
    """The rows of CSV with the columns frame and label, each with the place where it stands."""
    for where, keys in csv_rows(text, ("frame", "label")):
        yield where, FrameLabel.of(keys, where=where)


def read_labels(path: Path, classes: Sequence[str], event_class: str) -> tuple[Frames, Flags]:
    """Labelled frames, from CSV with the columns frame and label, or start, end and label.

    The latter are intervals, ``end`` the first frame behind; all other frames up to the last ``end`` show no event.

    Parameters
    ----------
    path : Path
    classes : sequence of str
        That a label may be.
    event_class : str
        The one that is the event.

    Returns
    -------
    (n,) int array, (n,) bool array
        Frame numbers, increasing, and whether each shows the event.

    Raises
    ------
    ProblemError
        The file cannot be read, a label is none of the classes, or a frame stands twice.
    """
    text = read_text(path, largest=_LARGEST)
    found: dict[int, bool] = {}
    if "start" in text.partition("\n")[0]:
        return _marked(read_intervals(path), path, classes, event_class)
    with naming(path):
        for where, row in label_rows(text):
            if row.label not in classes:
                raise ProblemError(f"{where}: label {shown(row.label)} is no class; {nearest(row.label, classes)}")
            _add(found, row.frame, row.label == event_class, where)
    return _arrays(found)


@dataclass(frozen=True)
class FrameLabels:
    """What a file says of frames.

    Attributes
    ----------
    marked : tuple of (int, int, str)
        First frame, first one behind, and their label; in their order in time, none overlap.
    intervals : bool
        The file has intervals: it speaks of all frames, and one in none of them shows nothing.
    """

    marked: tuple[tuple[int, int, str], ...]
    intervals: bool

    @classmethod
    def of_marked(cls, found: Iterable[tuple[int, int, str]], *, intervals: bool) -> Self:
        """From the same in any order.

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
        """The label of a frame."""
        place = bisect_right(self.marked, frame, key=itemgetter(0)) - 1
        return self.marked[place][2] if place >= 0 and frame < self.marked[place][1] else None


def read_frame_labels(path: Path) -> FrameLabels:
    """The labels in a file, whatever they are; CSV as :func:`read_labels` takes it.

    Raises
    ------
    ProblemError
        The file cannot be read, has no label, or a frame has two.
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
            raise ProblemError(f"{path}: label {shown(one.label)} is no class; {nearest(one.label, classes)}")
        if one.label == event_class:
            event[one.start : one.end] = True
    return np.arange(last, dtype=np.int64), event


def read_scores(path: Path, threshold: float, app_id: int | None = None) -> tuple[Frames, Flags]:
    """A model's decisions: CSV with the columns frame and score, or the runtime's results, JSON lines.

    Parameters
    ----------
    path : Path
        JSON lines when it begins with a brace.
    threshold : float
        A score from here on is a positive decision; in the runtime's results the decision stands beside the scores.
    app_id : int, optional
        Whose results to take, where they are of several apps.

    Returns
    -------
    (m,) int array, (m,) bool array
        Frame numbers, increasing, and the decisions.

    Raises
    ------
    ProblemError
        The file cannot be read, a line is not what it has to be, a frame stands twice, or results are of several apps
        and none is chosen, or hold none of the chosen one.
    """
    text = read_text(path, largest=_LARGEST)
    found: dict[int, bool] = {}
    with naming(path):
        if text.lstrip().startswith("{"):
            for where, result in _of_one_app(text, app_id):
                if result.positive is None:
                    raise ProblemError(f"{where}: no decision, as the app had no event_class; deploy it with one")
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
    """One line of the runtime's results, as far as it matters here."""

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
            raise ProblemError(f"{where}: got {shown(keys)}; it has to be one of the runtime's results")
        result = _Result.of({key: keys[key] for key in _Result.model_fields if key in keys}, where=where)
        first = result.app_id if first is None else first
        if result.app_id == first:
            count += 1
            yield where, result
        elif app_id is None:
            raise ProblemError(f"{where}: results of app {result.app_id}, after those of app {first}; give --app-id")
    if not count:
        raise ProblemError(f"no results of app {app_id}")


def _add(found: dict[int, bool], frame: int, flag: bool, where: str) -> None:
    if frame in found:
        raise ProblemError(f"{where}: frame {frame} stands twice; the file has to be of one recording")
    found[frame] = flag


def _arrays(found: dict[int, bool]) -> tuple[Frames, Flags]:
    frames = sorted(found)
    return np.array(frames, np.int64), np.array([found[frame] for frame in frames], bool)
