"""What an executor has to do; processes of this machine and a Ray cluster do it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol, Self

from mainstream.errors import MainstreamError, ProblemError
from mainstream.ranges import Range

RETRIES: Final = 3
"""How often a task is run again whose worker died: a task that kills each of its workers must come to an end."""

_CPUS: Final = Range(1, 4096, whole=True)
_GPUS: Final = Range(0, 4096)


@dataclass(frozen=True)
class Shared:
    """Stands among the arguments of tasks for a value that a worker gets once, whatever number of tasks use it.

    Attributes
    ----------
    place : object
        Where the value is: the executor's own affair.
    """

    place: Any


@dataclass(frozen=True)
class Task:
    """A call of a function in another process.

    Attributes
    ----------
    key : hashable
        What its result is known by.
    function : callable
        Of a module, so that a worker can import it.
    arguments : tuple
        Each a :class:`Shared`, or a value that can be pickled.
    cpus : int
    gpus : float
        What it takes of a machine while it runs. A GPU may be shared.
    pieces : int, optional
        The function gives so many values, which stay where they were made: `Done.value` is a list of :class:`Shared`.
    """

    key: Hashable
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    cpus: int = 1
    gpus: float = 0
    pieces: int | None = None

    def check(self, cpus: float, gpus: float, where: str) -> None:
        """Raise :class:`ProblemError` where no machine has what it takes: it would be waited for in vain."""
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
        The task's.
    value : object
        What its function gave; None where it failed.
    error : Exception or None
        What its function raised, or :class:`~mainstream.errors.WorkerDiedError`.
    """

    key: Hashable
    value: Any = None
    error: Exception | None = None

    def result(self) -> Any:
        """The value; raises the error where there is one."""
        if self.error is not None:
            raise self.error
        return self.value


class Executor(Protocol):
    """Runs tasks; use it in a ``with`` block, at whose end nothing of it runs any more."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def share(self, value: Any) -> Shared:
        """Keep a value for tasks to use."""

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """The tasks as they end, whatever their order was.

        A task that raises ends alone, with its error. One whose worker dies is run again, up to :data:`RETRIES`
        times. Tasks that run at one time take no more CPUs and GPUs than there are. Tasks are taken as there is room
        for them. Where the caller leaves, by an exception or by Ctrl-C, what still runs is ended.

        Raises
        ------
        ProblemError
            A task asks for more than any machine has.
        """


def portable(error: Exception) -> Exception:
    """The same error, or where it cannot be sent to another process, one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever the error's class does when it is pickled
        return MainstreamError(f"{type(error).__name__}: {' '.join(str(error).split())}")
    return error
