"""A fleet planned, and deployed to real runtimes.

    python -m benchmarks.fleet [--boxes 1000] [--apps 30] [--cameras 100] [--runtimes 20] [--jobs N]

- plan: boxes of so many apps each, at a hard budget, as a file that is read and solved by ``mainstream fleet plan``, a
  process of its own; and the same fleet where `cameras` of the streams name no box, with the gap that is told.
- deploy: so many runtimes on loopback, each a process of its own, that run a small network by ONNX Runtime. One is
  killed in the middle; it is then started again and the same deployment does only that one. Then half of them are
  killed, and asked what they run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from benchmarks.machine import description
from benchmarks.processes import ROOT
from mainstream import Model
from mainstream.experiments.workloads import hard_budget, workload

_NETWORKS: Final = 4
"""The number of devices: each box has one of this many profiles."""
_KINDS: Final = 40
"""The number of different streams, each with events of other lengths; the boxes have them in turn."""
_LIMIT_S: Final = 280


def main() -> None:
    """Measure, and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--boxes", type=int, default=1000)
    arguments.add_argument("--apps", type=int, default=30)
    arguments.add_argument("--cameras", type=int, default=100)
    arguments.add_argument("--runtimes", type=int, default=20)
    arguments.add_argument("--jobs", type=int)
    given = arguments.parse_args()
    print("\n".join(f"- {key}: {value}" for key, value in description().items()) + "\n")
    print("| | | |\n|---|---|---|")
    with TemporaryDirectory() as name:
        folder = Path(name)
        if given.boxes:
            made = [_stream(seed, given.apps) for seed in range(_KINDS)]
            threads = [] if given.jobs is None else ["--jobs", str(given.jobs)]
            for loose in [0, given.cameras] if given.cameras else [0]:
                _plan(folder, made, given.boxes, loose, threads)
        if given.runtimes:
            _deploy(folder, given.runtimes)


def _stream(seed: int, apps: int) -> tuple[list[dict[str, Any]], float]:
    """The apps of a stream, as in a file, and the budget at which they are hard with the profile used."""
    made = workload(apps, seed=seed, model=_network())
    keys = [app.model_dump(exclude_defaults=True) for app in made.objects()]
    return keys, hard_budget(made.prepare())


def _network() -> Model:
    return workload(2, seed=0).model


def _plan(
    folder: Path, made: Sequence[tuple[list[dict[str, Any]], float]], boxes: int, loose: int, threads: list[str]
) -> None:
    """Plan one fleet, from a file and in a process."""
    rng = np.random.default_rng(boxes)
    profiles = {}
    for kind in range(_NETWORKS):
        network = _network().model_dump(mode="json", exclude_defaults=True)
        factor = 1.0 + kind / 2
        network["layer_latencies"] = [factor * one for one in network["layer_latencies"]]
        (folder / f"device{kind}.json").write_text(json.dumps(network))
        profiles[kind] = {"net": f"device{kind}.json"}
    streams = []
    for b in range(boxes):
        apps = [
            {**app, "event_length_ms": round(app["event_length_ms"] * float(rng.uniform(0.8, 1.25)))}
            for app in made[b % len(made)][0]
        ]
        streams.append({"name": f"camera{b}", "video": {"stream_fps": 10}, "apps": apps, "port": 5556 + b})
    given = {
        "model": "net",
        "boxes": [
            {
                "name": f"box{b}",
                "address": f"tcp://10.{b // 65536}.{b // 256 % 256}.{b % 256}:5555",
                "budget": (1.0 + b % _NETWORKS / 2) * made[b % len(made)][1],
                "profiles": profiles[b % _NETWORKS],
                **({"streams": [streams[b]]} if b >= loose else {}),
            }
            for b in range(boxes)
        ],
        "cameras": streams[:loose],
    }
    file = folder / "fleet.json"
    file.write_text(json.dumps(given))
    began = time.perf_counter()
    done = _run("fleet", "plan", file, "--json", folder / "plan.json", *threads)
    took = time.perf_counter() - began
    what = f"{boxes:,} boxes x {len(made[0][0])} apps" + (f", {loose} of the cameras on any box" if loose else "")
    if done.returncode:
        print(f"| {what} | failed after {took:.3g} s | {done.stderr.strip()} |", flush=True)
        return
    plan = json.loads((folder / "plan.json").read_text())
    print(
        f"| {what} | **{took:.3g} s** | {plan['runtime_s']:.3g} s of it after reading; "
        f"objective {plan['objective']:.4f}, gap {plan['gap']:.1e} |",
        flush=True,
    )


def _deploy(folder: Path, count: int) -> None:
    """Deploy to real runtimes: one is killed during a deployment, and half of them before they are asked."""
    sys.path.insert(0, str(ROOT / "tests"))
    from support.fleets import CAMERA, app, fleet, stream, write_models

    models = write_models(folder / "models")

    def start(port: str = "*") -> tuple[subprocess.Popen[str], str]:
        options = ["--engine", "onnx", "--window", "2", "--threads", "1", "--bind", f"tcp://127.0.0.1:{port}"]
        command = [sys.executable, "-m", "mainstream", "streamer", "-m", str(models), "--source", CAMERA, *options]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        assert process.stderr is not None
        for line in process.stderr:
            if "listening at" in line:
                return process, line.split("listening at ")[1].split(";")[0]
        raise SystemExit("a runtime did not start")

    running = [start() for _ in range(count)]
    try:
        boxes = [
            {"name": f"box{b}", "budget": 30 + b, "address": address, "streams": [stream("door", app(1), app(b + 2))]}
            for b, (_, address) in enumerate(running)
        ]
        file = folder / "runtimes.json"
        file.write_text(json.dumps(fleet(*boxes)))
        began = time.perf_counter()
        command = [sys.executable, "-m", "mainstream", "fleet", "deploy", str(file), "--at-once", "4"]
        many = ["--max-failures", str(count)]
        with subprocess.Popen([*command, *many], stdout=subprocess.PIPE, text=True, cwd=ROOT) as deploying:
            assert deploying.stdout is not None
            lines = []
            for line in deploying.stdout:
                lines.append(line.strip())
                if len(lines) == count // 3:
                    running[-1][0].kill()
        told = f"exit code {deploying.returncode}; {lines[-1]}"
        print(f"| {count} runtimes, one killed in the middle | **{time.perf_counter() - began:.3g} s** | {told} |")
        running[-1][0].wait()
        running[-1] = start(running[-1][1].rpartition(":")[2])
        began = time.perf_counter()
        done = _run("fleet", "deploy", file, *many)
        told = f"exit code {done.returncode}; {done.stdout.splitlines()[-1]}"
        print(f"| again, after its return | **{time.perf_counter() - began:.3g} s** | {told} |")
        for process, _ in running[: count // 2]:
            process.kill()
        began = time.perf_counter()
        done = _run("fleet", "status", file)
        told = f"exit code {done.returncode}; {done.stdout.splitlines()[-1]}"
        print(f"| asked, half of them away | **{time.perf_counter() - began:.3g} s** | {told} |")
    finally:
        for process, _ in running:
            process.kill()
            process.wait()


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mainstream", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LIMIT_S, cwd=ROOT)


if __name__ == "__main__":
    main()
