"""The box that keeps running: it solves, runs, watches, and solves again when problem, camera or compute have changed.

If there is no new plan, because the file is half-written, nothing fits, or the runtime refuses it, the old plan goes on
and one line says why. Solving takes milliseconds and a swap loses no frame, so any change leads to a new plan at once.
Changes come from other threads, too: one lock is held while something is decided, and none while anything is waited
for.

Several cameras share one budget and one solve; each has its own plan, and one that is away or slow holds up no other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from threading import Event, RLock
from time import monotonic
from typing import Final

from mainstream.box.camera import Camera
from mainstream.box.changes import AddedApp, Changes
from mainstream.box.compute_watch import ComputeWatch
from mainstream.box.deploying import Runtime, Told
from mainstream.box.file_watch import FileWatch
from mainstream.box.shortfall import what_would_give
from mainstream.box.wanted import Wanted, same_rate
from mainstream.correction import corrected_each
from mainstream.description import counted, shown
from mainstream.errors import DeployError, InfeasibleError, MainstreamError, ProblemError
from mainstream.history import Measurement
from mainstream.problem import Model
from mainstream.schedule import Result
from mainstream.scheduler import measurement
from mainstream.solver import Prepared
from mainstream.streamer import NetPlan
from mainstream.streamer.plan import net_plans
from mainstream.streamer.together import Together

Read = Callable[[Sequence[AddedApp]], Wanted]
Plans = dict[str | None, NetPlan]
"""By the name of the stream; a stream that runs no app has no plan."""

_LOOK_S: Final = 0.1
"""Seconds between two looks at the file and the cameras."""
_A_MINUTE_S: Final = 60.0
"""Seconds for which compute has to be off before something is done about it."""
_SOLVE_S: Final = 5.0
"""Seconds of a solve, if the problem does not set them; then the best schedule so far is run."""
_BUSY_S: Final = 10.0
"""Seconds for which a change waits for a decision that is under way."""


@dataclass(frozen=True)
class Standing:
    """How things stand.

    Attributes
    ----------
    base : Wanted or None
        What the file says, with the apps that were added.
    changes : Changes
        Changes on top of it.
    prepared : Prepared or None
        The problem that was solved last, compiled.
    result : Result or None
        The result behind the plans that were sent last.
    plans : dict of NetPlan
        These plans, by the name of the stream.
    measured : float or None
        Milliseconds of a core a second that they took when last measured.
    trouble : str or None
        Why what is wanted does not run now.
    """

    base: Wanted | None
    changes: Changes
    prepared: Prepared | None
    result: Result | None
    plans: Plans
    measured: float | None
    trouble: str | None


@dataclass(frozen=True)
class _Before:
    """What to go back to when a runtime refuses a plan."""

    plans: Plans
    compute: ComputeWatch | None
    result: Result | None
    changes: Changes


class Box:
    """Runs a problem file until it is ended.

    Parameters
    ----------
    read : callable
        Reads the problem again, with the apps that were added; its errors are shown.
    watch : FileWatch
        Watches the problem's file.
    runtime : LocalRunner, StreamerClient or Together
        Runs the plans; Together for several streams. The camera's rate is known only for a runtime in this process.
    say : callable
        Called with each line for people.
    changes : Changes
        Changes that count on top of the file from the start.
    keep : callable
        Keeps changes where a restart finds them; if it fails, the change is refused.

    Attributes
    ----------
    cameras : tuple of Camera
    """

    def __init__(
        self,
        read: Read,
        watch: FileWatch,
        runtime: Runtime | Together,
        say: Callable[[str], None],
        changes: Changes | None = None,
        keep: Callable[[Changes], None] = lambda _: None,
    ) -> None:
        self._read_file, self._watch, self._say, self._keep = read, watch, say, keep
        self.cameras = (
            tuple(Camera(name, one) for name, one in runtime.runtimes.items())
            if isinstance(runtime, Together)
            else (Camera(None, runtime),)
        )
        self._deciding = RLock()
        self._closed = Event()
        self._changes = changes or Changes()
        self._base: Wanted | None = None
        self._wanted: Wanted | None = None
        """The base with the changes on it."""
        self._solved_fps: dict[str | None, float | None] = {}
        self._prepared: Prepared | None = None
        self._result: Result | None = None
        self._models: dict[str | None, Model] = {}
        """Models that were corrected by what was measured, by the name of the stream."""
        self._too_dear: list[Plans] = []
        """Plans that took too much since the problem last changed: the box does not go back to any of them."""
        self._compute: ComputeWatch | None = None
        self._measured: float | None = None
        self._before = _Before({}, None, None, self._changes)
        self._trouble: str | None = None
        self._said_of: dict[str | None, tuple[NetPlan, str]] = {}
        self._said_measured: Plans | None = None

    def start(self) -> None:
        """Read the problem, solve it and run its plan.

        Raises
        ------
        MainstreamError
            There is no plan, and none that was kept runs in its place.
        """
        try:
            self._base = self._read_what_can_be(self._changes.added)
            self._wanted = self._changes.on(self._base)
            self._send("", self._solved(self._wanted))
        except MainstreamError as error:
            if not any([camera.restore() for camera in self.cameras]):
                raise
            self._trouble = str(error)
            self._say(f"{error}; the plan that was kept runs")

    def run(self) -> None:
        """Watch until all sources have ended or the box is closed.

        Raises
        ------
        DeployError
            A runtime failed.
        """
        while not self._closed.is_set() and not all(camera.ended for camera in self.cameras):
            self.look()
        for camera in self.cameras:
            if camera.local is not None and not self._closed.is_set():
                camera.local.wait()

    def look(self) -> None:
        """Look once at what may have changed, and do what is due; takes a tenth of a second."""
        began = monotonic()
        with self._deciding:
            for camera in self.cameras:
                told = camera.told()
                if told is not None:
                    self._hear(camera, told)
            other = next((camera for camera in self.cameras if self._rate_changed(camera)), None)
            if self._watch.changed():
                self._read_again()
            elif self._wanted is not None and other is not None:
                self._again(self._wanted, other.called(f"the camera has {other.fps:.4g} frames a second"))
        self._closed.wait(max(0.0, began + _LOOK_S - monotonic()))

    def change(self, make: Callable[[Changes, Wanted], Changes]) -> Result:
        """Change something, from any thread: solve what is then wanted, keep the change, and let its plan take over.

        Parameters
        ----------
        make : callable
            Given the changes that count now and what the file says, makes those that are to count.

        Returns
        -------
        Result
            What is predicted of the change.

        Raises
        ------
        MainstreamError
            Nothing has changed: the result would not fit, cannot be read, or cannot be kept.
        """
        if not self._deciding.acquire(timeout=_BUSY_S):
            raise DeployError("the box is busy with an earlier change; ask again")
        try:
            if self._base is None:
                raise ProblemError(f"there is no problem to change: {self._trouble}")
            changes = make(self._changes, self._base)
            base = self._base if changes.added == self._changes.added else self._read(changes.added)
            wanted = changes.on(base)
            result, plans = self._solved(wanted)
            if changes != self._changes:
                self._keep(changes)
            self._base, self._wanted = base, wanted
            self._too_dear.clear()
            self._take_over("changed: ", result, plans)
            self._changes = changes
            return result
        finally:
            self._deciding.release()

    @property
    def standing(self) -> Standing:
        """How things stand."""
        with self._deciding:
            return Standing(
                self._base, self._changes, self._prepared, self._result, self._plans, self._measured, self._trouble
            )

    def close(self) -> None:
        """End :meth:`run`, and wait for nothing any more."""
        self._closed.set()
        for camera in self.cameras:
            camera.close()

    @property
    def _plans(self) -> Plans:
        """The plans that were sent last."""
        return {camera.name: camera.plan for camera in self.cameras if camera.plan is not None}

    def _fps(self) -> dict[str | None, float | None]:
        """Frames a second of each camera, if known."""
        return {camera.name: camera.fps for camera in self.cameras}

    def _rate_changed(self, camera: Camera) -> bool:
        fps, solved = camera.fps, self._solved_fps.get(camera.name) if camera.plan is not None else None
        return fps is not None and solved is not None and not same_rate(solved, fps)

    def _read(self, added: Sequence[AddedApp]) -> Wanted:
        wanted = self._read_file(added)
        here, there = ({one.name for one in some} for some in (self.cameras, wanted.problem.each))
        if here != there:
            raise ProblemError(
                f"streams: the file has {shown(sorted(map(str, there)))}, and those that run are "
                f"{shown(sorted(map(str, here)))}; start again to change the cameras"
            )
        return wanted

    def _read_what_can_be(self, added: Sequence[AddedApp]) -> Wanted:
        """The problem without the added apps that cannot be read: each of them fails alone."""
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
            if self._base is None or base.problem.models != self._base.problem.models:
                self._models = {}
            self._too_dear.clear()
            self._base = base
            self._again(wanted, "the problem has changed")
        else:
            self._base, self._trouble = base, None

    def _again(self, wanted: Wanted, why: str) -> None:
        """Solve what is wanted now, and let its plan take over; if there is none, the old plan goes on."""
        self._wanted, self._solved_fps = wanted, self._fps()
        try:
            result, plans = self._solved(wanted)
        except MainstreamError as error:
            self._fail(f"{why}: {error}; {self._stays}")
        else:
            self._take_over(f"{why}: ", result, plans)

    def _solved(self, wanted: Wanted) -> tuple[Result, Plans]:
        fps = self._fps()
        prepared = wanted.prepared(fps, self._models)
        how = {"time_limit": _SOLVE_S, **wanted.how}
        try:
            result = prepared.solve(**how)
        except InfeasibleError as error:
            raise InfeasibleError(f"{error}; {what_would_give(prepared, how)}", error.smallest_budget) from None
        found = net_plans(result, prepared.streams)
        plans: Plans = {}
        for camera in self.cameras:
            if camera.name in found:
                plans[camera.name] = camera.as_sent(found[camera.name])
            elif camera.local is None and camera.plan is not None:
                raise ProblemError(
                    camera.called("no app of it would run any more, and a runtime elsewhere cannot run nothing")
                )
        self._solved_fps, self._prepared = fps, prepared
        return result, plans

    def _take_over(self, why: str, result: Result, plans: Plans) -> None:
        """Send the plans, unless they run already or took too much before."""
        stays = all(camera.has(plans.get(camera.name)) for camera in self.cameras)
        if stays or plans in self._too_dear:
            self._result = result if stays else self._result
            self._trouble = None
            self._say(f"{why}the plan stays")
        else:
            self._send(why, (result, plans))

    def _send(self, why: str, solved: tuple[Result, Plans]) -> None:
        if not self._plans or all(camera.runs_what_was_sent for camera in self.cameras):
            self._before = _Before(self._plans, self._compute, self._result, self._changes)
        self._result, plans = solved
        self._trouble = self._measured = None
        # A runtime elsewhere measures only once, for as long as it likes.
        here = any(camera.local is not None for camera in self.cameras)
        self._compute = ComputeWatch(self._result.cost, self._result.budget, _A_MINUTE_S if here else 0.0)
        self._say(f"{why}{_summary(self._result)}")
        for camera in self.cameras:
            camera.send(plans.get(camera.name))

    def _fail(self, text: str) -> None:
        self._trouble = text
        self._say(text)

    def _hear(self, camera: Camera, told: Told) -> None:
        """Act on what came of a camera's plan, and say each thing once."""
        if told.error is not None:
            text = camera.called(str(told.error))
            if not camera.runs_what_was_sent:
                self._go_back(camera, text)
                return
            self._say_once(camera, "error", text)
        if not any(one.waits for one in self.cameras):
            self._judge()

    def _say_once(self, camera: Camera, kind: str, text: str) -> None:
        if camera.plan is not None and self._said_of.get(camera.name) != (camera.plan, kind):
            self._said_of[camera.name] = camera.plan, kind
            self._say(text)

    def _judge(self) -> None:
        """Every camera has told of a window, or why it cannot: compare what they take together with the budget."""
        plans = self._plans
        compute = {
            camera.name: camera.observed.compute
            for camera in self.cameras
            if camera.observed is not None and camera.observed.compute is not None
        }
        for camera in self.cameras:
            camera.listen_on()
        if not compute:
            return
        self._measured = 1000 * sum(one.cores for one in compute.values())
        if any(self._said_of.get(name) != (plans[name], "measured") for name in compute):
            self._said_of |= {name: (plans[name], "measured") for name in compute}
            self._say(f"measured: {self._measured:.4g} ms/s of the models{self._predicted(compute.keys())}")
        self._correct()

    def _predicted(self, cameras: AbstractSet[str | None]) -> str:
        """What was predicted in the place of what was measured, where that is of all cameras and in the same unit."""
        result = self._result
        known = result is not None and result.unit == "ms" and cameras == self._plans.keys()
        return f", {result.cost:.4g} predicted" if result is not None and known else ""

    def _go_back(self, refusing: Camera, why: str) -> None:
        """A runtime has refused its plan: go back to the plans before, and to the changes that they were made for."""
        before = self._before
        if before.plans:
            self._compute, self._result = before.compute, before.result
            for camera in self.cameras:
                camera.go_back(before.plans.get(camera.name))
        else:  # these are the first plans: those of the other cameras stay
            refusing.plan = None
            self._result = self._result if self._plans else None
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

    def _correct(self) -> None:
        """If the plans have taken too much or too little for long, correct the models by that and solve again."""
        wanted, plans = self._wanted, self._plans
        if wanted is None or self._compute is None:
            return
        models = {one.name: self._models.get(one.name, one.model) for one in wanted.problem.each}
        found: dict[str | None, Measurement] = {}
        for camera in self.cameras:
            if camera.observed is not None and camera.observed.plan == camera.plan and camera.name in models:
                measured, _ = measurement(camera.observed, models[camera.name])
                if measured is not None:
                    found[camera.name] = measured
        if not found:
            return
        together = found.get(None) or Measurement.together({str(name): one for name, one in found.items()})
        off = self._compute.heard(together)
        if off is None:
            return
        cost, self._compute = self._compute.cost * (together.factor or 1.0), None
        self._models = corrected_each(models, {name: one.parts for name, one in found.items()})
        if off == "too much":
            self._too_dear.append(plans)
        self._again(wanted, f"it takes {off}: {together.factor:.2f} times what was predicted")
        if self._plans == plans and off == "too little":
            self._compute = ComputeWatch(cost, wanted.budget, _A_MINUTE_S)

    @property
    def _stays(self) -> str:
        """What runs when there is no new plan."""
        return "the old plan goes on" if self._plans else "no plan runs"


def _summary(result: Result) -> str:
    """A result in a line."""
    unit = f" {result.unit}/s" if result.unit else ""
    mean = "worst" if result.aggregate == "min" else "mean"
    metric = "F1" if result.metric == "f1" else result.metric
    left_out = f", {len(result.left_out)} left out" if result.left_out else ""
    return (
        f"{counted(len(result.choices), 'app')}{left_out}, predicted {mean} {metric} {result.objective:.3f}, "
        f"cost {result.cost:.4g} of {result.budget:.4g}{unit}"
    )
