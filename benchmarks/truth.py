"""Does what is predicted come true? Event F1 as predicted beside event F1 as measured, on labelled scenes.

    python -m benchmarks.truth WEIGHTS --work FOLDER

Four clips are made of photos that cross real footage (``mainstream scenes``). On "train" MobileNetV2 is fine-tuned to
an app for each class of photos. "others", and then "camera", calibrate the packages, and on "test" schedules are
measured. No network has been trained on photos of these three; camera shows the same ones as test, in other scenes,
others shows others. What each model decides on each frame is computed once, in batches, and kept in the folder, as is
all else: a run that was ended goes on where it was. Then the schedules are replayed by ``mainstream evaluate``'s own
code, with a part loader that knows these decisions.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.truth_table import run
from mainstream.evaluation.calibrating import calibrate_packages, watched_packages
from mainstream.evaluation.footage import Footage
from mainstream.evaluation.labels import NOTHING, Labels, read_events
from mainstream.evaluation.outputs import Outputs
from mainstream.formats.intervals import read_intervals, save_intervals
from mainstream.formats.package import CURVE, pareto, read_package
from mainstream.io import load_profile
from mainstream.labelling.frames import GROUPS, save_frames
from mainstream.scenes.cutouts import split_cutouts
from mainstream.scenes.filming import film, footage
from mainstream.scenes.script import visits

STAMPS: Final = Path("/usr/share/tuxpaint/stamps")
FOOTAGE: Final = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
CLASSES: Final = {
    3: ("animals", "plants", "vehicles"),
    6: ("animals", "plants", "vehicles", "food", "household", "town"),
}
FPS: Final = 5.0
EVENT_S, GAP_S = 2.0, 2.0
TRAINED_ON, CALIBRATED_ON = 150, 150
"""How many events a class has."""
CALIBRATIONS: Final = ("others", "camera")
"""On photos that are not measured on, and on those that are, in other scenes."""
SIZE: Final = 64
CHOKEPOINTS: Final = (0, 54, 107, 154)
_BATCH: Final = 64


class Replayed:
    """A part loader whose parts know the decisions: a stem gives a frame's digest, and a tail looks it up."""

    name = "replayed"
    own_threads = False

    def __init__(self, scores: dict[str, dict[bytes, NDArray[np.float32]]]) -> None:
        self._scores = scores

    def start(self) -> None:
        """Nothing has to be."""

    def load(self, path: Path, input_layer: str, output_layer: str, *, trusted: bool) -> Any:
        """The layers between two tensors."""
        known = self._scores.get(str(path)) if output_layer == "softmax" else None
        return _Part(known)


class _Part:
    input_shape = output_shape = None

    def __init__(self, known: dict[bytes, NDArray[np.float32]] | None) -> None:
        self._known = known

    def __call__(self, batch: Any) -> Any:
        key = batch[0] if isinstance(batch[0], bytes) else digest(batch[0])
        return [key] if self._known is None else self._known[key][None]


def digest(pixels: Any) -> bytes:
    """A digest that tells a frame, as a part of a network gets it, from others."""
    return hashlib.blake2b(np.ascontiguousarray(pixels, dtype=np.float32).tobytes(), digest_size=16).digest()


def make_clips(work: Path, classes: tuple[str, ...], events: int) -> None:
    """``train.mkv``, ``others.mkv``, ``camera.mkv`` and ``test.mkv`` with their labels."""
    split = split_cutouts(STAMPS, classes, np.random.default_rng([0, 0]))
    others = split.train[::3]
    trained = tuple(one for place, one in enumerate(split.train) if place % 3)
    shown = {
        "train": (trained, TRAINED_ON),
        "others": (others, CALIBRATED_ON),
        "camera": (split.test, CALIBRATED_ON),
        "test": (split.test, events),
    }
    for place, (name, (cutouts, count)) in enumerate(shown.items()):
        path = work / f"{name}.mkv"
        if path.exists():
            continue
        random = np.random.default_rng([0, 1 + place])
        plan = visits(count * len(classes), [one.label for one in cutouts], FPS, EVENT_S, GAP_S, random)
        part = (0.0, 0.5) if name == "train" else (0.5, 1.0)
        film(path, footage(FOOTAGE, (160, 120), part), plan, cutouts, FPS, (160, 120), random)
        print(f"{path.name}: {plan[-1].end:,} frames, {len({one.file for one in cutouts})} photos", flush=True)


