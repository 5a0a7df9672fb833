"""SIGKILL for the server, and for its client, at twenty moments each of a deployment."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Final

from benchmarks.hostile.serving import ServerProcess, asked, deployed, wait_for
from benchmarks.processes import ROOT
from benchmarks.row import Row
from mainstream import DeployError
from mainstream.streamer import NetPlan, StreamerClient

MOMENTS: Final = 20
TIMEOUT_S: Final = 10.0
_CLIENT: Final = """
import sys
from mainstream.streamer import NetPlan, StreamerClient
print(flush=True)
with StreamerClient(sys.argv[1]) as client:
    client.deploy(NetPlan.from_json(sys.argv[2]))
"""


def rows(folder: Path, _: argparse.Namespace) -> Iterator[Row]:
    """How long the client, and those who come next, wait."""
    from support.failing_models import alone, write_graph

    for number in range(2):
        write_graph(folder / f"net{number}.pb", lambda tf, mean, number=number: mean + float(number))
    plans = [alone((number, f"net{number}.pb"), fps=10) for number in range(2)]
    options = "--window", "1", "--state", str(folder / "state")
    clients, back = _servers(folder, plans, options)
    yield Row(f"server killed at {MOMENTS} moments: the client ends within", max(clients), "s", figure=TIMEOUT_S + 1)
    yield Row("its plan, or the one before, is back within", max(back), "s", figure=10.0, notes="of the restart")
    longest, next_s = _clients(folder, plans, options)
    notes = f"its own second of measuring included; killed {MOMENTS} times"
    yield Row("client killed: any request is answered within", longest, "s", figure=1.0)
    yield Row("the next client's plan runs and is answered within", next_s, "s", figure=10.0, notes=notes)


def _servers(folder: Path, plans: list[NetPlan], options: tuple[str, ...]) -> tuple[list[float], list[float]]:
    """Seconds that the client takes to end, and seconds from the restart until a plan has a result."""
    clients, back = [], []
    for moment in range(MOMENTS):
        began = time.monotonic()
        with ServerProcess(folder, *options) as server:
            if moment:
                before = server.size()
                wait_for(lambda server=server, before=before: server.size() > before, "the plan that was kept")
                back.append(time.monotonic() - began)
            else:
                deployed(server.address, plans[1])
            client = Thread(target=_deploy, args=(server.address, plans[moment % 2]))
            begun = time.monotonic()
            client.start()
            time.sleep(3 * moment / MOMENTS)
            server.kill()
            client.join()
            clients.append(time.monotonic() - begun)
    return clients, back


def _deploy(address: str, plan: NetPlan) -> None:
    try:
        with StreamerClient(address, timeout_s=TIMEOUT_S) as client:
            client.deploy(plan)
    except DeployError:
        pass


def _clients(folder: Path, plans: list[NetPlan], options: tuple[str, ...]) -> tuple[float, float]:
    """The longest answer to a request that is none, and to the next client's plan, after a client was killed."""
    longest = next_s = 0.0
    with ServerProcess(folder, *options) as server:
        deployed(server.address, plans[0])
        for moment in range(MOMENTS):
            command = [sys.executable, "-c", _CLIENT, server.address, plans[(moment + 1) % 2].to_json()]
            client = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
            assert client.stdout is not None
            client.stdout.readline()
            time.sleep(3 * moment / MOMENTS)
            client.kill()
            client.communicate()
            longest = max(longest, asked(server.address, b"[]")[1])
            began = time.monotonic()
            wait_for(lambda plan=plans[moment % 2]: _taken(server, plan), "the next client's plan")
            next_s = max(next_s, time.monotonic() - began)
    return longest, next_s


def _taken(server: ServerProcess, plan: NetPlan) -> bool:
    return not asked(server.address, plan.to_json().encode())[0].startswith("error: ")
