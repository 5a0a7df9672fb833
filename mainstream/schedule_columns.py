"""The columns of a schedule: of choices that were saved one by one, and of several streams as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mainstream.ids import id_array

if TYPE_CHECKING:
    from mainstream.schedule import Choice, Schedule

INTERVALS: Final = ("f1_interval", "recall_interval", "precision_interval")
"""Intervals of a choice; in JSON only where they are known."""
_WHEN_LEFT_OUT: Final = {
    "num_frozen": 0,
    "target_fps": 0.0,
    "x_vote": 0,
    "value": 0.0,
    "f1": np.nan,
    "recall": 0.0,
    "precision": np.nan,
    "accuracy": np.nan,
    "tail_cost": 0.0,
}
"""The columns of numbers, and what stands in them for an app that was left out."""
_WHOLE: Final = ("num_frozen", "x_vote")


def columns_of(choices: Sequence[Choice], left_out: Sequence[int | str]) -> dict[str, Any]:
    """The columns of choices, and behind them those of the apps that were left out."""
    rest = len(left_out)
    columns: dict[str, Any] = {"app_ids": id_array([*(choice.app_id for choice in choices), *left_out])}
    for name, fill in _WHEN_LEFT_OUT.items():
        missing = 0 if name == "x_vote" else np.nan
        given = [missing if (x := getattr(choice, name)) is None else x for choice in choices]
        column = np.array(given + [fill] * rest, dtype=np.float64)
        columns[name] = column.astype(np.int64) if name in _WHOLE else column
    for name in INTERVALS:
        pairs = [getattr(choice, name) or (np.nan, np.nan) for choice in choices]
        columns[name] = np.array([*pairs, *[(np.nan, np.nan)] * rest], dtype=np.float64).reshape(-1, 2)
    names = [choice.name for choice in choices]
    columns["names"] = (*names, *[None] * rest) if any(names) else ()
    return columns


def columns_together(schedules: Sequence[Schedule]) -> dict[str, Any]:
    """The columns of several streams, one below the other."""
    columns: dict[str, Any] = {"app_ids": id_array([i for one in schedules for i in one.app_ids.tolist()])}
    for name in _WHEN_LEFT_OUT:
        columns[name] = np.concatenate([getattr(one, name) for one in schedules])
    for name in INTERVALS:
        given = [getattr(one, name) for one in schedules]
        filled = [np.full((len(one), 2), np.nan) if x is None else x for one, x in zip(schedules, given, strict=True)]
        columns[name] = np.concatenate(filled) if any(x is not None for x in given) else None
    names = [name for one in schedules for name in one.names or (None,) * len(one)]
    columns["names"] = tuple(names) if any(names) else ()
    return columns
