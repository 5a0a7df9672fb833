"""Does what is predicted come true? Event F1 as predicted beside event F1 as measured, on labelled scenes.

    python -m benchmarks.truth WEIGHTS --work FOLDER

Three clips are made of photos that cross real footage (``mainstream scenes``). On the first MobileNetV2 is fine-tuned
to an app for each class of photos. The second and the third show photos that no network has been trained on: on the
second the packages are calibrated, on the third schedules are measured. What each model decides on each frame is
computed once, in batches, and kept in the folder, as is all else: a run that was ended goes on where it was. Then the
schedules are replayed by ``mainstream evaluate``'s own code, with a part loader that knows these decisions.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mainstream.errors import InfeasibleError
from mainstream.evaluation.calibrating import calibrate_packages, watched_packages
from mainstream.evaluation.evaluate import Evaluated, evaluate
from mainstream.evaluation.footage import Footage
from mainstream.evaluation.labels import NOTHING, Labels, read_events
from mainstream.evaluation.outputs import Outputs
from mainstream.evaluation.watched import Watched
from mainstream.events import event_metrics
from mainstream.experiments.versions import Version, Workbench
from mainstream.formats.intervals import read_intervals, save_intervals
from mainstream.formats.named_stream import NamedStream
from mainstream.formats.package import CURVE, pareto, read_package
from mainstream.formats.package_app import app_of_package
from mainstream.io import SolveOptions, load_profile
from mainstream.labelling.frames import GROUPS, save_frames
from mainstream.problem import App, Video
from mainstream.scenes.cutouts import split_cutouts
from mainstream.scenes.filming import film, footage
from mainstream.scenes.script import visits
from mainstream.schedule import Choice

STAMPS: Final = Path("/usr/share/tuxpaint/stamps")
FOOTAGE: Final = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
CLASSES: Final = {
    3: ("animals", "plants", "vehicles"),
    6: ("animals", "plants", "vehicles", "food", "household", "space"),
}
FPS: Final = 5.0
EVENT_S, GAP_S = 2.0, 2.0
TRAINED_ON, CALIBRATED_ON = 150, 150
"""Events of a class."""
SIZE: Final = 64
CHOKEPOINTS: Final = (0, 54, 107, 154)
VERSIONS: Final = ("mainstream", "max-sharing", "max-sharing-best", "no-sharing", "static-fps")
BUDGETS: Final = (0.1, 0.25, 0.5, 0.8)
"""Shares of the way from the smallest budget that has a schedule to the one beyond which nothing is gained."""
_BATCH: Final = 64


class Replayed:
    """A part loader whose parts know what was decided: a stem gives a frame's digest, a tail looks it up."""

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
    """What tells a frame, as a part of a network gets it, from others."""
    return hashlib.blake2b(np.ascontiguousarray(pixels, dtype=np.float32).tobytes(), digest_size=16).digest()


def make_clips(work: Path, classes: tuple[str, ...], events: int) -> None:
    """``train.mkv``, ``calibration.mkv`` and ``test.mkv`` with their labels."""
    split = split_cutouts(STAMPS, classes, np.random.default_rng([0, 0]))
    for place, (name, cutouts, count) in enumerate(
        (("train", split.train, TRAINED_ON), ("calibration", split.test, CALIBRATED_ON), ("test", split.test, events))
    ):
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
            save_frames(clip, labels, images, every=4, nothing=NOTHING)
        logs = work / "logs"
        done = train(
            name, images, model_dir=work, log_dir=logs, groups=images / GROUPS,
            settings={**settings, "event_class": name}, resume=(logs / f"{name}-state.json").exists(),
        )  # fmt: skip
        print(f"{name}: {dict(done.curve.accuracies)} {dict(done.curve.false_positive_rates or {})}", flush=True)
    return [work / name for name in classes]


def profile_network(work: Path, folder: Path) -> Any:
    """The base network as measured on this machine."""
    path = work / "profile.json"
    if not path.exists():  # in a process of its own: on one thread, which TensorFlow cannot be told once it has trained
        command = [sys.executable, "-m", "mainstream", "profile", "--net", folder, "--engine", "tensorflow"]
        subprocess.run([*command, "--seconds", "15", "--out", path], check=True, stdout=subprocess.DEVNULL)
    return load_profile(path)


def decide(work: Path, folders: list[Path], clip: Footage) -> dict[str, dict[bytes, NDArray[np.float32]]]:
    """What each model says of each frame, by model file and frame."""
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


def predictors(folder: Path, app_id: int) -> dict[str, tuple[App, str]]:
    """What predicts an app's F1, from what was there before to what is used: the app as given, the event model."""
    package, curve = read_package(folder)
    assert package.events is not None
    deepest = max(package.seen, key=lambda one: one.num_frozen)
    one_shift = package.model_copy(update={"events": package.events.model_copy(update={"seen": (deepest,)})})
    keys = {"app_id": app_id, "x_vote": "auto"}
    trained = app_of_package(folder, package, curve, keys, calibrated=False)
    return {
        "windowed, as trained": (trained, "windowed"),
        "measured, as trained": (trained, "measured"),
        "one shift for all models": (app_of_package(folder, one_shift, curve, keys), "measured"),
        "a shift for each model": (app_of_package(folder, package, curve, keys), "measured"),
    }


