"""One of the cameras of a box: its runtime, the plan that was sent there last, and what came of that."""

from __future__ import annotations

from mainstream.box.deploying import Deploying, Runtime, Told
from mainstream.streamer import LocalRunner, NetPlan, Observed, StreamerClient
from mainstream.streamer.frames import Frame


class Camera:
    """One camera and its runtime.

    Parameters
    ----------
    name : str or None
        Name of its stream in the problem; None for the only camera of a problem without `streams`.
    runtime : LocalRunner or StreamerClient

    Attributes
    ----------
    local : LocalRunner or None
        The runtime, if it is in this process.
    plan : NetPlan or None
        The plan that was sent last; None if none is to run.
    observed : Observed or None
        What was last observed of it; None after an error, such as a camera that is away.
    """

    def __init__(self, name: str | None, runtime: Runtime) -> None:
        self.name, self._runtime = name, runtime
        self.local = runtime if isinstance(runtime, LocalRunner) else None
        self.plan: NetPlan | None = None
        self.observed: Observed | None = None
        self._heard = self._restored = False
        self._deploying = Deploying(runtime)

    def called(self, text: str) -> str:
        """A message, with the camera's name before it."""
        return text if self.name is None else f"stream {self.name}: {text}"

    @property
    def fps(self) -> float | None:
        """Frames a second of the camera, if known."""
        return None if self.local is None else self.local.stream_fps

    def newest(self) -> Frame | None:
        """The newest frame, if the runtime is in this process."""
        return None if self.local is None else self.local.newest

    @property
    def ended(self) -> bool:
        """Whether nothing runs there any more."""
        return self.local is not None and self.local.ended

    @property
    def runs_what_was_sent(self) -> bool:
        """Whether the last plan has taken over, as far as is known."""
        return self.local is None or self.ended or self.local.plan == self.plan

    def has(self, plan: NetPlan | None) -> bool:
        """Whether it was sent this plan; a restored one does not count, as it knows its apps only by their numbers."""
        return plan == self.plan and not self._restored

    @property
    def waits(self) -> bool:
        """Whether something has still to come of its plan; until then :meth:`listen_on` must not be called."""
        return self.plan is not None and not self.ended and not self._heard

    def as_sent(self, plan: NetPlan) -> NetPlan:
        """A plan as this runtime takes it."""
        whole = isinstance(self._runtime, StreamerClient) and self._runtime.integer_fps
        return plan.with_integer_fps() if whole else plan

    def send(self, plan: NetPlan | None) -> None:
        """Let a plan take over, or run none; a plan that was sent already goes on undisturbed."""
        if not self.has(plan):
            self._restored = False
            self.plan, self.observed, self._heard = plan, None, False
            if not self.ended:
                self._deploying.send(plan)

    def go_back(self, plan: NetPlan | None) -> None:
        """The plan that ran before counts again."""
        if plan is None or self.local is None or self.local.plan != plan:
            self.send(plan)
        elif plan != self.plan:
            self.plan, self.observed, self._heard = plan, None, False
            self._deploying.go_on(plan)

    def restore(self) -> bool:
        """Run the last good plan that was kept, if there is one; return whether it runs now."""
        if self.local is None or not self.local.restore():
            return False
        self.plan, self._restored = self.local.plan, True
        return True

    def told(self) -> Told | None:
        """What came of the last plan; None if there is nothing new."""
        told = self._deploying.told()
        if told is None or told.plan != self.plan:
            return None
        self.observed, self._heard = told.observed, True
        return told

    def listen_on(self) -> None:
        """Wait for the next window; a runtime elsewhere measured once, and that keeps counting."""
        self._heard = self.local is None

    def close(self) -> None:
        """Wait for nothing any more."""
        self._deploying.give_up()
