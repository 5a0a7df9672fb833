"""A hundred swaps between plans of four apps that have no part in common, on a stream of 10 fps."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.hostile.serving import ServerProcess, deployed, lost
from benchmarks.row import Row
from benchmarks.runtime import Box
from mainstream.streamer import NetPlan

SWAPS: Final = 100


def rows(folder: Path, _: argparse.Namespace) -> Iterator[Row]:
    """Frames without result, and the memory after the tenth swap and the last."""
    box = Box(folder, 96, 1.0)
    content = (folder / "net.pb").read_bytes()
    plans = []
    for number in range(4):
        (folder / f"net{number}.pb").write_bytes(content)
        plan = box.plan([(0, 10.0)] * 4).to_json().replace("net.pb", f"net{number}.pb")
        plans.append(NetPlan.from_json(plan))
    memory = []
    with ServerProcess(folder, "--window", "0.2") as server:
        for swap in range(SWAPS):
            deployed(server.address, plans[swap % 4])
            memory.append(server.memory_mb())
        missing, frames = lost(server.results())
    parts = len(plans[0].subnets)
    yield Row(
        f"{SWAPS} swaps, 4 apps, {parts} parts, 10 fps: frames without result",
        missing,
        "",
        figure=0,
        notes=f"of {frames:,}",
    )
    growth = max(0.0, 100 * (max(memory[-10:]) / max(memory[9:20]) - 1))
    notes = f"{memory[9]:.0f} MB after the tenth, {memory[-1]:.0f} MB after the last, the spare process included"
    yield Row("memory, largest of the last ten over that of the second ten", growth, "%", figure=2.0, notes=notes)
