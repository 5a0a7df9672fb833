"""What a runtime counts, for people and for Prometheus: rates, frames, latencies and compute."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from mainstream._optional import require
from mainstream.streamer.plan import NetPlan, Subnet

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_RECENT_S: Final = 10.0
"""Seconds over which rates are observed."""
_LATENCIES_S: Final = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0)


_Labels = tuple[int, str, str]
"""Labels of a part: its app and its two ends."""


class Rate:
    """How often something happens a second, over the last 10 s or since :meth:`begin` if that is less."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._lock = Lock()
        self.begin()

    def begin(self) -> None:
        """Count from now on."""
        self._began = monotonic()

    @property
    def age_s(self) -> float:
        """Seconds for which it has counted."""
        return monotonic() - self._began

    def tick(self) -> None:
        """Count one."""
        with self._lock:
            self._times.append(monotonic())
            self._forget()

    def __call__(self) -> float:
        with self._lock:
            self._forget()
            span = min(_RECENT_S, self.age_s)
            return len(self._times) / span if span > 0 else 0.0

    def _forget(self) -> None:
        while self._times and self._times[0] < monotonic() - _RECENT_S:
            self._times.popleft()


@dataclass(frozen=True)
class AppRate:
    """How one app runs now.

    Attributes
    ----------
    app_id : int
    target_fps, observed_fps : float
        Frames a second that it should analyse, and that it did analyse in the last 10 s.
    analysed, dropped, failed : int
        Frames since the plan began to run.
    failure : str or None
        Why it failed on its last frame; None if it did not.
    stopped : bool
        It failed too often in a row and no longer runs.
    age_s : float
        Seconds since the plan began to run: `observed_fps` means little in the first few.
    """

    app_id: int
    target_fps: float
    observed_fps: float
    analysed: int
    dropped: int
    failed: int = 0
    failure: str | None = None
    stopped: bool = False
    age_s: float = math.inf


class _App:
    """The counts of one app under one plan."""

    def __init__(self, target_fps: float) -> None:
        self.target_fps = target_fps
        self.rate = Rate()
        self.analysed = 0
        self.dropped = 0
        self.failed = 0
        self.failure: str | None = None
        self.stopped = False


