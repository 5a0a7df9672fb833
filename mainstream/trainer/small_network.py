"""A base network so small that it can be trained from random weights in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mainstream.graphs.backend import keras

SIDE: Final = 48
_FILTERS: Final = (12, 16, 24, 24, 32, 32)
_STRIDES: Final = (2, 1, 2, 1, 2, 1)


def save_small_network(path: Path, *, classes: int = 2, seed: int = 0) -> None:
    """Write a network of six convolutions with random weights as a ``.keras`` file.

    Its input is a frame of 48 x 48 pixels, RGB 0-255; it can be cut behind each convolution.

    Raises
    ------
    MissingExtraError
        TensorFlow is not installed.
    """
    keras().utils.set_random_seed(seed)
    layers, ops = keras().layers, keras().ops
    frame = keras().Input((SIDE, SIDE, 3), name="input_layer")
    x = ops.subtract(ops.divide(frame, 127.5), 1.0)
    for k, (filters, stride) in enumerate(zip(_FILTERS, _STRIDES, strict=True), start=1):
        x = layers.Conv2D(
            filters, 3, stride, "same", activation="relu", kernel_initializer="he_normal", name=f"block_{k}"
        )(x)
    x = layers.GlobalMaxPooling2D(name="pool")(x)
    keras().Model(frame, layers.Dense(classes, activation="softmax", name="softmax")(x), name="small").save(path)
