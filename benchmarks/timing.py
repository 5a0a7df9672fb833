"""Times calls: after a warm-up, in rounds that take turns so that noise affects all equally; figures are medians."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Timed(Generic[Key]):
    """Seconds of each call in each round, and what each returned last.

    Attributes
    ----------
    wall, cpu : mapping of key to list of float
        Elapsed seconds, and seconds that this process computed meanwhile.
    returned : mapping of key to object
    """

    wall: Mapping[Key, list[float]]
    cpu: Mapping[Key, list[float]]
    returned: Mapping[Key, Any]

    def median(self, key: Key) -> float:
        """Median elapsed seconds of one call."""
        return median(self.wall[key])

    def median_cpu(self, key: Key) -> float:
        """Median seconds that one call computed; other processes disturb this less."""
        return median(self.cpu[key])


def take_turns(calls: Mapping[Key, Callable[[], Any]], rounds: int, *, warm_up: bool = True) -> Timed[Key]:
    """Call all of them in order, again and again: A B A B, after a round that does not count."""
    wall: dict[Key, list[float]] = {key: [] for key in calls}
    cpu: dict[Key, list[float]] = {key: [] for key in calls}
    returned: dict[Key, Any] = {}
    if warm_up:
        for call in calls.values():
            call()
    for _ in range(rounds):
        for key, call in calls.items():
            started, computed = perf_counter(), process_time()
            returned[key] = call()
            wall[key].append(perf_counter() - started)
            cpu[key].append(process_time() - computed)
    return Timed(wall, cpu, returned)
