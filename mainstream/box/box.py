"""The box that keeps running: solve, run, watch, and solve again when problem, camera or measured compute have changed.

A plan that cannot be had, since the file is half-written, nothing fits, or the runtime refuses it, leaves the plan
before running, and one line says why. Solving takes milliseconds and a swap loses no frame, so whatever changes is
answered with a new plan at once. Changes come from other threads, too: one lock is held while something is decided,
and none while anything is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event, RLock
from time import monotonic
from typing import Final

from mainstream.box.changes import AddedApp, Changes
from mainstream.box.compute_watch import ComputeWatch
from mainstream.box.deploying import Deploying, Told
from mainstream.box.file_watch import FileWatch
from mainstream.box.shortfall import what_would_give
from mainstream.box.wanted import Wanted, same_rate
from mainstream.correction import corrected
from mainstream.errors import DeployError, InfeasibleError, MainstreamError, ProblemError
from mainstream.problem import Model
from mainstream.schedule import Result
from mainstream.scheduler import measurement
from mainstream.solver import Prepared
from mainstream.streamer import LocalRunner, NetPlan, Observed, StreamerClient, net_plan

Read = Callable[[Sequence[AddedApp]], Wanted]

_LOOK_S: Final = 0.1
"""How often the file and the camera are looked at."""
_A_MINUTE_S: Final = 60.0
"""For so long compute has to be off before something is done about it."""
_SOLVE_S: Final = 5.0
"""Seconds of a solve where the problem does not say it; the best schedule so far is then run."""
_BUSY_S: Final = 10.0
"""Seconds for which a change waits for what is being decided."""


@dataclass(frozen=True)
class Standing:
    """How things stand.

    Attributes
    ----------
    base : Wanted or None
        What the file says, with the apps that were added.
    changes : Changes
        What was changed on top of it.
    prepared : Prepared or None
        The problem that was solved last, compiled.
    result : Result or None
        Of the plan that was sent last.
    plan : NetPlan or None
        That plan.
    measured : float or None
        Milliseconds of a core a second that it took of late.
    trouble : str or None
        Why what is wanted now does not run.
    """

    base: Wanted | None
    changes: Changes
    prepared: Prepared | None
    result: Result | None
    plan: NetPlan | None
    measured: float | None
    trouble: str | None


@dataclass(frozen=True)
class _Before:
    """What is gone back to when the runtime refuses a plan."""

    plan: NetPlan | None
    compute: ComputeWatch | None
    result: Result | None
    changes: Changes


class Box:
    """Runs a problem file until it is ended.

    Parameters
    ----------
    read : callable
        Reads the problem anew, with the apps that were added; an error of it is told.
    watch : FileWatch
        Of the problem's file.
    runtime : LocalRunner or StreamerClient
        Where plans run. Only of one in this process is the camera's rate known.
    say : callable
        Takes a line for people.
    changes : Changes
        What counts on top of the file from the start.
    keep : callable
        Keeps changes where a restart finds them; an error of it refuses the change.
    """

    def __init__(
        self,
        read: Read,
        watch: FileWatch,
        runtime: LocalRunner | StreamerClient,
        say: Callable[[str], None],
        changes: Changes | None = None,
        keep: Callable[[Changes], None] = lambda _: None,
    ) -> None:
        self._read, self._watch, self._runtime, self._say, self._keep = read, watch, runtime, say, keep
        self._local = runtime if isinstance(runtime, LocalRunner) else None
        self._deploying = Deploying(runtime)
        self._deciding = RLock()
        self._closed = Event()
        self._changes = changes or Changes()
        self._base: Wanted | None = None
        self._wanted: Wanted | None = None
        """The base with the changes on it."""
        self._solved_fps: float | None = None
        self._prepared: Prepared | None = None
        self._result: Result | None = None
        self._model: Model | None = None
        """The problem's, corrected by what was measured."""
        self._too_dear: list[NetPlan] = []
        """Plans that took too much, since the problem changed: none of them is gone back to."""
        self._compute: ComputeWatch | None = None
        self._measured: float | None = None
        self._before = _Before(None, None, None, self._changes)
        self._plan: NetPlan | None = None
        """The last one that was sent."""
        self._trouble: str | None = None
        self._said_of: tuple[NetPlan, str] | None = None

    def start(self) -> None:
        """Read the problem, solve it and run its plan.

        Raises
        ------
        MainstreamError
            There is no plan to be had, and none that was kept runs in its place.
        """
        try:
            self._base = self._read_what_can_be(self._changes.added)
            self._wanted = self._changes.on(self._base)
            self._send("", self._solved(self._wanted))
        except MainstreamError as error:
            if self._local is None or not self._local.restore():
                raise
            self._plan = self._local.plan
            self._trouble = str(error)
            self._say(f"{error}; the plan that was kept runs")

    def run(self) -> None:
        """Watch, until the source has ended or the box is closed.

        Raises
        ------
        DeployError
            The runtime failed.
        """
        while not self._closed.is_set() and (self._local is None or not self._local.ended):
            self.look()
        if self._local is not None and not self._closed.is_set():
            self._local.wait()

    def look(self) -> None:
        """Look once at what may have changed, and do what is due; takes a tenth of a second."""
        began = monotonic()
        told = self._deploying.told(_LOOK_S)
        with self._deciding:
            if told is not None and told.plan == self._plan:
                self._hear(told)
            if self._watch.changed():
                self._read_again()
            elif self._wanted is not None and self._rate_changed():
                self._again(self._wanted, f"the camera has {self._fps():.4g} frames a second")
        self._closed.wait(max(0.0, began + _LOOK_S - monotonic()))

    def change(self, make: Callable[[Changes, Wanted], Changes]) -> Result:
        """Change something, from any thread: solve what is wanted then, keep the change, and let its plan take over.

        Parameters
        ----------
        make : callable
            Makes the changes that are to count, of those that do and of what the file says.

        Returns
        -------
        Result
            What is predicted.

        Raises
        ------
        MainstreamError
            Nothing has changed: what comes of it does not fit, cannot be read, or cannot be kept.
        """
        if not self._deciding.acquire(timeout=_BUSY_S):
            raise DeployError("the box is busy with a change before; ask again")
        try:
            if self._base is None:
                raise ProblemError(f"there is no problem to change: {self._trouble}")
            changes = make(self._changes, self._base)
            base = self._base if changes.added == self._changes.added else self._read(changes.added)
            wanted = changes.on(base)
            result, plan = self._solved(wanted)
            if changes != self._changes:
                self._keep(changes)
            self._base, self._wanted = base, wanted
            self._too_dear.clear()
            self._take_over("changed: ", result, plan)
            self._changes = changes
            return result
        finally:
            self._deciding.release()

    @property
    def standing(self) -> Standing:
        """How things stand."""
        with self._deciding:
            return Standing(
                self._base, self._changes, self._prepared, self._result, self._plan, self._measured, self._trouble
            )

    def close(self) -> None:
        """End :meth:`run`, and wait for nothing any more."""
        self._closed.set()
        self._deploying.give_up()

    def _fps(self) -> float | None:
        """Frames a second of the camera, where that is known."""
        return None if self._local is None else self._local.stream_fps

    def _rate_changed(self) -> bool:
        fps = self._fps()
        return fps is not None and self._solved_fps is not None and not same_rate(self._solved_fps, fps)

    def _read_what_can_be(self, added: Sequence[AddedApp]) -> Wanted:
        """The problem, without the added apps that cannot be read: one of them fails alone."""
        try:
            return self._read(added)
        except ProblemError:
            if not added:
                raise
        wanted, kept = self._read(()), list[AddedApp]()
        for app in added:
            try:
                wanted = self._read([*kept, app])
                kept.append(app)
            except ProblemError as error:
                self._say(f"app {app.app_id}, which was added, is left out: {error}")
        return wanted

    def _read_again(self) -> None:
        try:
            base = self._read_what_can_be(self._changes.added)
            wanted = self._changes.on(base)
        except MainstreamError as error:
            self._fail(f"{error}; {self._stays}")
            return
        if wanted != self._wanted:
            if self._base is None or base.problem.model != self._base.problem.model:
                self._model = None
            self._too_dear.clear()
            self._base = base
            self._again(wanted, "the problem has changed")
        else:
            self._base, self._trouble = base, None

    def _again(self, wanted: Wanted, why: str) -> None:
        """Solve what is wanted now, and let it take over; where that cannot be, the plan before goes on."""
        self._wanted, self._solved_fps = wanted, self._fps()
        try:
            result, plan = self._solved(wanted)
        except MainstreamError as error:
            self._fail(f"{why}: {error}; {self._stays}")
        else:
            self._take_over(f"{why}: ", result, plan)

    def _solved(self, wanted: Wanted) -> tuple[Result, NetPlan]:
        fps = self._fps()
        prepared = wanted.prepared(fps, self._model)
        how = {"time_limit": _SOLVE_S, **wanted.how}
        try:
            result = prepared.solve(**how)
        except InfeasibleError as error:
            raise InfeasibleError(f"{error}; {what_would_give(prepared, how, error)}", error.smallest_budget) from None
        plan = self._as_sent(net_plan(result, prepared.described, prepared.model))
        self._solved_fps, self._prepared = fps, prepared
        return result, plan

    def _as_sent(self, plan: NetPlan) -> NetPlan:
        whole = isinstance(self._runtime, StreamerClient) and self._runtime.integer_fps
        return plan.with_integer_fps() if whole else plan

    def _take_over(self, why: str, result: Result, plan: NetPlan) -> None:
        """Send a plan that is another one."""
        if plan == self._plan or plan in self._too_dear:
            self._result = result if plan == self._plan else self._result
            self._trouble = None
            self._say(f"{why}the plan stays")
        else:
            self._send(why, (result, plan))

    def _send(self, why: str, solved: tuple[Result, NetPlan]) -> None:
        if self._plan is None or self._local is None or self._local.plan == self._plan:
            self._before = _Before(self._plan, self._compute, self._result, self._changes)
        self._result, self._plan = solved
        self._trouble = self._measured = None
        # A runtime elsewhere is measured once, for as long as it likes.
        self._compute = ComputeWatch(self._result.cost, self._result.budget, _A_MINUTE_S if self._local else 0.0)
        self._say(f"{why}{_summary(self._result)}")
        self._deploying.send(self._plan)

    def _fail(self, text: str) -> None:
        self._trouble = text
        self._say(text)

    def _hear(self, told: Told) -> None:
        """Say what came of the plan, once for each thing that may come of it."""
        if told.error is not None:
            text = str(told.error)
            if self._local is not None and self._local.plan != told.plan:
                self._go_back(text)
                return
        elif told.observed is not None and told.observed.compute is not None:
            self._measured = 1000 * told.observed.compute.cores
            text = f"measured: {self._measured:.4g} ms of a core a second"
            self._correct(told.observed)
        else:
            return
        kind = "error" if told.error is not None else "measured"
        if self._said_of != (told.plan, kind):
            self._said_of = told.plan, kind
            self._say(text)

    def _go_back(self, why: str) -> None:
        """The runtime has refused the plan: the one before goes on, with the changes that it was made for."""
        before = self._before
        self._plan, self._compute, self._result = before.plan, before.compute, before.result
        if self._plan is not None:
            self._deploying.go_on(self._plan)
        self._fail(f"{why}; {self._stays}")
        if before.changes != self._changes:
            try:
                self._base = self._read_what_can_be(before.changes.added)
                self._keep(before.changes)
            except ProblemError as error:
                self._fail(f"the change cannot be taken back: {error}")
                return
            self._changes = before.changes
            self._again(self._changes.on(self._base), "the change is taken back")
            self._trouble = f"{why}; the change is taken back"

    def _correct(self, observed: Observed) -> None:
        """Where a plan has taken too much or too little for long, correct the model by that and solve again."""
        wanted, plan = self._wanted, self._plan
        if wanted is None or plan is None or self._compute is None or observed.plan != plan:
            return
        model = self._model or wanted.problem.camera.model
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
