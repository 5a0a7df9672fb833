"""The trainer against the plain way to measure the same accuracy curve, side by side.

    python benchmarks/training.py WEIGHTS [--part epochs] [--part warm] [--part memory]

WEIGHTS is a file that `mainstream train --weights` takes for MobileNetV2. The plain way: for each chokepoint the model
is built anew, the layers before it are set untrainable, and Keras's `fit` runs every epoch through the whole network,
on pictures that are in memory. Ours: `mainstream.trainer.train`, reading image files and writing the package included.
Both have the same images, split, batch size, optimizer, learning rates, batch norm in inference mode, validation each
epoch and one measurement on the test images at the end; each is a process of its own, and they take turns.

epochs  both run the same number of epochs at each chokepoint, no early stopping, no warm start
warm    both stop by the same rule (validation loss, patience, best weights); ours with its warm start, several seeds
memory  the peak resident memory of ours for 5,000 images at 96 x 96

The pictures are drawn here: eight shapes, turned, of any size and colour, half hidden by noise, on cluttered grounds.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw

CHOKEPOINTS: Final = (0, 18, 54, 72, 90, 107, 125, 143, 151, 154, 155)
SIZE: Final = 96
CORNERS: Final = {
    "triangle": 3,
    "square": 4,
    "pentagon": 5,
    "hexagon": 6,
    "disc": 40,
    "star": -5,
    "cross": -4,
    "bar": 2,
}


def draw(folder: Path, count: int, seed: int) -> None:
    """`count` pictures of each class."""
    rng = np.random.default_rng(seed)
    for name, corners in CORNERS.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            rough = rng.integers(0, 256, (int(rng.integers(3, 24)),) * 2 + (3,), dtype=np.uint8)
            picture = Image.fromarray(rough).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
            pen = ImageDraw.Draw(picture)
            for _ in range(6):
                pen.line(_points(rng, 2, 0.9), fill=_colour(rng), width=int(rng.integers(1, 5)))
            if corners == 2:
                pen.line(_points(rng, 2, 0.5), fill=_colour(rng), width=int(rng.integers(6, 12)))
            else:
                pen.polygon(_shape(rng, corners), fill=_colour(rng))
            noise = rng.normal(0, 30, (SIZE, SIZE, 3))
            noisy = np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / name / f"{number:04}.png")


def _colour(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(rng.integers(0, 256, 3).tolist())


def _points(rng: np.random.Generator, count: int, spread: float) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in SIZE * (0.5 + spread * rng.uniform(-0.5, 0.5, (count, 2)))]


def _shape(rng: np.random.Generator, corners: int) -> list[tuple[float, float]]:
    """A regular polygon or, with `corners` below 0, a star with that many arms."""
    count = corners if corners > 0 else -2 * corners
    radius = np.full(count, rng.uniform(0.15, 0.35))
    if corners < 0:
        radius[::2] *= 0.4
    angle = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(count) / count
    centre = rng.uniform(0.35, 0.65, 2)
    return [
        (float(SIZE * x), float(SIZE * y)) for x, y in centre + np.c_[radius * np.cos(angle), radius * np.sin(angle)]
    ]


def ours(folder: Path, weights: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The curve and the epochs by `mainstream.trainer.train`."""
    from mainstream.trainer import train

    chosen = {"net": "mobilenetv2", "n": SIZE, "weights": weights, "chokepoints": CHOKEPOINTS, **settings}
    test = folder / "test"
    with TemporaryDirectory() as out:
        done = train(
            "app",
            folder / "train",
            test_images=test if test.exists() else None,
            model_dir=out,
            log_dir=out,
            settings=chosen,
        )
    return {
        "accuracies": {k: done.curve.accuracies[k] for k in CHOKEPOINTS},
        "epochs": {k: done.histories[k][-1].epoch for k in CHOKEPOINTS},
    }


def plain(folder: Path, weights: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The same by `fit`, the whole network each time."""
    from mainstream.graphs.backend import keras
    from mainstream.trainer.images import find, read
    from mainstream.trainer.networks import build
    from mainstream.trainer.settings import Settings
    from mainstream.trainer.splits import split

    chosen = Settings.of(settings)
    arrays = []
    for part in ("train", "test"):
        pictures: list[Any] = []
        found = find(folder / part)
        read(found, SIZE, SIZE, pictures.append, lambda done: None)
        arrays.append((np.stack(pictures), np.array(found.labels)))
    (frames, labels), test = arrays
    rows, held = split(labels, [str(row) for row in range(len(labels))], chosen.validation, chosen.seed + 1)
    accuracies, epochs = {}, {}
    for k in CHOKEPOINTS:
        keras().utils.set_random_seed(chosen.seed)
        model = build("mobilenetv2", size=SIZE, classes=len(CORNERS), weights=weights)
        for layer in model.layers[:k]:
            layer.trainable = False
        whole = _in_inference_mode(model)
        optimizer = keras().optimizers.Adam(1e-3 if k >= 154 else 1e-4)
        whole.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        stop = keras().callbacks.EarlyStopping("val_loss", patience=chosen.patience, restore_best_weights=True)
        history = whole.fit(
            frames[rows].astype(np.float32),
            labels[rows],
            batch_size=chosen.batch_size,
            epochs=chosen.max_nb_epoch,
            validation_data=(frames[held].astype(np.float32), labels[held]),
            callbacks=[stop] if chosen.early_stop else [],
            verbose=0,
        )
        probabilities = whole.predict(test[0].astype(np.float32), verbose=0)
        accuracies[k] = float(np.mean(probabilities.argmax(axis=1) == test[1]))
        epochs[k] = len(history.history["loss"])
    return {"accuracies": accuracies, "epochs": epochs}


def _in_inference_mode(model: Any) -> Any:
    """The model as one that `fit` runs in inference mode: a functional model would put batch norm in training mode."""
    from mainstream.graphs.backend import keras

    class Whole(keras().Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def call(self, frames: Any) -> Any:
            return self.inner(frames, training=False)

    return Whole()


def timed(way: str, folder: Path, weights: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Run one way in a separate process; returns its result, seconds, seconds of all cores, and peak memory in GB."""
    command = [sys.executable, __file__, weights, "--child", way, str(folder), json.dumps(settings)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"  {way:5}  {seconds:7.1f} s, {busy:7.1f} s of cores, {found['peak_gb']:.2f} GB at most", flush=True)
    return {**found, "seconds": seconds, "busy": busy}


def compare(folder: Path, weights: str, settings: dict[str, Any], seeds: range) -> None:
    """Run both ways in turn; print a line for each chokepoint, and the ratio of the times."""
    runs: dict[str, list[dict[str, Any]]] = {"plain": [], "ours": []}
    for seed in seeds:
        for way, results in runs.items():
            results.append(
                timed(way, folder, weights, {**settings, "seed": seed, "warm_start": "warm_start" in settings})
            )
    accuracies, epochs = (
        {way: np.array([list(result[key].values()) for result in results]) for way, results in runs.items()}
        for key in ("accuracies", "epochs")
    )
    print("num_frozen   accuracy: plain   ours    epochs: plain   ours   (means over the seeds)")
    for index, k in enumerate(CHOKEPOINTS):
        cells = [values[way][:, index].mean() for values in (accuracies, epochs) for way in ("plain", "ours")]
        print(f"{k:10d}   {cells[0]:15.4f}   {cells[1]:.4f}   {cells[2]:12.1f}   {cells[3]:4.1f}")
    differences = (accuracies["ours"] - accuracies["plain"]).mean(axis=1)
    error = differences.std(ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else float("nan")
    print(f"accuracy, mean of the curve: ours less plain {differences.mean():+.4f}, standard error {error:.4f}")
    for what in ("seconds", "busy"):
        ratios = [one[what] / other[what] for one, other in zip(runs["plain"], runs["ours"], strict=True)]
        each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"plain takes {np.median(ratios):.2f} times the {what} of ours (each: {each})")


def main() -> None:
    """Run the parts that were asked for, or all."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("weights")
    arguments.add_argument("--part", action="append", choices=["epochs", "warm", "memory"])
    arguments.add_argument("--epochs", type=int, default=8, help="of part epochs")
    arguments.add_argument("--seeds", type=int, default=3, help="of part warm")
    arguments.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.child:
        way, folder, settings = given.child
        found = {"ours": ours, "plain": plain}[way](Path(folder), given.weights, json.loads(settings))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps({**found, "peak_gb": peak}))
        return
    parts = given.part or ["epochs", "warm", "memory"]
    with TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder / "train", 112, seed=0)
        draw(folder / "test", 64, seed=1)
        if "epochs" in parts:
            print(f"epochs: {given.epochs} epochs at each of {len(CHOKEPOINTS)} chokepoints")
            compare(folder, given.weights, {"max_nb_epoch": given.epochs, "early_stop": False}, range(1))
        if "warm" in parts:
            print("warm: until the validation loss has not fallen for 3 epochs, 30 at most")
            settings = {"max_nb_epoch": 30, "patience": 3, "warm_start": True}
            compare(folder, given.weights, settings, range(given.seeds))
        if "memory" in parts:
            print("memory: 5,000 images at 96 x 96, one epoch at each chokepoint")
            draw(folder / "many" / "train", 625, seed=2)
            timed("ours", folder / "many", given.weights, {"max_nb_epoch": 1})


if __name__ == "__main__":
    main()
