"""Labelled images for the tests of the trainer, drawn here; and a network small enough to be trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from support.keras_models import shaken

from mainstream.graphs.backend import keras

CLASSES = ("circle", "cross", "square")
SIZE = 16
CHOKEPOINTS = {
    0: "frame",
    2: "scale",
    5: "block_1_relu",
    11: "block_2_add",
    13: "block_3_relu",
    15: "dropout",
    16: "softmax",
}


def draw(folder: Path, count: int = 20, seed: int = 0) -> Path:
    """A folder for each class, with `count` shapes on dark noise at random places, bright in the class's colour."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            y, x = rng.uniform(5, 11, 2)
            radius = rng.uniform(3, 5)
            away = np.abs(rows - y), np.abs(columns - x)
            inside = {
                "circle": away[0] ** 2 + away[1] ** 2 < radius**2,
                "cross": np.minimum(*away) < 1,
                "square": np.maximum(*away) < radius,
            }[name]
            picture = rng.integers(0, 120, (SIZE, SIZE, 3))
            picture[inside, CLASSES.index(name)] = rng.integers(130, 256)
            Image.fromarray(picture.astype(np.uint8)).save(folder / name / f"{number:03}.png")
    return folder


def network(path: Path, classes: int = len(CLASSES), seed: int = 0) -> Path:
    """A Keras file: convolutions with batch norm, a bypass and dropout: see CHOKEPOINTS."""
    layers = keras().layers
    keras().utils.set_random_seed(seed)
    frame = keras().Input((SIZE, SIZE, 3), name="frame")
    x = layers.Rescaling(1 / 127.5, -1, name="scale")(frame)
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="block_1_conv")(x)
    x = layers.BatchNormalization(name="block_1_bn")(x)
    x = shortcut = layers.ReLU(name="block_1_relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="block_2_depthwise")(x)
    x = layers.BatchNormalization(name="block_2_depthwise_bn")(x)
    x = layers.ReLU(name="block_2_relu")(x)
    x = layers.Conv2D(8, 1, use_bias=False, name="block_2_project")(x)
    x = layers.BatchNormalization(name="block_2_project_bn")(x)
    x = layers.Add(name="block_2_add")([x, shortcut])
    x = layers.Conv2D(16, 3, strides=2, name="block_3_conv")(x)
    x = layers.ReLU(name="block_3_relu")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    x = layers.Dropout(0.1, name="dropout")(x)
    model = shaken(keras().Model(frame, layers.Dense(classes, activation="softmax", name="softmax")(x)), seed)
    model.save(path)
    return path


def weights(path: Path) -> dict[str, list[Any]]:
    """Name of each layer of a Keras file -> its weights."""
    return {layer.name: layer.get_weights() for layer in keras().models.load_model(path, compile=False).layers}
