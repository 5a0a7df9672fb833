"""What happens in a scene: one after the other, cut-outs enter, cross or stay for a while, and leave.

Lengths of visits and of the gaps between them have a Gamma distribution (shape 2), so that events differ. Size, height,
speed, light and blur are random as well. A visit is a path through the picture: the middle of the cut-out crosses from
one side to the other, or moves to a place inside, waits there, and leaves on either side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

import numpy as np

from mainstream.problem import FloatArray

_SHAPE: Final = 2.0
_SHORTEST_S: Final = 0.4

_One = TypeVar("_One")


class Visit(NamedTuple):
    """One cut-out's way through the picture.

    Attributes
    ----------
    cutout : int
        Index of the cut-out.
    start : int
        Its first frame.
    x, y : (n,) arrays
        Position of its middle in each of its frames, as shares of the picture's width and height.
    height : float
        As a share of the picture's height.
    light, blur : float
        Factor of its brightness; standard deviation of its blur in pixels, for a picture of 100 lines.
    mirrored : bool
    """

    cutout: int
    start: int
    x: FloatArray
    y: FloatArray
    height: float
    light: float
    blur: float
    mirrored: bool

    @property
    def end(self) -> int:
        """The first frame after it."""
        return self.start + len(self.x)


def visits(
    events: int, labels: Sequence[str], fps: float, mean_s: float, gap_s: float, random: np.random.Generator
) -> list[Visit]:
    """Make `events` visits. Classes take turns, and so do the cut-outs of each class, both in random order.

    Parameters
    ----------
    events : int
    labels : sequence of str
        The class of each cut-out.
    fps : float
        Frames a second.
    mean_s, gap_s : float
        Mean length of a visit and of a gap, seconds.
    random : numpy.random.Generator
    """
    made = []
    now = 0
    classes = list(dict.fromkeys(labels))
    next_class = _in_turns(classes, random)
    of_class = {one: _in_turns([k for k, label in enumerate(labels) if label == one], random) for one in classes}
    for _ in range(events):
        now += 1 + _frames(gap_s, fps, random)
        count = max(3, _frames(mean_s, fps, random))
        height = float(random.uniform(0.35, 0.8))
        x = _way(count, 0.5 * height + 0.5, random)
        y = float(random.uniform(0.35, 0.7)) + 0.03 * np.sin(np.arange(count) / fps * random.uniform(1, 6))
        made.append(
            Visit(
                cutout=next(of_class[next(next_class)]),
                start=now,
                x=x,
                y=y,
                height=height,
                light=float(random.uniform(0.55, 1.25)),
                blur=float(random.choice([0.0, random.uniform(0, 1.2)])),
                mirrored=bool(x[-1] < x[0]),
            )
        )
        now = made[-1].end
    return made


def _in_turns(given: Sequence[_One], random: np.random.Generator) -> Iterator[_One]:
    """Yield all of them in random order, over and over."""
    while True:
        yield from (given[k] for k in random.permutation(len(given)))


def _frames(mean_s: float, fps: float, random: np.random.Generator) -> int:
    return round(fps * max(_SHORTEST_S, float(random.gamma(_SHAPE, mean_s / _SHAPE))))


def _way(count: int, outside: float, random: np.random.Generator) -> FloatArray:
    """Positions from outside the picture to outside, straight across or with a stay inside."""
    side = float(random.choice([-1.0, 1.0]))
    begin, other = 0.5 - side * outside, 0.5 + side * outside
    if random.random() < 0.5:
        return np.linspace(begin, other, count)
    stay = float(random.uniform(0.3, 0.7))
    leave = other if random.random() < 0.5 else begin
    times = np.cumsum([0.0, *random.uniform([0.5, 0.5, 0.5], [1.0, 2.0, 1.0])])
    return np.interp(np.linspace(0, times[-1], count), times, [begin, stay, stay, leave])
