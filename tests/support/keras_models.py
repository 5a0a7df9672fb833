"""Small Keras models for the tests of networks, chokepoints, frozen graphs and profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mainstream.graphs.backend import keras
from mainstream.trainer.networks import KNOWN, build

SIZES = {name: known.smallest for name, known in KNOWN.items()}
"""The smallest frames: the graphs are the same, the tests are fast."""


def plain(size: int = 16) -> Any:
    """Nine layers in a row and around one bypass, with batch norm whose statistics are not the initial ones."""
    layers = keras().layers
    frame = keras().Input((size, size, 3), name="frame")
    x = layers.Conv2D(8, 3, padding="same", name="first")(frame)
    x = layers.BatchNormalization(name="first_bn")(x)
    x = shortcut = layers.ReLU(name="first_relu")(x)
    x = layers.Conv2D(8, 3, padding="same", name="second")(x)
    x = layers.Add(name="add")([x, shortcut])
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    # Small weights before the softmax: with large ones it makes much of the last bits of what it is given.
    small = keras().initializers.RandomNormal(stddev=1e-3)
    x = layers.Dense(4, activation="softmax", kernel_initializer=small, name="softmax")(x)
    return shaken(keras().Model(frame, x, name="plain"))


PLAIN_CHOKEPOINTS = {
    0: "frame",
    2: "first",
    3: "first_bn",
    4: "first_relu",
    6: "add",
    7: "pool",
    8: "gap",
    9: "softmax",
}


def shaken(model: Any, seed: int = 0) -> Any:
    """The model with every weight moved a little, so that no layer is at its initial, trivial values."""
    rng = np.random.default_rng(seed)

    def moved(array: NDArray[np.float32]) -> NDArray[np.float32]:
        amount = 0.1 * np.abs(rng.standard_normal(array.shape)).astype(np.float32)
        return array * (1 + amount) if array.ndim > 1 else array + amount

    model.set_weights([moved(array) for array in model.get_weights()])
    for layer in model.layers:
        if isinstance(layer, keras().layers.Normalization):
            layer.finalize_state()
    return model


def variants(folder: Path, cut: str) -> list[Any]:
    """Two MobileNetV2 of one base, as fine-tuned with the layers up to `cut` frozen: other weights behind it."""
    shaken(build("mobilenetv2", size=32)).save(folder / "base.keras")
    made = []
    for seed, classes in ((1, 2), (2, 5)):
        variant = build("mobilenetv2", size=32, classes=classes, weights=folder / "base.keras")
        number = [layer.name for layer in variant.layers].index(cut)
        shift = np.random.default_rng(seed).normal
        for layer in variant.layers[number + 1 :]:
            layer.set_weights([array + 0.01 * shift(size=array.shape) for array in layer.get_weights()])
        made.append(variant)
    return made


def noise(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """Frames of independent pixels, RGB 0-255."""
    return np.random.default_rng(seed).uniform(0, 255, shape).astype(np.float32)


def scenery(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """Frames with the statistics of photographs: power falls with the square of the frequency, edges on top."""
    rng = np.random.default_rng(seed)
    batch, height, width, channels = shape
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1 / max(height, width)
    spectrum = rng.standard_normal((batch, channels, *frequency.shape)) + 1j * rng.standard_normal(
        (batch, channels, *frequency.shape)
    )
    picture = np.fft.irfft2(spectrum / frequency, (height, width)).transpose(0, 2, 3, 1)
    picture = 128 + 50 * picture / picture.std()
    picture[:, height // 3 : height // 2, width // 4 : width // 2] = rng.uniform(0, 255, channels)
    return np.clip(np.round(picture), 0, 255).astype(np.float32)
