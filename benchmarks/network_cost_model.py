"""How well the cost model foretells the measured time of one app alone, at each chokepoint.

    python benchmarks/network_cost_model.py data/profiles/NAME.json [NETWORK] [--seconds 60]

One app alone runs the stem up to its chokepoint and then its tail, once a frame each; the cost model says that this
takes P[f] + T(f), which is the whole network's time wherever the cut is. Stem, tail and whole network are timed anew
here, in the same rounds; differences are shares of the whole network's time. Where that time is far from the
profile's, the machine is not the profile's, or not as quiet.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from mainstream.graphs.backend import use_threads
from mainstream.graphs.frozen import frozen_graph
from mainstream.graphs.part import GraphPart
from mainstream.io import load_profile
from mainstream.trainer.networks import network
from mainstream.trainer.profile import timing, visit


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
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.pb"
        path.write_bytes(frozen_graph(base, names).SerializeToString())
        timed: dict[int, tuple[GraphPart, ...]] = {0: (GraphPart(path, names[0], names[total]),)}
        for k in sorted(names):
            if 0 < k < total:
                timed[k] = GraphPart(path, names[0], names[k]), GraphPart(path, names[k], names[total])
    times = _measure(timed, frame, given.seconds)
    whole = float(times.pop(0).sum())
    scale = whole / float(model.prefix[-1])
    print(f"whole network now {whole:.3f} ms, in the profile {model.prefix[-1]:.3f} ms; the model's times are scaled")
    print("num_frozen   tail: model  measured   off by   alone: model  measured   off by")
    worst_tail = worst_alone = 0.0
    for k, (stem, tail) in times.items():
        foretold = scale * float(model.prefix[-1] - model.prefix[k])
        tail_off, alone_off = (tail - foretold) / whole, (stem + tail) / whole - 1
        worst_tail, worst_alone = max(worst_tail, abs(tail_off)), max(worst_alone, abs(alone_off))
        line = f"{k:10d}  {foretold:12.3f}  {tail:8.3f}  {tail_off:7.1%}"
        print(f"{line}  {whole:13.3f}  {stem + tail:8.3f}  {alone_off:7.1%}")
    print(f"one app alone: measured and cost model differ by {worst_alone:.1%} at most")
    print(f"its tail: by {worst_tail:.1%} of the whole network at most")


def _measure(
    timed: dict[int, tuple[GraphPart, ...]], frame: NDArray[np.float32], seconds: float
) -> dict[int, NDArray[np.float64]]:
    """Median milliseconds of each part, from rounds in random order."""
    visits: dict[int, list[NDArray[np.float64]]] = {k: [] for k in timed}
    clean: dict[int, list[bool]] = {k: [] for k in timed}
    order = np.random.default_rng(1)
    cuts = list(timed)
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        for index in order.permutation(len(cuts)):
            milliseconds, alone = visit(timed[cuts[index]], frame)
            visits[cuts[index]].append(milliseconds)
            clean[cuts[index]].append(alone)
    return {
        k: np.array([timing(times, np.array(clean[k])).median_ms for times in np.transpose(visits[k])]) for k in timed
    }


if __name__ == "__main__":
    main()
