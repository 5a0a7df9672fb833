"""The box that keeps running: solve, run, watch, and solve again when problem, camera or measured compute have changed.

A plan that cannot be had, since the file is half-written, nothing fits, or the runtime refuses it, leaves the plan
before running, and one line says why. Solving takes milliseconds and a swap loses no frame, so whatever changes is
answered with a new plan at once.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import Final

from mainstream.box.compute_watch import ComputeWatch
from mainstream.box.deploying import Deploying, Told
from mainstream.box.file_watch import FileWatch
from mainstream.box.shortfall import what_would_give
from mainstream.box.wanted import Wanted, same_rate
from mainstream.correction import corrected
from mainstream.errors import InfeasibleError, MainstreamError
from mainstream.problem import Model
from mainstream.schedule import Result
from mainstream.scheduler import measurement
from mainstream.streamer import LocalRunner, NetPlan, Observed, StreamerClient, net_plan

_LOOK_S: Final = 0.1
"""How often the file and the camera are looked at."""
_A_MINUTE_S: Final = 60.0
"""For so long compute has to be off before something is done about it."""


class Box:
    """Runs a problem file until it is ended.

    Parameters
    ----------
    read : callable
        Reads the problem anew; an error of it is told.
    watch : FileWatch
        Of the problem's file.
    runtime : LocalRunner or StreamerClient
        Where plans run. Only of one in this process is the camera's rate known.
    say : callable
        Takes a line for people.
    """

    def __init__(
        self,
        read: Callable[[], Wanted],
        watch: FileWatch,
        runtime: LocalRunner | StreamerClient,
        say: Callable[[str], None],
    ) -> None:
        self._read, self._watch, self._runtime, self._say = read, watch, runtime, say
        self._local = runtime if isinstance(runtime, LocalRunner) else None
        self._deploying = Deploying(runtime)
        self._wanted: Wanted | None = None
        self._solved_fps: float | None = None
        self._model: Model | None = None
        """The problem's, corrected by what was measured."""
        self._too_dear: list[NetPlan] = []
        """Plans that took too much, since the problem changed: none of them is gone back to."""
        self._compute: ComputeWatch | None = None
        self._before: tuple[NetPlan | None, ComputeWatch | None] = None, None
        """What is gone back to when the runtime refuses a plan."""
        self._plan: NetPlan | None = None
        """The last one that was sent."""
        self._said_of: tuple[NetPlan, str] | None = None

    def start(self) -> None:
        """Read the problem, solve it and run its plan.

        Raises
        ------
        MainstreamError
            There is no plan to be had, and none that was kept runs in its place.
        """
        try:
            self._wanted = self._read()
            self._send("", self._solved(self._wanted))
        except MainstreamError as error:
            if self._local is None or not self._local.restore():
                raise
            self._plan = self._local.plan
            self._say(f"{error}; the plan that was kept runs")

    def run(self) -> None:
        """Watch, until the source has ended.

        Raises
        ------
        DeployError
            The runtime failed.
        """
        while self._local is None or not self._local.ended:
            self.look()
        self._local.wait()

    def look(self) -> None:
        """Look once at what may have changed, and do what is due; takes a tenth of a second."""
        began = monotonic()
        told = self._deploying.told(_LOOK_S)
        if told is not None:
            self._hear(told)
        if self._watch.changed():
            self._read_again()
        elif self._wanted is not None and self._rate_changed():
            self._again(self._wanted, f"the camera has {self._fps():.4g} frames a second")
        sleep(max(0.0, began + _LOOK_S - monotonic()))

    def close(self) -> None:
        """Wait for nothing any more."""
        self._deploying.give_up()

    def _fps(self) -> float | None:
        """Frames a second of the camera, where that is known."""
        return None if self._local is None else self._local.stream_fps

    def _rate_changed(self) -> bool:
        fps = self._fps()
        return fps is not None and self._solved_fps is not None and not same_rate(self._solved_fps, fps)

    def _read_again(self) -> None:
        try:
            wanted = self._read()
        except MainstreamError as error:
            self._say(f"{error}; {self._stays}")
            return
        if wanted != self._wanted:
            if self._wanted is None or wanted.problem.model != self._wanted.problem.model:
                self._model = None
            self._too_dear.clear()
            self._again(wanted, "the problem has changed")

    def _again(self, wanted: Wanted, why: str) -> None:
        """Solve what is wanted now, and let it take over; where that cannot be, the plan before goes on."""
        self._wanted, self._solved_fps = wanted, self._fps()
        try:
            result, plan = self._solved(wanted)
        except MainstreamError as error:
            self._say(f"{why}: {error}; {self._stays}")
            return
        if plan == self._plan or plan in self._too_dear:
            self._say(f"{why}: the plan stays")
        else:
            self._send(f"{why}: ", (result, plan))

    def _solved(self, wanted: Wanted) -> tuple[Result, NetPlan]:
        self._solved_fps = self._fps()
        prepared = wanted.prepared(self._solved_fps, self._model)
        try:
            result = prepared.solve(**wanted.how)
        except InfeasibleError as error:
            raise InfeasibleError(f"{error}; {what_would_give(prepared, wanted.how, error)}") from None
        return result, self._as_sent(net_plan(result, prepared.described, prepared.model))

    def _as_sent(self, plan: NetPlan) -> NetPlan:
        whole = isinstance(self._runtime, StreamerClient) and self._runtime.integer_fps
        return plan.with_integer_fps() if whole else plan

    def _send(self, why: str, solved: tuple[Result, NetPlan]) -> None:
        self._before = self._plan, self._compute
        result, self._plan = solved
        # A runtime elsewhere is measured once, for as long as it likes.
        self._compute = ComputeWatch(result.cost, result.budget, _A_MINUTE_S if self._local else 0.0)
        self._say(f"{why}{_summary(result)}")
        self._deploying.send(self._plan)

    def _hear(self, told: Told) -> None:
        """Say what came of a plan, once for each thing that may come of it."""
        if told.error is not None:
            text = str(told.error)
            if self._local is not None and self._local.plan != told.plan:
                self._plan, self._compute = self._before
                text = f"{text}; {self._stays}"
                if self._plan is not None:
                    self._deploying.go_on(self._plan)
        elif told.observed is not None and told.observed.compute is not None:
            text = f"measured: {1000 * told.observed.compute.cores:.4g} ms of a core a second"
            self._correct(told.observed)
        else:
            return
        kind = "error" if told.error is not None else "measured"
        if self._said_of != (told.plan, kind):
            self._said_of = told.plan, kind
            self._say(text)

    def _correct(self, observed: Observed) -> None:
        """Where a plan has taken too much or too little for long, correct the model by that and solve again."""
        wanted, plan = self._wanted, self._plan
        if wanted is None or plan is None or self._compute is None or observed.plan != plan:
            return
        model = self._model or wanted.problem.model
        measured, _ = measurement(observed, model)
        off = None if measured is None else self._compute.heard(measured)
        if measured is None or off is None:
            return
        cost, self._compute = self._compute.cost * (measured.factor or 1.0), None
        self._model = corrected(model, measured.parts)
        if off == "too much":
            self._too_dear.append(plan)
        self._again(wanted, f"it takes {off}: {measured.factor:.2f} times what was predicted")
        if self._plan == plan and off == "too little":
            self._compute = ComputeWatch(cost, wanted.budget, _A_MINUTE_S)

    @property
    def _stays(self) -> str:
        """What becomes of it when there is no new plan."""
        return "the plan before goes on" if self._plan is not None else "no plan runs"


def _summary(result: Result) -> str:
    """A result in a line."""
    unit = f" {result.unit}/s" if result.unit else ""
    mean = "worst" if result.aggregate == "min" else "mean"
    metric = "F1" if result.metric == "f1" else result.metric
    left_out = f", {len(result.left_out)} left out" if result.left_out else ""
    return (
        f"{len(result.choices)} apps{left_out}, predicted {mean} {metric} {result.objective:.3f}, "
        f"cost {result.cost:.4g} of {result.budget:.4g}{unit}"
    )
