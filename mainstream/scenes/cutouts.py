"""Photos with a transparent background, by class, split into some for training and some for testing."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from mainstream._optional import require
from mainstream.errors import ProblemError

if TYPE_CHECKING:
    from PIL.Image import Image

TEST_SHARE: Final = 1 / 3
_MOST: Final = 10_000
"""The most files of a class."""
_LARGEST: Final = 2**25
_SIDE: Final = 256
"""Pixels that the longer side is reduced to."""
_LEAST: Final = 0.02
"""The least share of a picture that the cut-out covers, and that is transparent."""

_log = logging.getLogger("mainstream")


class CutOut(NamedTuple):
    """One photo."""

    file: Path
    label: str
    picture: Image


class Split(NamedTuple):
    """Cut-outs for training and for testing; no picture is in both parts."""

    train: tuple[CutOut, ...]
    test: tuple[CutOut, ...]


def split_cutouts(folder: Path, classes: Sequence[str], random: np.random.Generator) -> Split:
    """Read the cut-outs of some classes, each in a folder below `folder`, and split them at random.

    Parameters
    ----------
    folder : Path
    classes : sequence of str
    random : numpy.random.Generator

    Raises
    ------
    ProblemError
        A class has no folder, or fewer than two different cut-outs that can be read.
    MissingExtraError
        Pillow is not installed.
    """
    require("PIL", "scenes")
    train: list[CutOut] = []
    test: list[CutOut] = []
    seen: set[str] = set()
    for label in classes:
        place = folder / label
        if not place.is_dir() or not place.resolve().is_relative_to(folder.resolve()):
            known = ", ".join(sorted(one.name for one in folder.iterdir() if one.is_dir())) if folder.is_dir() else ""
            raise ProblemError(f"{place}: there is no such folder of cut-outs; there are: {known or 'none'}")
        found = _read(place, label, seen)
        if len(found) < 2:
            raise ProblemError(
                f"{place}: has {len(found)} readable photos with a transparent background that no other class has; "
                "2 or more are needed, one of them for testing"
            )
        order = random.permutation(len(found)).tolist()
        held_out = max(1, round(TEST_SHARE * len(found)))
        test += [found[k] for k in order[:held_out]]
        train += [found[k] for k in order[held_out:]]
    return Split(tuple(train), tuple(test))


def _read(place: Path, label: str, seen: set[str]) -> list[CutOut]:
    """Read the cut-outs of one class; a picture that was `seen` before, under any name, is left out."""
    found = []
    broken = 0
    for file in sorted(place.rglob("*.png"))[:_MOST]:
        picture = _picture(file)
        if picture is None:
            broken += 1
            continue
        digest = hashlib.sha256(picture.tobytes()).hexdigest()
        if digest not in seen:
            seen.add(digest)
            found.append(CutOut(file, label, picture))
    if broken:
        _log.warning("%s: left out %d files that are not photos with a transparent background", place, broken)
    return found


def _picture(file: Path) -> Image | None:
    """A file as RGBA, no larger than needed; None if it cannot be read or is not a cut-out."""
    from PIL import Image

    try:
        if file.stat().st_size > _LARGEST:
            return None
        with Image.open(file, formats=["PNG"]) as opened:
            if opened.mode not in ("RGBA", "LA", "PA", "P"):
                return None
            picture = opened.convert("RGBA")
    except Exception:  # Pillow raises almost anything for a file that is damaged
        return None
    picture.thumbnail((_SIDE, _SIDE))
    box: Any = picture.getchannel("A").getbbox()
    if box is None:
        return None
    covered = float((np.asarray(picture)[..., 3] > 127).mean())
    if not _LEAST < covered < 1 - _LEAST:
        return None
    return picture.crop(box)
