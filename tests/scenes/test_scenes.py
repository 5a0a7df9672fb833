"""Made scenes: the labels are what is to be seen, a seed is a scene, and nothing is in training and test."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from support.clips import write_clip
from typer.testing import CliRunner

from mainstream.cli import app
from mainstream.formats.calibration_files import read_labels
from mainstream.formats.intervals import read_intervals
from mainstream.scenes.script import visits
from mainstream.streamer.decoding import VideoReader
from mainstream.trainer.calibration import calibrate

COLOURS = {"animals": (255, 0, 0), "people": (0, 255, 0)}


def cut_out(path: Path, colour: tuple[int, ...], width: int) -> None:
    picture = Image.new("RGBA", (width, 40))
    ImageDraw.Draw(picture).ellipse((2, 2, width - 3, 37), fill=(*colour, 255))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    for name, colour in COLOURS.items():
        for k in range(6):
            cut_out(folder / name / "some" / f"{k}.png", colour, 24 + 4 * k)
    cut_out(folder / "people" / "again.png", COLOURS["people"], 24)  # the first one, under another name
    Image.new("RGB", (20, 20)).save(folder / "animals" / "opaque.png")
    (folder / "animals" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    write_clip(folder / "footage.mkv", 24)
    return folder


def make(sources: Path, out: Path, *flags: str) -> Any:
    given = ["--cutouts", sources, "--footage", sources / "footage.mkv", "--classes", "animals,people", "-o", out]
    numbers = ["--num-events", "12", "--width", "96", "--height", "64", "--event-s", "2", "--gap-s", "1"]
    return CliRunner().invoke(app, ["scenes", *map(str, given), *numbers, *flags])


@pytest.fixture(scope="module")
def scenes(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scenes") / "made"
    done = make(sources, out)
    assert done.exit_code == 0, done.output
    return out


def pixels(clip: Path) -> Any:
    with VideoReader(str(clip), str(clip)) as reader:
        return np.array([frame.to_ndarray(format="rgb24") for frame in reader.pictures()], np.int16)


def labels_of(clip: Path) -> list[str]:
    with clip.with_suffix(".labels.csv").open() as file:
        return [row["label"] for row in csv.DictReader(file)]


def coloured(frames: Any, colour: Sequence[int]) -> Any:
    """Pixels of each frame in which one colour stands out; the footage is white and blue."""
    strong = int(np.argmax(colour))
    other = frames[..., 1 - strong]
    return ((frames[..., strong] - other > 60) & (frames[..., strong] - frames[..., 2] > 20)).sum(axis=(1, 2))


@pytest.mark.parametrize("name", ["train", "test"])
def test_labels_are_what_is_to_be_seen(scenes: Path, name: str) -> None:
    frames, labels = pixels(scenes / f"{name}.mkv"), labels_of(scenes / f"{name}.mkv")
    events = read_intervals(scenes / f"{name}.intervals.csv")
    assert len(frames) == len(labels)
    assert len(events) == 12 and {one.label for one in events} == {*COLOURS}
    seen = {label: coloured(frames, colour) for label, colour in COLOURS.items()}
    for one in events:
        assert set(labels[one.start : one.end]) == {one.label}
        shown = seen[one.label]
        most = shown[one.start : one.end].max()
        assert most > 80
        # Where it comes in and goes out, half of it is to be seen, to within what a frame's step adds.
        before, after = shown[one.start - 1], shown[min(one.end, len(shown) - 1)]
        assert before < 0.7 * most and after < 0.7 * most
        assert min(shown[one.start], shown[one.end - 1]) > 0.3 * most
        other = seen["people" if one.label == "animals" else "animals"]
        assert other[one.start : one.end].max() < 40
    outside = np.array([label == "nothing" for label in labels])
    assert outside.any()
    gaps = np.flatnonzero(outside)
    assert np.median(sum(seen.values())[gaps]) < 10


def test_calibration_reads_both_files_alike(scenes: Path) -> None:
    names = ("nothing", "animals", "people")
    frames, event = read_labels(scenes / "train.labels.csv", names, "people")
    marked, same = read_labels(scenes / "train.intervals.csv", names, "people")
    np.testing.assert_array_equal(event[: len(same)], same)
    assert not event[len(marked) :].any()
    assert calibrate(frames, event, 10.0).events.event_lengths_ms is not None


def test_no_picture_is_in_both(sources: Path, scenes: Path) -> None:
    with (scenes / "sources.csv").open() as file:
        rows = list(csv.DictReader(file))
    by_clip = {name: {row["file"] for row in rows if row["clip"] == name} for name in ("train", "test")}
    assert not by_clip["train"] & by_clip["test"]
    assert {name: len(files) for name, files in by_clip.items()} == {"train": 8, "test": 4}
    digests = [Path(row["file"]).read_bytes() for row in rows]
    assert len(set(digests)) == len(digests) == 12


def test_footage_of_training_and_test_are_two_halves(scenes: Path) -> None:
    """The bars of the footage count frames up to 24; a frame of the first half has no bar for 16 + 8."""
    middles = {}
    for name in ("train", "test"):
        frames = pixels(scenes / f"{name}.mkv").mean(axis=3)
        quiet = frames[[label == "nothing" for label in labels_of(scenes / f"{name}.mkv")]]
        columns = np.median(quiet[:, 2:6], axis=1)  # the top rows, which cut-outs seldom reach
        bits = [(columns[:, 6 + 12 * k] > 128).astype(int) << k for k in range(5)]
        middles[name] = {int(n) for n in np.sum(bits, axis=0)}
    assert middles["train"] <= set(range(12)) and middles["test"] <= set(range(12, 24))


def test_a_seed_is_a_scene(sources: Path, scenes: Path, tmp_path: Path) -> None:
    again = make(sources, tmp_path / "again", "-q")
    assert (again.exit_code, again.output) == (0, "")
    assert make(sources, tmp_path / "other", "--seed", "1").exit_code == 0
    for name in ("train.labels.csv", "test.intervals.csv", "sources.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (scenes / name).read_bytes()
        assert (tmp_path / "other" / name).read_bytes() != (scenes / name).read_bytes()
    np.testing.assert_array_equal(pixels(tmp_path / "again" / "test.mkv"), pixels(scenes / "test.mkv"))


def test_visits_differ_and_do_not_overlap() -> None:
    made = visits(400, ["a"] * 2 + ["b"] * 5, 10.0, 3.0, 4.0, np.random.default_rng(5))
    assert all(after.start > before.end for before, after in itertools.pairwise(made))
    lengths = np.array([len(one.x) for one in made]) / 10
    assert lengths.mean() == pytest.approx(3.0, rel=0.12) and lengths.std() > 1
    assert sorted(one.cutout for one in made[:4] if one.cutout < 2) == [0, 1]
    assert sorted(one.cutout for one in made[:10] if one.cutout >= 2) == [2, 3, 4, 5, 6]
    for key in ("height", "light", "blur"):
        assert np.std([getattr(one, key) for one in made]) > 0.05
    assert all(min(one.x[0], 1 - one.x[0]) < 0 and min(one.x[-1], 1 - one.x[-1]) < 0 for one in made)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--classes", "robots"], "robots: there is no such folder of cut-outs; there are: animals, people"),
        (["--classes", "../etc"], "there is no such folder of cut-outs"),
        (["--width", "31"], "--width 31: it has to be an even number, 32 to 4096"),
        (["--num-events", "0"], "num_events: got 0"),
        (["--footage", "none.avi"], "none.avi: there is no such file"),
        (["--cutouts", "none"], "none: there is no such folder of cut-outs"),
    ],
)
def test_bad_input_is_named(sources: Path, tmp_path: Path, flags: list[str], message: str) -> None:
    done = make(sources, tmp_path / "out", *flags)
    assert done.exit_code != 0
    assert message in str(done.exception)
    assert not list(tmp_path.rglob("*.mkv"))
