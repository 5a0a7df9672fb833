"""Sends events as HTTP requests: a POST at each start and end, repeated if it fails, in order, each URL by itself."""

from __future__ import annotations

import http.client
import json
import logging
import queue
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from threading import Event as Flag
from threading import Thread, Timer
from typing import Final
from urllib.parse import SplitResult, urlsplit

from mainstream.errors import ProblemError
from mainstream.files import reason
from mainstream.streamer.events.event import Event, PlannedApp

_MOST_QUEUED: Final = 256
_LONGEST_S: Final = 10.0
"""Seconds for a request and its answer."""
_PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0)
"""Seconds before it is sent again, each time."""
_LATER: Final = (408, 425, 429)
"""Statuses below 500 after which it is sent again."""
_END_S: Final = 1.0

_log = logging.getLogger(__name__)


class Webhook:
    """Posts events to one URL; :meth:`close` it.

    Parameters
    ----------
    url : str
        ``http://`` or ``https://``.
    lost : callable
        Called for each event that the URL did not take, or for which there was no room.

    Raises
    ------
    ProblemError
        It is not such a URL.
    """

    def __init__(self, url: str, lost: Callable[[], None]) -> None:
        self._url = _checked(url)
        self._where = f"{self._url.hostname}{self._url.path}"
        self._lost = lost
        self._waiting: queue.Queue[str | None] = queue.Queue(_MOST_QUEUED)
        self._closed = Flag()
        self._fails = False
        self._thread = Thread(target=self._work, name="mainstream-webhook", daemon=True)
        self._thread.start()

    def plan(self, apps: Mapping[int, PlannedApp]) -> None:
        """These apps run now; nobody is told."""

    def told(self, kind: str, event: Event, picture: bytes | None) -> None:
        """An event has begun or ended."""
        try:
            self._waiting.put_nowait(json.dumps({"type": kind, "event": event.wire()}))
        except queue.Full:
            self._lost()

    def tick(self) -> None:
        """Nothing is due."""

    def close(self) -> None:
        """Send what waits, if that takes at most a second."""
        with suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._thread.join(_END_S)
        self._closed.set()

    def _work(self) -> None:
        while (body := self._waiting.get()) is not None and not self._closed.is_set():
            self._deliver(body)

    def _deliver(self, body: str) -> None:
        for pause in (*_PAUSES_S, None):
            wrong, again = self._post(body)
            if wrong is None:
                if self._fails:
                    _log.warning("webhook: %s takes events again", self._where)
                self._fails = False
                return
            if not self._fails:
                _log.warning("webhook: %s: %s", self._where, wrong)
            self._fails = True
            if pause is None or not again or self._closed.wait(pause):
                break
        self._lost()

    def _post(self, body: str) -> tuple[str | None, bool]:
        """Post it; return what went wrong, or None, and whether to send it again."""
        url, sent = self._url, {"Content-Type": "application/json", "User-Agent": "mainstream"}
        secure = url.scheme == "https"
        connection = (
            http.client.HTTPSConnection(url.netloc, timeout=_LONGEST_S, context=ssl.create_default_context())
            if secure
            else http.client.HTTPConnection(url.netloc, timeout=_LONGEST_S)
        )
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        # The connection's timeout is for each read: a server that sends a byte now and then would never exceed it.
        limit = Timer(_LONGEST_S, _hang_up, (connection,))
        limit.daemon = True
        limit.start()
        try:
            with closing(connection):
                connection.request("POST", path, body.encode(), sent)
                status = connection.getresponse().status
        except (OSError, http.client.HTTPException, ValueError) as error:
            return reason(error) or type(error).__name__, True
        finally:
            limit.cancel()
        if 200 <= status < 300:
            return None, False
        return f"answers {status}", status >= 500 or status in _LATER


def _hang_up(connection: http.client.HTTPConnection) -> None:
    with suppress(OSError, AttributeError):  # it has gone already
        connection.sock.shutdown(socket.SHUT_RDWR)


def _checked(url: str) -> SplitResult:
    try:
        found = urlsplit(url)
        _ = found.port
    except ValueError:
        found = urlsplit("")
    if found.scheme not in ("http", "https") or not found.hostname or not url.isascii() or not url.isprintable():
        raise ProblemError("webhook: this is not a URL; it has to be http://HOST/PATH or https://HOST/PATH")
    if " " in url or found.username is not None:
        raise ProblemError("webhook: the URL must not contain blanks or USER:PASSWORD@")
    return found
