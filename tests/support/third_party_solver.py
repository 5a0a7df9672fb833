"""Parts as somebody else would write them: a method, an event model, and a package that has both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mainstream.errors import InfeasibleError
from mainstream.solver.branch_and_bound import SearchTree
from mainstream.solver.search import Outcome, schedule_cost


class RandomDraws:
    """Draws schedules and keeps the best; knows the weighted best of each app as its only bound."""

    name = "random-draws"
    aggregates = ("mean",)
    exact = False

    def maximise(self, table: Any, budget: float, limits: Any, aggregate: str, staircases: Any) -> Outcome:
        packed = table.packed
        cheapest = SearchTree(packed)
        if cheapest.cheapest(0.0) > budget * (1 + 1e-9):
            raise InfeasibleError("no schedule fits", cheapest.cheapest(0.0))
        random = np.random.default_rng(7)
        counts = np.diff(packed.start)
        worth = packed.value * np.repeat(table.share, counts)
        best = cheapest.tree.best.copy()
        best_value = -np.inf
        for _ in range(300):
            chosen = packed.start[:-1] + random.integers(counts)
            cells = packed.cell[chosen]
            if worth[chosen].sum() > best_value and schedule_cost(packed, cells) <= budget:
                best, best_value = cells, worth[chosen].sum()
        bound = float(np.maximum.reduceat(worth, packed.start[:-1]).sum())
        return Outcome(cells=best, bound=bound, nodes=300, finished=False, method=self.name)


class Delayed:
    """Event model: an event is seen from half a second after its start on."""

    name = "delayed"

    def frames(self, length_ms: Any, rates: Any, stream_fps: Any) -> Any:
        return np.maximum(length_ms - 500, 0) / 1000 * rates

    def freedom(self, correlation: Any, x_vote: Any) -> Any:
        return 1 - correlation

    def negatives(self, frames: Any, odds: Any) -> tuple[Any, Any]:
        return frames, odds


RANDOM_DRAWS = RandomDraws()
DELAYED = Delayed()


def install(folder: Path, name: str, entry_points: dict[str, dict[str, str]]) -> Path:
    """A distribution in a folder that has only to be on the path: group -> name -> ``module:attribute``."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    lines = []
    for group, points in entry_points.items():
        lines += [f"[{group}]", *(f"{key} = {place}" for key, place in points.items()), ""]
    (metadata / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder
