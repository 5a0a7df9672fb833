"""ONNX Runtime beside TensorFlow: parts, what the runtime adds, what the cost model foretells, the first result.

    python -m benchmarks.engines [parts] [overhead] [prediction] [start] [--size 224 96] [--seconds 60] [--record]

All on MobileNetV2 with random weights, one thread. Both engines run the same frozen graph, and take turns.

- parts: CPU time of a frame through the network in one piece and in six parts, a median of rounds.
- overhead: CPU time a frame of the whole runtime with ONNX Runtime, less decoding and resizing, over bare calls of
  sessions of the same parts.
- prediction: compute seconds a second of 10 random schedules, against the cost model with a profile of the same engine.
- start: seconds from the start of ``mainstream streamer`` with a kept plan until its first result is in the file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import description
from benchmarks.processes import ROOT
from benchmarks.runtime import STREAM_FPS, Box, overhead, prediction
from benchmarks.timing import take_turns
from mainstream.extensions import PART_LOADERS
from mainstream.files import write_text
from mainstream.graphs.backend import use_threads
from mainstream.onnx_graphs.conversion import converted

OUT: Final = Path(__file__).with_name("ENGINES.md")
_ENGINES: Final = ("tensorflow", "onnx")
_CUTS: Final = ("block_2_add", "block_5_add", "block_9_add", "block_12_add", "block_15_add")
_ROUNDS: Final = 31
_STARTS: Final = 5
_LONGEST_S: Final = 120


def main() -> None:
    """Run what is asked for and print a table for each; ``--record`` keeps them in benchmarks/ENGINES.md."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("which", nargs="*", help=", ".join(PARTS))
    arguments.add_argument("--size", type=int, nargs="+", default=[224, 96])
    arguments.add_argument("--seconds", type=float, default=60, help="for the profile; a tenth for others")
    arguments.add_argument("--record", action="store_true")
    given = arguments.parse_args()
    strange = [name for name in given.which if name not in PARTS]
    if strange:
        arguments.error(f"{strange[0]!r} is not known; known: {', '.join(PARTS)}")
    use_threads(1)
    about = description() | {
        "command": f"python -m benchmarks.engines {shlex.join(sys.argv[1:])}",
        "engines": f"TensorFlow {version('tensorflow-cpu')}, ONNX Runtime {version('onnxruntime')}",
        "vector instructions": _vectors(),
    }
    text = "\n".join(f"- {key}: {value}" for key, value in about.items()) + "\n"
    print(text)
    for size in given.size:
        with TemporaryDirectory() as folder:
            box = Box(Path(folder), size, given.seconds, "onnx")
            converted(box.folder / "net.pb", trusted=False)
            for name in given.which or PARTS:
                lines = "\n".join(PARTS[name](box))
                print(lines + "\n", flush=True)
                text += f"\n{lines}\n"
    if given.record:
        write_text(OUT, f"# The engines' figures\n\n{text}")


def _vectors() -> str:
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    return ", ".join(name.upper() for name in ("avx2", "avx512f", "avx512_vnni", "amx_int8") if name in flags)


def parts(box: Box) -> Iterator[str]:
    """CPU time of a frame, whole and in six parts, in both engines."""
    ends = [box.names[0], *_CUTS, box.names[max(box.names)]]
    frame = np.random.default_rng(0).uniform(0, 255, (1, box.size, box.size, 3)).astype(np.float32)
    calls: dict[tuple[str, str], Callable[[], NDArray[Any]]] = {}
    for engine in _ENGINES:
        for what, tensors in (("whole", [ends[0], ends[-1]]), ("6 parts", ends)):
            loader = PART_LOADERS[engine]
            chain = [loader.load(box.folder / "net.pb", *pair, trusted=False) for pair in itertools.pairwise(tensors)]
            calls[engine, what] = _chained(chain, frame)
    timed = take_turns(calls, _ROUNDS)
    yield f"Parts, MobileNetV2 at {box.size}: CPU ms a frame, median of {_ROUNDS} rounds, one thread\n"
    yield "| | TensorFlow | ONNX Runtime | ratio |"
    yield "|---|---|---|---|"
    for what in ("whole", "6 parts"):
        tensorflow, onnx = (1000 * timed.median_cpu((engine, what)) for engine in _ENGINES)
        yield f"| {what} | {tensorflow:.2f} | {onnx:.2f} | **{tensorflow / onnx:.2f}x** |"


def _chained(chain: list[Any], frame: NDArray[np.float32]) -> Callable[[], NDArray[Any]]:
    def run() -> NDArray[Any]:
        tensor: NDArray[Any] = frame
        for part in chain:
            tensor = part(tensor)
        return tensor

    return run


def start(box: Box) -> Iterator[str]:
    """Seconds from the start of the process to the first result in its file, with a kept plan."""
    state = box.folder / "state"
    state.mkdir()
    (state / "plan.json").write_text(box.plan([(0, STREAM_FPS)]).to_json(), encoding="utf-8")
    starts: dict[str, list[tuple[float, float]]] = {engine: [] for engine in _ENGINES}
    for _ in range(_STARTS):
        for engine in _ENGINES:
            starts[engine].append(_first_result_s(box, state, engine))
    yield f"Start, MobileNetV2 at {box.size}: to the first result, median of {_STARTS} starts that take turns\n"
    yield "| | TensorFlow | ONNX Runtime |"
    yield "|---|---|---|"
    for place, what in enumerate(("seconds", "seconds of a core, without the spare process")):
        tensorflow, onnx = (median(one[place] for one in starts[engine]) for engine in _ENGINES)
        yield f"| {what} | {tensorflow:.2f} | **{onnx:.2f}** |"


def _first_result_s(box: Box, state: Path, engine: str) -> tuple[float, float]:
    """Elapsed seconds, and the seconds that the process itself computed."""
    results = box.folder / "results.jsonl"
    results.unlink(missing_ok=True)
    source = f"test://?fps={STREAM_FPS:g}&width={box.size}&height={box.size}"
    command = [sys.executable, "-m", "mainstream", "streamer", "--source", source, "-m", str(box.folder)]
    options = ["--bind", "tcp://127.0.0.1:*", "--state", str(state), "--results", str(results), "--engine", engine]
    begun = time.monotonic()
    with subprocess.Popen([*command, *options], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            while not results.is_file() or not results.stat().st_size:
                if time.monotonic() - begun > _LONGEST_S:
                    raise TimeoutError(f"no result within {_LONGEST_S} s")
                time.sleep(0.005)
            done = time.monotonic() - begun
            fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
            computed = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        finally:
            process.kill()
    json.loads(results.read_text(encoding="utf-8").splitlines()[0])
    return done, computed


PARTS: Final = {"parts": parts, "overhead": overhead, "prediction": prediction, "start": start}


if __name__ == "__main__":
    main()
