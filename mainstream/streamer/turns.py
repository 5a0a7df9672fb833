"""Which apps get a frame when the box is too slow for all of them: those that have missed the most.

A plan is too much when its parts need more time than there is: the sum over parts of (seconds a frame x frames a
second) is more than the number of threads that run them. Then a frame goes to as many apps as can be done before it is
old. The others get the next frame on which the parts before them run; if a frame of theirs is due meanwhile, they have
missed one. The same holds for an app that was chosen, if those before it took longer than predicted.
"""

from __future__ import annotations

from collections import deque
from queue import SimpleQueue
from statistics import median
from typing import Final

from mainstream.streamer.engine import Due, Engine
from mainstream.streamer.plan import NOBODY

_OLD_FRAMES: Final = 1.8
"""A frame is old when it came so many frames of the stream ago; less than two, since predictions are not exact."""
_RUNS: Final = 9
"""Last runs of a part whose median predicts how long it takes: a mean would follow a run that was held up."""


class Turns:
    """The turns of the apps of one plan.

    Parameters
    ----------
    engine : Engine
    threads : int
        How many frames are worked on at a time.
    """

    def __init__(self, engine: Engine, threads: int) -> None:
        self._engine, self._threads = engine, threads
        self._old_s = _OLD_FRAMES / engine.stream_fps
        self._took = {net_id: deque([seconds], _RUNS) for net_id, seconds in engine.took.items()}
        self._seconds = dict(engine.took)
        self._owed: dict[int, int] = {}
        """`net_id` of each part that was put off -> the frames that it missed, the one it was put off on included."""
        self._late: SimpleQueue[Due] = SimpleQueue()
        """What threads that run frames have put off since apps were last chosen."""

    def took(self, net_id: int, seconds: float) -> None:
        """Note how long a part took."""
        self._took[net_id].append(seconds)
        self._seconds[net_id] = median(self._took[net_id].copy())

    @property
    def overloaded(self) -> bool:
        """Whether the plan is too much for the box."""
        return sum(self._seconds[net_id] * fps for net_id, fps in self._engine.fps.items()) > self._threads

    def choose(self, due: list[Due], age_s: float) -> list[Due]:
        """Of the parts that are due, those that run on a frame that came `age_s` ago.

        Parents come before what they feed; apps that missed more come first.
        """
        due = self._with_owed(due)
        if not self.overloaded:
            return due
        left_s = self._old_s - age_s
        chosen: dict[int, None] = {}
        for app in sorted((one for one in due if not one.branch.subnet.shared), key=lambda one: -one.dropped):
            needed = [net_id for net_id in self._chain(app.branch.subnet.net_id) if net_id not in chosen]
            cost_s = sum(self._seconds[net_id] for net_id in needed)
            # An app that takes too long for any frame gets one to itself.
            if cost_s <= left_s or (not chosen and cost_s > self._old_s):
                chosen |= dict.fromkeys(needed)
                left_s -= cost_s
        self._owed |= {
            one.branch.subnet.net_id: one.dropped + 1 for one in due if one.branch.subnet.net_id not in chosen
        }
        dropped = {one.branch.subnet.net_id: one.dropped for one in due}
        return [Due(self._engine.branches[net_id], dropped.get(net_id, 0)) for net_id in chosen]

    def late(self, one: Due, age_s: float) -> bool:
        """Whether a part that was chosen should be put off after all, since its frame came `age_s` ago."""
        return self.overloaded and age_s + self._seconds[one.branch.subnet.net_id] > self._old_s

    def put_off(self, late: list[Due]) -> None:
        """Note parts that were chosen but do not run on their frame; any thread may call this."""
        for one in late:
            self._late.put(one)

    def _chain(self, net_id: int) -> list[int]:
        """A part, and before it all parts that feed it."""
        chain: list[int] = []
        while net_id != NOBODY:
            chain.insert(0, net_id)
            net_id = self._engine.branches[net_id].subnet.parent_id
        return chain

    def _with_owed(self, due: list[Due]) -> list[Due]:
        """What is due, and what was put off and can run now."""
        while not self._late.empty():
            late = self._late.get()
            net_id = late.branch.subnet.net_id
            self._owed[net_id] = self._owed.get(net_id, 0) + late.dropped + 1
        if not self._owed:
            return due
        dropped = {one.branch.subnet.net_id: one.dropped for one in due}
        for net_id in sorted(self._owed):
            subnet = self._engine.branches[net_id].subnet
            if net_id in dropped:
                dropped[net_id] += self._owed.pop(net_id)
            elif net_id not in self._engine.live:
                del self._owed[net_id]
            elif subnet.parent_id == NOBODY or subnet.parent_id in dropped:
                dropped[net_id] = self._owed.pop(net_id) - 1
        return [Due(self._engine.branches[net_id], dropped[net_id]) for net_id in sorted(dropped)]
