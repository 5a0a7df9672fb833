"""Clips of plain colours, and apps that each see one colour, so that it is known where the events are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from support.clips import av
from support.failing_models import alone, write_matrix

from mainstream.streamer import NetPlan

COLOURS = {"red": (230, 20, 20), "green": (20, 230, 20), "blue": (20, 20, 230), "dim blue": (60, 60, 130)}
CLASSES = {"red": 0, "green": 1, "blue": 2}
"""What the model of `write_matrix` gives for a frame: its mean colours."""


def write_colours(path: Path, shots: Sequence[tuple[str, int]], fps: int = 10, codec: str = "mpeg4") -> None:
    """A clip of shots, each a colour and a number of frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options={"g": "5"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for colour, frames in shots:
            pixels = np.full((48, 64, 3), COLOURS[colour], np.uint8)
            for _ in range(frames):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        container.mux(stream.encode(None))


def watching(folder: Path, *apps: str, fps: float = 10, **keys: Any) -> NetPlan:
    """A plan in which app 1, 2, ... is told events by a colour; the model is written to the `folder`."""
    write_matrix(folder / "net.npz")
    nets = json.loads(alone(*((i, "net.npz") for i, _ in enumerate(apps, start=1)), fps=fps).to_json())
    given = zip(nets, apps, strict=True)
    return NetPlan.from_json(json.dumps([net | {"event_class": CLASSES[colour]} | keys for net, colour in given]))


def colour_of(picture: Path | bytes) -> str:
    """The colour of a JPEG, or of the first frame of a video."""
    from io import BytesIO

    with av.open(BytesIO(picture) if isinstance(picture, bytes) else str(picture)) as container:
        mean = next(container.decode(video=0)).to_ndarray(format="rgb24").mean((0, 1))
    return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))
