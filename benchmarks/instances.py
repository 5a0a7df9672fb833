"""The problems that are measured: seeded workloads of 16 chokepoints x 10 rates at their hard budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from mainstream import solve
from mainstream.apps import Apps
from mainstream.experiments.workloads import Workload, hard_budget, workload
from mainstream.problem import Model, Video
from mainstream.schedule import Result

GAP: Final = 1e-6
VOTING: Final = {"auto": 0.5, "fixed": 0.0}
"""Name -> share of the apps with ``x_vote="auto"``; the others have no votes, 1, 2 or 3."""
VOTES: Final = {"auto": "half of them x_vote auto", "fixed": "fixed votes"}


@dataclass(frozen=True, eq=False)
class Instance:
    """A problem with its budget."""

    apps: Apps
    model: Model
    video: Video
    budget: float

    @classmethod
    def hard(cls, n: int, seed: int, voting: str = "auto") -> Instance:
        """The workload of a seed at the budget where the choice is hard; see experiments/workloads.py."""
        made: Workload = workload(n, seed=seed, voting=VOTING[voting])
        return cls(made.apps, made.model, made.video, hard_budget(made.prepare()))

    def solve(self, method: str = "branch-and-bound", **options: Any) -> Result:
        """Solve it from scratch, including the making of options."""
        given: dict[str, Any] = {"method": method, "gap": GAP, **options}
        return solve(self.apps, self.model, self.video, self.budget, **given)
