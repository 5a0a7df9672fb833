"""How many hard problems stay open after some seconds of a core, and how long the others take."""

from __future__ import annotations

from collections.abc import Iterator
from time import process_time
from typing import Final

from benchmarks.hard_problems import hard_problem
from benchmarks.instances import Instance
from benchmarks.row import Row, duration

_SEEDS, _QUICK_SEEDS = 200, 40
_LIMITS_S: Final = (1.0, 3.0, 10.0)
_MOST_OPEN: Final = 0.005
"""Goal: share of the problems that are open after the last limit."""
_FEW: Final = 10
"""Up to so many apps none of which is optional, no problem is to stay open."""


def rows(quick: bool) -> Iterator[Row]:
    """Branch and bound alone, to the usual gap; a problem that has none left open counts with its seconds."""
    Instance.hard(10, 0).solve()  # loads the compiled search
    seconds: dict[int, float] = {}
    nodes: dict[int, int] = {}
    still_open: set[int] = set()
    small: set[int] = set()
    for seed in range(_QUICK_SEEDS if quick else _SEEDS):
        instance = hard_problem(seed)
        if instance is None:
            continue
        if len(instance.apps) <= _FEW and not instance.apps.optional.any():
            small.add(seed)
        begin = process_time()
        result = instance.solve(time_limit=_LIMITS_S[-1])
        seconds[seed], nodes[seed] = process_time() - begin, result.nodes
        if result.status != "optimal":
            still_open.add(seed)
    for limit in _LIMITS_S:
        left = sorted(seed for seed, spent in seconds.items() if seed in still_open or spent > limit)
        figure = _MOST_OPEN * len(seconds) if limit == _LIMITS_S[-1] else None
        yield Row(
            f"{len(seconds)} hard problems: open after {limit:g} s of a core",
            float(len(left)),
            "",
            figure=figure,
            verdict="met" if figure is not None and not left else "",
            notes=f"seeds {', '.join(map(str, left))}" if left else "none",
        )
    few = sorted(small & still_open)
    yield Row(
        f"{len(small)} hard problems of up to {_FEW} apps, none optional: open after {_LIMITS_S[-1]:g} s of a core",
        float(len(few)),
        "",
        figure="none",
        verdict="missed" if few else "met",
        notes=f"seeds {', '.join(map(str, few))}" if few else "",
    )
    closed = sorted(spent for seed, spent in seconds.items() if seed not in still_open)
    yield Row(
        "hard problems that were closed",
        closed[len(closed) // 2],
        "s",
        worst=closed[-1],
        notes=f"median and worst; 95 % within {duration(closed[int(0.95 * len(closed))])}, options built anew; "
        f"at most {max(nodes.values())} nodes",
    )
