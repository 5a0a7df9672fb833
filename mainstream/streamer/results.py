"""What an app says of a frame: scores, the decision on the frame, the event after voting; and the file of it all."""

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
"""How long results pause before the disk is tried again."""

_writing: Final = Lock()
"""Held by who writes: on a full disk one camera would else cut off what another one has just written."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Analysis:
    """One app on one frame.

    Attributes
    ----------
    time : float
        When the frame was taken, seconds since 1970; offline: when it would have been, had the stream been live.
    frame : int
        The frame's number in the stream, from 0.
    app_id : int
    scores : array, shape (classes,)
    event_class : int or None
        Number of the class that is the event.
    positive : bool or None
        Whether the event's class has the best score; None without an event class.
    event : bool or None
        Whether this was the app's last of as many positive frames in a row as it needs votes.
    """

    time: float
    frame: int
    app_id: int
    scores: NDArray[Any]
    event_class: int | None
    positive: bool | None
    event: bool | None

    def to_json(self, stream: str | None = None) -> str:
        """One line of the results file; JSON has no NaN and no infinity, such scores are null."""
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
        Positive frames in a row that make an event; None is 1.
    """

    def __init__(self, event_class: int | None, needed: int | None) -> None:
        self.event_class = event_class
        self._needed = needed or 1
        self._in_a_row = 0

    def decide(self, scores: NDArray[Any]) -> tuple[bool | None, bool | None]:
        """Whether the app's next frame is positive, and whether there is an event; None without an event class."""
        if self.event_class is None:
            return None, None
        # Of scores that are no numbers argmax takes the first, which says nothing of the frame.
        positive = int(scores.argmax()) == self.event_class and not np.isnan(scores[self.event_class])
        self._in_a_row = self._in_a_row + 1 if positive else 0
        return positive, self._in_a_row >= self._needed

    def miss(self) -> None:
        """There is no decision on the app's next frame: it is not one in a row."""
        self._in_a_row = 0


class ResultsFile:
    """JSON lines, one for each app and frame, added to a file or written to stdout.

    Each line is written whole or not at all. Where the disk is full or broken the results pause, and go on when there
    is room again; half a line that a killed process has left is taken away.

    Parameters
    ----------
    path : str or Path
        ``-`` is stdout. A file that is there already is gone on with. It may be that of other cameras of this process.
    stream : str, optional
        Name of the camera, which then stands in each line.

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
        """Add a line; whether it was written, and not lost as the results pause.

        Raises
        ------
        ProblemError
            Stdout, or what is no file on a disk, cannot be written.
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
            with suppress(OSError):  # every line was written, or told of when it could not be
                self._file.close()

    def _cannot(self, error: Exception) -> ProblemError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return ProblemError(f"results: {self._path} cannot be written: {reason}")
