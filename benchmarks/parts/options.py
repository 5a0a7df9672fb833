"""What it takes to make options of apps: the event model's part of a solve, and threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from statistics import median
from typing import Any, Final

from benchmarks.instances import VOTES, Instance
from benchmarks.processes import apart
from benchmarks.row import Row, duration
from benchmarks.timing import take_turns
from mainstream import prepare
from mainstream.events import option_values

_APPS: Final = 1_000
_MANY: Final = 10_000


def rows(quick: bool) -> Iterator[Row]:
    """1,000 apps on one core, 10,000 on two."""
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
    one, two = (apart(building, cores=cores, rounds=3 if quick else 9) for cores in (1, 2))
    yield Row(
        f"{_MANY:,} apps: options on one core over those on {two['cores']}",
        one["wall"] / two["wall"],
        "x",
        at_least=True,
        notes=f"elapsed, fastest of the rounds: {duration(one['wall'])} and {duration(two['wall'])}; "
        f"CPU {duration(one['cpu'])} and {duration(two['cpu'])}",
    )


def _values(own: Instance) -> None:
    option_values(own.apps, own.video.rates("mainstream"), own.video.stream_fps, metric="f1", event_model="windowed")


def building(cores: int, rounds: int) -> dict[str, Any]:
    """The option table on so many cores; runs in its own process."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    own = Instance.hard(_MANY, 0)
    times = take_turns({"table": lambda: prepare(own.apps, own.model, own.video).table}, rounds)
    return {
        "wall": min(times.wall["table"]),
        "cpu": times.median_cpu("table"),
        "cores": len(os.sched_getaffinity(0)),
    }
