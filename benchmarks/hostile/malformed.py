"""Requests, messages and models that are none, while a plan runs: a tenth of them models, a tenth raw messages."""

from __future__ import annotations

import argparse
import json
import random
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import zmq

from benchmarks.hostile.serving import PATIENCE_S, NotInTimeError, ServerProcess, asked, deployed, lost
from benchmarks.row import Row
from mainstream.streamer import NetPlan

STRANGE: Final = [None, True, [], {}, "", -2, 1e308, "\ud800", "x" * 5000, 2**70, "../up.pb", "/etc/passwd", "\0", [[]]]
GREETING: Final = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + b"\x00" + bytes(31)
"""ZMTP 3.0's, of a client without keys."""
READY: Final = b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
_OPERATIONS: Final = ["ReadFile", "PyFunc", "Fill", "Tile", "MatMul", "Placeholder", "NoSuchThing", "While", "Reshape"]


def rows(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    """Send them all; deaths, the longest wait, frames without result."""
    from support.failing_models import alone, write_graph

    write_graph(folder / "good.pb", lambda tf, mean: mean)
    models, messages = given.count // 10, given.count // 10
    requests = given.count - models - messages
    plan = alone((1, "good.pb"), fps=10)
    with ServerProcess(folder, "--window", "0.2") as server:
        deployed(server.address, plan)
        refused, longest = _requests(server.address, plan, requests)
        longest_probe = _messages(server, messages)
        taken, longest_model = _models(server, folder, models)
        time.sleep(1)
        deaths = int(not server.alive)
        missing, frames = lost([one for one in server.results() if one[0] == 1])
    seeds = f"seeds 0 to {requests - 1:,}"
    yield Row("malformed requests: not refused", requests - refused, "", figure=0, notes=f"of {requests:,}, {seeds}")
    yield Row("longest answer to one", longest, "s", figure=1.0)
    yield Row(f"longest answer after each of {messages:,} messages that are none", longest_probe, "s", figure=1.0)
    notes = f"of which {taken:,} still were one, and ran; each is tried in the spare process first"
    yield Row(f"longest answer to one of {models:,} malformed models", longest_model, "s", figure=60.0, notes=notes)
    yield Row("deaths", deaths, "", figure=0)
    yield Row("frames of the running plan without result", missing, "", figure=0, notes=f"of {frames:,}")


def _requests(address: str, plan: NetPlan, count: int) -> tuple[int, float]:
    """How many were refused, and the longest wait for an answer."""
    refused, longest = 0, 0.0
    with zmq.Context() as context, context.socket(zmq.REQ) as client:
        client.linger = 0
        client.connect(address)
        for seed in range(count):
            request = noise(random.Random(seed), plan)
            begun = time.monotonic()
            client.send(request)
            if not client.poll(1000 * PATIENCE_S):
                raise NotInTimeError(f"no answer to the request of seed {seed}")
            refused += client.recv().startswith(b"error: ")
            longest = max(longest, time.monotonic() - begun)
    return refused, longest


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


def _messages(server: ServerProcess, count: int) -> float:
    """Send what is no message, or one of another kind of socket; the longest answer to a request right after each."""
    host, port = server.address.removeprefix("tcp://").split(":")
    longest = 0.0
    for seed in range(count):
        rng = random.Random(seed)
        with suppress(OSError), socket.create_connection((host, int(port)), timeout=5) as end:
            kind = rng.randrange(4)
            hello = [b"", GREETING[: rng.randrange(64)], GREETING, GREETING + READY][kind]
            end.sendall(hello + rng.randbytes(rng.randrange(2000)))
        answer, took = asked(server.address, b"[]")
        if not answer.startswith("error: "):
            raise NotInTimeError(f"a plan without nets was taken after the message of seed {seed}: {answer}")
        longest = max(longest, took)
    return longest


def _models(server: ServerProcess, folder: Path, count: int) -> tuple[int, float]:
    """Deploy models that were changed, beside the good one; how many were taken, and the longest answer."""
    from support.failing_models import alone

    good = (folder / "good.pb").read_bytes()
    taken, longest = 0, 0.0
    for seed in range(count):
        # A name of its own for each: what the plan before has loaded would not be read again.
        name = f"model{seed}.pb"
        (folder / name).write_bytes(_changed(random.Random(seed), good))
        answer, took = asked(server.address, alone((1, "good.pb"), (2, name), fps=10).to_json().encode())
        (folder / name).unlink()
        taken += not answer.startswith("error: ")
        longest = max(longest, took)
    return taken, longest


def _changed(rng: random.Random, model: bytes) -> bytes:
    """A frozen graph that is damaged, or has an operation that is another."""
    kind = rng.randrange(4)
    if kind == 0:
        return model[: rng.randrange(len(model))]
    if kind == 1:
        return rng.randbytes(rng.randrange(2000))
    if kind == 2:
        from tensorflow.core.framework.graph_pb2 import GraphDef

        graph = GraphDef.FromString(model)
        rng.choice(graph.node).op = rng.choice(_OPERATIONS)
        return bytes(graph.SerializeToString())
    changed = bytearray(model)
    for _ in range(rng.randrange(1, 20)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)
