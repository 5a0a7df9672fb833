"""Sends plans to a runtime in threads that can be given up: the box itself never waits for one."""

from __future__ import annotations

import queue
from dataclasses import dataclass
from threading import Event, Thread
from typing import Final

from mainstream.errors import DeployError, MainstreamError
from mainstream.streamer import LocalRunner, NetPlan, Observed, StreamerClient

Runtime = LocalRunner | StreamerClient

_AGAIN_S: Final = 5.0
"""Seconds after which a runtime that did not answer, or failed to measure, is asked again."""


@dataclass(frozen=True)
class Told:
    """What came of a plan.

    Attributes
    ----------
    plan : NetPlan or None
        None if none was to run.
    observed : Observed or None
        What was measured of it.
    error : MainstreamError or None
        Why nothing was measured.
    """

    plan: NetPlan | None
    observed: Observed | None = None
    error: MainstreamError | None = None


class _Job:
    """Sends one plan, or none; a runtime in this process then measures it window after window."""

    def __init__(self, runtime: Runtime, plan: NetPlan | None, before: _Job | None, *, runs: bool) -> None:
        self.plan = plan
        self._runs = runs
        self.given_up = Event()
        self.told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._runtime, self._before = runtime, before
        self._thread = Thread(target=self._work, name="mainstream-deploying", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        if self._before is not None:  # a server should see its client go before it gets the next plan
            self._before._thread.join()
            self._before = None
        while not self.given_up.is_set():
            error: MainstreamError | None = None
            if self.plan is None:
                if isinstance(self._runtime, LocalRunner):
                    self._runtime.rest()
                return
            try:
                if self._runs and isinstance(self._runtime, LocalRunner):
                    observed = self._runtime.measure(given_up=self.given_up)
                else:
                    observed = self._runtime.deploy(self.plan, given_up=self.given_up)
                self.told.put(Told(self.plan, observed))
            except MainstreamError as failed:
                error = failed
                self.told.put(Told(self.plan, error=failed))
            if isinstance(self._runtime, LocalRunner):
                self._runs = self._runtime.plan == self.plan
                if not self._runs or self._runtime.ended:
                    return
            elif error is None or not isinstance(error, DeployError):
                return
            if error is not None:
                self.given_up.wait(_AGAIN_S)


class Deploying:
    """Sends plans to a runtime, each in place of the one before.

    Parameters
    ----------
    runtime : LocalRunner or StreamerClient
        One in this process measures all the time; another one is asked again as long as it does not answer.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._job: _Job | None = None

    def send(self, plan: NetPlan | None) -> None:
        """Let a plan take over, or run none; what comes of earlier plans no longer counts."""
        self._begin(plan, runs=False)

    def go_on(self, plan: NetPlan) -> None:
        """Measure a plan that runs already."""
        self._begin(plan, runs=True)

    def _begin(self, plan: NetPlan | None, *, runs: bool) -> None:
        self.give_up()
        self._job = _Job(self._runtime, plan, self._job, runs=runs)

    def give_up(self) -> None:
        """Wait for nothing any more."""
        if self._job is not None:
            self._job.given_up.set()

    def told(self) -> Told | None:
        """What came of the last plan; None if there is nothing new."""
        try:
            return None if self._job is None else self._job.told.get_nowait()
        except queue.Empty:
            return None
