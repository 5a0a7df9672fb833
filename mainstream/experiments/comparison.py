"""Compare the versions of an experiment, from its rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from mainstream.formats.sweep import SweepRow


class Compared(NamedTuple):
    """A version at a budget.

    Attributes
    ----------
    asked, version : str
        The budget as it was given, and the version.
    schedules, infeasible : int
        Rows with a schedule, and rows without one.
    objective : float or None
        Mean over the workloads in which every version has a schedule within this budget; None if there are none.
    gain : float or None
        Mainstream's mean divided by this version's, less 1.
    gap, runtime_s : float or None
        The largest gap, and the mean time in seconds.
    """

    asked: str
    version: str
    schedules: int
    infeasible: int
    objective: float | None
    gain: float | None
    gap: float | None
    runtime_s: float | None


def compare(rows: Iterable[SweepRow]) -> list[Compared]:
    """Compare the versions at each budget, in the order of the rows."""
    groups: dict[str, dict[str, dict[tuple[str, int], SweepRow]]] = {}
    for row in rows:
        groups.setdefault(row.asked, {}).setdefault(row.version, {})[row.id, row.trial] = row
    compared = []
    for asked, versions in groups.items():
        everywhere = set.intersection(*({key for key, row in found.items() if row.fits} for found in versions.values()))
        means = {name: _mean(found[key].objective for key in everywhere) for name, found in versions.items()}
        own = means.get("mainstream")
        for name, found in versions.items():
            scheduled = [row for row in found.values() if row.fits]
            mean = means[name]
            compared.append(
                Compared(
                    asked,
                    name,
                    len(scheduled),
                    len(found) - len(scheduled),
                    mean,
                    own / mean - 1.0 if own is not None and mean else None,
                    max((row.gap for row in scheduled if row.gap is not None), default=None),
                    _mean(row.runtime_s for row in scheduled),
                )
            )
    return compared


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
