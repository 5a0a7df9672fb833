"""Labelled images for ``mainstream train``, made of what two Debian packages install.

    apt-get install tuxpaint-stamps-default opencv-doc
    python data/prepare_images.py FOLDER

makes in FOLDER, the same again from the same seed:

- ``animals/``, ``plants/``, ``vehicles/``: photo cut-outs on backgrounds from the clip, in two subfolders, the app's
  event and ``other``, and ``animals.csv`` and so on, image -> the cut-out that it was made of, for ``--groups``
- ``pedestrian/`` and, later in the clip, ``pedestrian-test/``: windows with and without a person, and
  ``pedestrian.csv``, image -> the 5 s that it is from
- ``corner.avi``: one window through the whole clip, as a camera of its own, and ``corner.csv``, frame -> label, for
  ``mainstream calibrate``

What is a person and what is not is told by the difference to the clip's median frame.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, UnidentifiedImageError

Frames = NDArray[np.uint8]
"""(n, height, width, 3), RGB."""

STAMPS: Final = "tuxpaint-stamps-default"
CLIP: Final = "opencv-doc"
KINDS: Final = {
    "animal": ("animals",),
    "plant": ("plants", "food"),
    "vehicle": ("vehicles", "military/vehicles"),
    "thing": ("town", "household", "sports", "hobbies"),
}
"""What a stamp shows -> folders of stamps, below ``stamps/``."""
APPS: Final = {"animals": "animal", "plants": "plant", "vehicles": "vehicle"}
"""App -> the kind that is its event; all the others are ``other``."""
DRAWN: Final = ("cartoon", "toys", "plastic")
"""Folders of drawings and of toys, left out; but of houses there are drawings only."""

SIDE: Final = 128
"""Pixels of an image's side."""
DIFFERENT: Final = 40
"""Steps of 0..255 by which a pixel differs from the median frame where something is."""
PERSON, NOBODY = 0.04, 0.002
"""Share of different pixels from which a window holds a person, and up to which it holds none; between, neither."""
TRAINING, TEST = 0.7, 0.75
"""Share of the clip up to which windows train, and from which they test; between, nobody is in both."""
BLOCK_S: Final = 5
MOST_TRIES: Final = 1000
"""Windows to look at for each that is wanted."""
CORNER: Final = (560, 300, 160)
"""x, y and side of the window that is a camera of its own: 14 times, somebody walks through it."""
APPEARS, LEAVES = 0.02, 0.005
"""Share of different pixels from which somebody has come into it, and below which it is empty again."""


class CannotPrepareError(Exception):
    """What is missing, and what to do."""


def reinstall(package: str) -> str:
    """What to do about a damaged package."""
    return f"run: apt-get install --reinstall {package}"


def installed(package: str) -> list[Path]:
    """The files of a Debian package."""
    advice = f"{package} is not installed; run: apt-get install {package}"
    try:
        listed = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CannotPrepareError(f"{advice} (there is no dpkg here: it takes a Debian or a relative of it)") from None
    if listed.returncode:
        raise CannotPrepareError(advice)
    return [Path(line) for line in listed.stdout.splitlines()]


def read_clip(files: Iterable[Path]) -> tuple[Frames, Fraction]:
    """All frames of vtest.avi, and frames a second."""
    found = next((file for file in files if file.name in ("vtest.avi", "vtest.avi.gz")), None)
    if found is None or not found.is_file():
        raise CannotPrepareError(f"{CLIP} has no vtest.avi; {reinstall(CLIP)}")
    try:
        content = found.read_bytes()
        with av.open(BytesIO(gzip.decompress(content) if found.suffix == ".gz" else content)) as container:
            stream = container.streams.video[0]
            # Read before the container is closed: a closed one's stream gives whatever lies in its memory.
            rate = Fraction(stream.average_rate or 10)
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    except (av.FFmpegError, gzip.BadGzipFile, EOFError):
        raise CannotPrepareError(f"{found} cannot be read as video; {reinstall(CLIP)}") from None
    return np.stack(frames), rate


