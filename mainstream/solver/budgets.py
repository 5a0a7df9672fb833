"""Budgets worth comparing: from the smallest that has a schedule to the largest that still helps."""

from __future__ import annotations

import numpy as np

from mainstream.solver.precisions import Precisions
from mainstream.solver.prepared import Prepared


def useful_budgets(prepared: Prepared | Precisions, points: int) -> list[float]:
    """Budgets in equal steps from the smallest that has a schedule to the one beyond which nothing is gained.

    Parameters
    ----------
    prepared : Prepared or Precisions
    points : int
        How many budgets.

    Raises
    ------
    InfeasibleError
        No budget has a schedule.
    """
    least, most = prepared.smallest_budget(), prepared.useful_budget()
    # If every app may be left out, the smallest is 0, which is no budget.
    first = least * (1 + 1e-9) if least > 0 else most / points
    return [float(budget) for budget in np.linspace(first, max(most * (1 + 1e-9), first), points)]
