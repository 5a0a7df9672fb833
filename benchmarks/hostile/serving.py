"""A server as users start it, in a process of its own, and what can be seen of it from outside."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import zmq

from benchmarks.processes import ROOT
from mainstream.streamer import NetPlan

CAMERA: Final = "test://?fps=10&width=640&height=480"
PATIENCE_S: Final = 300.0


class NotInTimeError(Exception):
    """Something did not come within five minutes."""


def wait_for(holds: Callable[[], object], what: str, *, look_s: float = 0.02) -> float:
    """Wait until something holds; returns how long that took, in seconds."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > PATIENCE_S:
            raise NotInTimeError(what)
        time.sleep(look_s)
    return time.monotonic() - began


class ServerProcess:
    """``mainstream streamer``, from its first line on; use it in a ``with`` block.

    Parameters
    ----------
    folder : Path
        Of the models; the results and the log are put there.
    source : str
    options : str
        More words of the command.

    Attributes
    ----------
    address : str
    process : subprocess.Popen
    """

    def __init__(self, folder: Path, *options: str, source: str = CAMERA) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._metrics = f"127.0.0.1:{free.getsockname()[1]}"
        self._results, self._log = folder / "results.jsonl", folder / "log.txt"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "mainstream", "streamer", "--source", source, "-m", str(folder)),
                    *("--bind", "tcp://127.0.0.1:*", "--results", str(self._results), "--metrics", self._metrics),
                    *options,
                ],
                cwd=ROOT,
                stderr=log,
            )
        try:
            wait_for(lambda: "listening at" in self.log or not self.alive, "the server's first line")
            found = re.search(r"listening at (\S+);", self.log)
            if found is None:
                raise NotInTimeError(f"the server ended: {self.log}")
            self.address = found[1]
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    @property
    def log(self) -> str:
        """What it said."""
        return self._log.read_text(encoding="utf-8")

    def results(self) -> list[tuple[int, int]]:
        """(`app_id`, frame) of the results so far."""
        with suppress(FileNotFoundError):
            text = self._results.read_text(encoding="utf-8")
            whole = text[: text.rfind("\n") + 1].splitlines()
            return [(line["app_id"], line["frame"]) for line in map(json.loads, whole)]
        return []

    def size(self) -> int:
        """Bytes of the results so far: it grows with each."""
        return self._results.stat().st_size if self._results.exists() else 0

    def metrics(self) -> dict[str, float]:
        """What Prometheus is told."""
        with urllib.request.urlopen(f"http://{self._metrics}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[:1] != "#")}

    def memory_mb(self) -> float:
        """Resident memory of it and of its spare process."""
        return sum(_status(pid, "VmRSS") for pid in self._processes()) / 1024

    def threads(self) -> int:
        """Threads of it."""
        return int(_status(self.process.pid, "Threads"))

    def descriptors(self) -> int:
        """Open files and sockets of it."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def _processes(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        return [self.process.pid, *map(int, children.split())]


def _status(pid: int, key: str) -> float:
    with suppress(OSError):  # a spare process has just ended
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{key}:"):
                return float(line.split()[1])
    return 0.0


def asked(address: str, request: bytes) -> tuple[str, float]:
    """What a server answers to a request, and after how many seconds."""
    began = time.monotonic()
    with zmq.Context() as context, context.socket(zmq.REQ) as client:
        client.linger = 0
        client.connect(address)
        client.send(request)
        if not client.poll(1000 * PATIENCE_S):
            raise NotInTimeError(f"no answer to {request[:100]!r}")
        return client.recv().decode(), time.monotonic() - began


def deployed(address: str, plan: NetPlan) -> float:
    """Seconds after which a server has answered that a plan runs.

    Raises
    ------
    ValueError
        It refused the plan.
    """
    answer, took = asked(address, plan.to_json().encode())
    if answer.startswith("error: "):
        raise ValueError(answer)
    return took


def lost(results: list[tuple[int, int]]) -> tuple[int, int]:
    """Frames without a result between the first and last of each app; and how many there should have been."""
    frames: dict[int, list[int]] = defaultdict(list)
    for app_id, frame in results:
        frames[app_id].append(frame)
    whole = sum(max(seen) - min(seen) + 1 for seen in frames.values())
    return whole - sum(len(set(seen)) for seen in frames.values()), whole
