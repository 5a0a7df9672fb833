"""What a frame costs before the networks get it: decoded, resized and made into floats, as it was and as it is.

    python -m benchmarks.decoding [CLIP] [--sizes 96 224] [--frames 100] [--rounds 9]

The default clip is vtest.avi of Debian's package opencv-doc. Each round plays the clip's first frames again for each
size and way, in turns; times are medians over the rounds, milliseconds of a core a frame. "As it was" makes the way to
resize anew for each frame and asks for packed pixels. The pixels of both have to be the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import description
from benchmarks.timing import take_turns
from mainstream.streamer import frames
from mainstream.streamer.sources import open_source

if TYPE_CHECKING:
    from av import VideoFrame

CLIP: Final = "/usr/share/doc/opencv-doc/examples/data/vtest.avi"

Resize = Callable[["VideoFrame", int, int, int], NDArray[np.uint8]]


def as_it_was(picture: VideoFrame, height: int, width: int, channels: int) -> NDArray[np.uint8]:
    """Resize with a resizer made for this frame alone, to three bytes a pixel."""
    from av.video.reformatter import Interpolation

    exact = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
    small = picture.reformat(width, height, "rgb24", interpolation=Interpolation.BILINEAR | exact, threads=1)
    return np.asarray(small.to_ndarray(), np.uint8).reshape(height, width, channels)


def play(clip: str, count: int, size: int, resize: Resize | None) -> None:
    """Decode frames, and turn them into floats if a way to do so is given."""
    with open_source(clip, paced=False) as source:
        for frame in islice(source, count):
            if resize is not None:
                resize(frame._picture, size, size, 3)[None].astype(np.float32)


def check(clip: str, count: int, size: int) -> None:
    """End the run if the two ways give different pixels."""
    with open_source(clip, paced=False) as source:
        for frame in islice(source, count):
            if not np.array_equal(as_it_was(frame._picture, size, size, 3), frame.pixels(size, size, 3)):
                raise SystemExit(f"frame {frame.number}: the pixels differ at {size}")


def main() -> None:
    """Print a line for each size."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("clip", nargs="?", default=CLIP)
    arguments.add_argument("--sizes", type=int, nargs="+", default=[96, 224])
    arguments.add_argument("--frames", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=9)
    given = arguments.parse_args()
    for key, value in description().items():
        print(f"{key}: {value}")
    ways: dict[str, Resize] = {"was": as_it_was, "is": partial(frames._resized, region=None)}
    calls = {(0, "decode"): partial(play, given.clip, given.frames, 0, None)}
    for size in given.sizes:
        calls |= {(size, name): partial(play, given.clip, given.frames, size, way) for name, way in ways.items()}
    timed = take_turns(calls, given.rounds)
    decode = 1000 * timed.median_cpu((0, "decode")) / given.frames
    print(f"\nms of a core a frame; decoding alone: {decode:.2f}\n")
    print("size   all: was     is  ratio   without decoding: was     is  ratio")
    for size in given.sizes:
        check(given.clip, given.frames, size)
        was, now = (1000 * timed.median_cpu((size, name)) / given.frames for name in ways)
        rest, rest_now = was - decode, now - decode
        print(f"{size:4d}{was:12.2f}{now:7.2f}{now / was:7.2f}{rest:24.2f}{rest_now:7.2f}{rest_now / rest:7.2f}")


if __name__ == "__main__":
    main()
