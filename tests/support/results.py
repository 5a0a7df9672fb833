"""Schedules and results that nobody solved for."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstream import Result, Schedule
from mainstream.costs import StemPart

NAN = float("nan")


def schedule(n: int, *, left_out: int = 0, names: bool = True) -> Schedule:
    """`n` apps that run, every second without false positives, and some left out."""
    total = n + left_out
    runs = np.arange(total) < n
    precise = runs & (np.arange(total) % 2 == 0)
    index = np.arange(total, dtype=float)
    return Schedule(
        app_ids=np.arange(10, 10 + total),
        num_frozen=np.where(runs, 18, 0),
        target_fps=np.where(runs, 2.5, 0.0),
        x_vote=np.where(precise, 3, 0),
        value=np.where(runs, 0.5 + index / 1000, 0.0),
        f1=np.where(precise, 0.5 + index / 1000, NAN),
        recall=np.where(runs, 1 / 3, 0.0),
        precision=np.where(precise, 0.7, NAN),
        accuracy=np.where(runs, 0.9, NAN),
        tail_cost=np.where(runs, 0.1, 0.0),
        stem=(StemPart(0, 9, 5.0, 4.5), StemPart(9, 18, 2.5, 1.25)),
        names=tuple(f"app {i}" if i else None for i in range(total)) if names else (),
    )


def result(of: Schedule, **changes: Any) -> Result:
    keys: dict[str, Any] = {
        "status": "optimal",
        "objective": 0.875,
        "bound": 0.8750004,
        "budget": 8.0,
        "metric": "f1",
        "aggregate": "mean",
        "mode": "mainstream",
        "event_model": "windowed",
        "method": "branch-and-bound",
        "runtime_s": 0.0123,
        "nodes": 17,
        "unit": "ms",
    }
    return Result(schedules=(of,), **(keys | changes))
