"""An app that is trained on a region: its images are cut as the runtime cuts frames, and its package says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the extra train", exc_type=ImportError)

from PIL import Image
from support.labelled_images import SIZE, draw, network

from mainstream import ProblemError, prepare
from mainstream.formats.package import read_package
from mainstream.io import load_package
from mainstream.streamer.frames import Frame
from mainstream.trainer import train
from mainstream.trainer.images import Frames, find, read
from mainstream.trainer.settings import Settings

LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0)


def test_the_trainer_cuts_what_the_runtime_cuts(tmp_path: Path) -> None:
    shown = np.random.default_rng(2).integers(0, 256, (45, 81, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(shown).save(tmp_path / name / "1.png")
    for region in (None, LEFT, (0.3, 0.21, 0.37, 0.5), (0.99, 0.99, 0.01, 0.01)):
        found: list[Frames] = []
        assert not read(find(tmp_path), 48, 48, found.append, lambda done: None, region)
        theirs = Frame.from_pixels(0, 0.0, shown).pixels(48, 48, 3, region)
        assert np.abs(found[0].astype(int) - theirs).mean() < 1


def test_a_package_says_what_it_was_trained_on_and_its_app_sees_that(tmp_path: Path) -> None:
    """In the left half all images are alike: only who sees the right half can learn anything."""
    pytest.importorskip("av", reason="needs the extra run")
    shapes = draw(tmp_path / "shapes")
    for file in sorted(shapes.glob("*/*.png")):
        with Image.open(file) as shape:
            wide = Image.new("RGB", (2 * SIZE, SIZE), (60, 60, 60))
            wide.paste(shape, (SIZE, 0))
        wide.save(file)
    net = network(tmp_path / "tiny.keras")
    settings = {"net": str(net), "max_nb_epoch": 30, "patience": 30, "learning_rate": 0.02, "chokepoints": (5,)}
    done = {}
    for name, region in (("left", "0,0,0.5,1"), ("right", [0.5, 0, 0.5, 1])):
        given = {**settings, "region": region}
        where = {"model_dir": tmp_path / "models", "log_dir": tmp_path / "logs"}
        done[name] = train(name, shapes, settings=given, keep_all=True, **where)
    learnt = {name: one.curve.accuracies[5] for name, one in done.items()}
    assert learnt["right"] > 0.7 and learnt["left"] < 0.5
    package, _ = read_package(done["left"].folder)
    assert package.region == LEFT and package.training["region"] == [*LEFT]
    apps = [load_package(done[name].folder, i, event_length_ms=1000) for i, name in enumerate(("left", "right"))]
    assert [app.region for app in apps] == [LEFT, RIGHT]
    assert load_package(done["left"].folder, 1, event_length_ms=1000, region=None).region is None
    model = {"total_layers": 16, "layer_latencies": [1.0] * 16, "frozen_layer_names": package.chokepoints}
    assert len(prepare(apps, model, {"stream_fps": 2}).streams) == 2
    with pytest.raises(ProblemError, match="is of a training with other settings: region"):
        train("left", shapes, settings={**settings, "region": RIGHT}, resume=True, **where)


def test_a_region_that_is_none_is_a_setting_refused() -> None:
    with pytest.raises(ProblemError, match="settings: region: got '0,0,2,1'; it reaches outside the frame"):
        Settings.of({"region": "0,0,2,1"})
