"""A plan that runs: its apps' votes and results frame by frame, and which apps fail."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Final

from mainstream.streamer.engine import OUT_OF_MEMORY, Branch, Due, Engine, Tensor, run
from mainstream.streamer.feed import Arrival
from mainstream.streamer.meters import Meters
from mainstream.streamer.plan import NetPlan
from mainstream.streamer.results import Analysis, Votes
from mainstream.streamer.turns import Turns
from mainstream.streamer.window import Window

MOST_FAILURES: Final = 3
"""An app that fails on so many frames in a row is stopped."""

_log = logging.getLogger(__name__)


class Running:
    """A plan that runs.

    Parameters
    ----------
    engine : Engine
    window : Window
    meters : Meters
    write : callable
        Called with what an app says of a frame, and with the frame's arrival.
    keep : callable
        Called with the plan at its first result.
    threads : int
        How many frames are worked on at a time.

    Attributes
    ----------
    stopped : dict of int to str
        `app_id` of each app that failed too often in a row -> why.
    good : bool
        Whether an app has had a result.
    """

    def __init__(
        self,
        engine: Engine,
        window: Window,
        meters: Meters,
        write: Callable[[Analysis, Arrival], None],
        keep: Callable[[NetPlan], None],
        threads: int,
    ) -> None:
        self.engine = engine
        self.window = window
        self.stopped: dict[int, str] = {}
        self.good = False
        self._meters = meters
        self._write = write
        self._keep = keep
        self._threads = threads
        self._start()

    def start_again(self, stream_fps: float) -> None:
        """Begin again: the next frame is its first. Apps that were stopped stay stopped."""
        self.engine.start(stream_fps)
        self._start()

    def _start(self) -> None:
        self._turns = Turns(self.engine, self._threads)
        self._votes = {
            branch.subnet.app_id: Votes(branch.event_class, branch.subnet.x_vote)
            for branch in self.engine.branches
            if not branch.subnet.shared
        }
        self._failures = dict.fromkeys(self._votes, 0)

    @property
    def failed(self) -> bool:
        """Whether all its apps are stopped."""
        return len(self.stopped) == len(self._votes)

    @property
    def overloaded(self) -> bool:
        """Whether it is more than the box can do."""
        return self._turns.overloaded

    def due(self, number: int, age_s: float | None) -> list[Due]:
        """The parts that have to run on the stream's frame `number`, as :meth:`mainstream.streamer.engine.Engine.due`.

        `age_s` is how long ago the frame came, or None if frames wait to be taken. When the box is too slow, only apps
        whose turn it is get the frame.
        """
        due = self.engine.due(number)
        return due if age_s is None else self._turns.choose(due, age_s)

    def run(self, due: list[Due], arrival: Arrival, begun: list[int], *, fresh: bool) -> Callable[[float], None]:
        """Run what is due on a frame; return a function of the time when the stream began that delivers the results.

        `begun` gets the `net_id` of each part when it begins. With `fresh`, apps for which the frame has become too old
        are put off, and how long the parts take is noted.

        Several threads may be here at once; deliveries have to come one after the other, in the order of the frames.
        """
        failures: dict[int, str] = {}
        outputs, seconds = run(self._timed(due, arrival, begun, fresh=fresh), arrival.frame.pixels, failures)
        dropped = {one.branch.subnet.net_id: one.dropped for one in due}
        return lambda began: self._deliver(arrival, began, outputs, seconds, failures, dropped)

    def _timed(self, due: list[Due], arrival: Arrival, begun: list[int], *, fresh: bool) -> Iterator[Branch]:
        """The parts, one after the other; the time until the next one is asked for is what the one before took.

        At least one app gets each frame; the others are put off when it has become too old for them.
        """
        served = False
        for place, one in enumerate(due):
            subnet, began_s = one.branch.subnet, monotonic()
            if fresh and served and self._turns.late(one, began_s - arrival.at_s):
                self._put_off(due[place:])
                return
            begun.append(subnet.net_id)
            yield one.branch
            if fresh:
                self._turns.took(subnet.net_id, monotonic() - began_s)
            served = served or not subnet.shared

    def _put_off(self, late: list[Due]) -> None:
        self._turns.put_off(late)
        for one in late:
            if not one.branch.subnet.shared:
                self.window.missed(one.branch.subnet.app_id)

    def hangs(self, number: int, net_id: int, longest_s: float) -> None:
        """Stop the apps that need a part that did not end on frame `number`."""
        needing = {net_id}
        for branch in self.engine.branches:
            subnet = branch.subnet
            if subnet.parent_id in needing:
                needing.add(subnet.net_id)
            if subnet.net_id in needing and not subnet.shared:
                reason = f"net {net_id}: it did not end within {longest_s:g} s"
                self._failures[subnet.app_id] = MOST_FAILURES - 1  # one failure of this kind is enough
                self._failed(subnet.app_id, number, reason)

    def _deliver(
        self,
        arrival: Arrival,
        began: float,
        outputs: dict[int, Tensor],
        seconds: dict[int, float],
        failures: dict[int, str],
        dropped: dict[int, int],
    ) -> None:
        """Count what ran on a frame; decide and write what the apps say of it."""
        for net_id, spent in seconds.items():
            self._meters.computed(self.engine.branches[net_id].subnet, spent)
        for net_id in outputs.keys() | failures.keys():
            subnet = self.engine.branches[net_id].subnet
            if not subnet.shared:
                self._meters.dropped(subnet.app_id, dropped[net_id])
        self.window.computed(arrival, seconds)
        for net_id, reason in failures.items():
            subnet = self.engine.branches[net_id].subnet
            if not subnet.shared:
                self._failed(subnet.app_id, arrival.frame.number, reason)
        for net_id, tensor in outputs.items():
            subnet = self.engine.branches[net_id].subnet
            if not subnet.shared:
                self._analysed(subnet.app_id, tensor[0], arrival, began)

    def _analysed(self, app_id: int, scores: Tensor, arrival: Arrival, began: float) -> None:
        self._failures[app_id] = 0
        if not self.good:
            self.good = True
            self._keep(self.engine.plan)
        votes = self._votes[app_id]
        positive, event = votes.decide(scores)
        self._meters.analysed(app_id, monotonic() - arrival.at_s)
        frame = arrival.frame
        time = began + frame.time_s
        self._write(Analysis(time, frame.number, app_id, scores, votes.event_class, positive, event), arrival)

    def _failed(self, app_id: int, number: int, reason: str) -> None:
        if app_id in self.stopped:  # the frame was begun before the app was stopped
            return
        self.window.missed(app_id)
        self._votes[app_id].miss()
        self._failures[app_id] += 1
        # When memory is short TensorFlow looks for it for 10 s and holds up the other apps: once is enough.
        stop = self._failures[app_id] >= MOST_FAILURES or OUT_OF_MEMORY in reason
        if stop:
            self.stopped[app_id] = reason
            self.engine.stop(self.stopped)
        self._meters.failed(app_id, reason, stopped=stop)
        if stop:
            _log.error("app %s is stopped on frame %d: %s", app_id, number, reason)
        elif self._failures[app_id] == 1:
            _log.warning("app %s failed on frame %d: %s", app_id, number, reason)
