"""Augmented versions of pictures: made once and kept, so that the frozen layers run once on them too."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mainstream.graphs.backend import keras


def augmenter(how: Literal["light", "heavy"], seed: int) -> Any:
    """A function that makes random versions of pictures.

    Light: mirrored, shifted and zoomed by up to a tenth. Heavy: mirrored, shifted and zoomed by up to a fifth, turned
    by up to 20 degrees, brightness and contrast changed by up to three tenths.

    Parameters
    ----------
    how : {"light", "heavy"}
    seed : int

    Returns
    -------
    callable
        Takes and gives (batch, height, width, 3) uint8; each call draws new versions.
    """
    layers = keras().layers
    amount = 0.1 if how == "light" else 0.2
    steps = [
        layers.RandomFlip("horizontal", seed=seed),
        layers.RandomTranslation(amount, amount, fill_mode="nearest", seed=seed + 1),
        layers.RandomZoom((-amount, amount), fill_mode="nearest", seed=seed + 2),
    ]
    if how == "heavy":
        steps += [
            layers.RandomRotation(20 / 360, fill_mode="nearest", seed=seed + 3),
            layers.RandomBrightness(0.3, value_range=(0, 255), seed=seed + 4),
            layers.RandomContrast(0.3, value_range=(0, 255), seed=seed + 5),
        ]

    def augment(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        tensor: Any = pictures.astype(np.float32)
        for step in steps:
            tensor = step(tensor, training=True)
        return np.clip(np.round(np.asarray(tensor)), 0, 255).astype(np.uint8)

    return augment