class Meters:
    """All that is counted.

    Parameters
    ----------
    stream : Rate
        Rate of the frames that the source gives.
    reconnects : callable
        Gives how often the source was opened again.
    silent_s : callable
        Gives the seconds for which no frame has come although one was due.

    Attributes
    ----------
    registry : prometheus_client.CollectorRegistry
    """

    def __init__(self, stream: Rate, reconnects: Callable[[], int], silent_s: Callable[[], float]) -> None:
        require("prometheus_client", "run")
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry: CollectorRegistry = CollectorRegistry()
        self._apps: dict[int, _App] = {}
        self._parts: tuple[set[_Labels], set[_Labels]] = set(), set()
        """Parts of the plan before, whose last frames may still come, and of this one."""
        self._known: set[int] = set()
        """Apps of both plans."""

        here: Any = {"namespace": "mainstream", "registry": self.registry}
        self._target = Gauge("target_fps", "Frames a second that the app should analyse.", ["app"], **here)
        self._observed = Gauge("observed_fps", "Frames a second analysed in the last 10 s.", ["app"], **here)
        self._analysed = Counter("frames_analysed", "Frames analysed.", ["app"], **here)
        self._dropped = Counter("frames_dropped", "Frames due that a newer one overtook.", ["app"], **here)
        self._failed = Counter("frames_failed", "Frames on which the app failed.", ["app"], **here)
        self._stopped = Gauge("app_stopped", "Whether the app was stopped after failures in a row.", ["app"], **here)
        about = "From the frame's arrival to its scores."
        self._latency = Histogram("latency_seconds", about, ["app"], buckets=_LATENCIES_S, **here)
        part = ["app", "input_layer", "output_layer"]
        self._compute = Counter("compute_seconds", "Seconds of a core spent in a part.", part, **here)
        self._damaged = Counter("frames_damaged", "Frames that could not be made into pixels.", **here)
        self._lost = Counter("results_lost", "Results that could not be written.", **here)
        self._events_lost = Counter("events_lost", "Parts of events that were lost, and where.", ["where"], **here)
        self._handshakes = Counter(
            "handshakes_failed", "Connections of what is no client, or not an allowed one.", **here
        )
        self._cut = Counter("connections_cut", "Connections that were too many, or sent too much.", **here)
        Gauge("stream_fps", "Frames a second that the source gave in the last 10 s.", **here).set_function(stream)
        Gauge("reconnects", "How often the source was opened again.", **here).set_function(reconnects)
        Gauge(
            "stream_silent_seconds", "For how long the camera has been away; 0 when it is there.", **here
        ).set_function(silent_s)

    def plan(self, plan: NetPlan | None) -> None:
        """From now on the apps of this plan run, or none; the series of earlier plans are dropped."""
        for gauge in (self._target, self._observed, self._stopped):
            gauge.clear()
        self._apps = {} if plan is None else {app_id: _App(fps) for app_id, fps in plan.target_fps.items()}
        for app_id, app in self._apps.items():
            self._target.labels(app_id).set(app.target_fps)
            self._observed.labels(app_id).set_function(app.rate)
            self._stopped.labels(app_id).set(0)
        before, last = self._parts
        self._parts = last, set() if plan is None else {_labels(one) for one in plan.subnets}
        gone = before - last - self._parts[1]
        self._known = {labels[0] for parts in self._parts for labels in parts}
        for labels in gone:
            _forget(self._compute, *labels)
        for app_id in {labels[0] for labels in gone} - self._known:
            for series in (self._analysed, self._dropped, self._failed, self._latency):
                _forget(series, app_id)

    def analysed(self, app_id: int, latency_s: float) -> None:
        """Count a frame that an app has scores of."""
        if app_id in self._apps:
            self._apps[app_id].analysed += 1
            self._apps[app_id].failure = None
            self._apps[app_id].rate.tick()
        if app_id in self._known:  # else the frame is older than the plan before
            self._analysed.labels(app_id).inc()
            self._latency.labels(app_id).observe(latency_s)

    def failed(self, app_id: int, reason: str, *, stopped: bool) -> None:
        """Count a frame on which an app failed; `stopped` says whether the app was stopped for it."""
        if app_id in self._apps:
            app = self._apps[app_id]
            app.failed, app.failure, app.stopped = app.failed + 1, reason, stopped
            self._failed.labels(app_id).inc()
            self._stopped.labels(app_id).set(stopped)

    def dropped(self, app_id: int, frames: int) -> None:
        """Count frames that an app should have had but newer ones overtook."""
        if app_id in self._apps:  # else the next plan is known already but has had no frame yet
            self._apps[app_id].dropped += frames
            self._dropped.labels(app_id).inc(frames)

    def computed(self, subnet: Subnet, seconds: float) -> None:
        """Add the seconds of a core that a part took for a frame."""
        labels = _labels(subnet)
        if any(labels in parts for parts in self._parts):
            self._compute.labels(*labels).inc(seconds)

    def damaged(self) -> None:
        """Count a frame that could not be made into pixels."""
        self._damaged.inc()

    def result_lost(self) -> None:
        """Count a result that could not be written."""
        self._lost.inc()

    def event_lost(self, where: str) -> None:
        """Count a part of an event that was lost: there was no room, or it could not be written or sent."""
        self._events_lost.labels(where).inc()

    def handshake_failed(self) -> None:
        """Count a connection of something that is no client, or not an allowed one."""
        self._handshakes.inc()

    def connection_cut(self) -> None:
        """Count a connection that was cut off: it was one too many, or sent too much."""
        self._cut.inc()

    def rates(self) -> list[AppRate]:
        """How the apps of the plan run now, in its order."""
        return [
            AppRate(
                app_id,
                app.target_fps,
                app.rate(),
                app.analysed,
                app.dropped,
                app.failed,
                app.failure,
                app.stopped,
                app.rate.age_s,
            )
            for app_id, app in list(self._apps.items())
        ]


def _labels(subnet: Subnet) -> _Labels:
    return subnet.app_id, subnet.input_layer, subnet.output_layer


def _forget(series: Any, *labels: int | str) -> None:
    with suppress(KeyError):  # it has not happened yet
        series.remove(*labels)
