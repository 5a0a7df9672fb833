"""Watches whether a plan takes more or less compute than it should, for long enough to do something about it.

A plan's real cost is its predicted cost times a factor: the measured over the predicted compute of what its parts ran.
So this holds, too, on a box that is too slow to run all of it. More than a tenth above the budget is too much. A factor
of less than nine tenths is too little: there is room that was thought to be taken. Either counts when every window of a
minute says so.
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
        Seconds of measuring after which it counts.
    """

    def __init__(self, cost: float, budget: float, over_s: float) -> None:
        self.cost = cost
        self._budget, self._over_s = budget, over_s
        self._off: Off | None = None
        self._off_s = 0.0

    def heard(self, measured: Measurement) -> Off | None:
        """Note a window; return what is wrong once it has been wrong for long enough."""
        factor = measured.factor
        off: Off | None = None
        if factor is not None and factor * self.cost > (1 + _TENTH) * self._budget:
            off = "too much"
        elif factor is not None and factor < 1 - _TENTH:
            off = "too little"
        self._off_s = self._off_s + measured.window_s if off == self._off else measured.window_s
        self._off = off
        # A window lasts as long as its frames, which may be a little shorter than was asked for.
        return off if self._off_s >= (1 - _TENTH) * self._over_s else None
