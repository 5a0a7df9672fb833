"""Tasks in a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

from mainstream.errors import MainstreamError, WorkerDiedError
from mainstream.executors.cluster import connect, largest
from mainstream.executors.executor import RETRIES, Done, Shared, Task, portable

_AHEAD: Final = 4
"""Tasks that are submitted for each CPU of the cluster, so that no CPU waits for its next one."""
_LEAST: Final = 16
"""The fewest tasks that are submitted at a time, for clusters with few CPUs."""


class OnRay:
    """Tasks in a Ray cluster, which keeps shared values in its object store.

    Values that are shared or stay in the cluster are never copied between the workers of one machine; arrays among
    them are read-only. If the machine that had them is lost, Ray runs the tasks again that made them.

    Parameters
    ----------
    address : str, optional
        "auto": the cluster that this machine belongs to; "ray://HOST:PORT": a cluster reached through its client port.
        Default: a new cluster on this machine, which ends with this process. If Ray is already running in this
        process, that is used and left running.
    **own : object
        More arguments of ``ray.init`` for the new cluster.
    """

    def __init__(self, address: str | None = None, **own: Any) -> None:
        self._address = address
        self._own = own
        self._ray: Any = None
        self._ours = False
        self._calls: Any = None

    def __enter__(self) -> Self:
        self._ray, self._ours = connect(self._address, self._own)
        self._calls = self._ray.remote(_call)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ours:
            self._ray.shutdown()

    def share(self, value: Any) -> Shared:
        """Put a value into the object store."""
        return Shared(self._ray.put(value))

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """As :meth:`mainstream.executors.Executor.run`."""
        source = iter(tasks)
        pending: dict[Any, tuple[Task, list[Any]]] = {}
        room = max(_LEAST, int(_AHEAD * self._ray.cluster_resources().get("CPU", 0)))
        most = largest(self._ray)
        try:
            while True:
                while len(pending) < room and (task := next(source, None)) is not None:
                    task.check(*most, "the largest machine of the cluster")
                    try:
                        outcome, *values = self._submit(task)
                    except Exception as error:  # pickling may raise anything
                        yield Done(task.key, error=portable(error))
                        continue
                    pending[outcome] = task, values
                if not pending:
                    return
                for outcome in self._ray.wait(list(pending), num_returns=1)[0]:
                    task, values = pending.pop(outcome)
                    yield self._ended(task, outcome, values)
        finally:
            for outcome in pending:
                with suppress(Exception):  # the task, or the cluster, may have ended by now
                    self._ray.cancel(outcome, force=True)

    def _submit(self, task: Task) -> list[Any]:
        """Submit a task; give references to its error (or None) and to its values."""
        arguments = [argument.place if isinstance(argument, Shared) else argument for argument in task.arguments]
        values = 1 if task.pieces is None else task.pieces
        call = self._calls.options(
            num_cpus=task.cpus, num_gpus=task.gpus, num_returns=1 + values, max_retries=RETRIES, name=str(task.key)
        )
        return list(call.remote(task.function, task.pieces, *arguments))

    def _ended(self, task: Task, outcome: Any, values: list[Any]) -> Done:
        crashes = self._ray.exceptions
        try:
            error = self._ray.get(outcome)
            if error is None:
                value = self._ray.get(values[0]) if task.pieces is None else [Shared(one) for one in values]
                return Done(task.key, value)
        except (crashes.WorkerCrashedError, crashes.NodeDiedError, crashes.OutOfMemoryError) as raised:
            error = WorkerDiedError.of(task.key, RETRIES + 1, type(raised).__name__)
        except crashes.RayError as raised:  # for example, a machine of the cluster cannot import the function
            cause = " ".join(str(raised.cause if isinstance(raised, crashes.RayTaskError) else raised).split())
            error = MainstreamError(f"{task.key}: the cluster could not run it: {cause[:300]}")
        return Done(task.key, error=error)


def _call(function: Any, pieces: int | None, *arguments: Any) -> tuple[Any, ...]:
    """In a worker: call the function; give its error (or None) and its values."""
    try:
        value = function(*arguments)
    except Exception as error:  # a task may raise anything
        return portable(error), *[None] * (1 if pieces is None else pieces)
    return None, *([value] if pieces is None else value)
