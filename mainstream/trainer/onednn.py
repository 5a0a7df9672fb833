"""Measure whether TensorFlow is faster on this machine with oneDNN's kernels or without them.

TensorFlow reads the setting when it is imported. So two processes, one for each setting, build the network and time a
frame whenever they are asked to. They take turns, so that a disturbance of the machine affects both alike.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Timer
from typing import Final

import numpy as np

from mainstream.graphs import onednn
from mainstream.graphs.backend import use_threads
from mainstream.graphs.frozen import frozen_graph
from mainstream.graphs.part import GraphPart
from mainstream.trainer.networks import network
from mainstream.trainer.profile import visit

_SETTINGS: Final = ("0", "1")
_ROUNDS: Final = 21
_LONGEST_S: Final = 120


def with_and_without(net: str, size: int | None = None, *, threads: int = 1) -> dict[str, float] | None:
    """Time a network with each setting; :func:`mainstream.graphs.onednn.keep` then keeps the faster one.

    Call it before TensorFlow is imported. It takes about ten seconds, and two minutes at most.

    Parameters
    ----------
    net : str
        A network's name or a Keras file, as for :func:`mainstream.trainer.networks.network`.
    size : int, optional
    threads : int

    Returns
    -------
    dict of str to float, or None
        Setting of ``TF_ENABLE_ONEDNN_OPTS`` -> median milliseconds a frame. None if there is nothing to choose, since
        TensorFlow is imported already or the environment has the setting, or if the network cannot be built.
    """
    if "tensorflow" in sys.modules or onednn.VARIABLE in os.environ:
        return None
    arguments = [net, str(size or 0), str(threads)]
    times: dict[str, list[float]] = {setting: [] for setting in _SETTINGS}
    with ExitStack() as stack:
        running = {setting: stack.enter_context(_process(setting, arguments)) for setting in _SETTINGS}
        for _ in range(_ROUNDS):
            for setting, process in running.items():
                answer = _ask(process)
                if answer is None:
                    return None
                times[setting].append(answer)
    return {setting: median(values) for setting, values in times.items()}


@contextmanager
def _process(setting: str, arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, onednn.VARIABLE: setting},
    )
    limit = Timer(_LONGEST_S, process.kill)
    limit.start()
    try:
        with process:
            try:
                yield process
            finally:
                process.kill()
    finally:
        limit.cancel()


def _ask(process: subprocess.Popen[str]) -> float | None:
    """Let a process time one frame, in milliseconds; None if it has ended."""
    if process.stdin is None or process.stdout is None:
        return None
    try:
        process.stdin.write("\n")
        process.stdin.flush()
    except OSError:
        return None
    answer = process.stdout.readline()
    return float(answer) if answer else None


def _answer(net: str, size: int, threads: int) -> None:
    """In a process: time one frame for each line on standard input."""
    use_threads(threads)
    base = network(net, size=size or None)
    names = {0: base.tensor_names[0], base.total_layers: base.tensor_names[base.total_layers]}
    frame = np.random.default_rng(0).uniform(0, 255, (1, base.height, base.width, base.channels)).astype(np.float32)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.pb"
        path.write_bytes(frozen_graph(base, names).SerializeToString())
        whole = GraphPart(path, *names.values(), trusted=True)
    for _ in sys.stdin:
        print(float(visit([whole], frame)[0][0]), flush=True)


if __name__ == "__main__":
    _answer(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
