"""What an app says of a frame: scores, the decision on the frame, the event after voting; and the file of it all."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from mainstream.errors import ProblemError


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

    def to_json(self) -> str:
        """One line of the results file; JSON has no NaN and no infinity, such scores are null."""
        return json.dumps(
            {
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

    Parameters
    ----------
    path : str or Path
        ``-`` is stdout. A file that is there already is gone on with.

    Raises
    ------
    ProblemError
        It cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._file: TextIO
        self._to_stdout = str(path) == "-"
        if self._to_stdout:
            self._file = sys.stdout
            return
        try:
            # By the line: what was analysed stays known, whatever becomes of the process.
            self._file = Path(path).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115 (close() closes it)
        except (OSError, ValueError) as error:
            raise self._cannot(error) from None

    def write(self, analysis: Analysis) -> None:
        """Add a line.

        Raises
        ------
        ProblemError
            It cannot be written.
        """
        try:
            self._file.write(analysis.to_json() + "\n")
            if self._to_stdout:
                self._file.flush()
        except (OSError, ValueError) as error:
            raise self._cannot(error) from None

    def close(self) -> None:
        """Close the file; stdout stays open."""
        if not self._to_stdout:
            with suppress(OSError):  # every line was flushed, or told of when it could not be
                self._file.close()

    def _cannot(self, error: Exception) -> ProblemError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return ProblemError(f"results: {self._path} cannot be written: {reason}")
