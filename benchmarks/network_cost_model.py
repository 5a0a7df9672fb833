"""How well the cost model foretells the measured time of one app alone, at each chokepoint.

    python benchmarks/network_cost_model.py data/profiles/NAME.json [NETWORK] [--seconds 60]

One app alone runs the stem up to its chokepoint and then its tail, once a frame each; the cost model says that this
takes P[f] + T(f), which is the whole network's time wherever the cut is. Both are timed anew here, in the same rounds:
stem and tail one after the other ("alone"), and the tail by itself, against the profile's T(f). The last column is the
time that the machine took for the whole network now over the one in the profile: where it is far from 1, the machine
is not the profile's, or not as quiet.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from mainstream.io import load_profile
from mainstream.streamer.graph import Part
from mainstream.trainer.freeze import frozen_graph
from mainstream.trainer.networks import network
from mainstream.trainer.profile import Function, timing, use_threads, visit


def main() -> None:
    """Print a line for each chokepoint and the largest deviations."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("profile", type=Path)
    arguments.add_argument("network", nargs="?", help="default: the profile's name up to the dash")
    arguments.add_argument("--seconds", type=float, default=60)
    given = arguments.parse_args()
    model = load_profile(given.profile)
    use_threads(model.threads or 1)
    base = network(given.network or str(model.name).rsplit("-", 1)[0], size=model.height)
    names = dict(model.frozen_layer_names)
    total = model.total_layers
    frame = np.random.default_rng(0).uniform(0, 255, (1, base.height, base.width, 3)).astype(np.float32)
    timed: dict[tuple[str, int], tuple[Function, NDArray[np.float32]]] = {}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.pb"
        path.write_bytes(frozen_graph(base, names).SerializeToString())
        timed["whole", 0] = Part(path, names[0], names[total]), frame
        for k in sorted(names):
            if 0 < k < total:
                stem, tail = Part(path, names[0], names[k]), Part(path, names[k], names[total])
                timed["alone", k] = _one_after_the_other(stem, tail), frame
                timed["tail", k] = tail, stem(frame)
    times = _measure(timed, given.seconds)
    whole = times["whole", 0]
    scale = whole / float(model.prefix[-1])
    print(f"whole network now {whole:.3f} ms, in the profile {model.prefix[-1]:.3f} ms")
    print("num_frozen  tail: model  measured  ratio   alone: model  measured  ratio   machine")
    worst = {"tail": 0.0, "alone": 0.0}
    for k in sorted(names):
        if 0 < k < total:
            tail_model = scale * float(model.prefix[-1] - model.prefix[k])
            tail_ratio, alone_ratio = times["tail", k] / tail_model, times["alone", k] / whole
            worst["tail"] = max(worst["tail"], abs(times["tail", k] - tail_model) / whole)
            worst["alone"] = max(worst["alone"], abs(alone_ratio - 1))
            print(
                f"{k:10d}  {tail_model:11.3f}  {times['tail', k]:8.3f}  {tail_ratio:5.3f}  {whole:13.3f}  "
                f"{times['alone', k]:8.3f}  {alone_ratio:5.3f}   {scale:7.3f}"
            )
    print(f"one app alone: measured and cost model differ by {worst['alone']:.1%} at most")
    print(f"tail by itself: by {worst['tail']:.1%} of the whole network at most")


def _one_after_the_other(stem: Part, tail: Part) -> Callable[..., NDArray[np.float32]]:
    return lambda frame: tail(stem(frame))


def _measure(
    timed: dict[tuple[str, int], tuple[Function, NDArray[np.float32]]], seconds: float
) -> dict[tuple[str, int], float]:
    """Median milliseconds of each, in rounds of random order."""
    visits: dict[tuple[str, int], list[tuple[float, bool]]] = {key: [] for key in timed}
    order = np.random.default_rng(0)
    keys = list(timed)
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        for index in order.permutation(len(keys)):
            visits[keys[index]].append(visit(*timed[keys[index]]))
    return {
        key: timing(np.array([ms for ms, _ in found]), np.array([clean for _, clean in found])).median_ms
        for key, found in visits.items()
    }


if __name__ == "__main__":
    main()
