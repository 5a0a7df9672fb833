"""What an app says of a frame (scores, whether it is positive, the event after voting), and the file of all results."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any, Final, TextIO

import numpy as np
from numpy.typing import NDArray

from mainstream.errors import ProblemError
from mainstream.streamer.line_file import LineFile

_PAUSE_S: Final = 1.0
"""Seconds before a disk that could not be written is tried again."""

_writing: Final = Lock()
"""Held while writing: otherwise, on a full disk, one camera could cut off what another has just written."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Analysis:
    """One app on one frame.

    Attributes
    ----------
    time : float
        When the frame was taken, in seconds since 1970; offline, when it would have been taken from a live stream.
    frame : int
        The frame's number in the stream, from 0.
    app_id : int
    scores : array, shape (classes,)
    event_class : int or None
        Number of the class that is the event.
    positive : bool or None
        Whether the event's class has the best score; None without an event class.
    event : bool or None
        Whether the last frames in a row, up to this one, were positive, as many as the app needs votes.
    """

    time: float
    frame: int
    app_id: int
    scores: NDArray[Any]
    event_class: int | None
    positive: bool | None
    event: bool | None

    def to_json(self, stream: str | None = None) -> str:
        """One line of the results file; scores that are NaN or infinite, which JSON does not have, become null."""
        return json.dumps(
            {
                **({} if stream is None else {"stream": stream}),
                "time": round(self.time, 3),
                "frame": self.frame,
                "app_id": self.app_id,
                "scores": [float(f"{score:.6g}") if isfinite(score) else None for score in self.scores.tolist()],
                "event_class": self.event_class,
                "positive": self.positive,
                "event": self.event,
            }
        )


class Votes:
    """Counts an app's positive frames in a row.

    Parameters
    ----------
    event_class : int or None
    needed : int or None
        Positive frames in a row that make an event; None means 1.
    """

    def __init__(self, event_class: int | None, needed: int | None) -> None:
        self.event_class = event_class
        self._needed = needed or 1
        self._in_a_row = 0

    def decide(self, scores: NDArray[Any]) -> tuple[bool | None, bool | None]:
        """Whether the app's next frame is positive, and whether there is an event; None without an event class."""
        if self.event_class is None:
            return None, None
        # argmax takes the first NaN, if there is one, which says nothing of the frame.
        positive = int(scores.argmax()) == self.event_class and not np.isnan(scores[self.event_class])
        self._in_a_row = self._in_a_row + 1 if positive else 0
        return positive, self._in_a_row >= self._needed

    def miss(self) -> None:
        """The app's next frame gets no decision, so it ends the row."""
        self._in_a_row = 0


class ResultsFile:
    """JSON lines, one for each app and frame, added to a file or written to stdout.

    Each line is written whole or not at all. When the disk is full or broken the results pause until it can be written
    again. Half a line that a killed process left is removed.

    Parameters
    ----------
    path : str or Path
        ``-`` is stdout. Lines are added to a file that exists already. Other cameras of this process may share it.
    stream : str, optional
        Name of the camera, to be written in each line.

    Attributes
    ----------
    pausing : str or None
        Why nothing is written now.

    Raises
    ------
    ProblemError
        It cannot be written.
    """

    def __init__(self, path: str | Path, stream: str | None = None) -> None:
        self._path, self._stream = path, stream
        self._lost = 0
        self._again_s = 0.0
        self.pausing: str | None = None
        if str(path) == "-":
            self._stdout: TextIO | None = sys.stdout
            return
        self._stdout = None
        try:
            with _writing:
                self._file = LineFile(path)
        except (OSError, ValueError) as error:
            raise self._cannot(error) from None

    def write(self, analysis: Analysis) -> bool:
        """Add a line; return False if it was lost because the results pause.

        Raises
        ------
        ProblemError
            Stdout, or a path that is not a file on a disk, cannot be written.
        """
        line = analysis.to_json(self._stream)
        try:
            with _writing:
                if self._stdout is None:
                    return self._append(line)
                self._stdout.write(line + "\n")
                self._stdout.flush()
                return True
        except (OSError, ValueError) as error:
            raise self._cannot(error) from None

    def _append(self, line: str) -> bool:
        if self._lost and monotonic() < self._again_s:
            self._lost += 1
            return False
        try:
            self._file.append(line)
        except OSError as error:
            if not self._file.regular:
                raise
            if not self._lost:
                self.pausing = f"{self._cannot(error)}; results pause until it can be written again"
                _log.warning("%s", self.pausing)
            self._lost += 1
            self._again_s = monotonic() + _PAUSE_S
            return False
        if self._lost:
            _log.warning("results: %s can be written again; %d lines are lost", self._path, self._lost)
            self._lost, self.pausing = 0, None
        return True

    def close(self) -> None:
        """Close the file; stdout stays open."""
        if self._stdout is None:
            with suppress(OSError):  # every line was written, or its loss was logged
                self._file.close()

    def _cannot(self, error: Exception) -> ProblemError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return ProblemError(f"results: {self._path} cannot be written: {reason}")