def f1_of(app: App, choice: Choice, event_model: str) -> float:
    """What is predicted of a choice; frames do not hang together where the event model does not know how they do."""
    k = choice.num_frozen
    assert app.false_positive_rates is not None
    plain = event_model == "windowed"
    found = event_metrics(
        [app.accuracies[k]], [app.false_positive_rates[k]], event_length_ms=app.event_length_ms,
        event_frequency=app.event_frequency, correlation=0.0 if plain else app.correlation, stream_fps=FPS,
        target_fps=choice.target_fps, x_vote=choice.x_vote or 0, correlation_fps=app.correlation_fps or np.nan,
        accuracy_spread=app.accuracy_spread or 0.0, event_lengths_ms=app.event_lengths_ms, event_model=event_model,
    )  # fmt: skip
    return float(found.f1[0])


def tau(first: list[float], second: list[float]) -> float:
    """Kendall's tau-b."""
    signs = [(np.sign(a - b), np.sign(c - d)) for (a, c), (b, d) in combinations(zip(first, second, strict=True), 2)]
    x, y = np.array(signs).T
    return float((x * y).sum() / np.sqrt((x != 0).sum() * (y != 0).sum()))


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
    calibration, test = (Footage.of(work / f"{name}.mkv") for name in ("calibration", "test"))
    seen = Replayed(decide(work, folders, calibration))
    calibrate_packages(folders, model, calibration, labels_of(calibration, folders), Outputs(calibration, work, seen))
    replayed = Replayed(decide(work, folders, test))
    run(work, folders, model, test, Outputs(test, work, replayed), labels_of(test, folders))


def run(work: Path, folders: list[Path], model: Any, clip: Footage, outputs: Outputs, labels: Labels) -> None:
    """Solve, replay, print."""
    by_app = {k: predictors(folder, k) for k, folder in enumerate(folders, start=1)}
    apps = tuple(list(some.values())[-1][0] for some in by_app.values())
    bench = Workbench([NamedStream(apps=apps, model=model, video=Video(stream_fps=FPS))], SolveOptions())
    least, most = bench.useful_range()
    schedules = {}
    for share in BUDGETS:
        for version in VERSIONS:
            try:
                result = bench.solve(Version.of(version), least + share * (most - least)).result
            except InfeasibleError:
                print(f"{version} has no schedule at {share:g}")
                continue
            schedules[f"{version} {share:g}"] = result
    watched = [Watched.of(app, work) for app in apps]
    found = evaluate(schedules, watched, model, clip, labels, outputs, seed=0)
    rows = [_row(name, one, by_app[int(one.choice.app_id)]) for name, some in found.items() for one in some]
    print(f"{'schedule, budget':<22}{'app':<11}{'k':>4}{'fps':>5}{'X':>3}  predicted measured  interval       windowed")
    for row in rows:
        print(
            f"{row['schedule']:<22}{row['app']:<11}{row['num_frozen']:>4}{row['fps']:>5g}{row['x_vote']:>3}"
            f"  {row['f1'][0]:>9.3f}{row['f1'][1]:>9.3f}  {row['low']:.3f} to {row['high']:.3f}"
            f"{row['windowed, as trained']:>9.3f}  recall {row['recall']} precision {row['precision']}"
        )
    named = list(by_app[1])
    for name in named:
        errors = [abs(row[name] - row["f1"][1]) for row in rows]
        near = sum(error <= 0.05 for error in errors)
        of_each = [[row for row in rows if row["schedule"] == one] for one in found]
        predicted = [fmean(row[name] for row in some) for some in of_each]
        measured = [fmean(row["f1"][1] for row in some) for some in of_each]
        print(
            f"{name:<26} mean absolute error {fmean(errors):.3f}, largest {max(errors):.3f}, "
            f"{near} of {len(errors)} within 0.05, tau of {len(found)} schedules {tau(predicted, measured):.2f}"
        )
    (work / "found.json").write_text(json.dumps(rows, indent=1))


def _row(schedule: str, one: Evaluated, predicted_by: Mapping[str, tuple[App, str]]) -> dict[str, Any]:
    choice, score = one.choice, one.score
    measured = {"recall": score.recall, "precision": score.precision, "f1": score.f1}
    return {
        "schedule": schedule,
        "app": one.watched.called,
        "num_frozen": choice.num_frozen,
        "fps": choice.target_fps,
        "x_vote": choice.x_vote or 1,
        "low": score.f1.low,
        "high": score.f1.high,
        **{key: (round(getattr(choice, key) or 0, 3), round(m.value, 3) if m else 1.0) for key, m in measured.items()},
        **{name: f1_of(app, choice, event_model) for name, (app, event_model) in predicted_by.items()},
    }


if __name__ == "__main__":
    main()
