"""FFmpeg's side of a source: open it, find the video, decode it; an error is one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from mainstream._optional import require
from mainstream.errors import ProblemError
from mainstream.files import reason

if TYPE_CHECKING:
    from av import Packet, VideoFrame

TIMEOUT_S: Final = 5.0
"""Seconds that a camera may be silent."""
_TEXT: Final = "tty"
"""FFmpeg would play a text file as a film of a terminal."""
_QUIETLY_SHORT: Final = ("avi", "matroska,webm")
"""Formats that state their length, but which FFmpeg reads without an error when they are cut off."""
_MISSING: Final = 0.02
"""Share of its length by which a whole clip's last frame may fall short."""


class VideoReader:
    """The video in a container, open; use it in a ``with`` block.

    Parameters
    ----------
    name : str
        What to call it in a message.
    address : str
        What FFmpeg knows it by.
    form : str, optional
        FFmpeg's name of the format; by default FFmpeg finds out.
    options : mapping, optional
        FFmpeg's options for it.

    Attributes
    ----------
    fps : float or None
        Frames a second; None if the container does not say.
    endless : bool
        Whether no end is known, as for a live stream.
    damaged : int
        Frames that were left out so far because they are damaged.

    Raises
    ------
    MissingExtraError
        PyAV is not installed.
    ProblemError
        It cannot be opened, or holds no video.
    """

    def __init__(
        self, name: str, address: str, form: str | None = None, options: Mapping[str, str] | None = None
    ) -> None:
        require("av", "run")
        import av

        self._name = name
        began = monotonic()
        try:
            self._container: Any = av.open(address, format=form, options=dict(options or {}), timeout=TIMEOUT_S)
        except av.error.FFmpegError as error:
            raise ProblemError(f"{name}: {_advice(error, monotonic() - began)}") from None
        try:
            self._stream = self._find()
        except ProblemError:
            self._container.close()
            raise
        # Where there are no time stamps FFmpeg makes some up, at 25 a second.
        made_up = av.format.Flags.no_timestamps in av.format.Flags(self._container.format.flags)
        self._stamped = not made_up
        rate = None if made_up else self._stream.average_rate
        self.fps = float(rate) if rate else None
        self.endless = self._container.duration is None
        self.damaged = 0
        # Otherwise FFmpeg fills the missing part of a damaged picture with grey and gives it out.
        self._stream.codec_context.options = {"err_detect": "explode"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def _find(self) -> Any:
        import av

        streams = [] if self._container.format.name == _TEXT else self._container.streams.video
        cover = av.stream.Disposition.attached_pic  # the cover of an album, not a video
        moving = [stream for stream in streams if cover not in stream.disposition]
        if not moving:
            raise ProblemError(f"{self._name}: holds no video, or is cut off; give a clip or a camera")
        if moving[0].codec_context is None:
            raise ProblemError(f"{self._name}: FFmpeg does not know the codec of its video; convert it")
        return moving[0]

    def pictures(self, on_packet: Callable[[Packet[Any], bool], None] | None = None) -> Iterator[VideoFrame]:
        """Decode the frames; damaged ones are left out.

        Parameters
        ----------
        on_packet : callable, optional
            Called with each packet as it is read, and whether its time stamps are its own.

        Raises
        ------
        ProblemError
            No frame can be decoded, nothing comes any more, or a file is cut off.
        """
        import av

        count, end, whole = 0, 0, True
        try:
            for packet in self._container.demux(self._stream):
                if on_packet is not None:
                    on_packet(packet, self._stamped)
                if packet.pts is not None:
                    end = max(end, packet.pts + (packet.duration or 0))
                try:
                    decoded = [] if packet.is_corrupt else packet.decode()
                except av.error.InvalidDataError:
                    decoded = []
                    self.damaged += 1
                sound = [picture for picture in decoded if not picture.is_corrupt]
                self.damaged += len(decoded) - len(sound) + packet.is_corrupt
                if packet.size:  # the last packet is empty and fetches what the decoder held back
                    whole = not packet.is_corrupt
                count += len(sound)
                yield from sound
        except av.error.FFmpegError as error:
            raise ProblemError(f"{self._name}: after {count} frames: {_advice(error)}") from None
        if not count:
            raise ProblemError(f"{self._name}: no frame of it can be decoded; give another clip")
        if not whole or self._falls_short(end):
            raise ProblemError(f"{self._name}: is cut off after {count} frames; give the whole file")

    def _falls_short(self, end: int) -> bool:
        """Whether the last packet ends, at `end` in the stream's time base, too far before the clip's stated length."""
        import av

        if self._container.format.name not in _QUIETLY_SHORT:
            return False
        stream, length_s = self._stream, None
        if stream.duration is not None:
            length_s = float(stream.duration * stream.time_base)
        elif len(self._container.streams) == 1 and self._container.duration is not None:
            length_s = self._container.duration / av.time_base
        if length_s is None or self.fps is None:
            return False
        missing_s = length_s - float((end - (stream.start_time or 0)) * stream.time_base)
        return missing_s > max(_MISSING * length_s, 1.5 / self.fps)


def _advice(error: Exception, spent_s: float = 0.0) -> str:
    import av

    # When its time is up, FFmpeg's RTSP says that the data is bad.
    if isinstance(error, av.error.ExitError) or spent_s >= TIMEOUT_S:
        return f"nothing came within {TIMEOUT_S:g} s; is it there, and switched on?"
    if isinstance(error, av.error.InvalidDataError | av.error.EOFError):
        return "no video, or one that is damaged or cut off; give another"
    return f"{reason(error).lower()}; is it there, and may it be read?"
