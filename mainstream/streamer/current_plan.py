"""The plan that runs, and the last good one, which runs again when all apps of the plan have failed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock

from mainstream.streamer.plan import NetPlan
from mainstream.streamer.running import Running
from mainstream.streamer.stream_watch import StreamWatch

_log = logging.getLogger(__name__)


class CurrentPlan:
    """Keeps which plan runs; plans change between two frames.

    Parameters
    ----------
    changed : callable
        Called with each plan that takes over, and with None when no plan runs any more.
    watch : StreamWatch
        Knows the stream's rate.

    Attributes
    ----------
    running : Running or None
        The plan that runs.
    """

    def __init__(self, changed: Callable[[NetPlan | None], None], watch: StreamWatch) -> None:
        self.running: Running | None = None
        self._last_good: Running | None = None
        self._changed, self._watch = changed, watch
        self._changing = Lock()  # whoever deploys, and the threads that run frames, change the plan

    def take_over(self, running: Running, stream_fps: float) -> None:
        """Run a plan that was loaded for a stream of `stream_fps`."""
        with self._changing:
            # A plan that never had a result does not replace one that had.
            if self.running is not None and (self.running.good or self._last_good is None):
                self._last_good = self.running
            if stream_fps != self._watch.fps:  # the rate was measured again meanwhile
                running.engine.start(self._watch.fps)
            self._changed(running.engine.plan)
            self.running = running

    def rest(self) -> None:
        """Run no plan."""
        with self._changing:
            self.running = self._last_good = None
            self._changed(None)

    def keep_pace(self) -> None:
        """The stream has a new rate: the next frame counts as the plan's first."""
        with self._changing:
            if self.running is not None:
                self.running.engine.start(self._watch.fps)

    def give_way(self, running: Running) -> None:
        """When all apps of a plan are stopped, run the last good plan again, or none."""
        with self._changing:
            if not running.failed or running is not self.running:
                return
            self.running, self._last_good = self._last_good, None
            if self.running is not None:
                self.running.start_again(self._watch.fps)
                self._changed(self.running.engine.plan)
            _log.error("all apps of the plan failed; %s", self.what_runs)

    @property
    def what_runs(self) -> str:
        """What runs now that all apps of a plan have failed, for a message."""
        return "no plan runs now" if self.running is None else "the last good plan runs again"
