"""The last events with their pictures, which are in memory, or in a folder if events are kept there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final

from mainstream.errors import ProblemError
from mainstream.streamer.events.event import Event, PlannedApp

MOST: Final = 200
_PICTURES: Final = 2**25
"""Most bytes of pictures in memory."""
_TAIL: Final = 2**19
"""Bytes at the end of ``events.jsonl`` that are read at the start."""


class Timeline:
    """A teller of events that remembers.

    Parameters
    ----------
    folders : mapping of Path
        Folder of each camera's events, by the name of its stream; empty if events are not kept.
    """

    def __init__(self, folders: Mapping[str | None, Path]) -> None:
        self._folders = folders
        self._events: dict[str, Event] = {}
        self._pictures: dict[str, bytes] = {}
        self._lock = Lock()
        self.tell: Callable[[Mapping[str, Any]], None] = lambda event: None
        """Called at each start and end, too."""
        for folder in folders.values():
            self._load(folder / "events.jsonl")

    def plan(self, apps: Mapping[int, PlannedApp]) -> None:
        """These apps run now."""

    def told(self, kind: str, event: Event, picture: bytes | None) -> None:
        """An event has begun or ended."""
        with self._lock:
            self._events.pop(event.event_id, None) if kind == "start" else None
            self._events[event.event_id] = event
            if picture is not None and not self._folders:
                self._pictures[event.event_id] = picture
            self._forget()
        self.tell(event.wire())

    def tick(self) -> None:
        """Some time has passed."""

    def close(self) -> None:
        """No more events come."""

    def recent(self, most: int = MOST) -> list[dict[str, Any]]:
        """The last events, the newest first, as :meth:`mainstream.streamer.events.event.Event.wire` gives them."""
        with self._lock:
            events = sorted(self._events.values(), key=lambda event: event.start, reverse=True)
        return [event.wire() for event in events[:most]]

    def last_of(self) -> dict[tuple[str | None, str], dict[str, Any]]:
        """Name of a stream and of an app there -> the app's last event."""
        return {(event.get("stream"), event["app"]): event for event in reversed(self.recent())}

    def picture(self, event_id: str) -> bytes | None:
        """The picture of an event; None if there is none, or no longer one."""
        if not self._folders:
            return self._pictures.get(event_id)
        path = self._file(event_id, "snapshot")
        with suppress(OSError):
            return None if path is None else path.read_bytes()
        return None

    def clip(self, event_id: str) -> Path | None:
        """The file of an event's video; None if there is none."""
        return self._file(event_id, "clip")

    def _file(self, event_id: str, kind: str) -> Path | None:
        """A file of a known event in the folder: no name from outside becomes a path."""
        event = self._events.get(event_id)
        name = None if event is None else getattr(event, kind)
        folder = None if event is None else self._folders.get(event.stream)
        if folder is None or name is None or name not in (f"{event_id}.{form}" for form in ("jpg", "mp4", "mkv")):
            return None
        path = folder / "media" / name
        return path if path.is_file() else None

    def _load(self, path: Path) -> None:
        with suppress(OSError), path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            for line in file.read().decode("utf-8", "replace").splitlines()[-MOST:]:
                with suppress(ProblemError):  # the first line may be cut
                    event = Event.from_json(line)
                    self._events[event.event_id] = event
        self._events = {one.event_id: one for one in sorted(self._events.values(), key=lambda one: one.start)}

    def _forget(self) -> None:
        while len(self._events) > MOST:
            self._events.pop(next(iter(self._events)))
        while self._pictures and (
            sum(map(len, self._pictures.values())) > _PICTURES or next(iter(self._pictures)) not in self._events
        ):
            self._pictures.pop(next(iter(self._pictures)))
