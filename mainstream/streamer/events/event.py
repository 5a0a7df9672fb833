"""One event of one app, and what apps are called in events."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from mainstream.description import printable
from mainstream.errors import ProblemError
from mainstream.files import json_values
from mainstream.streamer.plan import NetPlan

_PERIODS: Final = 2.5
"""So many frames of an app may be missing within an event: one dropped frame does not end it."""
_PLAIN: Final = re.compile(rb"[A-Za-z0-9-]")


@dataclass(frozen=True)
class PlannedApp:
    """An app of a plan.

    Attributes
    ----------
    name : str
        Its name, which no other app of the plan has.
    app_id : int
        Its number on the wire.
    hold_s : float
        Seconds without a positive frame after which its event has ended.
    """

    name: str
    app_id: int
    hold_s: float


def planned_apps(plan: NetPlan, gap_ms: float) -> dict[int, PlannedApp]:
    """The apps of a plan, by their number on the wire.

    Parameters
    ----------
    plan : NetPlan
    gap_ms : float
        Events at most so many milliseconds apart are one; it is raised to the time of 2.5 of the app's frames.
    """
    names = {part.app_id: printable(part.name or str(part.app_id)) for part in plan.tails}
    often = Counter(names.values())
    return {
        app_id: PlannedApp(
            name if often[name] == 1 else f"{name} ({app_id})", app_id, max(gap_ms / 1000, _PERIODS / fps)
        )
        for (app_id, fps), name in zip(plan.target_fps.items(), names.values(), strict=True)
    }


def escaped(name: str) -> str:
    """A name for topics and ids: letters, digits and ``-`` stay, any other byte becomes ``_`` and two hex digits.

    Different names stay different.
    """
    return "".join(
        chr(byte) if _PLAIN.match(bytes([byte])) else f"_{byte:02X}" for byte in name.encode("utf-8", "surrogatepass")
    )


@dataclass(frozen=True)
class Event:
    """One event of one app.

    Attributes
    ----------
    event_id : str
        Unique, and fit to name files.
    app : str
        What the app is called.
    app_id : int
        Its number in results and metrics.
    event_class : int
    start : float
        When its first positive frame was taken, seconds since 1970.
    end : float or None
        When its last one was; None while it goes on.
    peak_score, peak_time : float
        The best score of the event's class, and when that frame was taken.
    frames : int
        Positive frames.
    snapshot, clip : str or None
        Files of the peak's picture and of the video around it.
    interrupted : bool
        It ended because the runtime ended, not because the app saw no more of it.
    stream : str or None
        Name of the camera, if there are several.
    """

    event_id: str
    app: str
    app_id: int
    event_class: int
    start: float
    end: float | None
    peak_score: float
    peak_time: float
    frames: int
    snapshot: str | None = None
    clip: str | None = None
    interrupted: bool = False
    stream: str | None = None

    def wire(self) -> dict[str, Any]:
        """As plain values, with times to a millisecond."""
        times = {key: None if at is None else round(at, 3) for key, at in self._times().items()}
        plain = asdict(self) | times | {"peak_score": float(f"{self.peak_score:.6g}")}
        if self.stream is None:
            del plain["stream"]
        return plain

    def _times(self) -> Mapping[str, float | None]:
        return {"start": self.start, "end": self.end, "peak_time": self.peak_time}

    def to_json(self) -> str:
        """The event as one line of JSON."""
        return json.dumps(self.wire())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read back what :meth:`to_json` wrote.

        Raises
        ------
        ProblemError
            It is not an event.
        """
        values = json_values(text)
        try:
            return cls(**values)
        except TypeError:
            raise ProblemError("it is not an event") from None
