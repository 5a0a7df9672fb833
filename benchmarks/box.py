"""How fast the box answers: an app that comes to ten, and the last plan after a kill.

    python -m benchmarks.box [--size 96] [--rounds 5] [--engine tensorflow]

MobileNetV2 with random weights on a stream of 10 fps, each app at 1 fps; the search is compiled before.

- comes: from the saving of PROBLEM.yaml with an eleventh app, whose model file was not loaded before, to that app's
  first score; the solver's part of it, and the frames that the ten others lost meanwhile.
- kill: from the start of ``mainstream run`` after a SIGKILL to the first score, with a PROBLEM.yaml that is sound and
  with one that is not, for which ``--state`` has the plan.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from benchmarks.machine import description
from benchmarks.waiting import PATIENCE_S, lines_of, wait_until
from mainstream import App, Model, Video
from mainstream.box.box import Box
from mainstream.box.file_watch import FileWatch
from mainstream.box.wanted import Wanted
from mainstream.graphs.frozen import frozen_graph
from mainstream.io import Problem, load_problem, save_problem
from mainstream.streamer import LocalRunner
from mainstream.trainer.chokepoints import chokepoints
from mainstream.trainer.networks import network

APPS: Final = 10
FPS: Final = 10.0


def main() -> None:
    """Measure, and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--size", type=int, default=96)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--engine", default="tensorflow")
    given = arguments.parse_args()
    print("\n".join(f"- {key}: {value}" for key, value in description().items()) + "\n")
    with TemporaryDirectory() as name:
        folder = Path(name)
        problem = _problem(folder, given.size)
        comes = np.array([_comes(folder, problem, given.engine) for _ in range(given.rounds)])
        kills = np.array([_kill(folder, problem, given.engine) for _ in range(given.rounds)])
    about = f"median of {given.rounds} (largest)"
    print(f"MobileNetV2 at {given.size}, {APPS} apps at 1 of {FPS:g} fps, {given.engine}\n\n| | {about} |\n|---|---|")
    for what, figures, unit in (
        ("an app comes: file saved to first score", comes[:, 0], " s"),
        ("... of it: compile and solve the problem", 1000 * comes[:, 1], " ms"),
        ("... frames that the others lost", comes[:, 2], ""),
        ("SIGKILL, start to first score", kills[:, 0], " s"),
        ("... with a PROBLEM.yaml that is none", kills[:, 1], " s"),
    ):
        print(f"| {what} | **{np.median(figures):.3g}{unit}** ({figures.max():.3g}) |")


def _problem(folder: Path, size: int) -> Problem:
    net = network("mobilenetv2", size=size)
    names = chokepoints(net)
    (folder / "net.pb").write_bytes(frozen_graph(net, names).SerializeToString())
    shutil.copy(folder / "net.pb", folder / "other.pb")
    cut = sorted(names)[len(names) // 2]
    layers = net.total_layers
    model = Model(
        total_layers=layers,
        layer_latencies=[0.1] * layers,
        frozen_layer_names=names,
        height=size,
        width=size,
        unit="ms",
    )
    apps = tuple(
        App(
            app_id=i,
            accuracies={cut: 0.9},
            event_length_ms=3000,
            pinned=(cut, 1.0),
            model_path={cut: "net.pb" if i <= APPS else "other.pb"},
        )
        for i in range(1, APPS + 2)
    )
    return Problem(apps=apps, model=model, video=Video(stream_fps=FPS), budget=1e6)


def _comes(folder: Path, problem: Problem, engine: str) -> tuple[float, float, float]:
    """Seconds to the new app's first score, seconds of compiling and solving, and frames that the others lost."""
    file, out = folder / "problem.yaml", folder / "results.jsonl"
    out.unlink(missing_ok=True)
    save_problem(problem.model_copy(update={"apps": problem.apps[:APPS]}), file)

    def read(_: object = ()) -> Wanted:
        loaded = load_problem(file)
        return Wanted(loaded, problem.budget or 0.0, {}, {})

    read().prepared({}, {}).solve()
    source = f"test://?fps={FPS:g}&width=640&height=480"
    with LocalRunner(source, folder, engine=engine, window_s=60, results=out) as runner:
        box = Box(read, FileWatch(file), runner, lambda _: None)
        box.start()
        wait_until(lambda: runner.rates() and all(rate.analysed >= 2 for rate in runner.rates()))
        _run_for(box, 3)
        save_problem(problem, file)
        begun = time.monotonic()
        _run_until(box, lambda: any(line["app_id"] > APPS for line in lines_of(out)))
        took = time.monotonic() - begun
        _run_for(box, 2)
        box.close()
    wanted = read()
    begun = time.perf_counter()
    wanted.prepared({}, {}).solve()
    solving = time.perf_counter() - begun
    lost = 0
    for app in range(1, APPS + 1):
        frames = np.array([line["frame"] for line in lines_of(out) if line["app_id"] == app])
        lost += int(np.maximum(np.diff(frames) - 1.5 * FPS, 0).astype(bool).sum())
    return took, solving, lost


def _run_for(box: Box, seconds: float) -> None:
    until = time.monotonic() + seconds
    _run_until(box, lambda: time.monotonic() > until)


def _run_until(box: Box, holds: Callable[[], bool]) -> None:
    """Let the box watch in this thread until something holds."""
    give_up = time.monotonic() + PATIENCE_S
    while not holds() and time.monotonic() < give_up:
        box.look()


def _kill(folder: Path, problem: Problem, engine: str) -> tuple[float, float]:
    """Seconds to the first score after a kill, with the problem and with the kept plan."""
    file, out, state = folder / "problem.yaml", folder / "out.jsonl", folder / "state"
    shutil.rmtree(state, ignore_errors=True)
    save_problem(problem, file)
    source = f"test://?fps={FPS:g}&width=640&height=480"
    command = [sys.executable, "-m", "mainstream", "run", str(file), "--source", source, "-m", str(folder)]
    command += ["--engine", engine, "--results", str(out), "--state", str(state)]
    took = []
    for sound in (True, True, False):
        if not sound:
            file.write_text("apps: [")
        out.unlink(missing_ok=True)
        begun = time.monotonic()
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_until(lambda: bool(lines_of(out)) and (state / "plan.json").exists())
        took.append(time.monotonic() - begun)
        process.kill()
        process.wait()
    return took[1], took[2]


if __name__ == "__main__":
    main()
