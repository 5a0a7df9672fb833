"""Keeps the last seconds of a stream as it came, coded: clips of events are cut out without coding anything again."""

from __future__ import annotations

import io
import logging
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from itertools import chain
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, runtime_checkable

from mainstream.files import reason

if TYPE_CHECKING:
    from av import Packet

_MOST_BYTES: Final = 64 * 2**20
_TICK: Final = Fraction(1, 1000)
"""Seconds; the time base of packets without time stamps of their own."""
_MP4: Final = ("h264", "hevc", "av1", "mpeg4")
"""Codecs that go into MP4, which browsers play; Matroska takes all others."""

_log = logging.getLogger(__name__)


@runtime_checkable
class CodedSource(Protocol):
    """A source whose frames come as coded packets.

    Attributes
    ----------
    on_packet : callable or None
        Called with each packet as it is read, and whether its time stamps are the camera's own.
    """

    on_packet: Callable[[Packet[Any], bool], None] | None


class _Kept(NamedTuple):
    """A packet: when it came, by the clock, and what a container needs to know of it."""

    at_s: float
    data: bytes
    pts: int
    dts: int
    duration: int
    is_key: bool


class Packets:
    """Keeps the packets of the last seconds, 64 MB at most, since the stream was last opened.

    Parameters
    ----------
    length_s : float

    Attributes
    ----------
    form : str or None
        File ending of clips, mp4 or mkv; None if no clip can be made of the stream.
    """

    def __init__(self, length_s: float) -> None:
        self.form: str | None = None
        self._length_s = length_s
        self._groups: deque[list[_Kept]] = deque()
        """Each group begins with a key frame, without which its other frames cannot be decoded."""
        self._bytes = 0
        self._stream: Any = None
        self._lock = Lock()

    def add(self, packet: Packet[Any], stamped: bool) -> None:
        """Keep a packet that was read; `stamped` says whether its time stamps are the camera's own."""
        with self._lock:
            if packet.stream is not self._stream:
                self._begin(packet.stream)
            if self.form is None or not packet.size or (stamped and (packet.pts is None or packet.dts is None)):
                return
            now = monotonic()
            self._time_base = packet.time_base if stamped else _TICK
            pts, dts = (packet.pts, packet.dts) if stamped else (int(now / _TICK), int(now / _TICK))
            kept = _Kept(now, bytes(packet), pts or 0, dts or 0, packet.duration or 0, packet.is_keyframe)
            if packet.is_keyframe:
                self._groups.append([])
            if self._groups:
                self._groups[-1].append(kept)
                self._bytes += len(kept.data)
            while self._bytes > _MOST_BYTES or (
                len(self._groups) > 1 and self._groups[1][0].at_s < now - self._length_s
            ):
                self._bytes -= sum(len(one.data) for one in self._groups.popleft())

    def _begin(self, stream: Any) -> None:
        """Begin again for a newly opened stream; keep a template of it that outlives its container."""
        import av

        self._stream, self.form, self._bytes = stream, None, 0
        self._groups.clear()
        nowhere = av.open(io.BytesIO(), "w", format="matroska")
        try:
            self._template = nowhere.add_stream_from_template(stream, opaque=True)
        except (av.error.FFmpegError, ValueError) as error:
            _log.warning("no clips of this stream: %s", reason(error))
            return
        self.form = "mp4" if stream.codec_context.name in _MP4 else "mkv"

    def clip(self, from_s: float, until_s: float) -> bytes | None:
        """A file of what came between two times by the clock, from the key frame before them on; None if nothing did.

        Parameters
        ----------
        from_s, until_s : float
            Of :func:`time.monotonic`.
        """
        with self._lock:
            groups = [group for group in self._groups if group[0].at_s <= until_s]
            while len(groups) > 1 and groups[1][0].at_s <= from_s:
                groups.pop(0)
            kept = [one for one in chain(*groups) if one.at_s <= until_s]
            if self.form is None or not kept or kept[-1].at_s < from_s:
                return None
            form, template, time_base = self.form, self._template, self._time_base
        return _muxed({"mkv": "matroska"}.get(form, form), template, time_base, kept)


def _muxed(form: str, template: Any, time_base: Fraction, kept: list[_Kept]) -> bytes:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream_from_template(template, opaque=True)
        for one in kept:
            packet = av.Packet(one.data)
            packet.stream, packet.time_base, packet.is_keyframe = stream, time_base, one.is_key
            packet.pts, packet.dts, packet.duration = one.pts - kept[0].dts, one.dts - kept[0].dts, one.duration
            container.mux(packet)
    return file.getvalue()
