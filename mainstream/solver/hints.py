"""Warnings about what is allowed but hardly meant: numbers in a wrong unit, and budgets that the device does not have.

With P the latency of the whole network, r the lowest and S the highest rate of a stream, no schedule in which an app
runs costs less than P r, and none of N apps more than N P S: a budget that is far from both was meant in another unit.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from mainstream.ids import id_list
from mainstream.stream import Stream, capacity_of, unit_of

_log = logging.getLogger("mainstream")

_FAR: Final = 32
"""About the root of 1,000: beyond it, a unit that is 1,000 times as large or as small is nearer."""
_REMEMBERED: Final = 256


@lru_cache(_REMEMBERED)
def _warn(text: str) -> None:
    """Warn only once, since a box solves again and again, for months."""
    _log.warning("%s", text)


def hint_at_events(streams: Sequence[Stream]) -> None:
    """Warn about events that are over before the camera has given two frames."""
    short: list[int | str] = []
    longest_frame, shortest = 0.0, np.inf
    for stream in streams:
        frame = 1000 / stream.video.stream_fps
        which = stream.apps.event_length_ms < frame
        if which.any():
            short += stream.apps.app_ids[which].tolist()
            longest_frame = max(longest_frame, frame)
            shortest = min(shortest, float(stream.apps.event_length_ms[which].min()))
    if short:
        _warn(
            f"app {id_list(short)}: an event of {shortest:g} ms is shorter than one frame of the stream, "
            f"{longest_frame:.4g} ms, so most events fall between two frames; "
            "event_length_ms is in milliseconds, not in seconds"
        )


def hint_at_budget(streams: Sequence[Stream], budget: float) -> None:
    """Warn about a budget that is more than the device has, or that was probably meant in another unit."""
    models = [stream.model for stream in streams]
    unit = unit_of(models)
    per_s = f"{unit}/s" if unit else "a second"
    capacity = capacity_of(models)
    each = [(float(one.model.prefix[-1]), one.video.rates("mainstream"), len(one.apps)) for one in streams]
    least = min(latency * float(rates[0]) for latency, rates, _ in each)
    most = sum(latency * float(rates[-1]) * n for latency, rates, n in each)
    if budget * _FAR < least:
        _warn(
            f"budget {budget:g} {per_s}: one app alone, at the lowest rate, takes {least:.4g}; a budget is in the unit "
            f"of the profile's latencies, and 1,000 times as much was perhaps meant ({1000 * budget:g})"
        )
    elif budget > _FAR * most:
        _warn(
            f"budget {budget:g} {per_s}: all apps together, each at the highest rate alone, take {most:.4g}; a "
            f"budget is in the unit of the profile's latencies, and a thousandth was perhaps meant ({budget / 1000:g})"
        )
    elif capacity is not None and budget > capacity * (1 + 1e-9):
        _warn(
            f"budget {budget:g} {per_s} is more than the device has: its {capacity / 1000:g} cores give {capacity:g}; "
            "perhaps the profile is of another device, or the budget was counted twice"
        )
