"""Where a search stands, as it reports while it goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a search stands.

    Attributes
    ----------
    objective : float or None
        The best so far.
    bound : float
    nodes : int
    runtime_s : float

    Examples
    --------
    >>> from mainstream import Progress, load_problem, solve
    >>> def show(progress: Progress) -> None:
    ...     print(f"{progress.runtime_s:.0f} s: {progress.objective}, off by {progress.gap} at most")
    >>> result = solve(load_problem("data/problems/tiny.yaml").to_solve(), budget=20, progress=show)
    >>> show(Progress(objective=0.75, bound=1.0, nodes=100, runtime_s=2.0))
    2 s: 0.75, off by 0.25 at most
    """

    objective: float | None
    bound: float
    nodes: int
    runtime_s: float

    @property
    def gap(self) -> float:
        """`bound` minus `objective`."""
        return self.bound - (-math.inf if self.objective is None else self.objective)
