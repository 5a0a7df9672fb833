"""Makes events of frames: an app's positive frames, from the first to the last, with gaps that are too short to count.

An event is there once the app has had as many positive frames in a row as it needs votes; it starts with the first of
them. It is over once no frame has been positive for `hold_s` seconds; it ends with the last one that was. When an app
says nothing any more, because it left the plan or the camera is away, its event ends likewise, by the clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import inf
from secrets import token_hex
from time import monotonic
from typing import Final, Literal, NamedTuple

import numpy as np

from mainstream.streamer.events.event import Event, PlannedApp
from mainstream.streamer.frames import Frame
from mainstream.streamer.results import Analysis

_SILENT_S: Final = 1.0
"""Seconds beyond `hold_s` before the event of an app that says nothing ends."""


class Said(NamedTuple):
    """What an app says of a frame that came at `at_s` by the clock; without the frame there is no picture of it."""

    app: PlannedApp
    analysis: Analysis
    frame: Frame | None
    at_s: float


@dataclass
class OpenEvent:
    """An event that goes on.

    Attributes
    ----------
    event : Event
        As it is now, without an end.
    begun_s, last_s : float
        When its first and its last positive frame came, by the clock.
    last : float
        When the last one was taken, in seconds since 1970.
    picture : Frame or None
        The frame of the peak; None once a picture was made of it.
    ended : bool
    """

    event: Event
    begun_s: float
    last_s: float
    last: float
    picture: Frame | None
    ended: bool = False

    def over(self, *, interrupted: bool = False) -> Event:
        """The event, ended at its last positive frame."""
        return replace(self.event, end=self.last, interrupted=interrupted)


class Change(NamedTuple):
    """What became of an event."""

    kind: Literal["start", "going on", "end"]
    event: Event
    opened: OpenEvent


class _Run:
    """Positive frames in a row, the peak among them."""

    def __init__(self, first: Said) -> None:
        self.first, self.first_s = first.analysis.time, first.at_s
        self.frames = self.counted = 0
        """Frames in the row, and how many of them the open event has counted."""
        self.peak_score = -inf

    def add(self, said: Said) -> None:
        analysis = said.analysis
        self.last, self.last_s = analysis.time, said.at_s
        self.frames += 1
        score = float(np.nan_to_num(analysis.scores[analysis.event_class]))  # JSON has no infinity
        if score > self.peak_score:
            self.peak_score, self.peak_time, self.picture = score, analysis.time, said.frame


@dataclass
class _App:
    hold_s: float = 0.0
    heard_s: float = 0.0
    run: _Run | None = None
    opened: OpenEvent | None = None


class Merging:
    """Makes events of what apps say, which has to come in the order of the frames.

    Parameters
    ----------
    stream : str, optional
        Name of their camera.
    """

    def __init__(self, stream: str | None = None) -> None:
        self._apps: dict[str, _App] = {}
        self._stream = stream

    def said(self, said: Said) -> Iterator[Change]:
        """An app has analysed a frame; give what that changes."""
        analysis = said.analysis
        if analysis.event_class is None:
            return
        app = self._apps.setdefault(said.app.name, _App())
        app.hold_s, app.heard_s = said.app.hold_s, monotonic()
        if not analysis.positive:
            app.run = None
        else:
            app.run = app.run or _Run(said)
            app.run.add(said)
        since = analysis.time if app.run is None else app.run.first
        if app.opened is not None and since - app.opened.last > app.hold_s:
            yield _end(app, app.opened)
        if analysis.event and app.run is not None:
            yield self._begin(app, app.run, said) if app.opened is None else _go_on(app.opened, app.run)

    def silent(self, now_s: float) -> Iterator[Change]:
        """It is `now_s` by the clock: end the events of apps that have said nothing for too long."""
        for name, app in list(self._apps.items()):
            if now_s - app.heard_s > app.hold_s + _SILENT_S:
                del self._apps[name]
                if app.opened is not None:
                    yield _end(app, app.opened)

    def end(self) -> Iterator[Change]:
        """The runtime ends: end all events."""
        for app in self._apps.values():
            if app.opened is not None:
                yield _end(app, app.opened, interrupted=True)

    def _begin(self, app: _App, run: _Run, said: Said) -> Change:
        at = datetime.fromtimestamp(run.first, UTC)
        event = Event(
            event_id=f"{at:%Y%m%dT%H%M%S}.{at.microsecond // 1000:03}Z-{token_hex(3)}",
            app=said.app.name,
            app_id=said.app.app_id,
            event_class=said.analysis.event_class or 0,
            start=run.first,
            end=None,
            peak_score=run.peak_score,
            peak_time=run.peak_time,
            frames=run.frames,
            stream=self._stream,
        )
        run.counted = run.frames
        app.opened = OpenEvent(event, run.first_s, run.last_s, run.last, run.picture)
        return Change("start", event, app.opened)


def _go_on(opened: OpenEvent, run: _Run) -> Change:
    opened.last, opened.last_s = run.last, run.last_s
    event = replace(opened.event, frames=opened.event.frames + run.frames - run.counted)
    run.counted = run.frames
    if run.peak_score > event.peak_score:
        event = replace(event, peak_score=run.peak_score, peak_time=run.peak_time)
        opened.picture = run.picture
    opened.event = event
    return Change("going on", event, opened)


def _end(app: _App, opened: OpenEvent, *, interrupted: bool = False) -> Change:
    app.opened, opened.ended = None, True
    return Change("end", opened.over(interrupted=interrupted), opened)
