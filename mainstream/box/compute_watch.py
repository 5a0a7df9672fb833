"""Whether a plan takes another amount of compute than it should, for long enough to do something about it.

What the plan really costs is its predicted cost times the factor of measured over predicted compute of its parts: also
on a box that does not come round to all of it. More than a tenth above the budget is too much; a factor of less than
nine tenths leaves room that was thought to be taken. That counts when no window for a minute says otherwise.
"""

from __future__ import annotations

from typing import Final, Literal

from mainstream.history import Measurement

_TENTH: Final = 0.1

Off = Literal["too much", "too little"]


class ComputeWatch:
    """Watches one plan.

    Parameters
    ----------
    cost, budget : float
        Compute a second, predicted and allowed.
    over_s : float
        Seconds of measuring that count.
    """

    def __init__(self, cost: float, budget: float, over_s: float) -> None:
        self.cost = cost
        self._budget, self._over_s = budget, over_s
        self._off: Off | None = None
        self._off_s = 0.0

    def heard(self, measured: Measurement) -> Off | None:
        """Take note of a window; what is wrong, when it has been for long enough."""
        factor = measured.factor
        off: Off | None = None
        if factor is not None and factor * self.cost > (1 + _TENTH) * self._budget:
            off = "too much"
        elif factor is not None and factor < 1 - _TENTH:
            off = "too little"
        self._off_s = self._off_s + measured.window_s if off == self._off else measured.window_s
        self._off = off
        # The window's length is that of its frames, which may be a little shorter than it was asked for.
        return off if self._off_s >= (1 - _TENTH) * self._over_s else None
