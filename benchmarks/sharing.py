"""What classifiers that were trained on one frozen base cost, each by itself and with their common layers run once.

    python -m benchmarks.sharing [--size 224] [--alpha 0.35] [--classifiers 8] [--rounds 30] [--base MODEL]

The base is MobileNetV2 with random weights, whose values cost no time, or that of a Keras file; each classifier has
pooling, a dense layer and a softmax of its own on it. Where they part is what ``mainstream share`` finds. Both ways
run on the same picture, on one thread of TensorFlow, in turns; times are medians, of the processor.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.machine import description
from benchmarks.timing import take_turns
from mainstream.graphs.backend import keras, use_threads
from mainstream.graphs.keras_file import load_keras_file
from mainstream.graphs.part import GraphPart
from mainstream.graphs.trace import trace
from mainstream.trainer.freeze import freeze
from mainstream.trainer.sharing import shared_layers


def classifiers(base: Any, count: int, folder: Path) -> list[Path]:
    """Write classifiers with heads of their own on a base that stays as it is."""
    layers = keras().layers
    base.trainable = False
    paths = []
    for number in range(count):
        frame = keras().Input(base.input_shape[1:], name="frame")
        top = layers.GlobalAveragePooling2D(name="gap")(base(frame / 127.5 - 1))
        top = layers.Dropout(0.3, name="dropout")(layers.Dense(128, activation="relu", name="dense")(top))
        model = keras().Model(frame, layers.Dense(2 + number, activation="softmax", name="classes")(top))
        paths.append(folder / f"classifier{number}.keras")
        model.save(paths[-1])
        freeze(paths[-1])
    return paths


def main() -> None:
    """Print what was found and the two times."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--size", type=int, default=224)
    arguments.add_argument("--alpha", type=float, default=0.35)
    arguments.add_argument("--classifiers", type=int, default=8)
    arguments.add_argument("--rounds", type=int, default=30)
    arguments.add_argument("--base", metavar="MODEL", help="a Keras file whose network, as a whole, is the base")
    given = arguments.parse_args()
    for key, value in description().items():
        print(f"{key}: {value}")
    use_threads(1)
    base = (
        load_keras_file(given.base)
        if given.base
        else keras().applications.MobileNetV2((given.size, given.size, 3), given.alpha, include_top=False, weights=None)
    )
    with TemporaryDirectory() as folder:
        paths = classifiers(base, given.classifiers, Path(folder))
        stem = shared_layers(paths).stem
        (place,) = {*stem.values()}
        network = trace(load_keras_file(paths[0]), "classifier")
        print(f"\nshared: {place.num_frozen} of {network.total_layers} layers, up to {place.layer}")
        graphs = [path.with_suffix(".pb") for path in paths]
        whole = [GraphPart(path, "frame", "classes") for path in graphs]
        shared = GraphPart(graphs[0], "frame", place.layer)
        tails = [GraphPart(path, place.layer, "classes") for path in graphs]
        frame = np.random.default_rng(0).uniform(0, 255, (1, *base.input_shape[1:])).astype(np.float32)

        def together() -> list[Any]:
            middle = shared(frame)
            return [tail(middle) for tail in tails]

        timed = take_turns({"alone": lambda: [one(frame) for one in whole], "together": together}, given.rounds)
    for one, other in zip(timed.returned["alone"], timed.returned["together"], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    alone, once = (1000 * timed.median_cpu(name) for name in ("alone", "together"))
    print(f"{given.classifiers} on one picture, ms of a core: each by itself {alone:.1f}, together {once:.2f};")
    print(f"by themselves they cost {alone / once:.1f} times as much")


if __name__ == "__main__":
    main()
