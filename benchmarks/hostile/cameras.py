"""A camera that goes, falls silent or slow, sends garbage, or comes back with another rate or size."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from benchmarks.hostile.serving import ServerProcess, deployed, wait_for
from benchmarks.row import Row
from mainstream.streamer import NetPlan

FPS: Final = 20
APP_FPS: Final = 5.0
FLAPS: Final = 50
_RIGHT_S: Final = 5.0
_COUNTED_S: Final = 8.0


class CameraProcess:
    """A camera of the tests in a process of its own: what it costs is not the runtime's, nor its pauses.

    Parameters
    ----------
    kind : str
        ``HttpCamera`` or ``RtspCamera``.
    """

    def __init__(self, kind: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._end, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(kind, other), daemon=True)
        self._process.start()
        self.uri: str = self._end.recv()

    def do(self, name: str, *values: Any) -> None:
        """Call a method of the camera, or set an attribute."""
        self._end.send((name, values))
        self._end.recv()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.join()


def _serve(kind: str, end: Connection) -> None:
    from support import cameras

    class Camera(getattr(cameras, kind)):  # type: ignore[misc]
        noise = False

        def pause(self, on: bool) -> None:
            (self.silent.set if on else self.silent.clear)()

        def coded(self) -> Iterator[bytes]:
            for picture in super().coded():
                yield b"\0\0\1\x65" + os.urandom(len(picture)) if self.noise else picture

    camera = Camera(FPS)
    camera.start()
    end.send(camera.uri)
    while True:
        name, values = end.recv()
        if callable(getattr(camera, name)):
            getattr(camera, name)(*values)
        else:
            setattr(camera, name, *values)
        end.send(None)


def rows(folder: Path, _: argparse.Namespace) -> Iterator[Row]:
    """How soon results come again, and how near the app's rate is to its target, for each thing that may happen."""
    from support.failing_models import alone, write_graph

    write_graph(folder / "net.pb", lambda tf, mean: mean)
    plan = alone((1, "net.pb"), fps=APP_FPS)
    for kind in ("HttpCamera", "RtspCamera"):
        with _serving(folder, kind, plan) as (camera, server):
            for what, begin, end in _troubles(camera):
                begin()
                back = _back(server, end)
                off = _off_by(server)
                yield Row(f"{kind}, {what}: back within", back, "s", figure=2.0)
                yield Row("its app's rate 5 s later, off by", 100 * off, "%", figure=20.0)
            longest = max(_flap(camera, server, 0.2 + 0.03 * flap) for flap in range(FLAPS))
            yield Row(f"{kind}, {FLAPS} flaps: back within, the longest", longest, "s", figure=2.0)
            yield Row("its app's rate 5 s later, off by", 100 * _off_by(server), "%", figure=20.0)


@contextmanager
def _serving(folder: Path, kind: str, plan: NetPlan) -> Iterator[tuple[CameraProcess, ServerProcess]]:
    camera = CameraProcess(kind)
    try:
        with ServerProcess(folder, "--window", "1", source=camera.uri) as server:
            deployed(server.address, plan)
            yield camera, server
    finally:
        camera.close()


def _troubles(camera: CameraProcess) -> list[tuple[str, Callable[[], None], Callable[[], None]]]:
    """What happens, how it begins, and how it ends."""

    def again(name: str, value: Any) -> None:
        camera.do(name, value)
        camera.do("start")

    def off(seconds: float) -> None:
        camera.do("stop")
        time.sleep(seconds)

    def set_for(name: str, value: Any, seconds: float) -> None:
        camera.do(name, value)
        time.sleep(seconds)

    return [
        ("off for 3 s", lambda: off(3), lambda: camera.do("start")),
        ("off for 20 s", lambda: off(20), lambda: camera.do("start")),
        ("slow, a frame a second for 5 s", lambda: set_for("fps", 1, 5), lambda: camera.do("fps", FPS)),
        ("silent for 4 s", lambda: set_for("pause", True, 4), lambda: camera.do("pause", False)),
        ("silent for 15 s", lambda: set_for("pause", True, 15), lambda: camera.do("pause", False)),
        ("garbage for 5 s", lambda: set_for("noise", True, 5), lambda: camera.do("noise", False)),
        ("back with 8 fps", lambda: off(1), lambda: again("fps", 8)),
        ("back with 20 fps", lambda: off(1), lambda: again("fps", FPS)),
        ("back at another size", lambda: off(1), lambda: again("size", (320, 240))),
    ]


def _back(server: ServerProcess, end: Callable[[], None]) -> float:
    """Seconds from the end of a trouble to the next result."""
    end()
    return _grows(server)


def _grows(server: ServerProcess) -> float:
    before = server.size()
    return wait_for(lambda: server.size() > before, "the camera's return")


def _flap(camera: CameraProcess, server: ServerProcess, seconds: float) -> float:
    camera.do("stop")
    time.sleep(seconds)
    return _back(server, lambda: camera.do("start"))


def _off_by(server: ServerProcess) -> float:
    """How far the app's rate is off its target, counted from 5 s after now on."""
    time.sleep(_RIGHT_S)
    before = len(server.results())
    time.sleep(_COUNTED_S)
    return abs((len(server.results()) - before) / _COUNTED_S / APP_FPS - 1)
