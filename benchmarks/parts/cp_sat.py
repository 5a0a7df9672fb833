"""The search against CP-SAT, whole solve() calls of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.instances import GAP, Instance
from benchmarks.parts.solver import seconds_of_one
from benchmarks.row import Row, duration

_FIGURES: Final = {10: 200.0, 30: 1_000.0}
"""Goal: how many times as long CP-SAT takes."""
_LARGE: Final = 1_000
_SEEDS: Final = {10: 5, 30: 3}
_QUICK_SEEDS: Final = {10: 3, 30: 1}
_LIMIT_S: Final = 120.0
_OURS: Final = 5
"""Solves of ours before each of CP-SAT's, and as many after it."""


@dataclass(frozen=True)
class _Pair:
    """One problem solved by both."""

    ours_s: float
    theirs_s: float
    ours: float
    theirs: float
    gap: float

    @property
    def agree(self) -> bool:
        """Both are within the gap of the same optimum, as far as CP-SAT came."""
        lead = self.ours - self.theirs
        return -GAP <= lead <= max(self.gap, GAP) + GAP


def rows(quick: bool) -> Iterator[Row]:
    """10 and 30 apps to the end, 1,000 to a limit."""
    Instance.hard(3, 0).solve("cp-sat")  # imports ortools
    limit = 30.0 if quick else _LIMIT_S
    for n, seeds in (_QUICK_SEEDS if quick else _SEEDS).items():
        yield _row(n, [_pair(Instance.hard(n, seed), limit) for seed in range(seeds)], limit)
    limit = 10.0 if quick else 60.0
    pair = _pair(Instance.hard(_LARGE, 0), limit)
    open_still = pair.gap > GAP
    yield Row(
        f"{_LARGE:,} apps: CP-SAT's time over ours, limit {limit:g} s",
        pair.theirs_s / pair.ours_s,
        "x",
        figure="CP-SAT at its limit",
        at_least=True,
        verdict=("met" if open_still else "missed: CP-SAT proved it") if pair.agree else "THE TWO DISAGREE",
        notes=f"CP-SAT stopped after {duration(pair.theirs_s)}, gap {pair.gap:.2g}, objective "
        f"{pair.ours - pair.theirs:.2g} below ours; ours {duration(pair.ours_s)}, proven to {GAP:g}",
    )


def _pair(instance: Instance, limit: float) -> _Pair:
    instance.solve()
    ours = [seconds_of_one(instance, "branch-and-bound") for _ in range(_OURS)]
    theirs_s, theirs = seconds_of_one(instance, "cp-sat", time_limit=limit)
    ours += [seconds_of_one(instance, "branch-and-bound") for _ in range(_OURS)]
    gap = theirs.gap if theirs.status != "optimal" else min(theirs.gap, GAP)
    return _Pair(median(s for s, _ in ours), theirs_s, ours[0][1].objective, theirs.objective, gap)


def _row(n: int, pairs: list[_Pair], limit: float) -> Row:
    ours, theirs = median(pair.ours_s for pair in pairs), median(pair.theirs_s for pair in pairs)
    stopped = sum(pair.gap > GAP for pair in pairs)
    return Row(
        f"{n} apps: CP-SAT's time over ours",
        theirs / ours,
        "x",
        worst=min(pair.theirs_s / pair.ours_s for pair in pairs),
        figure=_FIGURES[n],
        at_least=True,
        verdict="" if all(pair.agree for pair in pairs) else "THE TWO DISAGREE",
        notes=f"medians of {len(pairs)} seeds: CP-SAT {duration(theirs)}, ours {duration(ours)}; "
        + (f"CP-SAT stopped at {limit:g} s in {stopped}: the ratio is a lower bound; " if stopped else "")
        + f"objectives differ by {max(abs(pair.ours - pair.theirs) for pair in pairs):.1g} at most",
    )
