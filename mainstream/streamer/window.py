"""The measuring window: how many frames a second each app of a plan is given."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Event
from time import monotonic

from mainstream.streamer.plan import NetPlan


class Window:
    """Counts the frames that apps are given, from the plan's first frame on.

    Parameters
    ----------
    plan : NetPlan
    length_s : float
    frame_s : float
        Seconds from one frame of the stream to the next.
    by_clock : bool
        Frames are told by the clock (:func:`time.monotonic`), so that the window ends though none come; else by the
        stream's seconds.
    """

    def __init__(self, plan: NetPlan, length_s: float, frame_s: float, *, by_clock: bool) -> None:
        self._counts = dict.fromkeys(plan.target_fps, 0)
        self._length_s = length_s
        self._frame_s = frame_s
        self._by_clock = by_clock
        self._start_s = monotonic() if by_clock else 0.0
        self._last_s: float | None = None
        self._passed = Event()

    def frame(self, at_s: float, app_ids: Iterable[int]) -> None:
        """A frame of the stream, and the apps that are given it."""
        if self._passed.is_set():
            return
        if self._last_s is None:
            self._start_s = at_s
        # The limit lies half way between two frames: whether the next one comes a little early makes no difference.
        if at_s - self._start_s > self._length_s - self._frame_s / 2:
            self._passed.set()
            return
        self._last_s = at_s
        for app_id in app_ids:
            self._counts[app_id] += 1

    def failed(self, app_id: int) -> None:
        """An app failed on a frame that it was given: that one does not count."""
        self._counts[app_id] -= 1

    @property
    def empty(self) -> bool:
        """Whether no frame of the stream came."""
        return self._last_s is None

    def wait(self, timeout_s: float) -> bool:
        """Whether the window is over, within `timeout_s`."""
        if self._by_clock:
            timeout_s = min(timeout_s, max(self._start_s + self._length_s - monotonic(), 0.0))
        return self._passed.wait(timeout_s) or (
            self._by_clock and monotonic() >= self._start_s + self._length_s - self._frame_s / 2
        )

    def rates(self, *, ended: bool) -> dict[int, float]:
        """`app_id` -> frames a second, over the window or, when the source has `ended` within it, what there was."""
        if self._last_s is None:
            return dict.fromkeys(self._counts, 0.0)
        span = self._last_s - self._start_s + self._frame_s if ended else self._length_s
        return {app_id: count / span for app_id, count in self._counts.items()}
