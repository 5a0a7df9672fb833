"""What the tests of executors run in workers."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray


def squared(number: int) -> int:
    return number**2


def after(number: int, path: Path) -> int:
    """Ends once there is something at a path."""
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    return number


class OddError(Exception):
    """Pickle can keep it but cannot make it again."""

    def __init__(self, number: int, told: str) -> None:
        super().__init__(f"{number}: {told}")


def failing(kind: str) -> Any:
    if kind == "odd":
        raise OddError(7, "lucky")
    if kind == "value":
        return Lock()  # nothing can send it
    raise ValueError(f"no {kind}")


def dying(folder: Path) -> None:
    """Kills the process that runs it; leaves a file each time that it runs."""
    (folder / str(os.getpid())).touch()
    os.kill(os.getpid(), signal.SIGKILL)


def waiting(folder: Path, name: str) -> str:
    """Says that it runs, and then runs for a minute, unless it is run again."""
    place = folder / f"{name}-{len(list(folder.glob(f'{name}-*')))}"
    place.with_suffix(".tmp").write_text(str(os.getpid()), encoding="utf-8")
    place.with_suffix(".tmp").rename(place)
    if place.name.endswith("-0"):
        time.sleep(60)
    return place.name


def running(folder: Path, cpus: int) -> int:
    """The most CPUs that tasks which ran at the same time as this one had stated."""
    mine = folder / f"{os.getpid()}-{time.monotonic_ns()}-{cpus}"
    mine.touch()
    most = 0
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        most = max(most, sum(int(path.name.split("-")[2]) for path in folder.iterdir()))
        time.sleep(0.005)
    mine.unlink()
    return most


def of_array(array: NDArray[np.float32], row: int) -> tuple[float, int]:
    return float(array[row].sum()), os.getpid()


def halves(array: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    middle = len(array) // 2
    return array[:middle].copy(), array[middle:].copy()


def together(*arrays: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate(arrays)
