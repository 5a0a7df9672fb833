"""A real redis-server, in a folder of its own, on a port of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest


def need_redis() -> None:
    """Skip where Debian's redis-server or the Python package is not installed."""
    pytest.importorskip("redis", reason="needs the extra store")
    if shutil.which("redis-server") is None:
        pytest.skip("needs Debian's package redis-server")


class RedisServer:
    """A server that keeps what it is told on disk; `options` are those of redis-server."""

    def __init__(self, folder: Path, *options: str) -> None:
        need_redis()
        folder.mkdir(parents=True, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        bound = ("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(folder), "--save", "")
        self._command = ["redis-server", *bound, "--appendonly", "yes", *options]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        give_up = time.monotonic() + 20
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                    connection.settimeout(5)
                    connection.sendall(b"PING\r\n")
                    answer = connection.recv(100)
                if not answer.startswith(b"-LOADING"):
                    return
            except OSError:
                assert self._process.poll() is None, "redis-server ended"
            assert time.monotonic() < give_up
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill -9."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(20)

    def url(self, files: Path | str, db: int = 0, user: str = "") -> str:
        """The URL of the store that keeps its model files there."""
        return f"redis://{user}127.0.0.1:{self.port}/{db}?files={files}"
