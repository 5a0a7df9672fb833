"""The settings of events: what to make of them, and where they go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mainstream.errors import ProblemError
from mainstream.ranges import NON_NEGATIVE, POSITIVE, Range

_CLIPS_S: Final = Range(0, 20, low_open=True, unit="seconds")


@dataclass(frozen=True)
class EventSettings:
    """What is made of events, and where they go.

    Parameters
    ----------
    folder : Path, optional
        Folder for events, pictures and clips.
    gap_ms : float
        Events of an app at most so many milliseconds apart are one.
    clips_s : float, optional
        Seconds of video to keep before and after an event, up to 20.
    mqtt : str, optional
        URL of a broker; see :class:`mainstream.streamer.events.mqtt.Mqtt`.
    webhooks : tuple of str
        URLs to tell of each start and end.
    keep_days, keep_gb : float
        What is older is deleted, and the oldest of what exceeds so many gigabytes (2**30 bytes).

    Raises
    ------
    ProblemError
        A number is out of its range, or there are clips without a folder.
    """

    folder: Path | None = None
    gap_ms: float = 2000.0
    clips_s: float | None = None
    mqtt: str | None = None
    webhooks: tuple[str, ...] = ()
    keep_days: float = 30.0
    keep_gb: float = 10.0

    def __post_init__(self) -> None:
        NON_NEGATIVE.check("event_gap_ms", self.gap_ms)
        POSITIVE.check("keep_days", self.keep_days)
        POSITIVE.check("keep_gb", self.keep_gb)
        if self.clips_s is not None:
            _CLIPS_S.check("clips", self.clips_s)
            if self.folder is None:
                raise ProblemError("clips: they need a folder; give that of the events, too")

    def of_stream(self, name: str, streams: int) -> EventSettings:
        """The settings of one of several cameras: a folder of its own, and its share of the gigabytes."""
        folder = None if self.folder is None else self.folder / name
        return replace(self, folder=folder, keep_gb=self.keep_gb / streams)
