"""What it takes to make options of apps: the event model's part of a solve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any, Final

import numpy as np

from benchmarks.instances import VOTES, Instance
from benchmarks.row import Row, duration
from benchmarks.timing import take_turns
from mainstream.events import option_values
from mainstream.extensions import EVENT_MODELS
from mainstream.solver.option_table import OptionTable
from mainstream.solver.search import Limits

_APPS: Final = 1_000


def rows(quick: bool) -> Iterator[Row]:
    """1,000 apps, with and without votes to choose; then as "measured", with all that calibration measures."""
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
        ratios = []
        for one in instances:
            both = {
                "windowed": partial(_table, one, "windowed"),
                "measured": partial(_table, _measured(one), "measured"),
            }
            times_of = take_turns(both, rounds)
            ratios.append(times_of.median_cpu("measured") / times_of.median_cpu("windowed"))
        yield Row(
            f'{_APPS:,} apps, {words}: table of options, "measured" against "windowed"',
            median(ratios),
            "x",
            worst=max(ratios),
            notes=f"CPU time, {seeds} seeds x {rounds}; spread, 8 lengths, chains of false alarms, their rate",
        )


def _values(own: Instance) -> None:
    option_values(own.apps, own.video.rates("mainstream"), own.video.stream_fps, metric="f1", event_model="windowed")


def _measured(own: Instance) -> Instance:
    """The same apps with a spread, eight lengths, chains of false alarms, and the rate of their correlations."""
    apps = own.apps
    random = np.random.default_rng(0)
    lengths = np.sort(random.gamma(3.0, 1 / 3, (len(apps), 8)), axis=1) * apps.event_length_ms[:, None]
    known = {
        "correlation_fps": np.full(len(apps), own.video.stream_fps),
        "accuracy_spread": np.full(len(apps), 0.1),
        "false_correlations": random.uniform(0.2, 0.8, apps.accuracies.shape),
        "event_lengths_ms": lengths,
    }
    return replace(own, apps=replace(apps, **known))


def _table(own: Instance, event_model: str) -> None:
    model = EVENT_MODELS[event_model]
    how: dict[str, Any] = {"metric": "f1", "mode": "mainstream", "event_model": model}
    OptionTable.build(own.apps, own.model, own.video, limits=Limits(0.0), **how)
