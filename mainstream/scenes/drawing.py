"""Drawn cut-outs and a drawn street, for when there are neither photos nor footage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mainstream._optional import require
from mainstream.scenes.cutouts import CutOut

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

_FINER: Final = 4
"""Pictures are drawn larger by this factor and then reduced, which makes edges smooth."""
_SIDE: Final = 128
_SKY: Final = 0.45
"""Share of the picture that is above the street."""
_CLOUD_S: Final = 40.0
"""Seconds in which a cloud crosses the picture."""

_Colour = tuple[int, int, int]


class _Pen(NamedTuple):
    """Draws with coordinates as shares of a square."""

    on: ImageDraw
    random: np.random.Generator

    def colour(self) -> _Colour:
        """A random colour that stands out: at least one channel is bright, and one is dark."""
        low, middle, high = self.random.integers([20, 20, 170], [90, 230, 250])
        red, green, blue = self.random.permutation([low, middle, high]).tolist()
        return red, green, blue

    def polygon(self, points: list[tuple[float, float]], fill: _Colour) -> None:
        self.on.polygon([(x * _SIDE * _FINER, y * _SIDE * _FINER) for x, y in points], fill)

    def round(self, x: float, y: float, radius: float, fill: _Colour, flat: float = 1.0) -> None:
        side = _SIDE * _FINER
        self.on.ellipse(
            ((x - radius) * side, (y - flat * radius) * side, (x + radius) * side, (y + flat * radius) * side), fill
        )

    def line(self, points: list[tuple[float, float]], width: float, fill: _Colour) -> None:
        side = _SIDE * _FINER
        self.on.line([(x * side, y * side) for x, y in points], fill, round(width * side), joint="curve")


def _car(pen: _Pen) -> None:
    body, roof, front = pen.colour(), pen.random.uniform(0.3, 0.42), pen.random.uniform(0.08, 0.2)
    pen.polygon([(0.25, 0.55), (0.33, roof), (0.68, roof), (0.92 - front, 0.55)], body)
    pen.polygon([(0.3, 0.54), (0.36, roof + 0.04), (0.5, roof + 0.04), (0.5, 0.54)], (200, 225, 235))
    pen.polygon([(0.53, 0.54), (0.53, roof + 0.04), (0.65, roof + 0.04), (0.85 - front, 0.54)], (200, 225, 235))
    pen.polygon([(0.04, 0.52), (0.9, 0.52), (0.97, 0.6), (0.97, 0.72), (0.04, 0.72)], body)
    for x in (0.24, 0.76):
        pen.round(x, 0.73, pen.random.uniform(0.085, 0.11), (25, 25, 25))
        pen.round(x, 0.73, 0.045, (190, 190, 190))


def _person(pen: _Pen) -> None:
    coat, trousers = pen.colour(), pen.colour()
    stride, swing = pen.random.uniform(0.02, 0.16), pen.random.uniform(0.05, 0.2)
    for way in (-1, 1):
        pen.line([(0.5, 0.58), (0.5 + 0.6 * way * stride, 0.76), (0.5 + way * stride, 0.97)], 0.085, trousers)
        pen.line([(0.5, 0.28), (0.5 + way * swing, 0.45), (0.52 + way * swing, 0.58)], 0.06, coat)
    pen.polygon([(0.41, 0.24), (0.59, 0.24), (0.6, 0.62), (0.4, 0.62)], coat)
    pen.round(0.5, 0.13, pen.random.uniform(0.085, 0.11), (225, 180, 150))
    pen.polygon([(0.4, 0.1), (0.45, 0.03), (0.56, 0.02), (0.6, 0.1)], pen.colour())


def _bird(pen: _Pen) -> None:
    body, wing = pen.colour(), pen.colour()
    up = pen.random.uniform(0.05, 0.3)
    pen.polygon([(0.05, 0.42), (0.3, 0.5), (0.08, 0.62)], body)
    pen.round(0.48, 0.52, 0.26, body, flat=0.5)
    pen.round(0.76, 0.42, 0.1, body)
    pen.polygon([(0.84, 0.38), (0.97, 0.43), (0.84, 0.46)], (240, 180, 40))
    pen.round(0.79, 0.4, 0.02, (10, 10, 10))
    pen.polygon([(0.36, 0.5), (0.25, up), (0.62, 0.48)], wing)


_KINDS: Final[dict[str, Callable[[_Pen], None]]] = {"car": _car, "person": _person, "bird": _bird}
KINDS: Final = tuple(_KINDS)
"""The kinds of things that can be drawn."""


def drawn_cutouts(each: int, random: np.random.Generator) -> tuple[CutOut, ...]:
    """Draw `each` cut-outs of each kind, no two alike.

    Raises
    ------
    MissingExtraError
        Pillow is not installed.
    """
    require("PIL", "scenes")
    return tuple(
        CutOut(Path(f"{kind}-{k}"), kind, _picture(draw, random)) for kind, draw in _KINDS.items() for k in range(each)
    )


def _picture(draw: Callable[[_Pen], None], random: np.random.Generator) -> Image:
    from PIL import Image, ImageDraw

    picture = Image.new("RGBA", (_SIDE * _FINER, _SIDE * _FINER))
    draw(_Pen(ImageDraw.Draw(picture), random))
    return picture.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS).crop(picture.resize((_SIDE, _SIDE)).getbbox())


def street(size: tuple[int, int], fps: float, random: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a street under moving clouds, without end.

    Parameters
    ----------
    size : (int, int)
        Width and height in pixels.
    fps : float
    random : numpy.random.Generator
        For the houses and the clouds.
    """
    from PIL import Image, ImageDraw, ImageFilter

    width, height = size
    ground = round(_SKY * height)
    ahead = np.linspace(0, 1, ground)[:, None, None]
    sky = (1 - ahead) * np.array([110.0, 160, 215]) + ahead * np.array([205.0, 220, 230])
    clouds = Image.new("L", (2 * width, ground))
    pen = ImageDraw.Draw(clouds)
    for x, y in random.uniform([0, 0], [2 * width, 0.7 * ground], (14, 2)):
        pen.ellipse((x, y, x + random.uniform(0.1, 0.3) * width, y + 0.15 * ground), int(random.integers(90, 220)))
    cover = np.asarray(clouds.filter(ImageFilter.GaussianBlur(height / 50)), np.float32)[..., None] / 255
    cover = np.concatenate([cover, cover[:, :width]], axis=1)  # clouds that leave on the left come back on the right
    front = Image.new("RGBA", size)
    pen = ImageDraw.Draw(front)
    left = 0.0
    while left < width:
        right = left + random.uniform(0.1, 0.22) * width
        top, shade = random.uniform(0.2, 0.85) * ground, random.integers([110, 90, 80], [190, 160, 140]).tolist()
        pen.rectangle((left, top, right, height), (*shade, 255))
        step = width / 24
        for x in np.arange(left + step / 2, right - step / 2, step):
            for y in np.arange(top + step / 2, ground + step, 1.4 * step):
                pen.rectangle((x, y, x + step / 3, y + step / 2), (70, 80, 95, 255))
        left = right
    pen.rectangle((0, ground + height // 8, width, height), (165, 160, 150, 255))
    pen.rectangle((0, ground + height // 4, width, height), (95, 95, 100, 255))
    for x in range(0, width, width // 6):
        pen.rectangle((x, 0.82 * height, x + width // 12, 0.84 * height), (220, 220, 215, 255))
    opacity = np.asarray(front, np.float32)[..., 3:] / 255
    still = np.asarray(front, np.float32)[..., :3]
    number = 0
    while True:
        at = round(width * number / (fps * _CLOUD_S)) % (2 * width)
        part = cover[:, at : at + width]
        picture = still.copy()
        picture[:ground] = opacity[:ground] * still[:ground] + (1 - opacity[:ground]) * (sky + part * (245 - sky))
        yield picture.astype(np.uint8)
        number += 1
