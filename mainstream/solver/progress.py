"""Where a search stands: what it tells while it goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a search stands.

    Attributes
    ----------
    objective : float or None
        Best so far.
    bound : float
    nodes : int
    runtime_s : float
    """

    objective: float | None
    bound: float
    nodes: int
    runtime_s: float

    @property
    def gap(self) -> float:
        """`bound` less `objective`."""
        return self.bound - (-math.inf if self.objective is None else self.objective)
