"""Network cameras for the tests: over RTSP (H.264, RTP within the TCP connection) and HTTP (multipart MJPEG).

Both number their pictures as `clips.picture` does, take one viewer at a time, and can be stopped and started again on
the same port. FFmpeg encodes the pictures; the code here speaks the protocols as cameras do.
"""

from __future__ import annotations

import itertools
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

from support.clips import av, picture

SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"


def encoder(codec: str, fps: int, size: tuple[int, int]) -> Any:
    coder = av.CodecContext.create(codec, "w")
    coder.width, coder.height = size
    coder.time_base, coder.framerate = Fraction(1, fps), Fraction(fps)
    coder.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    if codec == "libx264":
        coder.options = {"tune": "zerolatency", "preset": "ultrafast", "g": "5"}
    return coder


class StoppedError(Exception):
    """The camera has been switched off."""


class TestCamera(ABC):
    """Serves until the block ends, or until `stop`; `start` goes on with the next picture.

    With `silent` set it stays connected and sends nothing.
    """

    __test__ = False
    codec: str

    def __init__(self, fps: int = 20) -> None:
        self.fps = fps
        self.size = (64, 48)
        self.numbers = itertools.count()
        self.silent = threading.Event()
        self.viewers = 0
        with socket.create_server(("127.0.0.1", 0)) as one:
            self.port: int = one.getsockname()[1]

    @property
    @abstractmethod
    def uri(self) -> str: ...

    @abstractmethod
    def serve(self, viewer: socket.socket) -> None:
        """Talk to one viewer until it goes."""

    def start(self) -> None:
        self._stopped = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._listening.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _listen(self) -> None:
        self._listening.settimeout(0.05)
        while not self._stopped.is_set():
            with suppress(TimeoutError, OSError, StoppedError):
                viewer, _ = self._listening.accept()
                with viewer:
                    viewer.settimeout(0.05)
                    self.viewers += 1
                    self.serve(viewer)

    def receive(self, viewer: socket.socket) -> bytes:
        while not self._stopped.is_set():
            with suppress(TimeoutError):
                return viewer.recv(4096)
        raise StoppedError

    def coded(self) -> Iterator[bytes]:
        """Coded pictures, each when it is due."""
        coder = encoder(self.codec, self.fps, self.size)
        due = time.monotonic()
        for place in itertools.count():
            if self._stopped.wait(max(0, due - time.monotonic())):
                raise StoppedError
            due += 1 / self.fps
            if self.silent.is_set():
                continue
            frame = av.VideoFrame.from_ndarray(picture(next(self.numbers), self.size))
            frame.pts = place
            yield b"".join(bytes(packet) for packet in coder.encode(frame.reformat(format=coder.pix_fmt)))


class HttpCamera(TestCamera):
    """Multipart MJPEG, which does not give its rate."""

    codec = "mjpeg"

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}/video.mjpg"

    def serve(self, viewer: socket.socket) -> None:
        self.receive(viewer)
        head = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=next\r\n\r\n"
        viewer.sendall(head)
        for coded in self.coded():
            viewer.sendall(b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(coded))
            viewer.sendall(coded + b"\r\n")


class RtspCamera(TestCamera):
    """H.264 over RTSP; gives its rate if `says_rate`."""

    codec = "libx264"

    def __init__(self, fps: int = 20, *, says_rate: bool = True) -> None:
        super().__init__(fps)
        self.sdp = SDP + (f"a=framerate:{fps}\r\n" if says_rate else "")

    @property
    def uri(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/stream"

    def serve(self, viewer: socket.socket) -> None:
        pending = b""
        while True:
            while b"\r\n\r\n" not in pending:
                pending += self.receive(viewer) or _gone()
            asked, _, pending = pending.partition(b"\r\n\r\n")
            verb = asked.split()[0].decode()
            viewer.sendall(self._answer(verb, _header(asked, b"cseq")))
            if verb == "PLAY":
                self._send_packets(viewer)

    def _answer(self, verb: str, number: str) -> bytes:
        head = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n"
        if verb == "OPTIONS":
            head += "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        if verb in ("SETUP", "PLAY"):
            head += "Session: 1\r\n"
        if verb == "SETUP":
            head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        body = ""
        if verb == "DESCRIBE":
            body = self.sdp
            head += f"Content-Base: {self.uri}/\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        return f"{head}\r\n{body}".encode()

    def _send_packets(self, viewer: socket.socket) -> None:
        """One NAL unit in each RTP packet (RFC 6184), as all are small enough, each after ``$``, channel, length."""
        sequence = itertools.count()
        for place, coded in enumerate(self.coded()):
            units = [unit.rstrip(b"\0") for unit in coded.split(b"\0\0\1")[1:]]
            for unit in units:
                last = 0x80 if unit is units[-1] else 0
                stamp = place * 90_000 // self.fps
                packet = bytes([0x80, 96 | last]) + (next(sequence) % 2**16).to_bytes(2) + stamp.to_bytes(4) + bytes(4)
                viewer.sendall(b"$\0" + (len(packet) + len(unit)).to_bytes(2) + packet + unit)


def _header(request: bytes, name: bytes) -> str:
    lines = (line.partition(b":") for line in request.split(b"\r\n"))
    return next((value.strip().decode() for key, _, value in lines if key.lower() == name), "")


def _gone() -> bytes:
    raise StoppedError
