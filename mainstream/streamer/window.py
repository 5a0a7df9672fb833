"""The measuring window: how many frames a second each app of a plan gets, and what its parts take of a core."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from threading import Condition, Event
from time import monotonic

from mainstream.streamer.compute import Compute, PartCompute
from mainstream.streamer.feed import Arrival
from mainstream.streamer.plan import NetPlan


class Window:
    """Counts the frames that apps get, and the compute that goes into them, from the plan's first frame on.

    Parameters
    ----------
    plan : NetPlan
    length_s : float
    frame_s : float
        Seconds from one frame of the stream to the next.
    by_clock : bool
        Frames are timed by the clock (:func:`time.monotonic`), so that the window ends even if none come; otherwise by
        the stream's own time.
    """

    def __init__(self, plan: NetPlan, length_s: float, frame_s: float, *, by_clock: bool) -> None:
        self._counts = dict.fromkeys(plan.target_fps, 0)
        self._length_s = length_s
        self._frame_s = frame_s
        self._by_clock = by_clock
        self._start_s = monotonic() if by_clock else 0.0
        self._last_s: float | None = None
        self._passed = Event()
        self._spent = {subnet.net_id: (0, 0.0) for subnet in plan.subnets}
        self._given_s = self._done_s = -math.inf
        self._done = Condition()

    def frame(self, at_s: float, app_ids: Iterable[int]) -> None:
        """Count a frame of the stream for the apps that get it."""
        if self._passed.is_set():
            return
        if self._last_s is None:
            self._start_s = at_s
        # The limit lies half way between two frames, so that it does not matter if the next one comes a little early.
        if at_s - self._start_s > self._length_s - self._frame_s / 2:
            self._passed.set()
            return
        self._last_s = at_s
        with self._done:
            for app_id in app_ids:
                self._counts[app_id] += 1
                self._given_s = at_s

    def missed(self, app_id: int) -> None:
        """Take back a frame on which an app failed, or that became too old for it."""
        with self._done:
            self._counts[app_id] = max(0, self._counts[app_id] - 1)  # the app may have got it before the window

    def computed(self, arrival: Arrival, seconds: Mapping[int, float]) -> None:
        """Add what the parts took of a core for a frame, `net_id` -> seconds; calls come in the order of the frames."""
        at_s = arrival.at_s if self._by_clock else arrival.frame.time_s
        if self._last_s is None or not self._start_s <= at_s <= self._last_s:  # outside the window
            return
        with self._done:
            for net_id, spent in seconds.items():
                runs, before = self._spent[net_id]
                self._spent[net_id] = runs + 1, before + spent
            self._done_s = at_s
            self._done.notify_all()

    def settle(self, timeout_s: float) -> None:
        """When the window is over, wait for those of its frames that are still being worked on."""
        with self._done:
            self._done.wait_for(lambda: self._done_s >= self._given_s, timeout_s)

    def compute(self, *, ended: bool) -> Compute:
        """What the parts took for the frames of the window; `ended` as for :meth:`rates`."""
        with self._done:
            parts = [PartCompute(net_id=i, runs=runs, core_s=spent) for i, (runs, spent) in self._spent.items()]
        return Compute(window_s=self._span(ended=ended), parts=tuple(parts))

    @property
    def empty(self) -> bool:
        """Whether no frame of the stream came."""
        return self._last_s is None

    def wait(self, timeout_s: float) -> bool:
        """Wait for at most `timeout_s`; return whether the window is over."""
        if self._by_clock:
            timeout_s = min(timeout_s, max(self._start_s + self._length_s - monotonic(), 0.0))
        return self._passed.wait(timeout_s) or (
            self._by_clock and monotonic() >= self._start_s + self._length_s - self._frame_s / 2
        )

    def rates(self, *, ended: bool) -> dict[int, float]:
        """`app_id` -> frames a second over the window, or over its first part if the source has `ended` within it."""
        span = self._span(ended=ended)
        return {app_id: count / span for app_id, count in self._counts.items()}

    def _span(self, *, ended: bool) -> float:
        """Seconds over which frames were counted."""
        if self._last_s is None or not ended:
            return self._length_s
        return self._last_s - self._start_s + self._frame_s
