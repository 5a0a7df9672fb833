"""What folding batch norms and choosing TensorFlow's kernels by measuring bring, for a whole network on one thread.

    python -m benchmarks.folding [NETWORK] [--sizes 224 96] [--repeats 3]

Each process has one setting of oneDNN and times the network's part as it was, with factors and summands, and folded, in
turns; the processes of both settings take turns, too. Times are medians, of the processor. "Today's" is the part as it
was with what TensorFlow chooses here by itself; what it is compared with is the folded part with the faster setting.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest.mock import patch

import numpy as np

from benchmarks.machine import description
from benchmarks.processes import ROOT
from benchmarks.timing import take_turns
from mainstream.graphs import frozen, onednn, part
from mainstream.graphs.backend import tensorflow, use_threads
from mainstream.trainer.networks import build, network

_ROUNDS: Final = 30
_FRAMES: Final = 10
_SETTINGS: Final = {"0": "off", "1": "on"}


def parts(net: str, size: int, folder: Path) -> dict[str, part.GraphPart]:
    """The network in one piece, "as it was" and "folded"; files go into `folder`."""
    model = build(net, size=size)
    rng = np.random.default_rng(0)  # statistics as of a trained network: means of 0 would be left out by TensorFlow
    model.set_weights([array + rng.uniform(0, 0.1, array.shape) for array in model.get_weights()])
    base = network(model)
    ends = base.tensor_names[0], base.tensor_names[base.total_layers]
    made = {}
    for name, fold in (("as it was", _as_it_was), ("folded", frozen.fold_batch_norms)):
        with patch.object(frozen, "fold_batch_norms", fold), patch.object(part, "fold_batch_norms", fold):
            path = folder / f"{name}.pb"
            path.write_bytes(frozen.frozen_graph(base, base.tensor_names).SerializeToString())
            made[name] = part.GraphPart(path, *ends)
    return made


def _as_it_was(definition: Any, keep: Any) -> Any:
    return definition


def main() -> None:
    """Print a line for each size and setting, and the ratios."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("network", nargs="?", default="mobilenetv2")
    arguments.add_argument("--sizes", type=int, nargs="+", default=[224, 96])
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--child", type=int, metavar="SIZE", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.child:
        print(json.dumps(_child(given.network, given.child)))
        return
    for key, value in description().items():
        print(f"{key}: {value}")
    chosen = _SETTINGS[str(int(_run(given.network, 32, None)["oneDNN"]))]
    print(f"TensorFlow's own choice here: oneDNN {chosen}\n\nnetwork          oneDNN  as it was    folded   ratio")
    for size in given.sizes:
        times: dict[str, list[float]] = defaultdict(list)
        for _ in range(given.repeats):
            for setting, name in _SETTINGS.items():
                for what, milliseconds in _run(given.network, size, setting).items():
                    times[f"{name}, {what}"].append(milliseconds)
        found = {what: median(values) for what, values in times.items()}
        for name in _SETTINGS.values():
            before, after = found[f"{name}, as it was"], found[f"{name}, folded"]
            what = f"{given.network} {size}"
            print(f"{what:<17}{name:<8}{before:6.3f} ms  {after:6.3f} ms  {before / after:5.2f}x")
        best = min(found[f"{name}, folded"] for name in _SETTINGS.values())
        print(f"{'':<17}folded, the faster setting, against today's: {found[f'{chosen}, as it was'] / best:.2f}x")


def _run(net: str, size: int, setting: str | None) -> dict[str, float]:
    environment = {key: value for key, value in os.environ.items() if key != onednn.VARIABLE}
    environment["XDG_CACHE_HOME"] = os.devnull  # what was chosen here before must not count
    if setting is not None:
        environment[onednn.VARIABLE] = setting
    command = [sys.executable, "-m", "benchmarks.folding", net, "--child", str(size)]
    run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(json.loads(run.stdout.splitlines()[-1]))


def _child(net: str, size: int) -> dict[str, float]:
    """Median milliseconds of a core for a frame, for each part; without a setting only whether oneDNN is on."""
    use_threads(1)
    if onednn.VARIABLE not in os.environ:
        tensorflow()
        from tensorflow.python.util import _pywrap_util_port

        return {"oneDNN": float(_pywrap_util_port.IsMklEnabled())}
    frame = np.random.default_rng(0).uniform(0, 255, (1, size, size, 3)).astype(np.float32)
    with TemporaryDirectory() as folder:
        timed = take_turns({name: _frames(one, frame) for name, one in parts(net, size, Path(folder)).items()}, _ROUNDS)
    return {name: 1000 * timed.median_cpu(name) / _FRAMES for name in timed.wall}


def _frames(one: part.GraphPart, frame: Any) -> Callable[[], None]:
    def run() -> None:
        for _ in range(_FRAMES):
            one(frame)

    return run


if __name__ == "__main__":
    main()
