"""Frames a minute that the event simulator draws, samples, votes on and scores."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any, Final

import numpy as np

from benchmarks.row import Row
from benchmarks.timing import take_turns

_APPS: Final = 20
_FIGURE: Final = 1e8
_STREAM_FPS: Final = 10


def rows(quick: bool) -> Iterator[Row]:
    """Random apps, with correlation between successive analysed frames and with one that decays."""
    from mainstream.experiments.simulate import simulate

    frames, rounds = (100_000, 3) if quick else (1_000_000, 5)
    apps = _apps(frames)
    times = take_turns(
        {
            "successive": lambda: simulate(**apps, seed=0),
            "decaying": lambda: simulate(**apps, seed=0, decay_unit=1.0),
        },
        rounds,
    )
    for correlation, seconds in times.wall.items():
        drawn = int(times.returned[correlation].frames.sum())
        yield Row(
            f"frames a minute, {correlation} correlation",
            60 * drawn / median(seconds),
            "",
            worst=60 * drawn / max(seconds),
            figure=_FIGURE,
            at_least=True,
            notes=f"{drawn:,} frames of {_APPS} apps, {rounds} times",
        )


def _apps(frames: int) -> dict[str, Any]:
    random = np.random.default_rng(0)
    length_ms = np.exp(random.uniform(np.log(300), np.log(20_000), _APPS))
    target_fps = random.integers(1, _STREAM_FPS + 1, _APPS)
    return {
        "accuracy": random.uniform(0.5, 1, _APPS),
        "false_positive_rate": random.uniform(0, 0.2, _APPS),
        "event_length_ms": length_ms,
        "event_frequency": random.uniform(0.01, 0.5, _APPS),
        "correlation": random.uniform(0, 0.9, _APPS),
        "stream_fps": _STREAM_FPS,
        "target_fps": target_fps,
        "x_vote": random.integers(1, 6, _APPS),
        "windows": np.ceil(frames / np.maximum(length_ms / 1000 * target_fps, 1)).astype(np.int64),
    }
