"""What it takes to make options of apps: the event model's part of a solve."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import median
from typing import Final

from benchmarks.instances import VOTES, Instance
from benchmarks.row import Row, duration
from benchmarks.timing import take_turns
from mainstream.events import option_values

_APPS: Final = 1_000


def rows(quick: bool) -> Iterator[Row]:
    """1,000 apps, with and without votes to choose."""
    seeds, rounds = (2, 3) if quick else (5, 9)
    for voting, words in VOTES.items():
        instances = [Instance.hard(_APPS, seed, voting) for seed in range(seeds)]
        times = [take_turns({"values": partial(_values, one), "solve": one.solve}, rounds) for one in instances]
        values, solve = ([each.median_cpu(key) for each in times] for key in ("values", "solve"))
        shares = [100 * part / whole for part, whole in zip(values, solve, strict=True)]
        yield Row(
            f"{_APPS:,} apps, {words}: the event model's part of solve()",
            median(shares),
            "%",
            worst=max(shares),
            notes=f"CPU time, {seeds} seeds x {rounds}; {duration(median(values))} of {duration(median(solve))}",
        )


def _values(own: Instance) -> None:
    option_values(own.apps, own.video.rates("mainstream"), own.video.stream_fps, metric="f1", event_model="windowed")
