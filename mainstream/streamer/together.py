"""Several runtimes, one for each stream, whose plans run at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from queue import Empty, SimpleQueue
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from mainstream.errors import DeployError, MainstreamError
from mainstream.streamer.client import StreamerClient
from mainstream.streamer.deployer import Observed
from mainstream.streamer.metrics_server import by_stream, serve_metrics
from mainstream.streamer.plan import NetPlan

if TYPE_CHECKING:
    from mainstream.streamer.runner import LocalRunner

_LOOK_S: Final = 0.25
"""No wait is longer than this, since a Ctrl-C that comes right before a wait begins does not end it."""


class Together:
    """Deploys the plans of several streams; use it in a ``with`` block, which closes the runtimes.

    Parameters
    ----------
    runtimes : mapping of str to LocalRunner or StreamerClient
        By the name of the stream.
    metrics : str, optional
        ``PORT`` or ``HOST:PORT`` at which Prometheus is answered, for the runtimes in this process, with the stream as
        a label.

    Raises
    ------
    ProblemError
        The address of the metrics has another form, or is in use.
    """

    def __init__(self, runtimes: Mapping[str, LocalRunner | StreamerClient], metrics: str | None = None) -> None:
        from mainstream.streamer.runner import LocalRunner

        self.runtimes = dict(runtimes)
        self._ran: set[str] = set()
        here = {name: runtime for name, runtime in runtimes.items() if isinstance(runtime, LocalRunner)}
        for runner in here.values():
            runner.beside = [other for other in here.values() if other is not runner]
        self._end_metrics = _serve_metrics(metrics, here) if metrics is not None else lambda: None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as all_of_them:
            for runtime in self.runtimes.values():
                all_of_them.callback(runtime.close)
            all_of_them.callback(self._end_metrics)

    def deploy(self, plans: Mapping[str, NetPlan]) -> dict[str, Observed]:
        """Run the plan of each stream, all at once, and observe them over the same time.

        Parameters
        ----------
        plans : mapping of str to NetPlan
            By the name of the stream; a stream of which no app runs has no plan.

        Returns
        -------
        dict of str to Observed

        Raises
        ------
        DeployError
            A plan could not run, and the others are given up. Or a stream has no plan any more: a runtime cannot be
            told to run nothing.
        """
        for name in sorted(self._ran - set(plans)):
            raise DeployError(
                f"stream {name}: none of its apps would run any more, and a runtime cannot run nothing; leave it out"
            )
        given_up = Event()
        told: SimpleQueue[tuple[str, Observed | MainstreamError]] = SimpleQueue()
        threads = [
            Thread(target=self._deploy, args=(name, plan, given_up, told), name=f"mainstream-{name}", daemon=True)
            for name, plan in plans.items()
        ]
        for thread in threads:
            thread.start()
        found: dict[str, Observed] = {}
        try:
            while len(found) < len(plans):
                try:
                    name, answer = told.get(timeout=_LOOK_S)
                except Empty:
                    continue
                if isinstance(answer, MainstreamError):
                    raise type(answer)(f"stream {name}: {answer}") from None
                found[name] = answer
        finally:
            given_up.set()
            for thread in threads:
                thread.join()
        self._ran |= set(plans)
        return {name: found[name] for name in plans}

    def _deploy(
        self, name: str, plan: NetPlan, given_up: Event, told: SimpleQueue[tuple[str, Observed | MainstreamError]]
    ) -> None:
        try:
            told.put((name, self.runtimes[name].deploy(plan, given_up=given_up)))
        except MainstreamError as error:
            told.put((name, error))
        except Exception as error:  # whatever ends this thread has to reach those who wait
            told.put((name, DeployError(f"{type(error).__name__}: {error}")))


def _serve_metrics(address: str, runners: Mapping[str, LocalRunner]) -> Callable[[], None]:
    """Answer for several runners: all have to be healthy, and one has to be ready."""

    def first_of(asked: Callable[[LocalRunner], str | None]) -> Iterator[str | None]:
        for name, runner in runners.items():
            wrong = asked(runner)
            yield None if wrong is None else f"stream {name}: {wrong}"

    def unhealthy() -> str | None:
        return next((wrong for wrong in first_of(lambda one: one.unhealthy()) if wrong), None)

    def unready() -> str | None:
        wrong = list(first_of(lambda one: one.unready()))
        return wrong[0] if all(wrong) else None

    registry = by_stream({name: runner.registry for name, runner in runners.items()})
    return serve_metrics(address, registry, {"/healthz": unhealthy, "/readyz": unready})
