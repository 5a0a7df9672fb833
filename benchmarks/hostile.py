"""What hurts the runtime, and how little: bad requests, and swap after swap.

    python -m benchmarks.hostile [requests] [swaps] [--count 10000] [--record]

MobileNetV2 at 96 pixels with random weights on a stream of 10 fps. Without a name, both.

- requests: `--count` messages that are no plan (noise, cut-off or changed plans, strange values, deep nesting,
  megabytes of anything), seeds 0, 1, ..., while a plan runs: answers, the longest wait, frames without result.
- swaps: a hundred between four plans of four apps that have no part in common: frames without result, and the memory
  of the process after the tenth swap and after the last.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, Final

import zmq

from benchmarks.machine import description
from benchmarks.runtime import Box
from mainstream.files import write_text
from mainstream.streamer import LocalRunner, NetPlan, Server

OUT: Final = Path(__file__).with_name("HOSTILE.md")
CAMERA: Final = "test://?fps=10&width=640&height=480"
SWAPS: Final = 100
STRANGE: Final = [None, True, [], {}, "", -2, 1e308, "\ud800", "x" * 5000, 2**70, "../up.pb", "/etc/passwd", "\0", [[]]]


def main() -> None:
    """Run what is asked for and print a table for each; ``--record`` keeps them in benchmarks/HOSTILE.md."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("which", nargs="*", choices=[*PARTS, []])
    arguments.add_argument("--count", type=int, default=10_000)
    arguments.add_argument("--record", action="store_true")
    given = arguments.parse_args()
    about = description() | {"command": f"python -m benchmarks.hostile {shlex.join(sys.argv[1:])}"}
    text = "\n".join(f"- {key}: {value}" for key, value in about.items()) + "\n"
    print(text)
    for name in given.which or PARTS:
        with TemporaryDirectory() as folder:
            lines = "\n".join(PARTS[name](Box(Path(folder), 96, 1.0), given.count))
        print(lines + "\n", flush=True)
        text += f"\n{lines}\n"
    if given.record:
        write_text(OUT, f"# The runtime among enemies\n\n{text}")


def requests(box: Box, count: int) -> Iterator[str]:
    """Malformed requests while a plan runs."""
    plan, results = box.plan([(0, 10.0)]), box.folder / "results.jsonl"
    with (
        LocalRunner(CAMERA, box.folder, window_s=1.0, results=results) as runner,
        Server(runner, "tcp://127.0.0.1:*") as server,
    ):
        thread = Thread(target=server.serve)
        thread.start()
        # In a process of its own: what it costs to make a request is not the runtime's.
        with ProcessPoolExecutor(1, get_context("spawn")) as client:
            refused, longest = client.submit(ask, server.address, plan.to_json(), count).result()
        alive = thread.is_alive() and not runner.ended
        runner.close()
        thread.join()
    frames = frames_of(results)[plan.tails[0].app_id]
    yield "| malformed requests | refused | server alive | longest wait | frames without result |"
    yield "|---|---|---|---|---|"
    yield f"| {count:,} | {refused:,} | {alive} | {longest:.2f} s | {missing(frames)} of {len(frames)} |"


def ask(address: str, plan: str, count: int) -> tuple[int, float]:
    """Deploy a plan, then send what is none; how many were refused, and the longest wait for an answer in seconds."""
    refused, longest = 0, 0.0
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.connect(address)
        socket.send(plan.encode())
        socket.recv()
        for seed in range(count):
            request = noise(random.Random(seed), NetPlan.from_json(plan))
            begun = time.monotonic()
            socket.send(request)
            refused += socket.recv().startswith(b"error: ")
            longest = max(longest, time.monotonic() - begun)
    return refused, longest


def swaps(box: Box, _: int) -> Iterator[str]:
    """A hundred swaps between plans that have no part in common."""
    content = (box.folder / "net.pb").read_bytes()
    plans = []
    for number in range(4):
        (box.folder / f"net{number}.pb").write_bytes(content)
        parts = json.loads(box.plan([(0, 10.0)] * 4).to_json().replace("net.pb", f"net{number}.pb"))
        plans.append(NetPlan.from_json(json.dumps(parts)))
    results = box.folder / "results.jsonl"
    memory = []
    with LocalRunner(CAMERA, box.folder, window_s=0.2, results=results) as runner:
        for swap in range(SWAPS):
            runner.deploy(plans[swap % 4])
            memory.append(resident_mb())
    lost = {app_id: missing(frames) for app_id, frames in frames_of(results).items()}
    yield "| swaps | frames without result | of | memory after the 10th | after the last |"
    yield "|---|---|---|---|---|"
    total = sum(map(len, frames_of(results).values()))
    yield f"| {SWAPS} | {sum(lost.values())} | {total:,} | {memory[9]:.0f} MB | {memory[-1]:.0f} MB |"


def noise(rng: random.Random, plan: NetPlan) -> bytes:
    """What is no plan, whatever it is."""
    parts: list[dict[str, Any]] = json.loads(plan.to_json())
    kind = rng.randrange(8)
    if kind == 0:
        return rng.randbytes(rng.randrange(1000))
    if kind == 1:
        return json.dumps(parts)[: rng.randrange(len(json.dumps(parts)) - 1)].encode()
    if kind == 2:
        return b"[" * rng.randrange(1, 100_000)
    if kind == 3 and rng.random() < 0.05:
        return b"[" + b"[]," * rng.randrange(5_000_000) + b"[]]"
    victim = rng.choice(parts)
    key = rng.choice([key for key in victim if key not in ("x_vote", "event_class")])
    if kind == 4:
        del victim[key]
    elif kind == 5:
        parts = parts * rng.randrange(2, 2000)
    else:
        victim[key] = rng.choice(STRANGE)
        victim["parent_id"] = 5
    return json.dumps(parts).encode()


def frames_of(results: Path) -> dict[int, list[int]]:
    """`app_id` -> frames that have a result."""
    found = defaultdict(list)
    for line in map(json.loads, results.read_text(encoding="utf-8").splitlines()):
        found[line["app_id"]].append(line["frame"])
    return found


def missing(frames: list[int]) -> int:
    """Frames between the first and the last that are not there."""
    return frames[-1] - frames[0] + 1 - len(set(frames))


def resident_mb() -> float:
    """Memory of this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


PARTS: Final = {"requests": requests, "swaps": swaps}


if __name__ == "__main__":
    main()
