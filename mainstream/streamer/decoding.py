"""FFmpeg's side of a source: open, find the video, decode; what goes wrong is one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from mainstream.errors import ProblemError
from mainstream.extras import require

if TYPE_CHECKING:
    from av import VideoFrame

TIMEOUT_S: Final = 5.0
"""Seconds that a camera may be silent."""


class Video:
    """The video in a container, open; use it in a ``with`` block.

    Parameters
    ----------
    name : str
        What to call it in a message.
    address : str
        What FFmpeg knows it by.
    form : str, optional
        FFmpeg's name of the format, where it does not find out.
    options : mapping, optional
        FFmpeg's options for it.

    Attributes
    ----------
    fps : float or None
        Frames a second, None where the container does not say.
    length_s : float or None
        Seconds of video, None for a stream without an end.

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
        try:
            self._container: Any = av.open(address, format=form, options=dict(options or {}), timeout=TIMEOUT_S)
        except av.error.FFmpegError as error:
            raise ProblemError(f"{name}: {_reason(error)}") from None
        try:
            self._stream = self._find()
        except ProblemError:
            self._container.close()
            raise
        silent = av.format.Flags.no_timestamps in av.format.Flags(self._container.format.flags)
        rate = None if silent else self._stream.average_rate or self._stream.guessed_rate
        self.fps = float(rate) if rate else None
        length = self._container.duration
        self.length_s = None if length is None else length / av.time_base

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def _find(self) -> Any:
        import av

        # FFmpeg would show text as a film of a terminal, and an album's cover as one of a single frame.
        streams = [] if self._container.format.name == "tty" else self._container.streams.video
        moving = [one for one in streams if not one.disposition & av.stream.Disposition.attached_pic]
        if not moving:
            raise ProblemError(f"{self._name}: holds no video; give a clip or a camera")
        if moving[0].codec_context is None:
            raise ProblemError(f"{self._name}: its video is coded in a way that this FFmpeg does not know")
        return moving[0]

    def pictures(self) -> Iterator[VideoFrame]:
        """The frames, decoded, those that are damaged left out.

        Raises
        ------
        ProblemError
            The file ends within a frame, or nothing can be read any more.
        """
        import av

        count, whole = 0, True
        try:
            for packet in self._container.demux(self._stream):
                if packet.is_corrupt:
                    whole = False
                    continue
                try:
                    decoded = packet.decode()
                except av.error.InvalidDataError:
                    whole = False
                    continue
                for picture in decoded:
                    count, whole = count + 1, whole or bool(packet.size)
                    yield picture
        except av.error.FFmpegError as error:
            raise ProblemError(f"{self._name}: after {count} frames: {_reason(error)}") from None
        if not count:
            raise ProblemError(f"{self._name}: not one frame of it can be decoded; give another")
        if not whole:
            raise ProblemError(f"{self._name}: is cut off after {count} frames; give the whole of it")


def _reason(error: Exception) -> str:
    import av

    if isinstance(error, av.error.InvalidDataError):
        return "no video, or one that is damaged or cut off"
    if isinstance(error, av.error.ExitError):
        return f"nothing came within {TIMEOUT_S:g} s; is it there, and switched on?"
    return str(getattr(error, "strerror", None) or error).lower()
