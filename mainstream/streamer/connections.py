"""The connections to a server's socket: this bounds how many there are and how much they send.

ZeroMQ bounds each part of a message but not the number of parts, and keeps all of them until the last has come. So this
counts, by the kernel's own figures, the bytes that each TCP connection has sent since its last whole message. When all
together are too many, it cuts off the connection with the most; ZeroMQ then drops its parts, too.
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
"""Most connections; beyond that the one that has been idle for longest is cut off."""
_UNREAD: Final = 20 * 2**20
"""Most bytes of messages that are not whole yet, over all connections: more than one of the largest requests. If they
come in the smallest parts, of 2 bytes, ZeroMQ takes 640 MB for them."""
_RECEIVED: Final = (struct.Struct("=Q"), 128)
"""Format and offset of ``tcpi_bytes_received``, the bytes that have come, in Linux's ``struct tcp_info``."""


@dataclass
class _Connection:
    """A connection, held by a descriptor of our own: ZeroMQ's may be closed, and its number reused, at any time."""

    end: socket.socket
    whole: int = 0
    """Bytes that had come when its last whole message was read."""
    heard_s: float = field(default_factory=monotonic)

    def unread(self) -> int:
        """Bytes that have come since then."""
        return self._received() - self.whole

    def message(self) -> None:
        """A message was read."""
        self.whole, self.heard_s = self._received(), monotonic()

    def _received(self) -> int:
        if self.end.family == socket.AF_UNIX:  # the kernel does not count these; whoever can reach the file is trusted
            return 0
        form, place = _RECEIVED
        told = self.end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, place + form.size)
        return int(form.unpack_from(told, place)[0])

    def cut(self) -> None:
        """End it; ZeroMQ notices."""
        with suppress(OSError):  # it has gone by itself
            self.end.shutdown(socket.SHUT_RDWR)


class Connections:
    """The connections of one bound socket, as its monitor reports them.

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
        except OSError:  # it has gone, or no descriptor is left
            return
        name = end.getsockname()
        if str(name if end.family == socket.AF_UNIX else name[1]) == self._place:
            self._open[descriptor] = _Connection(end)
        else:  # it has gone, and something else has its number
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
        """Cut off connections that are too many or send too much; return how many.

        Parameters
        ----------
        busy : int, optional
            The connection whose request is being answered; it does not count as idle.
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
        """Release all of them."""
        for number in list(self._open):
            self.gone(number)
