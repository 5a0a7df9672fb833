"""Makes events of what apps say of frames, in a thread behind a queue of bounded length.

The threads that run frames only put what an app says into the queue. The thread behind it does all the rest, however
long that takes: merging, pictures, disk, broker and webhooks. What finds the queue full is counted, and logged once.
Only when frames are read as fast as possible do they wait for the queue.
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
"""Things said by apps that may wait in the queue."""
_MOST_FRAMES: Final = 16
"""Frames that may wait in the queue; one of 1080 rows has 3 MB."""
_LOOK_S: Final = 0.1
_SHORTLY_S: Final = 0.001
_TICK_S: Final = 0.25
_END_S: Final = 2.0
_LONGEST_CLIP_S: Final = 60.0
_LATE_S: Final = 1.0
"""Packets may come so much later than they should."""

_log = logging.getLogger(__name__)


class Teller(Protocol):
    """Tells others of events. No call may take long."""

    def plan(self, apps: Mapping[int, PlannedApp]) -> None:
        """These apps run now."""

    def told(self, kind: str, event: Event, picture: bytes | None) -> None:
        """An event has begun ("start") or ended ("end"); `picture` is a JPEG of its peak, if there is a new one."""

    def tick(self) -> None:
        """Some time has passed."""

    def close(self) -> None:
        """No more events come."""


class Recorder:
    """Makes events of what apps say, keeps them, and tells others of them; :meth:`close` it.

    Parameters
    ----------
    settings : EventSettings
    lost : callable
        Called with the place, such as ``"mqtt"``, for each thing that is lost there.
    packets : Packets or None
        Clips are cut out of them.
    by_clock : bool
        Frames come at their own pace and wait for nobody, and the event of an app that says nothing for long ends.
    tellers : sequence of Teller
        Others to tell, beside those of the settings.
    stream : str, optional
        Name of the camera: events carry it, and topics have it behind their prefix.

    Raises
    ------
    MissingExtraError
        paho-mqtt is not installed.
    ProblemError
        The folder cannot be written, or a URL has another form.
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
        """File name of each clip to be cut -> its event, open or not."""
        self._waiting: deque[Said | Mapping[int, PlannedApp]] = deque()
        self._frames: set[int] = set()
        """Numbers of the frames that wait."""
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
        """Whether this one, with its frame, would be too much."""
        frame = said.frame
        frames = len(self._frames) + (frame is not None and frame.number not in self._frames)
        return len(self._waiting) >= _MOST_WAITING or frames > _MOST_FRAMES

    def close(self) -> None:
        """End the open events, keep them and tell of them, if that takes at most 2 s."""
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
        except Exception:  # one event that fails must not end those after it
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
    """The keeper of the packets that clips are cut out of; None without clips."""
    return None if settings.clips_s is None else Packets(_LONGEST_CLIP_S + 2 * _LATE_S)
