"""The connections to a server's socket, bounded in number and in what they send.

ZeroMQ bounds each part of a message, not the number of parts, and keeps all of them until the last has come. So this
counts, by the kernel's own figures, what has come of each TCP connection since its last whole message, and cuts off the
one with the most when it is too much of them all. What is cut off is forgotten by ZeroMQ, too.
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

MOST: Final = 64
"""Connections; beyond that the one that has been idle for longest is cut off."""
_UNREAD: Final = 20 * 2**20
"""Bytes that may have come of messages that are not whole, of all together: more than one of the largest requests. Of
the smallest parts, of 2 bytes, ZeroMQ makes 640 MB."""
_RECEIVED: Final = (struct.Struct("=Q"), 128)
"""Where in Linux's ``struct tcp_info`` the bytes are that have come: ``tcpi_bytes_received`` of linux/tcp.h."""


@dataclass
class _Connection:
    """A connection by a descriptor of our own: ZeroMQ's may be closed, and its number given again, at any time."""

    end: socket.socket
    whole: int = 0
    """Bytes that had come when its last message was read."""
    heard_s: float = field(default_factory=monotonic)

    def unread(self) -> int:
        """Bytes that have come since."""
        return self._received() - self.whole

    def message(self) -> None:
        """A message was read."""
        self.whole, self.heard_s = self._received(), monotonic()

    def _received(self) -> int:
        if self.end.family == socket.AF_UNIX:  # its kernel does not tell; whoever reaches the file is trusted
            return 0
        form, place = _RECEIVED
        told = self.end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, place + form.size)
        return int(form.unpack_from(told, place)[0])

    def cut(self) -> None:
        """End it; ZeroMQ notices."""
        with suppress(OSError):  # it has gone by itself
            self.end.shutdown(socket.SHUT_RDWR)


class Connections:
    """Those of one bound socket; told of by its monitor.

    Parameters
    ----------
    address : str
        Where it is bound, ``tcp://HOST:PORT`` or ``ipc://PATH``.
    """

    def __init__(self, address: str) -> None:
        self._place = address.rpartition(":")[2].removeprefix("//")
        self._open: dict[int, _Connection] = {}

    def accepted(self, descriptor: int) -> None:
        """ZeroMQ has taken a connection."""
        self.gone(descriptor)
        try:
            end = socket.socket(fileno=os.dup(descriptor))
        except OSError:  # it has gone, or so many are open that there is no descriptor left
            return
        name = end.getsockname()
        if str(name if end.family == socket.AF_UNIX else name[1]) == self._place:
            self._open[descriptor] = _Connection(end)
        else:  # it has gone, and another one has its number
            end.close()

    def gone(self, descriptor: int) -> None:
        """A connection has ended."""
        before = self._open.pop(descriptor, None)
        if before is not None:
            before.end.close()

    def message(self, descriptor: int) -> None:
        """A whole message of it was read."""
        if descriptor in self._open:
            self._open[descriptor].message()

    def bound(self, busy: int | None) -> int:
        """Cut off those that are too many or send too much; returns how many.

        Parameters
        ----------
        busy : int, optional
            The connection whose request is being answered, which counts as one that is heard.
        """
        cut = 0
        idle = sorted((one.heard_s, number) for number, one in self._open.items() if number != busy)
        for _, number in idle[: max(0, len(self._open) - MOST)]:
            self._cut(number)
            cut += 1
        unread = {number: one.unread() for number, one in self._open.items()}
        while sum(unread.values()) > _UNREAD:
            number = max(unread, key=unread.__getitem__)
            self._cut(number)
            del unread[number]
            cut += 1
        return cut

    def _cut(self, number: int) -> None:
        self._open[number].cut()
        self.gone(number)

    def close(self) -> None:
        """Let go of all."""
        for number in list(self._open):
            self.gone(number)
