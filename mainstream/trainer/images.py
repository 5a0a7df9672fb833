"""Labelled images: one folder for each class; each image is read once, at the network's size."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mainstream._optional import require
from mainstream.errors import ProblemError
from mainstream.files import reason
from mainstream.region import Region, box

_log = logging.getLogger("mainstream")

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png"})

_MOST_PIXELS: Final = 2**26
"""The most pixels of an image. A larger one is hardly a photograph: a small file may unpack to fill the memory."""

_LOOKED_AT: Final = 500
_ORIENTATION: Final = 0x0112
"""EXIF's number of it; from 5 on, width and height change places."""
_ALIKE: Final = 1.5
"""Pictures of one camera have one proportion; if they differ by more than this factor, some are no whole frames."""

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Folder:
    """What is in a folder of images.

    Attributes
    ----------
    path : Path
    classes : tuple of str
        Names of its subfolders, sorted; a network's outputs have this order.
    files : tuple of str
        The images, relative to `path`, sorted.
    labels : tuple of int
        The class of each image.
    """

    path: Path
    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: tuple[int, ...]

    def without(self, broken: Mapping[str, str]) -> Folder:
        """The same folder without the files in `broken`.

        Raises
        ------
        ProblemError
            A class has no image left.
        """
        kept = [(file, label) for file, label in zip(self.files, self.labels, strict=True) if file not in broken]
        left = {label for _, label in kept}
        for label, name in enumerate(self.classes):
            if label not in left:
                first = next(file for file in broken if file.startswith(f"{name}/"))
                raise ProblemError(
                    f"{self.path / name}: none of its images can be read ({self.path / first}: {broken[first]})"
                )
        return Folder(self.path, self.classes, tuple(file for file, _ in kept), tuple(label for _, label in kept))

    def digest(self) -> str:
        """A digest of the files' names and sizes."""
        listed = "".join(f"{file} {(self.path / file).stat().st_size}\n" for file in self.files)
        return hashlib.sha256(listed.encode()).hexdigest()


def find(path: Path, classes: tuple[str, ...] | None = None) -> Folder:
    """Find the images in the subfolders of a folder: JPEG and PNG files by name, but no hidden ones.

    Parameters
    ----------
    path : Path
    classes : tuple of str, optional
        The subfolders that it must have; default: any, but at least two.

    Raises
    ------
    ProblemError
        There is no such folder, it has other classes, or one of them holds no image.
    """
    try:
        folders = sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise ProblemError(f"{path}: no folder of images: {reason(error)}") from None
    if classes is not None and tuple(folders) != classes:
        differing = sorted({*folders} ^ {*classes})
        raise ProblemError(
            f"{path}: it has to have the same subfolders (classes) as the training images; "
            f"only one of the two folders has {', '.join(map(repr, differing))}"
        )
    if not folders:
        raise ProblemError(f"{path}: no classes; it has to have a subfolder of images for each class")
    if len(folders) == 1:
        raise ProblemError(f"{path}: only one class, {folders[0]!r}; it has to have two subfolders or more")
    files: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(folders):
        try:
            found = sorted(
                f"{name}/{entry.name}"
                for entry in (path / name).iterdir()
                if entry.suffix.lower() in IMAGE_SUFFIXES and not entry.name.startswith(".")
            )
        except OSError as error:
            raise ProblemError(f"{path / name}: cannot be read: {reason(error)}") from None
        if not found:
            raise ProblemError(f"{path / name}: no JPEG or PNG in this class's folder")
        files += found
        labels += [label] * len(found)
    return Folder(path, tuple(folders), tuple(files), tuple(labels))


def read(
    folder: Folder,
    height: int,
    width: int,
    add: Callable[[Frames], None],
    progress: Callable[[float], None],
    region: Region | None = None,
) -> dict[str, str]:
    """Read the images and pass them on one by one.

    Parameters
    ----------
    folder : Folder
    height, width : int
        Size that each image is resized to without keeping its proportions, as the camera's frames are.
    add : callable
        Takes one picture, (height, width, 3), RGB 0-255; called in the order of the folder's files.
    progress : callable
        Called with the share of the files that have been read, 0..1.
    region : (float, float, float, float), optional
        The part of each image to use; default: the whole.

    Returns
    -------
    dict of str to str
        File that could not be read -> why; `add` was not called for it.
    """
    broken = {}
    for count, (file, picture) in enumerate(_pictures(folder, height, width, region), start=1):
        if isinstance(picture, str):
            broken[file] = picture
        else:
            add(picture)
        progress(count / len(folder.files))
    return broken


def usual_size(folder: Folder) -> tuple[int, int] | None:
    """Median width and height of a folder's images, by some hundred of them; None if none can be read.

    Where their proportions differ much, a warning says so: they are hardly whole frames of a camera.
    """
    require("PIL", "train")
    from PIL import Image

    found = []
    for file in folder.files[:: -(-len(folder.files) // _LOOKED_AT)]:
        path = folder.path / file
        try:
            if not path.is_file():
                continue
            with warnings.catch_warnings(action="ignore"), Image.open(path) as opened:
                turned = opened.getexif().get(_ORIENTATION, 1) >= 5
                found.append((opened.height, opened.width) if turned else (opened.width, opened.height))
        except Exception:  # Pillow raises almost anything; whoever reads the picture says what is wrong with it
            continue
    if not found:
        return None
    sizes = np.array(found)
    flat, tall = np.quantile(sizes[:, 0] / sizes[:, 1], (0.9, 0.1))
    if flat > _ALIKE * tall:
        _log.warning(
            "%s: the pictures' proportions differ, from %.2g to %.2g: an app sees the whole frames of its camera, so "
            "train it on such, with --region for one place in them, and not on what was cut out",
            folder.path, tall, flat,
        )  # fmt: skip
    width, height = np.median(sizes, axis=0).round().astype(int).tolist()
    return width, height


def _pictures(folder: Folder, height: int, width: int, region: Region | None) -> Iterator[tuple[str, Frames | str]]:
    require("PIL", "train")
    from PIL import Image, ImageOps

    for file in folder.files:
        try:
            if not (folder.path / file).is_file():  # opening a pipe would block
                raise ValueError("no file, but a folder, pipe or device")
            with warnings.catch_warnings(), Image.open(folder.path / file) as opened:
                warnings.simplefilter("ignore")  # Pillow warns of odd files that it can still read
                if opened.width * opened.height > _MOST_PIXELS:
                    raise ValueError(f"{opened.width} x {opened.height} pixels, more than {_MOST_PIXELS:,}")
                picture = _opaque(ImageOps.exif_transpose(opened))
                if region is not None:
                    picture = picture.crop(box(region, picture.width, picture.height))
                yield file, np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3))
        except Exception as error:  # Pillow raises almost anything on damaged files
            reason = " ".join(str(error).split()) or type(error).__name__
            yield file, "no image" if "cannot identify" in reason else reason[:80]


def _opaque(picture: Any) -> Any:
    """A picture in RGB, with white where it is transparent."""
    from PIL import Image

    if not picture.has_transparency_data:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
