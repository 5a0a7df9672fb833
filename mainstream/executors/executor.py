"""The interface of executors; there is one with processes of this machine, and one with a Ray cluster."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol, Self

from mainstream.errors import MainstreamError, ProblemError
from mainstream.ranges import Range

RETRIES: Final = 3
"""How often a task is run again after its worker died. There is a limit since some tasks kill every worker."""

_CPUS: Final = Range(1, 4096, whole=True)
_GPUS: Final = Range(0, 4096)


@dataclass(frozen=True)
class Shared:
    """An argument of tasks that stands for a value; each worker gets the value once, however many tasks use it.

    Attributes
    ----------
    place : object
        Where the value is; only the executor uses this.
    """

    place: Any


@dataclass(frozen=True)
class Task:
    """A call of a function in another process.

    Attributes
    ----------
    key : hashable
        Identifies its result.
    function : callable
        At the top level of a module, so that a worker can import it.
    arguments : tuple
        Each is a :class:`Shared` or a value that can be pickled.
    cpus : int
    gpus : float
        CPUs and GPUs of a machine that it uses while it runs. Tasks may share a GPU.
    pieces : int, optional
        How many values the function returns. With it, the values stay where they were made, and `Done.value` is a list
        of :class:`Shared`.
    """

    key: Hashable
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    cpus: int = 1
    gpus: float = 0
    pieces: int | None = None

    def check(self, cpus: float, gpus: float, where: str) -> None:
        """Raise :class:`ProblemError` if no machine has the CPUs and GPUs that it needs: it would never start."""
        _CPUS.check("cpus", self.cpus)
        _GPUS.check("gpus", self.gpus)
        for what, asked, most in (("CPUs", self.cpus, cpus), ("GPUs", self.gpus, gpus)):
            if asked > most:
                raise ProblemError(f"a task asks for {asked:g} {what}; {where} has {most:g}; ask for less")


@dataclass(frozen=True)
class Done:
    """A task that has ended.

    Attributes
    ----------
    key : hashable
        The key of the task.
    value : object
        What its function returned; None if it failed.
    error : Exception or None
        What its function raised, or :class:`~mainstream.errors.WorkerDiedError`.
    """

    key: Hashable
    value: Any = None
    error: Exception | None = None

    def result(self) -> Any:
        """The value; raises the error if there is one."""
        if self.error is not None:
            raise self.error
        return self.value


class Executor(Protocol):
    """Runs tasks. Use it in a ``with`` block; at the end of the block nothing of it is still running."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def share(self, value: Any) -> Shared:
        """Keep a value for tasks to use."""

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """Run tasks and yield each as it ends, in any order.

        A task that raises ends alone, with its error. A task whose worker dies is run again, up to :data:`RETRIES`
        times. Tasks that run at the same time never use more CPUs and GPUs than there are. The next task is taken from
        `tasks` when there is room for it. If the caller leaves, by an exception or by Ctrl-C, running tasks are ended.

        Raises
        ------
        ProblemError
            A task asks for more than any machine has.
        """


def portable(error: Exception) -> Exception:
    """The same error or, if it cannot be sent to another process, one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # the error's class may raise anything when it is pickled
        return MainstreamError(f"{type(error).__name__}: {' '.join(str(error).split())}")
    return error
