"""Where frames come from: one function for clips, cameras and the test pattern."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit
from urllib.request import url2pathname

from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.streamer.frames import Frame, Source
from mainstream.streamer.live import Camera
from mainstream.streamer.playback import Clip, Pattern, PatternOptions

__all__ = ["Frame", "Source", "open_source"]

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_DEVICE: Final = re.compile(r"/dev/video\d+")
_LOOK_US: Final = 2_000_000
"""Microseconds for which FFmpeg looks at a live stream to find out what is in it."""
_LIVE: Final[Mapping[str, Mapping[str, str]]] = {
    "rtsp": {"rtsp_flags": "prefer_tcp"},
    "rtsps": {"rtsp_flags": "prefer_tcp"},
    "http": {},
    "https": {},
    "tcp": {},
    "udp": {},
    "rtp": {},
}
"""Scheme -> FFmpeg's options for it.

RTSP over UDP loses parts of frames where the network is busy: only for cameras that do not speak TCP.
"""


def open_source(uri: str | Path, *, loop: bool = False, paced: bool = True) -> Source:
    """Open a clip, a camera or the test pattern.

    Parameters
    ----------
    uri : str or Path
        A file's path or ``file://`` URI; ``rtsp://``, ``http://``, ``tcp://``, ``udp://``, ``rtp://`` or
        ``/dev/videoN`` for a camera; ``test://?fps=10&width=640&height=480&frames=100`` for a moving pattern.
    loop : bool
        Begin a clip again when it has ended; numbers and times go on.
    paced : bool
        Frames of a clip come at its rate by the wall clock; else as fast as they are taken. Cameras pace themselves.

    Returns
    -------
    Source

    Raises
    ------
    MissingExtraError
        PyAV is not installed.
    ProblemError
        There is no such source, it cannot be opened, or it is no video.
    """
    if not isinstance(uri, str | Path) or not str(uri):
        raise ProblemError(f"source: got {shown(uri)}; it has to be a file's path or a URI")
    if isinstance(uri, Path) or not (_DEVICE.fullmatch(uri) or _SCHEME.match(uri)):
        return Clip(Path(uri), loop=loop, paced=paced)
    if _DEVICE.fullmatch(uri):
        if not Path(uri).exists():
            raise ProblemError(f"{uri}: there is no such device; look at /dev/video*")
        return Camera(uri, uri, "v4l2")
    scheme = uri.partition("://")[0].lower()
    if scheme == "file":
        return Clip(_path(uri), loop=loop, paced=paced)
    if scheme == "test":
        return Pattern(_options(uri), loop=loop, paced=paced)
    if scheme in _LIVE:
        return Camera(_without_password(uri), uri, None, {"analyzeduration": str(_LOOK_US), **_LIVE[scheme]})
    if scheme == "gst":
        raise ProblemError(
            f"{shown(uri)}: GStreamer pipelines are not run here; give the camera's rtsp:// or http:// address, "
            "/dev/videoN, or a file"
        )
    known = ", ".join(f"{scheme}://" for scheme in ("file", *_LIVE, "test"))
    raise ProblemError(f"source: {shown(uri)} has an unknown scheme; known: {known}")


def _path(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise ProblemError(
            f"source: got {shown(uri)}; file:// has to be followed by an absolute path: file:///clip.avi"
        )
    return Path(url2pathname(parts.path))


def _options(uri: str) -> PatternOptions:
    parts = urlsplit(uri)
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True) if parts.query else []
    except ValueError:
        pairs = None
    if pairs is None or parts.netloc or parts.path or len(dict(pairs)) < len(pairs):
        raise ProblemError(
            f"source: got {shown(uri)}; it has to be test:// or test://?KEY=VALUE&KEY=VALUE, each key once"
        )
    return PatternOptions.of(dict(pairs), where="test://")


def _without_password(uri: str) -> str:
    return re.sub(r"(?<=://)[^/@]*@", "", uri)
