"""A camera that need not be there yet: opening it is tried, once its frames are read, until it is there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from mainstream.errors import ProblemError
from mainstream.extensions import Source
from mainstream.streamer.events.packets import CodedSource
from mainstream.streamer.frames import Frame, StoppableSource

if TYPE_CHECKING:
    from av import Packet

_AGAIN_S: Final = 2.0
"""Seconds before opening is tried again."""

_log = logging.getLogger(__name__)


class LaterCamera(StoppableSource):
    """One of several cameras; the others do not wait for it.

    Parameters
    ----------
    name : str
        What to call it in a message.
    open_it : callable
        Gives the camera, or raises a :class:`ProblemError` if it is not there.
    fps : float
        Frames a second that are expected of it.
    """

    live = True
    on_packet: Callable[[Packet[Any], bool], None] | None = None

    def __init__(self, name: str, open_it: Callable[[], Source], fps: float) -> None:
        super().__init__()
        self.fps = fps
        self._name, self._open_it = name, open_it
        self._lock = Lock()
        self._source: Source | None = None

    def __iter__(self) -> Iterator[Frame]:
        source = self._opened()
        if source is None:
            return
        if isinstance(source, CodedSource):
            source.on_packet = self._packet
        for frame in source:
            self.reconnects, self.damaged = source.reconnects, source.damaged
            yield frame

    def close(self) -> None:
        """End the stream, also for a thread that waits for its next frame."""
        super().close()
        with self._lock:
            if self._source is not None:
                self._source.close()

    def _opened(self) -> Source | None:
        """The camera, once it is there; None if nobody wants it any more."""
        told = False
        while not self._closed.is_set():
            try:
                source = self._open_it()
            except ProblemError as error:
                if not told:
                    _log.warning("the camera is not there yet, and is tried again and again: %s", error)
                told = True
                self._closed.wait(_AGAIN_S)
                continue
            if told:
                _log.warning("the camera is there: %s", self._name)
            with self._lock:
                self._source = source
                if not self._closed.is_set():
                    return source
            source.close()
        return None

    def _packet(self, packet: Packet[Any], stamped: bool) -> None:
        if self.on_packet is not None:
            self.on_packet(packet, stamped)
