"""A server that runs for long while it is bothered: bad requests, port scans, clients that go, swaps."""

from __future__ import annotations

import argparse
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

import zmq

from benchmarks.hostile.malformed import noise
from benchmarks.hostile.serving import ServerProcess, asked, lost
from benchmarks.row import Row
from mainstream.streamer import NetPlan

ROUND_S: Final = 2.0


def rows(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    """Memory, descriptors and threads at the end against those after a quarter of the time."""
    from support.failing_models import alone, write_graph

    for number in range(2):
        write_graph(folder / f"net{number}.pb", lambda tf, mean, number=number: mean + float(number))
    plans = [alone(*((app_id, f"net{number}.pb") for app_id in range(4)), fps=10) for number in range(2)]
    seen = []
    with ServerProcess(folder, "--window", "0.5") as server:
        until = time.monotonic() + 60 * given.minutes
        place = 0
        while time.monotonic() < until:
            _bother(server, random.Random(place), plans)
            time.sleep(ROUND_S)
            seen.append((server.memory_mb(), server.descriptors(), server.threads()))
            place += 1
        missing, frames = lost(server.results())
        alive = server.alive
    quarter = max(1, len(seen) // 4)
    memory, descriptors, threads = zip(*seen[quarter:], strict=True)
    growth = max(0.0, 100 * (median(memory[-quarter:]) / median(memory[:quarter]) - 1))
    what = f"{given.minutes:g} minutes, {place} rounds: memory, last quarter over second"
    # In the first minutes TensorFlow and the allocator still take what they keep.
    yield Row(
        what,
        growth,
        "%",
        figure=1.0 if given.minutes >= 10 else 3.0,
        notes=f"{memory[0]:.0f} MB, {memory[-1]:.0f} MB at the end",
    )
    for name, counts in (("descriptors", descriptors), ("threads", threads)):
        grown = median(counts[-quarter:]) - median(counts[:quarter])
        yield Row(f"{name}, the same", grown, "", figure=0, notes=f"{min(counts)} to {max(counts)}")
    yield Row("deaths", int(not alive), "", figure=0)
    yield Row("frames without result", missing, "", notes=f"of {frames:,}")


def _bother(server: ServerProcess, rng: random.Random, plans: list[NetPlan]) -> None:
    """A swap, two requests that are none, a scan of the port, a client that goes."""
    answer, _ = asked(server.address, plans[rng.randrange(2)].to_json().encode())
    if answer.startswith("error: ") and not answer.startswith("error: busy"):
        raise ValueError(answer)
    for _ in range(2):
        asked(server.address, noise(rng, plans[0]))
    host, port = server.address.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port))) as scan:
        scan.sendall(rng.randbytes(100))
    with zmq.Context() as context, context.socket(zmq.REQ) as client:
        client.linger = 100
        client.connect(server.address)
        client.send(plans[0].to_json().encode())
