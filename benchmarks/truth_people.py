"""Does what is predicted come true on real footage? A clip with boxes around people, as people annotated them.

    python -m benchmarks.truth_people WEIGHTS --video vtest.avi --labels gt.txt --work FOLDER

The clip of docs/truth.md, Debian's ``vtest.avi``, is the sequence PETS09-S2L1 of the MOTChallenge 2015 benchmark,
https://motchallenge.net, which publishes the annotation; neither is part of this project. Apps are regions of the
picture, and their event is that half of somebody's box lies in the region. The first quarter of the clip trains them.
The first half says how their events come and go, its second quarter, which no network has been trained on, what the
models make of them; the second half is measured on.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.truth import CHOKEPOINTS, SIZE, profile_network
from benchmarks.truth_table import run
from mainstream.evaluation.calibrating import calibrate_packages
from mainstream.evaluation.footage import Footage
from mainstream.evaluation.labels import Labels
from mainstream.evaluation.outputs import Decisions, Outputs
from mainstream.extensions import PART_LOADERS
from mainstream.formats.boxes import Region, frames_in, read_boxes
from mainstream.formats.package import CURVE
from mainstream.labelling.frames import save_frames
from mainstream.streamer.plan import NetPlan

REGIONS: Final = {"path": (0.7, 0.3, 0.1, 0.3), "right": (0.85, 0.4, 0.1, 0.3), "middle": (0.4, 0.3, 0.1, 0.3)}
"""The places on a grid that do not overlap and have the most events in each part of the clip."""
INSIDE: Final = 0.5
"""Share of a box."""

Shown = NDArray[np.bool_]


class Untrained(Outputs):
    """The decisions from some frame on."""

    first = 0

    def decisions(self, plans: Sequence[NetPlan]) -> list[dict[int, Decisions]]:
        """As of :class:`Outputs`."""
        found = super().decisions(plans)
        return [{app: self._later(some) for app, some in one.items()} for one in found]

    def _later(self, some: Decisions) -> Decisions:
        later = some.frames >= self.first
        return Decisions(some.frames[later], some.positive[later])


def shows(labels: Path, clip: Footage) -> dict[str, Shown]:
    """Whether somebody is in each region, (frames,)."""
    boxes = read_boxes(labels) or {}
    found = {}
    for name, (x, y, width, height) in REGIONS.items():
        region = Region(x=x, y=y, width=width, height=height, inside=INSIDE)
        found[name] = np.zeros(clip.frames, bool)
        for some in boxes.values():
            found[name][list(frames_in(some, region, (clip.width, clip.height)))] = True
    return found


def labels_of(shown: Mapping[str, Shown], known: tuple[int, int]) -> Labels:
    """The events of some frames, the regions being apps 1, 2, ..."""
    first, behind = known
    events: dict[int | str, NDArray[np.int64]] = {}
    for number, some in enumerate(shown.values(), start=1):
        padded = np.concatenate([[0], some[first:behind].astype(int), [0]])
        events[number] = np.flatnonzero(np.diff(padded)).reshape(-1, 2) + first
    return Labels(events, known)


def train_apps(work: Path, clip: Footage, shown: Mapping[str, Shown], weights: Path, quarter: int) -> list[Path]:
    """The package of each region."""
    from mainstream.trainer import train

    for name, some in shown.items():
        if (work / name / CURVE).exists():
            continue
        labels, images = work / f"{name}.csv", work / f"{name}-images"
        with labels.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("frame", "label"))
            rows.writerows((k, name if some[k] else "nobody") for k in range(quarter))
        if not images.exists():
            save_frames(clip.path, labels, images)
        settings = {
            "net": "mobilenetv2", "n": SIZE, "weights": str(weights), "chokepoints": CHOKEPOINTS, "max_nb_epoch": 6,
            "patience": 2, "seed": 0, "event_class": name, "region": REGIONS[name],
        }  # fmt: skip
        done = train(name, images, model_dir=work, log_dir=work / "logs", settings=settings)
        print(f"{name}: {dict(done.curve.accuracies)} {dict(done.curve.false_positive_rates or {})}", flush=True)
    return [work / name for name in shown]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True, help="boxes in the MOT format")
    parser.add_argument("--work", type=Path, required=True)
    given = parser.parse_args()
    work = given.work / "people"
    work.mkdir(parents=True, exist_ok=True)
    clip = Footage.of(given.video)
    half = clip.frames // 2
    shown = shows(given.labels, clip)
    for place, name in enumerate(shown, start=1):
        counts = [len(labels_of(shown, part).events[place]) for part in ((0, half), (half, clip.frames))]
        print(f"{name}: {counts[0]} events in the first half, {counts[1]} in the second", flush=True)
    folders = train_apps(work, clip, shown, given.weights, half // 2)
    model = profile_network(work, folders[0])
    loader = PART_LOADERS.find("tensorflow")
    outputs = Untrained(clip, work, loader)
    outputs.first = half // 2
    calibrate_packages(folders, model, clip, labels_of(shown, (0, half)), outputs)
    run(folders, model, clip, outputs, labels_of(shown, (half, clip.frames)), work / "found.json")


if __name__ == "__main__":
    main()
