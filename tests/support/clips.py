"""Clips made for the tests: every frame says its own number, so that a test can read which one it got."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

av = pytest.importorskip("av", reason="needs the extra run")

BITS = 8
"""Bars of a picture, from the left: the bits of its number, lowest first."""


def picture(number: int, size: tuple[int, int] = (64, 48)) -> NDArray[np.uint8]:
    """The frame `number` of a clip, (height, width, 3): white bars for ones, dark blue ones for zeros."""
    width, height = size
    bits = np.arange(width) * BITS // width
    ones = (number >> bits) & 1 == 1
    row = np.where(ones[:, None], np.uint8([235, 235, 235]), np.uint8([20, 20, 60]))
    return np.broadcast_to(row, (height, width, 3)).copy()


def number_of(pixels: NDArray[np.uint8]) -> int:
    """The number in a picture (height, width, channels) of any size, modulo 256."""
    width = pixels.shape[1]
    grey = pixels.mean(axis=(0, 2))
    return sum(int(grey[(2 * bit + 1) * width // (2 * BITS)] > 128) << bit for bit in range(BITS))


def write_clip(
    path: Path,
    frames: int = 20,
    fps: float | Fraction = 10,
    size: tuple[int, int] = (64, 48),
    codec: str = "mpeg4",
    first: int = 0,
) -> None:
    """A clip of `frames` frames of `size` (width, height), numbered from `first`; its name decides its format."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 2_000_000
        for number in range(first, first + frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number, size))))
        container.mux(stream.encode(None))
