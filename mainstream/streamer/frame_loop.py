"""The loop over frames: find the parts that are due, let a thread run them, deliver the results in order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from threading import Event, Semaphore, Thread
from time import monotonic
from typing import Final

from mainstream.streamer.current_plan import CurrentPlan
from mainstream.streamer.engine import Due
from mainstream.streamer.feed import Arrival, Feed
from mainstream.streamer.in_order import InOrder
from mainstream.streamer.meters import Meters
from mainstream.streamer.requests import one_line
from mainstream.streamer.running import Running
from mainstream.streamer.stream_watch import StreamWatch
from mainstream.streamer.workers import Job, Workers

_LOOK_S: Final = 0.1
"""No wait is longer than this, so that the end is noticed."""
_END_S: Final = 1.0
_LONGEST_S: Final = 60.0
"""Seconds that all parts together may take for a frame; one that takes longer is said to hang."""

_log = logging.getLogger(__name__)


class FrameLoop:
    """Runs the current plan on each frame, from construction until the source has ended or :meth:`close`.

    Parameters
    ----------
    feed : Feed
    watch : StreamWatch
    plan : CurrentPlan
    meters : Meters
    threads : int
        How many frames are worked on at a time.
    by_clock : bool
        Whether the plan's window goes by the clock; otherwise it goes by the stream's own time.

    Attributes
    ----------
    ended : Event
        Set when nothing runs any more.
    failure : Exception or None
        What ended it before the source ended.
    """

    def __init__(
        self, feed: Feed, watch: StreamWatch, plan: CurrentPlan, meters: Meters, threads: int, *, by_clock: bool
    ) -> None:
        self._feed, self._watch, self._plan, self._meters = feed, watch, plan, meters
        self._by_clock = by_clock
        self._threads = threads
        self._free = Semaphore(threads)
        self._workers = Workers(threads, _LONGEST_S)
        self._delivered = InOrder()
        self._closed = Event()
        self.ended = Event()
        self.failure: Exception | None = None
        self._thread = Thread(target=self._loop, name="mainstream-dispatch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End all threads; frames that are being worked on are finished first, if that takes at most a second."""
        self._closed.set()
        self._thread.join(_END_S)
        self._workers.end(_END_S)

    @property
    def alive(self) -> bool:
        """Whether frames are still taken."""
        return self._thread.is_alive()

    def _loop(self) -> None:
        """Give each frame on which something is due to a thread, as long as there are frames."""
        number = damaged = 0
        while not self._closed.is_set() and not self._feed.ended:
            self._workers.give_up_overdue()
            if not self._free.acquire(timeout=_LOOK_S):
                continue
            running = self._plan.running
            arrival = self._feed.take(_LOOK_S, newest=self._by_clock and running is not None and running.overloaded)
            if arrival and self._watch.note(arrival):
                self._plan.keep_pace()
            damaged = self._count_damaged(damaged)
            running = self._plan.running
            due = self._due(running, arrival) if running and arrival else []
            if not (running and arrival and due):
                self._free.release()
                continue
            begun: list[int] = []
            self._workers.submit(
                Job(
                    partial(self._work, number, running, arrival, due, begun),
                    partial(self._give_up, number, running, arrival, begun),
                )
            )
            number += 1
        for _ in range(self._threads):  # wait for the frames that are still being worked on
            while not self._closed.is_set() and not self._free.acquire(timeout=_LOOK_S):
                self._workers.give_up_overdue()
        if self.failure is None:
            self.failure = self._feed.error
        self.ended.set()

    def _count_damaged(self, before: int) -> int:
        """Count the frames that the source has left out since there were `before`; return how many there are now."""
        damaged = self._feed.source.damaged
        for _ in range(damaged - before):
            self._meters.damaged()
        return damaged

    def _due(self, running: Running, arrival: Arrival) -> list[Due]:
        due = running.due(arrival.frame.number, monotonic() - arrival.at_s if self._by_clock else None)
        apps = [one.branch.subnet.app_id for one in due if not one.branch.subnet.shared]
        running.window.frame(arrival.at_s if self._by_clock else arrival.frame.time_s, apps)
        return due

    def _work(
        self, number: int, running: Running, arrival: Arrival, due: list[Due], begun: list[int], job: Job
    ) -> None:
        """Run what is due on a frame; `begun` gets the `net_id` of each part as it begins."""
        try:
            # While a plan is loaded frames are kept and get old, and how long their parts take says little.
            fresh = self._by_clock and not self._feed.holds
            tell = partial(running.run(due, arrival, begun, fresh=fresh), self._watch.began_s or 0.0)
        except Exception as error:  # a source may raise anything here; a model's errors are caught inside
            tell = partial(self._damaged, arrival.frame.number, error)
        if job.finish():
            self._tell(number, running, tell)

    def _give_up(self, number: int, running: Running, arrival: Arrival, begun: list[int]) -> None:
        """A frame takes too long: stop the apps that need the part that hangs."""
        self._tell(number, running, partial(running.hangs, arrival.frame.number, begun[-1] if begun else 0, _LONGEST_S))

    def _damaged(self, number: int, error: Exception) -> None:
        self._meters.damaged()
        _log.warning("frame %d cannot be made into pixels: %s", number, one_line(str(error)))

    def _tell(self, number: int, running: Running, tell: Callable[[], None]) -> None:
        """Deliver a frame's results in its turn, and free its place."""
        try:
            self._delivered.put(number, partial(self._deliver, running, tell))
        except Exception as error:  # whatever ends this thread has to reach those who wait
            self.failure = self.failure or error
            self._closed.set()
        finally:
            self._free.release()

    def _deliver(self, running: Running, tell: Callable[[], None]) -> None:
        tell()
        self._plan.give_way(running)
