"""One of the cameras of a box: its runtime, the plan that was sent there last, and what was told of that."""

from __future__ import annotations

from mainstream.box.deploying import Deploying, Runtime, Told
from mainstream.streamer import LocalRunner, NetPlan, Observed, StreamerClient
from mainstream.streamer.frames import Frame


class Camera:
    """One camera and its runtime.

    Parameters
    ----------
    name : str or None
        That of its stream in the problem; None for the only one of a problem without `streams`.
    runtime : LocalRunner or StreamerClient

    Attributes
    ----------
    local : LocalRunner or None
        The runtime, where it is in this process.
    plan : NetPlan or None
        The one that was sent last; None where none is to run.
    observed : Observed or None
        What was told of it last; None where that was an error, such as a camera that is away.
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
        """Frames a second of the camera, where that is known."""
        return None if self.local is None else self.local.stream_fps

    def newest(self) -> Frame | None:
        """The newest frame, where it is seen here."""
        return None if self.local is None else self.local.newest

    @property
    def ended(self) -> bool:
        """Whether nothing runs there any more."""
        return self.local is not None and self.local.ended

    @property
    def runs_what_was_sent(self) -> bool:
        """Whether the last plan has taken over, as far as that can be known."""
        return self.local is None or self.ended or self.local.plan == self.plan

    def has(self, plan: NetPlan | None) -> bool:
        """Whether it was sent this plan; one that was kept knows its apps by their numbers only, and does not count."""
        return plan == self.plan and not self._restored

    @property
    def waits(self) -> bool:
        """Whether something is still to be told of its plan; then :meth:`listen_on` has not to be called."""
        return self.plan is not None and not self.ended and not self._heard

    def as_sent(self, plan: NetPlan) -> NetPlan:
        """A plan as this runtime takes it."""
        whole = isinstance(self._runtime, StreamerClient) and self._runtime.integer_fps
        return plan.with_integer_fps() if whole else plan

    def send(self, plan: NetPlan | None) -> None:
        """Let a plan take over, or run none; one that was sent already goes on undisturbed."""
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
        """Run the last good plan that was kept, if there is one; whether it runs now."""
        if self.local is None or not self.local.restore():
            return False
        self.plan, self._restored = self.local.plan, True
        return True

    def told(self) -> Told | None:
        """What came of the last plan; None when there is nothing new."""
        told = self._deploying.told()
        if told is None or told.plan != self.plan:
            return None
        self.observed, self._heard = told.observed, True
        return told

    def listen_on(self) -> None:
        """Wait for the next window; a runtime elsewhere has measured once, and that goes on to count."""
        self._heard = self.local is None

    def close(self) -> None:
        """Wait for nothing any more."""
        self._deploying.give_up()
