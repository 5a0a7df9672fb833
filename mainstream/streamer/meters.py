"""What a runtime counts: rates, frames, latencies and compute, for people and for Prometheus."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from mainstream._optional import require
from mainstream.errors import ProblemError
from mainstream.streamer.plan import NetPlan, Subnet

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_RECENT_S: Final = 10.0
"""Observed rates are over the last seconds."""
_LATENCIES_S: Final = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0)


class Rate:
    """How often something happens, over the last 10 s, or since it began when that is less."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._began = monotonic()
        self._lock = Lock()

    def tick(self) -> None:
        """It happened."""
        with self._lock:
            self._times.append(monotonic())
            self._forget()

    def __call__(self) -> float:
        with self._lock:
            self._forget()
            span = min(_RECENT_S, monotonic() - self._began)
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
        What it should analyse, and what it did in the last 10 s.
    analysed, dropped : int
        Frames since the plan began to run.
    """

    app_id: int
    target_fps: float
    observed_fps: float
    analysed: int
    dropped: int


class _App:
    """The counts of one app under one plan."""

    def __init__(self, target_fps: float) -> None:
        self.target_fps = target_fps
        self.rate = Rate()
        self.analysed = 0
        self.dropped = 0


class Meters:
    """All that is counted.

    Parameters
    ----------
    stream : Rate
        Of the frames that the source gives.
    reconnects : callable
        How often the source was opened again.

    Attributes
    ----------
    registry : prometheus_client.CollectorRegistry
    """

    def __init__(self, stream: Rate, reconnects: Callable[[], int]) -> None:
        require("prometheus_client", "run")
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry: CollectorRegistry = CollectorRegistry()
        self._apps: dict[int, _App] = {}

        here: Any = {"namespace": "mainstream", "registry": self.registry}
        self._target = Gauge("target_fps", "Frames a second that the app should analyse.", ["app"], **here)
        self._observed = Gauge("observed_fps", "Frames a second analysed in the last 10 s.", ["app"], **here)
        self._analysed = Counter("frames_analysed", "Frames analysed.", ["app"], **here)
        self._dropped = Counter("frames_dropped", "Frames due that a newer one overtook.", ["app"], **here)
        about = "From the frame's arrival to its scores."
        self._latency = Histogram("latency_seconds", about, ["app"], buckets=_LATENCIES_S, **here)
        part = ["app", "input_layer", "output_layer"]
        self._compute = Counter("compute_seconds", "Seconds of a core spent in a part.", part, **here)
        Gauge("stream_fps", "Frames a second that the source gave in the last 10 s.", **here).set_function(stream)
        Gauge("reconnects", "How often the source was opened again.", **here).set_function(reconnects)

    def plan(self, plan: NetPlan) -> None:
        """From now on the apps of this plan run."""
        self._target.clear()
        self._observed.clear()
        self._apps = {app_id: _App(fps) for app_id, fps in plan.target_fps.items()}
        for app_id, app in self._apps.items():
            self._target.labels(app_id).set(app.target_fps)
            self._observed.labels(app_id).set_function(app.rate)

    def analysed(self, app_id: int, latency_s: float) -> None:
        """An app has its scores of a frame."""
        self._analysed.labels(app_id).inc()
        self._latency.labels(app_id).observe(latency_s)
        if app_id in self._apps:  # not so for a frame that the plan before has left
            self._apps[app_id].analysed += 1
            self._apps[app_id].rate.tick()

    def dropped(self, app_id: int, frames: int) -> None:
        """Frames that an app should have had were overtaken."""
        self._dropped.labels(app_id).inc(frames)
        if app_id in self._apps:
            self._apps[app_id].dropped += frames

    def computed(self, subnet: Subnet, seconds: float) -> None:
        """A part has run."""
        self._compute.labels(subnet.app_id, subnet.input_layer, subnet.output_layer).inc(seconds)

    def rates(self) -> list[AppRate]:
        """How the apps of the plan run now, in its order."""
        return [
            AppRate(app_id, app.target_fps, app.rate(), app.analysed, app.dropped)
            for app_id, app in list(self._apps.items())
        ]

    def serve(self, address: str) -> Callable[[], None]:
        """Answer Prometheus at ``PORT`` (of 127.0.0.1) or ``HOST:PORT``; returns what ends that.

        Raises
        ------
        ProblemError
            The address is of another form, or taken.
        """
        from prometheus_client import start_http_server

        host, _, port = address.rpartition(":")
        if not port.isdecimal() or not 0 <= int(port) <= 65535:
            raise ProblemError(f"metrics: got {address!r}; it has to be PORT or HOST:PORT")
        try:
            server, thread = start_http_server(int(port), host or "127.0.0.1", self.registry)
        except OSError as error:
            raise ProblemError(f"metrics: cannot listen at {address}: {error.strerror}") from None

        def end() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return end
