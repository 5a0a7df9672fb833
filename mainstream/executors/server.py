"""A training server: the head of a Ray cluster, whose job API takes commands from anyone with the token."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final

from mainstream._optional import require
from mainstream.errors import ProblemError
from mainstream.executors.cluster import EXTRA, ray
from mainstream.executors.jobs import Jobs
from mainstream.files import reason
from mainstream.interruptible import unbroken

_START_S: Final = 120
_STOP_S: Final = 30
_LOOPBACK: Final = ("127.0.0.1", "localhost")
_EVERYWHERE: Final = "0.0.0.0"


def serve(host: str, port: int, cpus: int | None, gpus: int | None, ready: Callable[[str], None]) -> None:
    """Run the head until Ctrl-C or SIGTERM; from this call on, SIGTERM acts like Ctrl-C.

    Parameters
    ----------
    host : str
        Address that the job API listens on. With loopback all of Ray listens there, and no other machine can join.
    port : int
    cpus, gpus : int, optional
        CPUs and GPUs of this machine that jobs may use; default: what Ray finds.
    ready : callable
        Called with the URL once jobs are accepted.

    Raises
    ------
    ProblemError
        The port is in use, others can read the token, or Ray does not start.
    """
    require("ray", EXTRA)
    require("aiohttp_cors", EXTRA)
    os.environ["RAY_AUTH_MODE"] = "token"
    ray()  # sets environment variables that the head inherits
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise ProblemError(f"--host, --port: cannot listen on {host}:{port}: {reason(error)}") from None
    given = {
        **os.environ,
        "RAY_JOB_START_TIMEOUT_SECONDS": "inf",  # a job may wait long in the queue
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # by default it waits half a minute for jobs that end with it
    }
    # Jobs run the same mainstream as this process.
    given["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{given.get('PATH', '')}"
    command = [sys.executable, "-m", "ray.scripts.scripts"]
    if not given.get("RAY_AUTH_TOKEN"):
        _ensure_token(Path(given.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"))
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    start = [
        "start",
        "--head",
        "--block",
        "--disable-usage-stats",
        f"--dashboard-host={host}",
        f"--dashboard-port={port}",
    ]
    if host in _LOOPBACK:
        given["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray's only switch that keeps everything on loopback
        start += ["--port=0", f"--ray-client-server-port={_free_port()}"]
    elif host != _EVERYWHERE:
        start += [f"--node-ip-address={host}"]
    start += [f"--num-cpus={cpus}"] if cpus is not None else []
    start += [f"--num-gpus={gpus}"] if gpus is not None else []
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with TemporaryFile("w+") as said:
        # Its output goes to a file, since the processes that Ray starts would keep a pipe open.
        started: list[subprocess.Popen[bytes]] = []

        def start_head() -> None:
            how: dict[str, Any] = {"env": given, "stdout": said, "stderr": said, "start_new_session": True}
            started.append(subprocess.Popen([*command, *start], **how))

        try:
            unbroken(start_head)
            (head,) = started
            _wait(head, url, said)
            ready(url)
            head.wait()
            raise ProblemError("the head of the cluster has ended; see /tmp/ray/session_latest/logs")
        finally:
            for head in started:
                head.terminate()  # it ends its own processes
                with suppress(subprocess.TimeoutExpired):
                    head.wait(timeout=_STOP_S)
                with suppress(ProcessLookupError):
                    os.killpg(head.pid, signal.SIGKILL)


def _ensure_token(path: Path) -> None:
    """Create the token's file unless there is one, and check that nobody else can read it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        mode = path.stat().st_mode
    except OSError as error:
        raise ProblemError(f"{path}: the token cannot be made: {reason(error)}") from None
    if mode & 0o077:
        raise ProblemError(f"{path}: others can read the token; run `chmod 600 {path}`")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _wait(head: subprocess.Popen[bytes], url: str, output: IO[str]) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        if head.poll() is not None:
            output.seek(0)
            said = " ".join(output.read().split())
            raise ProblemError(f"{url}: Ray does not start there: {said[-200:]}")
        with suppress(ProblemError):  # the server does not answer yet
            if Jobs(url).machines():
                return
        time.sleep(0.2)
    raise ProblemError(f"{url}: Ray did not start within {_START_S} s")
