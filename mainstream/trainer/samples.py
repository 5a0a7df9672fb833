"""The samples of one training: frames in a file, their labels, and which of them train, validate and test."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.region import Region
from mainstream.trainer.activations import BATCH, RowFile
from mainstream.trainer.augmentation import augmenter
from mainstream.trainer.images import Folder, find, read
from mainstream.trainer.settings import Settings
from mainstream.trainer.splits import Rows, read_groups, split

TEST_SHARE: Final = 0.2

_log = logging.getLogger("mainstream")


@dataclass(frozen=True)
class Images:
    """The images that were given, before they are read.

    Attributes
    ----------
    train : Folder
    test : Folder or None
        None: a part of `train` is used for the test.
    groups : mapping of str to str
        Image of `train` -> its group, which is never split; empty: each image is a group of its own.
    """

    train: Folder
    test: Folder | None
    groups: Mapping[str, str]

    @classmethod
    def of(cls, train: Path, test: Path | None, groups: Path | None) -> Images:
        """Find the images in these folders, and their groups in a file.

        Raises
        ------
        ProblemError
            A folder or a class is empty, or the groups do not name the same images.
        """
        folder = find(train)
        named = read_groups(groups) if groups is not None else {}
        for what, files in (
            ("is in no group", {*folder.files} - {*named}),
            ("is not an image", {*named} - {*folder.files}),
        ):
            if named and files:
                more = f" (and {len(files) - 1} more)" if len(files) > 1 else ""
                raise ProblemError(f"{groups}: {shown(min(files))} {what} of {train}{more}; give a line for each image")
        return cls(folder, find(test, folder.classes) if test is not None else None, named)

    def digest(self) -> str:
        """A digest of the images' names, sizes and groups."""
        test = self.test.digest() if self.test is not None else ""
        groups = "".join(f"{image} {group}\n" for image, group in sorted(self.groups.items()))
        return hashlib.sha256(f"{self.train.digest()} {test} {groups}".encode()).hexdigest()


@dataclass(frozen=True)
class Samples:
    """Frames, and which of them train, validate and test.

    Attributes
    ----------
    frames : (n, height, width, 3) array of uint8
        Memory-mapped.
    labels : (n,) array of int
    passes : sequence of (m,) arrays
        Rows to train on; epochs use them in turn. All but the first are augmented versions of the first.
    validation, test : arrays
        Rows that decide when to stop, and rows on which the curve is measured.
    """

    frames: NDArray[np.uint8]
    labels: NDArray[np.int64]
    passes: Sequence[Rows]
    validation: Rows
    test: Rows


def load(
    images: Images,
    settings: Settings,
    size: tuple[int, int],
    folder: Path,
    progress: Callable[[float], None] = lambda done: None,
) -> Samples:
    """Read the images, split them, and add augmented versions.

    Parameters
    ----------
    images : Images
    settings : Settings
    size : (int, int)
        Height and width of the frames.
    folder : Path
        Where the frames are written.
    progress : callable
        Called with the share of the images that have been read, 0..1.

    Raises
    ------
    ProblemError
        A class has too few images that can be read, or the disk is full.
    """
    file = RowFile(folder / "frames", (*size, 3), np.uint8)
    train = _read(images.train, file, progress, settings.region)
    labels = np.array(train.labels)
    groups = [images.groups.get(image, image) for image in train.files]
    if images.test is None:
        first, test = _split(train, labels, groups, np.arange(len(labels)), TEST_SHARE, settings.seed)
    else:
        tested = _read(images.test, file, progress, settings.region)
        first, test = np.arange(len(labels)), len(labels) + np.arange(len(tested.files))
        labels = np.concatenate([labels, tested.labels])
    first, validation = _split(train, labels, groups, first, settings.validation, settings.seed + 1)
    passes = [first]
    if settings.augmentation != "none" and settings.passes > 1:
        pictures = file.mapped()
        augment = augmenter(settings.augmentation, settings.seed)
        file.reopen()
        for _ in range(settings.passes - 1):
            passes.append(file.count + np.arange(len(first)))
            labels = np.concatenate([labels, labels[first]])
            for start in range(0, len(first), BATCH):
                file.append(augment(pictures[first[start : start + BATCH]]))
    return Samples(file.mapped(), labels, passes, validation, test)


def _read(folder: Folder, file: RowFile, progress: Callable[[float], None], region: Region | None) -> Folder:
    """Append a folder's images to a file; broken ones are logged and left out of the folder that is returned."""
    broken = read(folder, file.shape[0], file.shape[1], lambda picture: file.append(picture[None]), progress, region)
    for image, why in broken.items():
        _log.warning("skipped %s: %s", folder.path / image, why)
    if broken:
        _log.warning("skipped %d of %d images in %s", len(broken), len(folder.files), folder.path)
    return folder.without(broken)


def _split(
    folder: Folder, labels: NDArray[np.int64], groups: Sequence[str], rows: Rows, share: float, seed: int
) -> tuple[Rows, Rows]:
    first, second = (rows[part] for part in split(labels[rows], [groups[row] for row in rows], share, seed))
    for part in (first, second):
        for label in {*range(len(folder.classes))} - {*labels[part].tolist()}:
            raise ProblemError(
                f"{folder.path / folder.classes[label]}: its {folder.labels.count(label)} images that can be read are "
                "too few, or in too few groups, for training, validation and test; give more, or --test-images"
            )
    return first, second
