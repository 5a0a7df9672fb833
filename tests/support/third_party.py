"""What a third party may bring: a source of grey slides, and an engine that multiplies matrices.

It imports nothing of the core but what its docs name. Tests use it as it stands, and copied into a package of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mainstream import ProblemError
from mainstream.extensions import Part, Source
from mainstream.streamer.frames import Frame

SLIDES = 30
FPS = 10.0


class Slides:
    """Slide n is a grey of n."""

    fps = FPS
    live = False
    reconnects = 0
    damaged = 0

    def __init__(self, *, loop: bool = False, paced: bool = True) -> None:
        self._loop, self._paced = loop, paced
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        number = 0
        while number < SLIDES or self._loop:
            if self._closed.wait(1 / FPS if self._paced else 0):
                return
            slide = np.full((12, 16, 3), number % SLIDES, np.uint8)
            yield Frame.from_pixels(number, number / FPS, slide)
            number += 1

    def close(self) -> None:
        self._closed.set()


class SlidesOpener:
    name = "slides"

    def open(self, uri: str, *, loop: bool, paced: bool) -> Source:
        if uri != "slides://":
            raise ProblemError(f"source: got {uri!r}; slides:// has nothing behind it")
        return Slides(loop=loop, paced=paced)


class Product:
    """The mean colour of a frame, multiplied by matrices; or some of that."""

    output_shape: tuple[int | None, ...]

    def __init__(self, mean: bool, matrices: list[NDArray[Any]]) -> None:
        self._mean, self._matrices = mean, matrices
        width = matrices[-1].shape[1] if matrices else 3
        self.input_shape = (None, None, None, 3) if mean else (None, matrices[0].shape[0] if matrices else 3)
        self.output_shape = (None, width)

    def __call__(self, batch: ArrayLike) -> NDArray[Any]:
        tensor = np.asarray(batch, np.float32)
        if tensor.ndim != len(self.input_shape) or tensor.shape[-1] != self.input_shape[-1]:
            raise ProblemError(f"a batch of shape {tensor.shape}; this part takes {self.input_shape}")
        if self._mean:
            tensor = tensor.mean((1, 2))
        for matrix in self._matrices:
            tensor = tensor @ matrix
        return tensor


class Matrices:
    """Runs ``.npz`` files: tensor ``frame``, its mean colour ``mean``, and one behind each matrix by its name."""

    name = "matrices"

    def start(self) -> None:
        pass

    def load(self, path: Path, input_layer: str, output_layer: str, *, trusted: bool) -> Part:
        try:
            with np.load(path) as file:
                matrices = dict(file)
        except (OSError, ValueError, BadZipFile):
            raise ProblemError(f"model_path: {path} holds no matrices") from None
        names = ["frame", "mean", *matrices]
        for key, name in (("input_layer", input_layer), ("output_layer", output_layer)):
            if name not in names:
                raise ProblemError(f"{key}: {path} has no tensor {name!r}; known: {', '.join(names)}")
        first, last = names.index(input_layer), names.index(output_layer)
        if last <= first:
            raise ProblemError(f"output_layer: {path}: {output_layer!r} does not follow {input_layer!r}")
        return Product(first == 0, list(matrices.values())[max(0, first - 1) : last - 1])


SLIDES_OPENER = SlidesOpener()
MATRICES = Matrices()


def write_matrices(path: Path) -> None:
    """A model: 3 colours to 5 numbers, `hidden`, to 2 classes, `scores`."""
    rng = np.random.default_rng(7)
    with path.open("wb") as file:
        np.savez(file, hidden=rng.normal(size=(3, 5)), scores=rng.normal(size=(5, 2)))
