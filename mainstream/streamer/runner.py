"""Runs net plans on a source in this process: the runtime itself, and the deployer that needs no server.

There are three kinds of threads: one reads the source (feed.py), one finds which parts are due on the newest frame, and
some run these parts, each for one frame at a time (frame_loop.py). A plan takes the place of another between two
frames; frames that are being worked on end under the old plan.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Event, Lock
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from numpy.typing import NDArray

from mainstream._system import require_linux, usable_cores
from mainstream.description import shown
from mainstream.errors import DeployError, ProblemError
from mainstream.extensions import PART_LOADERS, PartLoader, Source
from mainstream.ranges import SECONDS, THREADS
from mainstream.streamer.current_plan import CurrentPlan
from mainstream.streamer.deployer import Observed
from mainstream.streamer.engine import LARGEST_SIDE, part_keys
from mainstream.streamer.events.event import PlannedApp, planned_apps
from mainstream.streamer.events.merging import Said
from mainstream.streamer.events.packets import CodedSource
from mainstream.streamer.events.recorder import Recorder, Teller, packets_for
from mainstream.streamer.events.settings import EventSettings
from mainstream.streamer.feed import Arrival, Feed
from mainstream.streamer.frame_loop import FrameLoop
from mainstream.streamer.frames import Frame
from mainstream.streamer.loading import Loading
from mainstream.streamer.meters import AppRate, Meters
from mainstream.streamer.metrics_server import serve_metrics
from mainstream.streamer.plan import NOBODY, NetPlan, View
from mainstream.streamer.plan_state import PlanState
from mainstream.streamer.requests import one_line
from mainstream.streamer.results import Analysis, ResultsFile
from mainstream.streamer.running import Running
from mainstream.streamer.sources import open_source
from mainstream.streamer.stream_watch import StreamWatch
from mainstream.streamer.window import Window

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_LOOK_S: Final = 0.1
"""No wait is longer than this, so that the end is noticed."""
_LOAD_TIMEOUT_S: Final = 60.0
_OWN_THREADS: Final = "the engine computes in threads of its own"
_SETTLE_S: Final = 1.0
"""Seconds to wait for the window's frames that are still being worked on when it ends."""
_HELD_S: Final = 2.0
_MOST_HELD: Final = 64
"""Most seconds and most frames of the stream that wait, rather than being dropped, while a plan is loaded."""

_log = logging.getLogger(__name__)


