"""A net plan on a source, in this process: the runtime itself, and the deployer that needs no server.

Three kinds of threads: one reads the source, one looks which parts are due on the newest frame, and some run them, one
frame each at a time. A plan takes the place of another between two frames; those in the making end under the old one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Event, Lock, Semaphore, Thread
from time import monotonic, time
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from mainstream.description import shown
from mainstream.errors import DeployError, ProblemError
from mainstream.extensions import PART_LOADERS, PartLoader, Source
from mainstream.ranges import SECONDS, THREADS
from mainstream.streamer.client import Observed
from mainstream.streamer.engine import Due, Engine, Tensor, run
from mainstream.streamer.feed import Arrival, Feed
from mainstream.streamer.meters import AppRate, Meters
from mainstream.streamer.plan import NetPlan
from mainstream.streamer.results import Analysis, ResultsFile, Votes
from mainstream.streamer.sources import open_source
from mainstream.streamer.window import Window

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_LOOK_S: Final = 0.1
"""A wait is no longer than this, so that an end is noticed."""
_END_S: Final = 1.0


class LocalRunner:
    """Runs net plans on a source; use it in a ``with`` block, or :meth:`close` it.

    Parameters
    ----------
    source : str, Path or Source
        What :func:`mainstream.streamer.sources.open_source` takes.
    model_dir : str or Path
        Folder that all model files of plans have to lie in; relative names start there.
    window_s : float
        Seconds over which :meth:`deploy` measures.
    loop : bool
        Begin a file again when it has ended.
    paced : bool
        Frames come at the stream's rate, and those that a newer one overtakes are dropped. False, for files: all
        frames, as fast as it goes; rates and the window then count the stream's seconds.
    size : (int, int), optional
        Height and width that plans have to have; default any.
    engine : str or PartLoader
        What runs the parts of models; a name of :data:`mainstream.extensions.PART_LOADERS`.
    threads : int, optional
        Frames in the making at a time, each in one thread; default the cores that this process may use.
    results : str or Path, optional
        File to add a JSON line to for each app and frame; ``-`` is stdout.
    metrics : str, optional
        ``PORT`` or ``HOST:PORT`` where Prometheus is answered.

    Raises
    ------
    MissingExtraError
        TensorFlow, PyAV or prometheus_client is not installed.
    ProblemError
        An argument is not what it has to be, or the source cannot be opened.
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
        threads: int | None = None,
        results: str | Path | None = None,
        metrics: str | None = None,
    ) -> None:
        self.model_dir = Path(model_dir)
        if not self.model_dir.is_dir():
            raise ProblemError(f"model_dir: {shown(str(model_dir))} is no folder; give the one with the model files")
        SECONDS.check("window_s", window_s)
        if metrics is not None and not isinstance(metrics, str):
            raise ProblemError(f"metrics: got {shown(metrics)}; it has to be PORT or HOST:PORT, as text")
        if threads is not None:
            THREADS.check("threads", threads)
        self.window_s = float(window_s)
        self._paced = paced
        self._size = size
        self._loader = PART_LOADERS.find(engine)
        self._running: _Running | None = None
        self._deploying = Lock()
        self._closed = Event()
        self._ended = Event()
        self._failure: Exception | None = None
        self._began: float | None = None
        self._delivered = InOrder()
        self._count = threads or len(os.sched_getaffinity(0))
        self._free = Semaphore(self._count)
        self._results: ResultsFile | None = None
        with ExitStack() as opened:
            source_ = open_source(source, loop=loop, paced=paced)
            self.stream_fps = source_.fps
            self._feed = Feed(source_, keep_all=not paced)
            opened.callback(self._feed.close)
            if window_s * self.stream_fps < 1:
                raise ProblemError(
                    f"window_s: got {window_s:g}; this source gives a frame every {1 / self.stream_fps:g} s; "
                    "no rate can be measured in less"
                )
            self._meters = Meters(self._feed.rate, lambda: source_.reconnects)
            if results is not None:
                self._results = opened.enter_context(closing(ResultsFile(results)))
            if metrics is not None:
                opened.callback(self._meters.serve(metrics))
            self._loader.start()
            self._workers = ThreadPoolExecutor(self._count, "mainstream-worker")
            opened.callback(self._workers.shutdown, cancel_futures=True)
            self._dispatcher = Thread(target=self._dispatch, name="mainstream-dispatch", daemon=True)
            opened.callback(self._dispatcher.join, _END_S)
            opened.callback(self._closed.set)
            self._dispatcher.start()
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
        """End all threads; frames in the making are finished first."""
        self._opened.close()

    @property
    def ended(self) -> bool:
        """Whether nothing runs any more: the source has ended, or something failed."""
        return self._ended.is_set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of the source.

        Returns
        -------
        bool
            Whether it has ended.

        Raises
        ------
        DeployError
            It ended by a failure.
        """
        self._ended.wait(timeout_s)
        self._check()
        return self.ended

    @property
    def registry(self) -> CollectorRegistry:
        """What Prometheus is told, for an exporter of the caller's own."""
        return self._meters.registry

    def rates(self) -> list[AppRate]:
        """How the apps run now."""
        return self._meters.rates()

    def deploy(self, plan: NetPlan) -> Observed:
        """Load and warm a plan while the one before runs, let it take over between two frames, and measure.

        Parameters
        ----------
        plan : NetPlan

        Returns
        -------
        Observed
            `app_id` -> frames a second over the window, or until the source ended. The plan goes on running.

        Raises
        ------
        DeployError
            The plan cannot be run, and the one before goes on; or the source has ended or failed.
        """
        if not isinstance(plan, NetPlan):
            raise ProblemError(f"plan: got {shown(plan)}; it has to be a NetPlan")
        with self._deploying:
            self._check_runs()
            before = self._running
            try:
                self._check_size(plan)
                loaded = before.engine.loaded if before else None
                engine = Engine(plan, self._loader, self.model_dir, self.stream_fps, loaded)
            except ProblemError as error:
                raise DeployError(str(error)) from None
            window = Window(plan, self.window_s, 1 / self.stream_fps, by_clock=self._paced)
            self._meters.plan(plan)
            self._running = _Running(engine, window)
            self._feed.start()
            while not window.wait(_LOOK_S) and not self.ended and not self._closed.is_set():
                pass
            self._check()
            if self._closed.is_set():
                raise DeployError("the runner was closed while it measured")
            return Observed(window.rates(ended=self.ended), plan)

    def _check(self) -> None:
        if self._failure is not None:
            raise DeployError(str(self._failure))

    def _check_runs(self) -> None:
        self._check()
        if self._closed.is_set():
            raise DeployError("the runner is closed")
        if self.ended:
            raise DeployError("the source has ended; nothing can run any more")

    def _check_size(self, plan: NetPlan) -> None:
        for part in plan.subnets:
            if self._size is not None and (part.height, part.width) != self._size:
                height, width = self._size
                raise ProblemError(
                    f"net {part.net_id}: height, width: {part.height} x {part.width}; "
                    f"this runtime takes {height} x {width}"
                )

    def _dispatch(self) -> None:
        """Give each frame on which something is due to a thread, as long as there are frames."""
        number = 0
        while not self._closed.is_set() and not self._feed.ended:
            if not self._free.acquire(timeout=_LOOK_S):
                continue
            arrival = self._feed.take(_LOOK_S)
            if arrival and self._began is None:
                self._began = time() - arrival.frame.time_s
            running = self._running
            due = self._due(running, arrival) if running and arrival else []
            if not (running and arrival and due):
                self._free.release()
                continue
            try:
                self._workers.submit(self._work, number, running, arrival, due)
            except RuntimeError:  # the process ends, or another thread closes
                break
            number += 1
        for _ in range(self._count):  # those in the making, however long they take
            while not self._closed.is_set() and not self._free.acquire(timeout=_LOOK_S):
                pass
        if self._failure is None:
            self._failure = self._feed.error
        self._ended.set()

    def _due(self, running: _Running, arrival: Arrival) -> list[Due]:
        due = running.engine.due(arrival.frame.number)
        apps = {one.branch.subnet.app_id: one.dropped for one in due if not one.branch.subnet.shared}
        running.window.frame(arrival.at_s if self._paced else arrival.frame.time_s, apps)
        for app_id, frames in apps.items():
            self._meters.dropped(app_id, frames)
        return due

    def _work(self, number: int, running: _Running, arrival: Arrival, due: list[Due]) -> None:
        try:
            outputs, seconds = run([one.branch for one in due], arrival.frame.pixels)
            self._delivered.put(number, lambda: self._deliver(running, arrival, outputs, seconds))
        except Exception as error:  # whatever a thread of ours dies of has to reach whoever waits
            self._failure = self._failure or error
            self._closed.set()
        finally:
            self._free.release()

    def _deliver(
        self, running: _Running, arrival: Arrival, outputs: dict[int, Tensor], seconds: dict[int, float]
    ) -> None:
        """Count what was run on a frame; decide and write what the apps say of it."""
        for net_id, spent in seconds.items():
            subnet = running.engine.branches[net_id].subnet
            self._meters.computed(subnet, spent)
            if subnet.shared:
                continue
            scores = outputs[net_id][0]
            votes = running.votes[subnet.app_id]
            positive, event = votes.decide(scores)
            latency_s = monotonic() - arrival.at_s
            self._meters.analysed(subnet.app_id, latency_s)
            if self._results is not None:
                frame = arrival.frame
                taken = (self._began or 0.0) + frame.time_s
                self._results.write(
                    Analysis(taken, frame.number, subnet.app_id, scores, votes.event_class, positive, event)
                )


class _Running:
    """A plan that runs: its engine, its votes, its measuring window."""

    def __init__(self, engine: Engine, window: Window) -> None:
        self.engine = engine
        self.window = window
        self.votes = {
            branch.subnet.app_id: Votes(branch.event_class, branch.subnet.x_vote)
            for branch in engine.branches
            if not branch.subnet.shared
        }


class InOrder:
    """Lets what several threads finish be delivered in the order in which it was begun: votes count frames in a row."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: dict[int, Callable[[], None]] = {}
        self._next = 0

    def put(self, number: int, deliver: Callable[[], None]) -> None:
        """Number `number`, counted from 0, is finished; deliver it and those that waited for it."""
        with self._lock:
            self._waiting[number] = deliver
            while self._next in self._waiting:
                self._waiting.pop(self._next)()
                self._next += 1