def empty_scene(frames: Frames) -> NDArray[np.uint8]:
    """The median frame: what the camera sees when nobody is there."""
    return np.median(frames[:: max(1, len(frames) // 100)], axis=0).astype(np.uint8)


def occupied(frames: Frames, scene: NDArray[np.uint8], x: int, y: int, side: int) -> NDArray[np.float64]:
    """Share of a window's pixels that differ from the empty scene, for each frame; shape (n,)."""
    window = np.s_[y : y + side, x : x + side]
    difference = np.abs(frames[:, *window].astype(np.int16) - scene[window])
    share: NDArray[np.float64] = (difference.max(axis=3) > DIFFERENT).mean(axis=(1, 2))
    return share


def sources(files: Iterable[Path], folders: Sequence[str]) -> list[Path]:
    """The cut-outs in some folders of stamps and those below them, without the drawn."""
    found = []
    for file in files:
        if file.suffix == ".png" and "stamps" in file.parts:
            below = file.parts[file.parts.index("stamps") + 1 : -1]
            drawn = {*DRAWN} & {*below} and "houses" not in below
            if not drawn and f"{'/'.join(below)}/".startswith(tuple(f"{folder}/" for folder in folders)):
                found.append(file)
    return sorted(found)


def on_background(cut_out: Image.Image, scene: Image.Image, random: np.random.Generator) -> Image.Image:
    """A cut-out, mirrored or not, somewhere on a window of the empty scene, in some light."""
    side = int(random.integers(SIDE, min(scene.size) // 2))
    x, y = (int(random.integers(0, whole - side + 1)) for whole in scene.size)
    picture = scene.crop((x, y, x + side, y + side)).resize((SIDE, SIDE))
    cut_out = cut_out.crop(cut_out.getbbox())
    scale = random.uniform(0.45, 0.95) * SIDE / max(cut_out.size)
    cut_out = cut_out.resize([max(1, round(scale * length)) for length in cut_out.size])
    if random.random() < 0.5:
        cut_out = cut_out.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    place = [int(random.integers(0, SIDE - length + 1)) for length in cut_out.size]
    picture.paste(cut_out, (place[0], place[1]), cut_out)
    return ImageEnhance.Brightness(picture).enhance(random.uniform(0.6, 1.3))


def write_cut_outs(
    folder: Path, classes: dict[str, list[Path]], scene: Image.Image, count: int, random: np.random.Generator
) -> str:
    """`count` images of each class, from all its cut-outs in turn; says how many sources there are."""
    groups = []
    said = []
    for name, found in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for n in range(count):
            source = found[n % len(found)]
            try:
                with Image.open(source) as opened:
                    picture = on_background(opened.convert("RGBA"), scene, random)
            except UnidentifiedImageError:
                raise CannotPrepareError(f"{source} is no picture; {reinstall(STAMPS)}") from None
            image = f"{name}/{n:04}-{source.stem}.jpg"
            picture.save(folder / image, quality=90)
            # A mirrored stamp is of the same source.
            groups.append((image, f"{source.parent.name}/{source.stem.removesuffix('_mirror')}"))
        said.append(f"{len({group for image, group in groups if image.startswith(f'{name}/')})} of {name}")
    write_csv(folder.with_suffix(".csv"), groups)
    return f"{folder.name}: {len(groups)} images; sources: {', '.join(said)}"


def windows(
    frames: Frames, scene: NDArray[np.uint8], first: int, stop: int, count: int, random: np.random.Generator
) -> Iterator[tuple[str, int, Image.Image]]:
    """Label, frame and picture of `count` windows of either kind from the frames `first` to `stop`."""
    left = {"person": count, "no_person": count}
    height, width = scene.shape[:2]
    for _ in range(MOST_TRIES * count):
        number = int(random.integers(first, stop))
        side = int(random.integers(SIDE * 3 // 4, SIDE * 3 // 2))
        x, y = int(random.integers(0, width - side + 1)), int(random.integers(0, height - side + 1))
        share = occupied(frames[number : number + 1], scene, x, y, side)[0]
        label = "person" if share >= PERSON else "no_person" if share <= NOBODY else None
        if label is not None and left[label]:
            left[label] -= 1
            picture = Image.fromarray(frames[number, y : y + side, x : x + side]).resize((SIDE, SIDE))
            yield label, number, picture
        if not any(left.values()):
            return
    raise CannotPrepareError(f"the clip has too few windows with and without a person; {reinstall(CLIP)}")


def write_windows(
    folder: Path, frames: Frames, scene: NDArray[np.uint8], fps: Fraction, count: int, random: np.random.Generator
) -> str:
    """Images of windows for training and, from later on, for the test."""
    spans = {
        folder: (0, int(TRAINING * len(frames)), count),
        folder.with_name(f"{folder.name}-test"): (int(TEST * len(frames)), len(frames), max(1, count // 2)),
    }
    groups = []
    for target, (first, stop, wanted) in spans.items():
        for n, (label, number, picture) in enumerate(windows(frames, scene, first, stop, wanted, random)):
            (target / label).mkdir(parents=True, exist_ok=True)
            image = f"{label}/{n:04}-frame-{number}.jpg"
            picture.save(target / image, quality=90)
            if target == folder:
                groups.append((image, f"from {int(number / fps) // BLOCK_S * BLOCK_S} s"))
    write_csv(folder.with_suffix(".csv"), groups)
    return f"{folder.name}: {len(groups)} windows; sources: {len({group for _, group in groups})} times of {BLOCK_S} s"


def presence(share: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether somebody is there: from `APPEARS` on, until below `LEAVES`."""
    there = np.zeros(len(share), bool)
    for n, now in enumerate(share):
        there[n] = now >= (LEAVES if n and there[n - 1] else APPEARS)
    return there


def write_corner(path: Path, frames: Frames, scene: NDArray[np.uint8], fps: Fraction) -> str:
    """A clip of one window without loss, and its labels."""
    x, y, side = CORNER
    with av.open(path, "w") as container:
        stream: Any = container.add_stream("ffv1", rate=fps)
        stream.width = stream.height = side
        stream.pix_fmt = "bgr0"
        for frame in frames[:, y : y + side, x : x + side]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    there = presence(occupied(frames, scene, *CORNER))
    labels = ["person" if seen else "no_person" for seen in there]
    write_csv(path.with_suffix(".csv"), [("frame", "label"), *enumerate(labels)])
    return f"{path.name}: {len(labels)} frames, {there.mean():.0%} of them with somebody in it"


def write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """A CSV file of these rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make everything."""
    parser = argparse.ArgumentParser(description="Labelled images made of what two Debian packages install.")
    parser.add_argument("folder", type=Path, help="where they go; made where it does not exist")
    parser.add_argument("--count", type=int, default=384, help="images of each class (default: 384)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    try:
        stamps, clip = installed(STAMPS), installed(CLIP)
        frames, fps = read_clip(clip)
        scene = empty_scene(frames)
        given.folder.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(given.seed)
        kinds = {kind: sources(stamps, folders) for kind, folders in KINDS.items()}
        for name, event in APPS.items():
            other = [source for kind, found in kinds.items() if kind != event for source in found]
            if not (kinds[event] and other):
                raise CannotPrepareError(f"{STAMPS} has no pictures of {name}; {reinstall(STAMPS)}")
            classes = {event: kinds[event], "other": random.permutation(other).tolist()}
            print(write_cut_outs(given.folder / name, classes, Image.fromarray(scene), given.count, random))
        print(write_windows(given.folder / "pedestrian", frames, scene, fps, given.count, random))
        print(write_corner(given.folder / "corner.avi", frames, scene, fps))
    except (CannotPrepareError, OSError) as error:
        print(f"prepare_images: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
