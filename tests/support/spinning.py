"""An engine whose parts compute for as long as their model file says, so that it is known what should be measured."""

from __future__ import annotations

import json
from pathlib import Path
from time import thread_time
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mainstream.extensions import Part


class Spin:
    """Computes for a while, and gives two scores or a tensor for the next part."""

    def __init__(self, first: bool, last: bool, seconds: float) -> None:
        self.input_shape = (None, None, None, 3) if first else (None, 1)
        self.output_shape = (None, 2) if last else (None, 1)
        self._seconds = seconds

    def __call__(self, batch: ArrayLike) -> NDArray[Any]:
        end = thread_time() + self._seconds
        while thread_time() < end:
            pass
        return np.zeros((len(np.asarray(batch)), self.output_shape[-1] or 1), np.float32)


class Spinning:
    """Runs files made by :func:`write_spinning`."""

    name = "spinning"

    def start(self) -> None:
        pass

    def load(self, path: Path, input_layer: str, output_layer: str, *, trusted: bool) -> Part:
        model = json.loads(path.read_text())
        names, seconds = model["names"], model["seconds"]
        first, last = names.index(input_layer), names.index(output_layer)
        return Spin(first == 0, last == len(names) - 1, sum(seconds[first:last]))


def write_spinning(path: Path, names: list[str], seconds: list[float]) -> None:
    """A model: tensors in order, and the seconds of a core between each and the next."""
    path.write_text(json.dumps({"names": names, "seconds": seconds}))