class LocalRunner:
    """Runs net plans on a source; use it in a ``with`` block, or :meth:`close` it.

    Parameters
    ----------
    source : str, Path or Source
        What :func:`mainstream.streamer.sources.open_source` takes.
    model_dir : str or Path
        Folder in which all model files of plans have to lie; relative names start there.
    window_s : float
        Seconds over which :meth:`deploy` measures.
    loop : bool
        Begin a clip again when it has ended.
    paced : bool
        Frames come at the stream's rate, and one that a newer one overtakes is dropped. False, for clips: all frames
        are analysed, as fast as possible, and rates and the window go by the stream's own time.
    size : (int, int), optional
        Height and width that plans must have; default any.
    engine : str or PartLoader
        Runs the parts of models; an object, or a name of :data:`mainstream.extensions.PART_LOADERS`.
    trust_models : bool
        Let models do more than compute: read and write files, loop, whatever their engine can do.
    threads : int, optional
        How many frames are worked on at a time, each in one thread; default: the cores that this process may use.
    results : str or Path, optional
        File to add a JSON line to for each app and frame; ``-`` is stdout.
    events : EventSettings, optional
        What to make of events, and where to send them.
    tellers : sequence of Teller
        Others to tell of events.
    metrics : str, optional
        ``PORT`` or ``HOST:PORT`` at which Prometheus is answered.
    state : str or Path, optional
        Folder in which the last good plan is kept, for :meth:`restore`.
    stream : str, optional
        Name of the camera, if there are several; results and events carry it.

    Attributes
    ----------
    listeners : list of callable
        Called with each plan, app and what the app says of a frame. Frames wait for them, so they must be quick.
    beside : sequence of LocalRunner
        Runners of other cameras in this process; their frames wait, too, while a plan is loaded here.

    Raises
    ------
    MainstreamError
        This is not Linux.
    MissingExtraError
        TensorFlow, PyAV or prometheus_client is not installed.
    ProblemError
        An argument has a wrong type or value, or the source cannot be opened.
    """

    def __init__(
        self,
        source: str | Path | Source,
        model_dir: str | Path,
        *,
        window_s: float = 30.0,
        loop: bool = True,
        paced: bool = True,
        size: tuple[int, int] | None = None,
        engine: str | PartLoader = "tensorflow",
        trust_models: bool = False,
        threads: int | None = None,
        results: str | Path | None = None,
        events: EventSettings | None = None,
        tellers: Sequence[Teller] = (),
        metrics: str | None = None,
        state: str | Path | None = None,
        stream: str | None = None,
    ) -> None:
        require_linux("a runtime in this process")
        self.model_dir = Path(model_dir)
        if not self.model_dir.is_dir():
            raise ProblemError(f"model_dir: {shown(str(model_dir))} is no folder; give the one with the model files")
        SECONDS.check("window_s", window_s)
        if metrics is not None and not isinstance(metrics, str):
            raise ProblemError(f"metrics: got {shown(metrics)}; it has to be PORT or HOST:PORT, as text")
        if threads is not None:
            THREADS.check("threads", threads)
        self.window_s = float(window_s)
        self._paced, self._stream = paced, stream
        self.loader = PART_LOADERS.find(engine)
        self.trust_models = trust_models
        self._deploying = Lock()
        self._closed = Event()
        self._loading = Loading(self.loader, self.model_dir, size, trusted=trust_models, closed=self._closed)
        self._holding, self._holds = Lock(), 0
        self._resting = False
        self.beside: Sequence[LocalRunner] = ()
        self._results: ResultsFile | None = None
        self._recorder: Recorder | None = None
        self.listeners: list[Callable[[NetPlan, PlannedApp, Analysis], None]] = []
        if tellers and events is None:
            events = EventSettings()
        self._gap_ms = 0.0 if events is None else events.gap_ms
        self._state = None if state is None else PlanState(Path(state))
        with ExitStack() as opened:
            source_ = open_source(source, loop=loop, paced=paced)
            self._feed = Feed(source_, keep_all=not paced)
            opened.callback(self._feed.close)
            self._watch = StreamWatch(self._feed)
            if window_s * self.stream_fps < 1:
                raise ProblemError(
                    f"window_s: got {window_s:g}; this source gives a frame every {1 / self.stream_fps:g} s; "
                    "no rate can be measured in less"
                )
            self.meters = Meters(self._feed.rate, lambda: source_.reconnects, lambda: self._watch.silent_s)
            self._plan = CurrentPlan(self._changed, self._watch)
            if results is not None:
                self._results = opened.enter_context(closing(ResultsFile(results, stream)))
            if events is not None:
                self._recorder = self._record(events, source_, tellers)
                opened.callback(self._recorder.close)
            if metrics is not None:
                opened.callback(
                    serve_metrics(metrics, self.meters.registry, {"/healthz": self.unhealthy, "/readyz": self.unready})
                )
            self.loader.start()
            self._threads = threads or usable_cores()
            self._loop = FrameLoop(self._feed, self._watch, self._plan, self.meters, self._threads, by_clock=paced)
            opened.callback(self._loop.close)
            opened.callback(self._closed.set)
            self._opened = opened.pop_all()
        if source_.live:
            self._feed.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all threads; frames that are being worked on are finished first, if that takes at most a second."""
        self._opened.close()

    @property
    def stream_fps(self) -> float:
        """Frames a second of the source; those of a live one are measured all the time."""
        return self._watch.fps

    @property
    def silent_s(self) -> float:
        """Seconds for which a live source has given no frame although one was due; else 0."""
        return self._watch.silent_s

    @property
    def plan(self) -> NetPlan | None:
        """The plan that runs."""
        running = self._plan.running
        return None if running is None else running.engine.plan

    @property
    def ended(self) -> bool:
        """Whether nothing runs any more: the source has ended, or something failed."""
        return self._loop.ended.is_set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of the source.

        Returns
        -------
        bool
            Whether it has ended.

        Raises
        ------
        DeployError
            A failure ended it.
        """
        self._loop.ended.wait(timeout_s)
        self._check()
        return self.ended

    def unhealthy(self) -> str | None:
        """Why the runtime has to be started again; None if it need not be."""
        if self._loop.failure is not None:
            return one_line(str(self._loop.failure))
        return self._loading.unhealthy if self._loop.alive else "the source has ended"

    def unready(self) -> str | None:
        """Why no app analyses frames now; None if one does."""
        wrong = self.unhealthy()
        if wrong is not None:
            return wrong
        running = self._plan.running
        return "no plan runs" if running is None or running.failed else self._watch.away

    def troubles(self) -> list[str]:
        """What is wrong now, a line each: no frames, no plan, a disk that cannot be written."""
        unready = self._watch.away if self._resting else self.unready()
        wrong = [unready, self._results and self._results.pausing, self._recorder and self._recorder.pausing]
        return [one for one in wrong if one]

    @property
    def newest(self) -> Frame | None:
        """The newest frame of the source."""
        return self._watch.newest

    @property
    def registry(self) -> CollectorRegistry:
        """What Prometheus reads, for the caller's own exporter."""
        return self.meters.registry

    def rates(self) -> list[AppRate]:
        """How the apps run now."""
        return self.meters.rates()

    def has_loaded(self, plan: NetPlan) -> bool:
        """Whether nothing of a plan has to be loaded: its parts are loaded already, or one of its files is missing."""
        running = self._plan.running
        try:
            return running is not None and set(part_keys(plan, self.model_dir).values()) <= running.engine.loaded.keys()
        except ProblemError:
            return True

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Let frames wait, rather than be dropped, while a plan is loaded here or for another camera."""
        with self._holding:
            self._holds += 1
            self._feed.hold(min(round(_HELD_S * self.stream_fps), _MOST_HELD))
        try:
            yield
        finally:
            with self._holding:
                self._holds -= 1
                if not self._holds:
                    self._feed.release()

    def recent_frame(self, plan: NetPlan) -> dict[View, NDArray[np.uint8]]:
        """The newest frame, as each part of a plan that the camera feeds would get it; empty if there was none."""
        frame = self._watch.newest
        views = {one.view for one in plan.subnets if one.parent_id == NOBODY and one.channels in (1, 3)}
        found = {}
        with suppress(Exception):  # a damaged frame counts as none
            for view in views:
                if frame is not None and max(view.height, view.width) <= LARGEST_SIDE:
                    found[view] = frame.pixels(*view)
        return found

    def deploy(
        self, plan: NetPlan, *, given_up: Event | None = None, load_timeout_s: float = _LOAD_TIMEOUT_S
    ) -> Observed:
        """Load and warm a plan while the old one runs, let it take over between two frames, and measure it.

        Parameters
        ----------
        plan : NetPlan
        given_up : Event, optional
            Another thread sets it when nobody waits for the rates any more. A plan that has not taken over then never
            does, and measuring ends.
        load_timeout_s : float
            Seconds that loading the plan may take.

        Returns
        -------
        Observed
            `app_id` -> frames a second over the window, or until the source ended, and the compute of the plan's parts.
            The plan keeps running.

        Raises
        ------
        DeployError
            The plan cannot run, and the old one goes on; or the source has ended or failed.
        """
        if not isinstance(plan, NetPlan):
            raise ProblemError(f"plan: got {shown(plan)}; it has to be a NetPlan")
        given_up = given_up or Event()
        with self._deploying:
            return self._observe(self._take_over(plan, given_up, load_timeout_s), given_up)

    def rest(self) -> None:
        """Run no plan until another one is deployed; frames keep coming."""
        with self._deploying:
            self._resting = True
            self._plan.rest()
            if self._state is not None:
                self._state.clear()

    def measure(self, *, given_up: Event | None = None) -> Observed:
        """Measure the plan that runs over another window.

        Parameters
        ----------
        given_up : Event, optional
            Another thread sets it when nobody waits for the rates any more.

        Returns
        -------
        Observed
            As :meth:`deploy` gives it.

        Raises
        ------
        DeployError
            No plan runs, all its apps failed, no frames come, or the source has ended or failed.
        """
        with self._deploying:
            self._check_runs()
            running = self._plan.running
            if running is None:
                raise DeployError("no plan runs")
            running.window = self._window(running.engine.plan)
            return self._observe(running, given_up or Event())

    def _window(self, plan: NetPlan) -> Window:
        return Window(plan, self.window_s, 1 / self.stream_fps, by_clock=self._paced)

    def _observe(self, running: Running, given_up: Event) -> Observed:
        """Observe a plan until its window ends or it is given up."""
        window, plan = running.window, running.engine.plan
        while not (window.wait(_LOOK_S) or running.failed or given_up.is_set()):
            if self.ended or self._closed.is_set():
                break
        self._check()
        if self._closed.is_set():
            raise DeployError("the runner was closed while it measured")
        if running.failed:
            app_id, reason = next(iter(running.stopped.items()))
            raise DeployError(f"all its apps failed, and {self._plan.what_runs}: app {app_id}: {reason}")
        if self._feed.source.live and (window.empty or self.silent_s):
            away = f"the camera is away: no frame for {self.silent_s:.1f} s"
            raise DeployError(f"{away}; the plan runs as soon as frames come again")
        window.settle(_SETTLE_S)
        if getattr(self.loader, "own_threads", False):
            return Observed(window.rates(ended=self.ended), plan, unmeasured=_OWN_THREADS)
        return Observed(window.rates(ended=self.ended), plan, window.compute(ended=self.ended))

    def restore(self) -> bool:
        """Run the last good plan that was kept, if there is one; return whether it runs now.

        If it can no longer run, the log says why.
        """
        plan = None if self._state is None else self._state.load()
        if plan is None:
            return False
        try:
            with self._deploying:
                self._take_over(plan, Event(), _LOAD_TIMEOUT_S)
        except DeployError as error:
            _log.warning("the plan that was kept does not run: %s", error)
            return False
        return True

    def _take_over(self, plan: NetPlan, given_up: Event, load_timeout_s: float) -> Running:
        """Load and warm a plan, and let it take over."""
        self._check_runs()
        stream_fps, before = self.stream_fps, self._plan.running
        with ExitStack() as held:
            for one in (self, *self.beside):
                held.enter_context(one.holding())
            engine = self._loading.load(plan, stream_fps, before.engine.loaded if before else None, load_timeout_s)
        if given_up.is_set():
            raise DeployError("it was given up before it was loaded")
        write = partial(self._write, plan, planned_apps(plan, self._gap_ms))
        running = Running(engine, self._window(plan), self.meters, write, self._keep, self._threads)
        self._resting = False
        self._plan.take_over(running, stream_fps)
        self._feed.start()
        return running

    def _keep(self, plan: NetPlan) -> None:
        if self._state is not None:
            self._state.save(plan)

    def _record(self, events: EventSettings, source: Source, tellers: Sequence[Teller]) -> Recorder:
        packets = packets_for(events)
        if packets is not None:
            if not self._paced:
                raise ProblemError("clips: they are cut by the clock; leave them out when frames are not paced")
            if not isinstance(source, CodedSource):
                raise ProblemError("clips: this source gives pictures, not coded video; leave them out")
            source.on_packet = packets.add
        return Recorder(
            events, self.meters.event_lost, packets, by_clock=self._paced, tellers=tellers, stream=self._stream
        )

    def _changed(self, plan: NetPlan | None) -> None:
        self.meters.plan(plan)
        if self._recorder is not None:
            self._recorder.plan({} if plan is None else planned_apps(plan, self._gap_ms))

    def _write(self, plan: NetPlan, apps: Mapping[int, PlannedApp], analysis: Analysis, arrival: Arrival) -> None:
        if self._results is not None and not self._results.write(analysis):
            self.meters.result_lost()
        for listener in self.listeners:
            listener(plan, apps[analysis.app_id], analysis)
        if self._recorder is not None:
            self._recorder.said(Said(apps[analysis.app_id], analysis, arrival.frame, arrival.at_s))

    def _check(self) -> None:
        if self._loop.failure is not None:
            raise DeployError(str(self._loop.failure))

    def _check_runs(self) -> None:
        self._check()
        if self._closed.is_set():
            raise DeployError("the runner is closed")
        if self.ended:
            raise DeployError("the source has ended; nothing can run any more")
