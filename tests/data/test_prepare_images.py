"""data/prepare_images.py, on stamps and a clip that this test draws, listed by a dpkg of its own."""

from __future__ import annotations

import csv
import gzip
import hashlib
import os
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mainstream.formats.calibration_files import read_labels
from mainstream.trainer.splits import read_groups

av = pytest.importorskip("av", reason="needs the extra run")
Image = pytest.importorskip("PIL.Image", reason="needs the extra train")

SCRIPT = Path(__file__).parents[2] / "data" / "prepare_images.py"
FRAMES = 60
STAMPS = [
    *(f"animals/birds/bird{n}" for n in range(3)),
    "animals/cats/cat",
    "animals/cats/cat_mirror",
    "animals/birds/cartoon/tux",
    *(f"food/fruit/fruit{n}" for n in range(2)),
    "vehicles/auto/car",
    "town/houses/cartoon/house",
    "symbols/math/plus",
]


def somebody_at(frame: int) -> tuple[int, int]:
    """Left and right end of who walks through the clip; in the corner's window from x = 560 to 720."""
    return 8 * frame + 250, 8 * frame + 300


def film(path: Path, random: np.random.Generator, rate: Fraction) -> None:
    """A clip in which somebody walks through a scene of coloured squares."""
    scene = np.kron(random.integers(60, 200, (9, 12, 3), dtype=np.uint8), np.ones((64, 64, 1), np.uint8))
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.bit_rate = 768, 576, 20_000_000
        for number in range(FRAMES):
            frame = scene.copy()
            frame[320:420, slice(*somebody_at(number))] = 0
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the two packages and a dpkg that lists them."""
    root = tmp_path_factory.mktemp("system")
    random = np.random.default_rng(0)
    for name in STAMPS:
        path = root / "stamps" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros((60, 40, 4), np.uint8)
        pixels[10:50, 5:35] = [*random.integers(0, 256, 3), 255]
        Image.fromarray(pixels).save(path)
    film(root / "vtest.avi", random, rate=Fraction(10))
    listed = {
        "tuxpaint-stamps-default": sorted(map(str, (root / "stamps").rglob("*"))),
        "opencv-doc": [str(root / "vtest.avi")],
    }
    for package, files in listed.items():
        (root / package).write_text("\n".join(files))
    dpkg = root / "bin" / "dpkg"
    dpkg.parent.mkdir()
    dpkg.write_text(f'#!/bin/sh\nexec cat "{root}/$2"\n')
    dpkg.chmod(0o755)
    return root


def prepare(system: Path, *given: object, dpkg: bool = True) -> subprocess.CompletedProcess[str]:
    path = f"{system / 'bin'}:{os.environ['PATH']}" if dpkg else str(system)
    command = [sys.executable, str(SCRIPT), *map(str, given)]
    # glibc overwrites what is freed: who reads a closed clip reads rubbish each time, and not only by chance.
    rubbish = "glibc.malloc.tcache_count=0:glibc.malloc.perturb=90"
    environment = {**os.environ, "PATH": path, "GLIBC_TUNABLES": rubbish}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def made(system: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "images"
    done = prepare(system, folder, "--count", 12)
    assert done.returncode == 0, done.stderr
    assert "animals: 24 images; sources: 4 of animal, 4 of other\n" in done.stdout
    return folder


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_each_class_has_its_images_and_each_image_its_source(made: Path) -> None:
    for app, event in (("animals", "animal"), ("plants", "plant"), ("vehicles", "vehicle")):
        groups = read_groups(made / f"{app}.csv")
        images = {str(path.relative_to(made / app)) for path in (made / app).rglob("*.jpg")}
        assert images == groups.keys()
        assert Counter(image.split("/")[0] for image in images) == {event: 12, "other": 12}
    animals = read_groups(made / "animals.csv")
    events = {source for image, source in animals.items() if image.startswith("animal/")}
    assert events == {"birds/bird0", "birds/bird1", "birds/bird2", "cats/cat"}  # no drawing; a mirrored one is the same
    others = {source for image, source in animals.items() if image.startswith("other/")}
    assert others == {"fruit/fruit0", "fruit/fruit1", "auto/car", "cartoon/house"}


def test_windows_of_the_test_are_later_than_those_of_the_training(made: Path) -> None:
    def frames(folder: str) -> set[int]:
        return {int(path.stem.split("-")[-1]) for path in (made / folder).rglob("*.jpg")}

    assert max(frames("pedestrian")) < 0.7 * FRAMES < 0.75 * FRAMES <= min(frames("pedestrian-test"))
    for folder, count in (("pedestrian", 12), ("pedestrian-test", 6)):
        for label in ("person", "no_person"):
            assert len(list((made / folder / label).iterdir())) == count
    for path in (made / "pedestrian" / "person").iterdir():
        assert np.asarray(Image.open(path)).min(axis=2).min() < 40, path  # who walks there is black
    assert set(read_groups(made / "pedestrian.csv").values()) <= {"from 0 s"}


def test_the_corner_is_that_part_of_the_clip_with_labels_of_who_is_in_it(made: Path, system: Path) -> None:
    with av.open(made / "corner.avi") as corner, av.open(system / "vtest.avi") as clip:
        assert corner.streams.video[0].average_rate == 10
        pairs = list(zip(corner.decode(video=0), clip.decode(video=0), strict=True))
    for part, whole in pairs:
        np.testing.assert_array_equal(
            part.to_ndarray(format="rgb24"), whole.to_ndarray(format="rgb24")[300:460, 560:720]
        )
    frames, there = read_labels(made / "corner.csv", ("no_person", "person"), "person")
    assert frames.tolist() == list(range(FRAMES))
    # 2 % of the window's pixels are 6 columns of who walks there.
    expected = [somebody_at(frame)[1] - 560 >= 6 for frame in range(FRAMES)]
    assert np.flatnonzero(there != expected).size <= 1


def test_the_same_seed_makes_the_same_images(made: Path, system: Path, tmp_path: Path) -> None:
    assert prepare(system, tmp_path / "again", "--count", 12).returncode == 0
    assert digests(tmp_path / "again") == digests(made)
    assert prepare(system, tmp_path / "other", "--count", 12, "--seed", 1).returncode == 0
    assert digests(tmp_path / "other") != digests(made)


def test_a_gzipped_clip_will_do(system: Path, tmp_path: Path) -> None:
    packed = tmp_path / "vtest.avi.gz"
    packed.write_bytes(gzip.compress((system / "vtest.avi").read_bytes(), 1))
    kept = (system / "opencv-doc").read_text()
    try:
        (system / "opencv-doc").write_text(str(packed))
        done = prepare(system, tmp_path / "images", "--count", 1)
    finally:
        (system / "opencv-doc").write_text(kept)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "images" / "corner.csv").open() as file:
        assert len(list(csv.reader(file))) == FRAMES + 1


def test_the_corner_has_the_rate_of_the_clip(system: Path, tmp_path: Path) -> None:
    rate = Fraction(25, 2)
    film(tmp_path / "vtest.avi", np.random.default_rng(1), rate)
    kept = (system / "opencv-doc").read_text()
    try:
        (system / "opencv-doc").write_text(str(tmp_path / "vtest.avi"))
        done = prepare(system, tmp_path / "images", "--count", 1)
    finally:
        (system / "opencv-doc").write_text(kept)
    assert done.returncode == 0, done.stderr
    with av.open(tmp_path / "images" / "corner.avi") as corner:
        assert corner.streams.video[0].average_rate == rate


@pytest.mark.parametrize("package", ["tuxpaint-stamps-default", "opencv-doc"])
def test_what_is_missing_is_one_line_that_says_what_to_install(system: Path, tmp_path: Path, package: str) -> None:
    kept = (system / package).read_text()
    (system / package).unlink()
    try:
        done = prepare(system, tmp_path / "images")
    finally:
        (system / package).write_text(kept)
    assert done.returncode == 2
    assert done.stderr == f"prepare_images: {package} is not installed; run: apt-get install {package}\n"
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize(
    ("package", "listed", "message"),
    [
        ("tuxpaint-stamps-default", "/nothing.txt", "tuxpaint-stamps-default has no pictures of animals; run: apt-get"),
        ("opencv-doc", "{root}/bad/vtest.avi", "{root}/bad/vtest.avi cannot be read as video; run: apt-get install"),
        (
            "opencv-doc",
            "/nothing/vtest.avi",
            "opencv-doc has no vtest.avi; run: apt-get install --reinstall opencv-doc",
        ),
    ],
)
def test_a_damaged_package_is_one_line(system: Path, tmp_path: Path, package: str, listed: str, message: str) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "vtest.avi").write_text("no video")
    kept = (system / package).read_text()
    try:
        (system / package).write_text(listed.format(root=tmp_path))
        done = prepare(system, tmp_path / "images")
    finally:
        (system / package).write_text(kept)
    assert done.returncode == 2
    assert done.stderr.startswith(f"prepare_images: {message.format(root=tmp_path)}")
    assert done.stderr.count("\n") == 1


def test_without_dpkg_it_says_so(system: Path, tmp_path: Path) -> None:
    done = prepare(system, tmp_path / "images", dpkg=False)
    assert done.returncode == 2
    assert "there is no dpkg here" in done.stderr
    assert done.stderr.count("\n") == 1
