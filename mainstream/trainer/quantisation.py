"""The int8 variant of an app: an M-Package with 8-bit models and a measured curve of its own.

The loss of accuracy through 8 bits is measured, not assumed: each quantised model runs on the engine that will run it,
on the images that the package's own curve was measured on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mainstream.errors import ProblemError
from mainstream.files import reason, write_bytes
from mainstream.formats.curve import Curve
from mainstream.formats.package import MODELS, Package, read_package, save_package
from mainstream.onnx_graphs.part import OnnxPart
from mainstream.onnx_graphs.quantising import quantised
from mainstream.problem import INT8
from mainstream.trainer import samples
from mainstream.trainer.fine_tuning import rates
from mainstream.trainer.images import find, read
from mainstream.trainer.settings import Settings

CALIBRATION_FRAMES: Final = 200
_SEED: Final = 0


@dataclass(frozen=True)
class Quantisation:
    """The result of a quantisation.

    Attributes
    ----------
    package : Package
    curve : Curve
        Measured with the 8-bit models.
    before : Curve
        Measured with the original models, on the same images and the same engine.
    """

    package: Package
    curve: Curve
    before: Curve


def quantise(
    folder: str | Path,
    out: str | Path,
    images: str | Path,
    *,
    test_images: str | Path | None = None,
    groups: str | Path | None = None,
    calibration: str | Path | None = None,
    progress: Callable[[str], None] = lambda done: None,
) -> Quantisation:
    """Make the int8 variant of an M-Package.

    Parameters
    ----------
    folder : path
        The package.
    out : path
        New folder for the variant.
    images, test_images, groups : path
        As given when the package was trained; the curve is measured on the same images as then.
    calibration : path, optional
        Folder of images from which the ranges of tensors are found, with subfolders as for training; default:
        training images. Apps that are to share a stem need the same calibration images.
    progress : callable
        Called with a line of text for each model that is done.

    Returns
    -------
    Quantisation

    Raises
    ------
    MissingExtraError
        ONNX Runtime, or a package that the conversion needs, is not installed.
    ProblemError
        `folder` is no package, has no models, or is an int8 variant already; the images are not those of its training;
        `out` exists or cannot be written; a model cannot be quantised.
    """
    folder, out = Path(folder), Path(out)
    package, _ = read_package(folder)
    if package.precision is not None:
        raise ProblemError(f"{folder}: it is {package.precision} already; give the package that it was made from")
    if not package.models:
        raise ProblemError(f"{folder}: it has no models; `mainstream train` makes them")
    if out.exists():
        raise ProblemError(f"{out} exists already; give a new folder")
    given = samples.Images.of(Path(images), _path(test_images), _path(groups))
    if package.training.get("images") != given.digest():
        raise ProblemError(
            f"{images}: these are not the images that {folder} was trained with; give those, since with "
            "others the curve could be measured on images that the models were trained on"
        )
    with TemporaryDirectory(prefix=f".{out.name}-{os.getpid()}-", dir=_parent(out)) as made:
        partial = Path(made) / out.name
        data = samples.load(given, _settings(package), (package.height, package.width), Path(made))
        frames = data.frames[_some(data.passes[0])] if calibration is None else _read(Path(calibration), package)
        labels = data.labels[data.test]
        after: dict[int, tuple[float, float]] = {}
        as_it_was: dict[int, tuple[float, float]] = {}
        for k, file in package.models.items():
            written = partial / MODELS / f"{k}.onnx"
            written.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(written, quantised(folder / file, frames))
            for measured, path in ((after, written), (as_it_was, folder / file)):
                part = OnnxPart(path, package.chokepoints[0], package.chokepoints[package.total_layers])
                predicted = np.array([part(frame[None])[0].argmax() for frame in data.frames[data.test]])
                measured[k] = rates(labels, predicted, len(package.classes), package.event_output)
            progress(f"{k}: accuracy {after[k][0]:.4f}, {as_it_was[k][0]:.4f} before")
        curve, before = _curve(after), _curve(as_it_was)
        events = package.events and package.events.model_copy(update={"seen": None})  # it was seen with 32-bit models
        variant = package.model_copy(
            update={
                "name": f"{package.name}-{INT8}",
                "precision": INT8,
                "events": events,
                "models": {k: f"{MODELS}/{k}.onnx" for k in package.models},
                "training": {**package.training, "calibration": None if calibration is None else str(calibration)},
            }
        )
        save_package(variant, curve, partial)
        try:
            partial.rename(out)
        except OSError as error:
            raise ProblemError(f"{out}: cannot be written: {reason(error)}") from None
    return Quantisation(variant, curve, before)


def _curve(measured: Mapping[int, tuple[float, float]]) -> Curve:
    return Curve({k: one for k, (one, _) in measured.items()}, {k: other for k, (_, other) in measured.items()})


def _settings(package: Package) -> Settings:
    """The settings of the training, without augmentation, which only training needs."""
    known = {key: value for key, value in package.training.items() if key in Settings.model_fields}
    return Settings.of(known | {"data_augmentation": False, "heavy_augmentation": False})


def _some(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows to calibrate with: a random choice that is the same each time."""
    chosen = np.random.default_rng(_SEED).permutation(rows)[:CALIBRATION_FRAMES]
    return np.sort(chosen)


def _read(path: Path, package: Package) -> NDArray[np.uint8]:
    """Read the calibration frames in a folder."""
    pictures: list[NDArray[np.uint8]] = []
    found = find(path)
    broken = read(found, package.height, package.width, pictures.append, lambda done: None, package.region)
    found.without(broken)
    return np.stack([pictures[row] for row in _some(np.arange(len(pictures)))])


def _parent(out: Path) -> Path:
    if not out.parent.is_dir():
        raise ProblemError(f"{out}: cannot be written: there is no folder {out.parent}")
    return out.parent


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)
