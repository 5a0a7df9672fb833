"""What apps say of frames, on its way to events: a queue of bounded length and a thread behind it.

Whoever runs frames only puts what an app says into the queue. Merging, pictures, disk, broker and webhooks are the
business of the thread, however long they take; what finds the queue full is counted and told once. Only where frames
are read as fast as it goes does the queue hold them up.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from threading import Event as Flag
from threading import Thread
from time import monotonic, sleep
from typing import Final, Protocol

from mainstream.streamer.events.event import Event, PlannedApp
from mainstream.streamer.events.merging import Change, Merging, OpenEvent, Said
from mainstream.streamer.events.mqtt import Mqtt
from mainstream.streamer.events.packets import Packets
from mainstream.streamer.events.settings import EventSettings
from mainstream.streamer.events.store import EventStore
from mainstream.streamer.events.webhooks import Webhook
from mainstream.streamer.frames import Frame

_MOST_WAITING: Final = 4096
_MOST_FRAMES: Final = 16
"""Frames that may wait with what was said of them; one of 1080 rows has 3 MB."""
_LOOK_S: Final = 0.1
_SHORTLY_S: Final = 0.001
_TICK_S: Final = 0.25
_END_S: Final = 2.0
_LONGEST_CLIP_S: Final = 60.0
_LATE_S: Final = 1.0
"""A packet may come so much later than the frame that is made of it is taken."""

_log = logging.getLogger(__name__)


class Teller(Protocol):
    """Tells others of events. No call may take long."""

    def plan(self, apps: Mapping[int, PlannedApp]) -> None:
        """These apps run now."""

    def told(self, kind: str, event: Event, picture: bytes | None) -> None:
        """An event has begun ("start") or ended ("end"); a JPEG of its peak, where there is a new one."""

    def tick(self) -> None:
        """Some time has passed."""

    def close(self) -> None:
        """No more events come."""


class Recorder:
    """Makes events of what apps say, keeps them and tells of them; :meth:`close` it.

    Parameters
    ----------
    settings : EventSettings
    lost : callable
        Called with where it was lost, such as ``"mqtt"``, for each that was.
    packets : Packets or None
        What clips are cut out of.
    by_clock : bool
        Frames come at their pace, wait for nobody, and an app that says nothing for long has ended its event.
    tellers : sequence of Teller
        Who is told beside those of the settings.
    stream : str, optional
        Name of the camera: events have it, and topics behind their prefix.

    Raises
    ------
    MissingExtraError
        paho-mqtt is not installed.
    ProblemError
        The folder cannot be written, or a URL is none.
    """

    def __init__(
        self,
        settings: EventSettings,
        lost: Callable[[str], None],
        packets: Packets | None,
        *,
        by_clock: bool,
        tellers: Sequence[Teller] = (),
        stream: str | None = None,
    ) -> None:
        self._count_lost = lost
        self._told_of: set[str] = set()
        self._packets, self._by_clock = packets, by_clock
        self._clips_s = settings.clips_s or 0.0
        self._clips: dict[str, OpenEvent] = {}
        """File's name -> the event that it is of, open or not."""
        self._waiting: deque[Said | Mapping[int, PlannedApp]] = deque()
        self._frames: set[int] = set()
        """Numbers of those that wait."""
        self._merging = Merging(stream)
        self._wake = Flag()
        self._closing = False
        self._store: EventStore | None = None
        self._tellers = [*tellers]
        with ExitStack() as opened:
            if settings.folder is not None:
                lose = partial(self._lose, "disk")
                self._store = EventStore(settings.folder, settings.keep_days, settings.keep_gb, lose)
                opened.callback(self._store.close)
            if settings.mqtt is not None:
                self._tellers.append(Mqtt(settings.mqtt, partial(self._lose, "mqtt"), stream))
                opened.callback(self._tellers[-1].close)
            for url in settings.webhooks:
                self._tellers.append(Webhook(url, partial(self._lose, "webhook")))
                opened.callback(self._tellers[-1].close)
            self._opened = opened.pop_all()
        self._pictures = settings.folder is not None or settings.mqtt is not None or bool(tellers)
        self._thread = Thread(target=self._work, name="mainstream-events", daemon=True)
        self._thread.start()

    def plan(self, apps: Mapping[int, PlannedApp]) -> None:
        """These apps run from now on."""
        self._waiting.append(apps)

    def said(self, said: Said) -> None:
        """An app has analysed a frame; calls have to come one after the other."""
        while not self._by_clock and self._full(said) and self._thread.is_alive():
            self._wake.set()
            sleep(_SHORTLY_S)
        if len(self._waiting) >= _MOST_WAITING:
            self._lose("queue")
            return
        if said.frame is not None:
            if said.analysis.positive and not self._full(said):
                self._frames.add(said.frame.number)
            else:
                said = said._replace(frame=None)
        self._waiting.append(said)

    @property
    def pausing(self) -> str | None:
        """Why nothing is written to the folder now."""
        return None if self._store is None else self._store.pausing

    def _full(self, said: Said) -> bool:
        """Whether one more, with its frame, would be too much."""
        frame = said.frame
        frames = len(self._frames) + (frame is not None and frame.number not in self._frames)
        return len(self._waiting) >= _MOST_WAITING or frames > _MOST_FRAMES

    def close(self) -> None:
        """End the events that go on, keep them and tell of them; in 2 s, or not at all."""
        self._closing = True
        self._wake.set()
        self._thread.join(_END_S)

    def _lose(self, where: str) -> None:
        self._count_lost(where)
        if where not in self._told_of:
            self._told_of.add(where)
            _log.warning("events: some are lost on their way (%s); they are counted from now on", where)

    def _work(self) -> None:
        self._safely(self._recover)
        tick_s = monotonic()
        while not self._closing:
            self._wake.wait(_LOOK_S)
            self._wake.clear()
            self._drain()
            if monotonic() >= tick_s:
                tick_s = monotonic() + _TICK_S
                self._safely(self._tick)
        self._drain()
        for change in self._merging.end():
            self._safely(partial(self._apply, change))
        for name in list(self._clips):
            self._safely(partial(self._cut, name))
        self._opened.close()

    def _safely(self, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception:  # one event may fail, those after it may not
            _log.exception("events: one failed")

    def _drain(self) -> None:
        for _ in range(len(self._waiting)):
            one = self._waiting.popleft()
            if isinstance(one, Said):
                self._safely(partial(self._merge, one))
            else:
                for teller in self._tellers:
                    self._safely(partial(teller.plan, one))
        self._frames.clear()

    def _merge(self, said: Said) -> None:
        for change in self._merging.said(said):
            self._apply(change)

    def _recover(self) -> None:
        if self._store is not None:
            for event in self._store.recovered():
                self._tell("end", event, None)

    def _tick(self) -> None:
        if self._by_clock:
            for change in self._merging.silent(monotonic()):
                self._apply(change)
        now = monotonic()
        for name, opened in list(self._clips.items()):
            over = opened.ended and now > opened.last_s + self._clips_s + _LATE_S
            if over or now > opened.begun_s - self._clips_s + _LONGEST_CLIP_S:
                self._cut(name)
        if self._store is not None:
            self._store.tick()
        for teller in self._tellers:
            teller.tick()

    def _apply(self, change: Change) -> None:
        opened, event = change.opened, change.event
        if change.kind == "start":
            opened.event = event = self._with_files(event, opened)
        if self._store is not None and change.kind != "end":
            self._store.opened(event, opened.last)
        if change.kind == "going on":
            return
        picture = self._picture(opened.picture)
        opened.picture = None
        if self._store is not None:
            if picture is not None and event.snapshot is not None:
                self._store.media(event.snapshot, picture)
            if change.kind == "end":
                self._store.ended(event)
        self._tell(change.kind, event, picture)

    def _with_files(self, event: Event, opened: OpenEvent) -> Event:
        """The event, with the names of its picture and clip."""
        if self._store is None:
            return event
        if opened.picture is not None:
            event = replace(event, snapshot=f"{event.event_id}.jpg")
        if self._packets is not None and self._packets.form is not None:
            event = replace(event, clip=f"{event.event_id}.{self._packets.form}")
            self._clips[event.clip or ""] = opened
        return event

    def _picture(self, frame: Frame | None) -> bytes | None:
        return None if frame is None or not self._pictures else frame.jpeg()

    def _cut(self, name: str) -> None:
        opened = self._clips.pop(name)
        begun_s = opened.begun_s - self._clips_s
        until_s = min(opened.last_s + self._clips_s, begun_s + _LONGEST_CLIP_S)
        content = None if self._packets is None else self._packets.clip(begun_s, until_s)
        if content is None or self._store is None:
            self._lose("clip")
        else:
            self._store.media(name, content)

    def _tell(self, kind: str, event: Event, picture: bytes | None) -> None:
        for teller in self._tellers:
            teller.told(kind, event, picture)


def packets_for(settings: EventSettings) -> Packets | None:
    """What keeps the packets that clips are cut out of; None without clips."""
    return None if settings.clips_s is None else Packets(_LONGEST_CLIP_S + 2 * _LATE_S)
