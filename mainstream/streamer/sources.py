"""Where frames come from: one function opens clips, cameras, the test pattern, and what others add."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit
from urllib.request import url2pathname

from mainstream.description import shown
from mainstream.errors import MainstreamError, ProblemError
from mainstream.extensions import SOURCES, Source, SourceOpener
from mainstream.registry import check_has, lacking
from mainstream.streamer.later import LaterCamera
from mainstream.streamer.live import Camera
from mainstream.streamer.playback import Clip, Pattern, PatternOptions

__all__ = ["FILE", "HTTP", "HTTPS", "RTP", "RTSP", "RTSPS", "TCP", "TEST", "UDP", "open_source"]

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_DEVICE: Final = re.compile(r"/dev/video\d+")
_LOOK_US: Final = 2_000_000
"""Microseconds for which FFmpeg examines a live stream to find out what is in it."""


def open_source(uri: str | Path | Source, *, loop: bool = False, paced: bool = True) -> Source:
    """Open a clip, a camera, the test pattern, or a source whose scheme has an opener of its own.

    Parameters
    ----------
    uri : str, Path or Source
        A file's path or ``file://`` URI; ``rtsp://``, ``http://``, ``tcp://``, ``udp://``, ``rtp://`` or
        ``/dev/videoN`` for a camera; ``test://?fps=10&width=640&height=480&frames=100`` for a moving pattern; any other
        scheme of :data:`mainstream.extensions.SOURCES`. A source is returned as it is.
    loop : bool
        Begin a clip again when it has ended; numbers and times go on.
    paced : bool
        Give a clip's frames at its rate by the wall clock; otherwise as fast as they are taken. Cameras have their own
        pace.

    Returns
    -------
    Source
        The caller closes it.

    Raises
    ------
    MissingExtraError
        PyAV is not installed.
    ProblemError
        There is no such source, it cannot be opened, or it is not a video.
    """
    if uri == "" or (not isinstance(uri, str | Path) and {"__iter__", "close"} <= set(lacking(uri, Source))):
        raise ProblemError(f"source: got {shown(uri)}; it has to be a file's path or a URI, or a source")
    source = _open(uri, loop=loop, paced=paced) if isinstance(uri, str | Path) else uri
    check_has("source", source, Source)
    if isinstance(source.fps, bool) or not isinstance(source.fps, Real) or not 0 < source.fps < math.inf:
        raise ProblemError(f"source: its fps is {shown(source.fps)}; it has to be a finite number above 0")
    return source


def open_among_others(uri: str, fps: float, *, loop: bool) -> Source:
    """Open the source of one of several cameras; a camera that is not there yet is opened when it is.

    Parameters
    ----------
    uri : str
        As for :func:`open_source`.
    fps : float
        Frames a second that are expected of it.
    loop : bool

    Raises
    ------
    ProblemError
        It is not a URI of a source, or it is not a camera and cannot be opened.
    """
    opener = SOURCES.get(uri.partition("://")[0].lower()) if _SCHEME.match(uri) else None
    if _DEVICE.fullmatch(uri) or isinstance(opener, _Cameras):
        return LaterCamera(_without_password(uri), partial(open_source, uri), fps)
    return open_source(uri, loop=loop)


def clip_of(uri: str | Path) -> Path | None:
    """The file of a source that is a clip; None for all others.

    Raises
    ------
    ProblemError
        A ``file://`` URI names no file of this machine.
    """
    if isinstance(uri, Path) or not (_DEVICE.fullmatch(uri) or _SCHEME.match(uri)):
        return Path(uri)
    return _named(uri) if uri.partition("://")[0].lower() == "file" else None


def _named(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise ProblemError(
            f"source: got {shown(uri)}; file:// has to be followed by an absolute path: file:///clip.avi"
        )
    return Path(url2pathname(parts.path))


def _open(uri: str | Path, *, loop: bool, paced: bool) -> Source:
    if isinstance(uri, Path) or not (_DEVICE.fullmatch(uri) or _SCHEME.match(uri)):
        return Clip(Path(uri), loop=loop, paced=paced)
    if _DEVICE.fullmatch(uri):
        if not Path(uri).exists():
            raise ProblemError(f"{uri}: there is no such device; look at /dev/video*")
        return Camera(uri, uri, "v4l2")
    scheme = uri.partition("://")[0].lower()
    if scheme in SOURCES:
        try:
            return SOURCES[scheme].open(uri, loop=loop, paced=paced)
        except MainstreamError:
            raise
        except Exception as error:  # someone else's opener may raise anything
            raise ProblemError(f"{_without_password(uri)}: cannot be opened: {shown(error)}") from error
    if scheme == "gst":
        raise ProblemError(
            f"{shown(uri)}: GStreamer pipelines are not run here; give the camera's rtsp:// or http:// address, "
            "/dev/videoN, or a file"
        )
    known = ", ".join(f"{scheme}://" for scheme in SOURCES)
    raise ProblemError(f"source: {shown(uri)} has an unknown scheme; known: {known}")


class _Files:
    """Opens clips."""

    name = "file"

    def open(self, uri: str, *, loop: bool, paced: bool) -> Source:
        return Clip(_named(uri), loop=loop, paced=paced)


class _Cameras:
    """Opens live streams of one scheme.

    Parameters
    ----------
    name : str
    options : mapping, optional
        FFmpeg's options for it.
    """

    def __init__(self, name: str, options: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._options = {"analyzeduration": str(_LOOK_US), **(options or {})}

    def open(self, uri: str, *, loop: bool, paced: bool) -> Source:
        return Camera(_without_password(uri), uri, None, self._options)


class _Patterns:
    """Opens the test pattern."""

    name = "test"

    def open(self, uri: str, *, loop: bool, paced: bool) -> Source:
        parts = urlsplit(uri)
        try:
            pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True) if parts.query else []
        except ValueError:
            pairs = None
        if pairs is None or parts.netloc or parts.path or len(dict(pairs)) < len(pairs):
            raise ProblemError(
                f"source: got {shown(uri)}; it has to be test:// or test://?KEY=VALUE&KEY=VALUE, each key once"
            )
        return Pattern(PatternOptions.of(dict(pairs), where="test://"), loop=loop, paced=paced)


def _without_password(uri: str) -> str:
    return re.sub(r"(?<=://)[^/@]*@", "", uri)


# RTSP over UDP loses parts of frames when the network is busy, so it is only for cameras that do not speak TCP.
_OVER_TCP: Final = {"rtsp_flags": "prefer_tcp"}

FILE: Final[SourceOpener] = _Files()
RTSP: Final[SourceOpener] = _Cameras("rtsp", _OVER_TCP)
RTSPS: Final[SourceOpener] = _Cameras("rtsps", _OVER_TCP)
HTTP: Final[SourceOpener] = _Cameras("http")
HTTPS: Final[SourceOpener] = _Cameras("https")
TCP: Final[SourceOpener] = _Cameras("tcp")
UDP: Final[SourceOpener] = _Cameras("udp")
RTP: Final[SourceOpener] = _Cameras("rtp")
TEST: Final[SourceOpener] = _Patterns()
