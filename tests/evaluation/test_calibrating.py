"""Packages that watch a labelled clip: what each of their models did is kept, and chains are the best one's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.packages import make

pytest.importorskip("av", reason="needs the extra run")

from support.clips import write_clip

from benchmarks.truth import Replayed, digest
from mainstream import Model
from mainstream.evaluation.calibrating import calibrate_packages
from mainstream.evaluation.footage import Footage
from mainstream.evaluation.labels import Labels
from mainstream.evaluation.outputs import Outputs
from mainstream.formats.curve import Curve
from mainstream.formats.package import read_package
from mainstream.trainer.calibration import calibrate

FRAMES = 240
MODEL = Model(
    total_layers=6,
    layer_latencies=(1.0,) * 6,
    frozen_layer_names={0: "in", 2: "a", 4: "b", 6: "softmax"},
    height=48,
    width=64,
)


def test_what_each_model_did_is_kept_and_chains_are_those_of_the_most_accurate(tmp_path: Path) -> None:
    places = {0: "in", 2: "a", 4: "b", 6: "softmax"}
    curve = Curve({0: 0.95, 2: 0.9, 4: 0.85}, {0: 0.01, 2: 0.02, 4: 0.04})
    folder = make(tmp_path / "dogs", curve, events=..., chokepoints=places, height=48, width=64)
    (folder / "models").mkdir(exist_ok=True)
    for k in (0, 4):
        (folder / f"models/{k}.pb").touch()
    write_clip(tmp_path / "clip.mkv", FRAMES)
    clip = Footage.of(tmp_path / "clip.mkv")
    random = np.random.default_rng(0)
    events = np.array([(start, start + 12) for start in range(6, FRAMES - 12, 24)])
    event = np.zeros(FRAMES, bool)
    for start, end in events:
        event[start:end] = True
    # The one that shares most misses most events as a whole, the other one frame in five.
    few = np.repeat(random.random(FRAMES // 6) < 0.2, 6) & event
    many = np.where(event, random.random(FRAMES) < 0.8, np.repeat(random.random(FRAMES // 4) < 0.3, 4))
    keys = [digest(frame.pixels(48, 64, 3)) for frame in clip]
    black = digest(np.zeros((48, 64, 3)))
    scores = {}
    for k, positive in ((0, many), (4, few)):
        each = np.eye(2, dtype=np.float32)[positive.astype(int)]
        scores[str(folder / f"models/{k}.pb")] = {**dict(zip(keys, each, strict=True)), black: each[0]}
    outputs = Outputs(clip, tmp_path, Replayed(scores))
    calibrate_packages([folder], MODEL, clip, Labels({1: events}, (0, FRAMES)), outputs)
    kept = read_package(folder)[0].events
    assert kept is not None
    own = {k: calibrate(np.arange(FRAMES), event, 10.0, np.arange(FRAMES), some) for k, some in ((0, many), (4, few))}
    assert (kept.correlation, kept.accuracy_spread) == (own[0].events.correlation, own[0].events.accuracy_spread)
    assert kept.correlation != own[4].events.correlation
    assert {one.num_frozen: one for one in kept.seen or ()} == {k: own[k].seen(k) for k in (0, 4)}
    assert own[0].false_correlation is not None and own[4].false_correlation is None
