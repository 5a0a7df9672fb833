"""A Ray of a module's own: 2 CPUs, a small object store, a token that nobody else has."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
TOKEN = secrets.token_hex(32)
"""Ray reads it only once in a process."""
OWN = {"num_cpus": 2, "num_gpus": 0, "object_store_memory": 100 * 2**20}

_LISTENS = "0A"
_LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


@contextmanager
def own_token() -> Iterator[None]:
    """Ray reads or makes no token of the user; enter this before Ray is imported."""
    if find_spec("ray") is None:
        pytest.skip("needs the extra scale")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", TOKEN)
        patch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{TESTS.parent}")  # Ray's workers import the tests' tasks
        patch.delenv("RAY_ADDRESS", raising=False)
        yield


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def alive(process: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    stat = _stat(process)
    return bool(stat) and stat[0] != "Z"


def listens(process: int) -> set[str]:
    """Where the processes that a process has started listen: "loopback", or the address as Linux writes it."""
    sockets = {link for one in started_by(process) for link in _descriptors(one)}
    rows = [row.split() for table in ("tcp", "tcp6") for row in Path("/proc/net", table).read_text().splitlines()[1:]]
    found = {row[1].partition(":")[0] for row in rows if row[3] == _LISTENS and f"socket:[{row[9]}]" in sockets}
    return {"loopback" if address in _LOOPBACK else address for address in found}


def started_by(process: int) -> set[int]:
    """The processes that one has started, those that these have started, and so on."""
    parents = {int(path.name): _stat(int(path.name)) for path in Path("/proc").glob("[0-9]*")}
    family, new = set[int](), {process}
    while new:
        new = {one for one, stat in parents.items() if stat and int(stat[1]) in new}
        family |= new
    return family


def _stat(process: int) -> list[str]:
    """State, parent and more of a process; empty when it has gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def _descriptors(process: int) -> list[str]:
    try:
        return [os.readlink(path) for path in Path(f"/proc/{process}/fd").iterdir()]
    except OSError:  # it has gone meanwhile, or what it had open
        return []
