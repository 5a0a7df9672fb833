"""The greedies: what they lose against the optimum, and how many apps ours carries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from benchmarks.instances import GAP, Instance
from benchmarks.processes import apart
from benchmarks.row import Row
from benchmarks.timing import take_turns

_APPS: Final = 10
_MANY: Final = 300
_HUGE: Final = 100_000
_WORKLOADS, _QUICK_WORKLOADS = 1_000, 100
_LARGE, _QUICK_LARGE = 1_000_000, 100_000


def loss_rows(quick: bool) -> Iterator[Row]:
    """Both greedies on the same workloads."""
    small = _losses(_APPS, _QUICK_WORKLOADS if quick else _WORKLOADS)
    yield _loss_row("greedy", _APPS, small["greedy"], figure=0.3)
    published = "published with other curves: 0.89 % mean, 10.5 % worst"
    yield _loss_row("greedy-released", _APPS, small["greedy-released"], published=published)
    for method, losses in _losses(_MANY, 2 if quick else 20).items():
        yield _loss_row(method, _MANY, losses, figure=1.0 if method == "greedy" else None)
    if not quick:
        instance = Instance.hard(_HUGE, 0)
        loss = 100 * (1 - instance.solve("greedy").objective / instance.solve().objective)
        yield _loss_row("greedy", _HUGE, [loss], figure=1.0)


def _losses(n: int, workloads: int) -> dict[str, list[float]]:
    """Per cent that each greedy loses on each workload of n apps."""
    loss: dict[str, list[float]] = {"greedy": [], "greedy-released": []}
    for seed in range(workloads):
        instance = Instance.hard(n, seed)
        best = instance.solve().objective
        for method, losses in loss.items():
            losses.append(100 * (1 - instance.solve(method).objective / best))
    return loss


def _loss_row(method: str, n: int, losses: list[float], figure: float | None = None, published: str = "") -> Row:
    lost = np.array(losses)
    best = f"optimal (to {GAP:g}) in {np.mean(lost <= 100 * GAP):.0%}, median loss {np.median(lost):.2g} %"
    return Row(
        f"{method}: mean loss over {len(lost):,} workloads of {n:,} apps",
        float(lost.mean()),
        "%",
        worst=float(lost.max()),
        figure=published or figure,
        verdict="" if figure is None else _mean_only(float(lost.mean()), figure),
        notes=f"100 (1 - its objective / the optimum); {best}",
    )


def _mean_only(mean: float, figure: float) -> str:
    """The goal is for the mean; the worst workload has none."""
    return Row("", mean, "%", figure=figure).against


def large_rows(quick: bool) -> Iterator[Row]:
    """A million apps; quick: a tenth of them, which has no goal."""
    n = _QUICK_LARGE if quick else _LARGE
    run = apart(large, n=n)
    yield Row(
        f"{n:,} apps: greedy",
        run["seconds"],
        "s",
        cpu=run["cpu_s"],
        figure=None if quick else 20.0,
        notes=f"whole solve(), once; {run['moves']:,} moves; proven gap {run['gap']:.2g}; peak memory "
        f"{run['peak_gb']:.2g} GB, the apps' generator included",
    )


def large(n: int) -> dict[str, Any]:
    """One solve of many apps; runs in its own process."""
    Instance.hard(_APPS, 0).solve("greedy")  # loads the compiled code
    instance = Instance.hard(n, 0)
    times = take_turns({"greedy": lambda: instance.solve("greedy")}, 1, warm_up=False)
    result = times.returned["greedy"]
    return {
        "seconds": times.median("greedy"),
        "cpu_s": times.median_cpu("greedy"),
        "moves": result.nodes,
        "gap": result.gap,
    }