def train_apps(work: Path, classes: tuple[str, ...], weights: Path) -> list[Path]:
    """The package of each class."""
    from mainstream.trainer import train

    settings = {
        "net": "mobilenetv2", "n": SIZE, "weights": str(weights), "chokepoints": CHOKEPOINTS, "max_nb_epoch": 4,
        "patience": 1, "seed": 0, "learning_rate": 5e-5,
    }  # fmt: skip
    clip = work / "train.mkv"
    marked = read_intervals(clip.with_suffix(".intervals.csv"))
    for name in classes:
        if (work / name / CURVE).exists():
            continue
        images, labels = work / f"{name}-images", clip.with_suffix(f".{name}.csv")
        if not images.exists():
            save_intervals([one for one in marked if one.label == name], labels)
            save_frames(clip, labels, images, every=4 * len(classes) // 3, nothing=NOTHING)
        logs = work / "logs"
        done = train(
            name, images, model_dir=work, log_dir=logs, groups=images / GROUPS,
            settings={**settings, "event_class": name}, resume=(logs / f"{name}-state.json").exists(),
        )  # fmt: skip
        print(f"{name}: {dict(done.curve.accuracies)} {dict(done.curve.false_positive_rates or {})}", flush=True)
    return [work / name for name in classes]


def profile_network(work: Path, folder: Path) -> Any:
    """The base network's profile, measured on this machine."""
    path = work / "profile.json"
    if not path.exists():  # in a process of its own: on one thread, which TensorFlow cannot be told once it has trained
        command = [sys.executable, "-m", "mainstream", "profile", "--net", folder, "--engine", "tensorflow"]
        subprocess.run([*command, "--seconds", "15", "-o", path], check=True, stdout=subprocess.DEVNULL)
    return load_profile(path)


def decide(work: Path, folders: list[Path], clip: Footage) -> dict[str, dict[bytes, NDArray[np.float32]]]:
    """What each model says about each frame, by model file and frame."""
    from mainstream.graphs.part import GraphPart

    frames = np.stack([frame.pixels(SIZE, SIZE, 3) for frame in clip])
    keys = [digest(frame) for frame in frames]
    black = digest(np.zeros((SIZE, SIZE, 3)))
    found = {}
    for k in CHOKEPOINTS:
        having = [folder for folder in folders if k in pareto(read_package(folder)[1])]
        kept = {folder: work / f"{clip.path.stem}-{folder.name}-{k}.npy" for folder in having}
        if not all(file.exists() for file in kept.values()):
            package, _ = read_package(having[0])
            first, cut, last = (package.chokepoints[f] for f in (0, k, package.total_layers))
            stem = GraphPart(having[0] / package.models[k], first, cut, trusted=True) if k else None
            tails = {f: GraphPart(f / read_package(f)[0].models[k], cut, last, trusted=True) for f in having}
            scores: dict[Path, list[Any]] = {folder: [] for folder in having}
            for batch in _batches(frames):
                shared = batch.astype(np.float32) if stem is None else stem(batch.astype(np.float32))
                for folder, tail in tails.items():
                    scores[folder].append(tail(shared))
            for folder, some in scores.items():
                np.save(kept[folder], np.concatenate(some))
            print(f"{clip.path.name}: decided at {k}", flush=True)
        for folder, file in kept.items():
            model = str(folder / read_package(folder)[0].models[k])
            found[model] = dict(zip(keys, np.load(file), strict=True))
            found[model][black] = np.zeros(2, np.float32)  # what the engine warms up with
    return found


def _batches(frames: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    return (frames[start : start + _BATCH] for start in range(0, len(frames), _BATCH))


def labels_of(clip: Footage, folders: list[Path]) -> Labels:
    """The events of a clip of ours, of packages as apps 1, 2, ..."""
    return read_events(clip.path.with_suffix(".intervals.csv"), clip, watched_packages(folders), {}, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--apps", type=int, choices=list(CLASSES), default=3)
    parser.add_argument("--events", type=int, default=300, help="of each class, in the clip that is measured on")
    given = parser.parse_args()
    classes = CLASSES[given.apps]
    work = given.work / f"scenes-{given.apps}-{given.events}"
    work.mkdir(parents=True, exist_ok=True)
    make_clips(work, classes, given.events)
    folders = train_apps(work, classes, given.weights)
    model = profile_network(work, folders[0])
    clips = {name: Footage.of(work / f"{name}.mkv") for name in ("test", *CALIBRATIONS)}
    outputs = {name: Outputs(clip, work, Replayed(decide(work, folders, clip))) for name, clip in clips.items()}
    test = clips["test"]
    for name in CALIBRATIONS:
        calibrate_packages(folders, model, clips[name], labels_of(clips[name], folders), outputs[name])
        print(f"\ncalibrated on {clips[name].path.name}")
        run(folders, model, test, outputs["test"], labels_of(test, folders), work / f"found-{name}.json")


if __name__ == "__main__":
    main()
