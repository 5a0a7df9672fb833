"""The part of the picture that an app sees: x, y, width and height as shares of the frame.

Shares and not pixels: a camera that changes its size, or a training clip in another one, leaves them what they are.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from mainstream.description import refuse
from mainstream.ranges import PROBABILITY

_ROUNDING: Final = 1e-9
"""How far shares may add up to more than 1."""


def _region(given: Any) -> Any:
    if given is None:
        return None
    numbers = _numbers(given.split(",") if isinstance(given, str) else given)
    if numbers is None:
        raise refuse("it has to be four numbers: x, y, width, height, as shares of the frame's width and height")
    check_inside(*numbers)
    if not numbers[2] * numbers[3] > 0:
        raise refuse("it has no area; width and height have to be above 0")
    return None if numbers == (0, 0, 1, 1) else numbers


def check_inside(x: float, y: float, width: float, height: float) -> None:
    """Raise :func:`mainstream.description.refuse` where a region reaches outside the frame."""
    shares = x, y, width, height
    if not all(PROBABILITY.holds(share) for share in shares) or max(x + width, y + height) > 1 + _ROUNDING:
        raise refuse("it reaches outside the frame, which goes from 0 to 1; divide pixels by its width and height")


def _numbers(given: Any) -> tuple[float, float, float, float] | None:
    try:
        x, y, width, height = (float(one) for one in given if not isinstance(one, bool))
    except (TypeError, ValueError, OverflowError):
        return None
    return x, y, width, height


Region = tuple[float, float, float, float]
"""x, y, width, height."""

OfFrame = Annotated[Region | None, BeforeValidator(_region)]
"""For a key: a region, or None for the whole frame, which is also what 0, 0, 1, 1 becomes; text has commas."""


def written(region: Region) -> str:
    """A region as it is given on the command line."""
    return ",".join(f"{share:g}" for share in region)


def box(region: Region, width: int, height: int) -> tuple[int, int, int, int]:
    """A region in the pixels of a frame: left, top, right, bottom.

    The ends are even, since most video has colour for every second pixel only, and there is a pixel at least: training
    and runtime cut the same.
    """
    x, y, across, down = region
    (left, right), (top, bottom) = _ends(x, across, width), _ends(y, down, height)
    return left, top, right, bottom


def _ends(start: float, share: float, pixels: int) -> tuple[int, int]:
    first = min(2 * math.floor(start * pixels / 2 + 0.5), max(0, 2 * ((pixels - 1) // 2)))
    last = pixels if start + share >= 1 - _ROUNDING else 2 * math.floor((start + share) * pixels / 2 + 0.5)
    return first, min(pixels, max(last, first + 2))
