"""Tasks in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from threading import Thread
from types import TracebackType
from typing import Any, Self

from mainstream.errors import WorkerDiedError
from mainstream.executors.executor import RETRIES, Done, Shared, Task, portable


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    has: set[int] = field(default_factory=set)
    """The shared values that it has been sent."""
    task: Task | None = None
    attempt: int = 0


class Local:
    """Worker processes; they are started when needed and kept until the end.

    A script that uses it needs ``if __name__ == "__main__":``, as always when Python spawns processes.

    Parameters
    ----------
    cpus : int
        CPUs that all tasks together may use; also the most workers.
    """

    def __init__(self, cpus: int) -> None:
        self._cpus = cpus
        self._workers: list[_Worker] = []
        self._values: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            self._end(worker)
        self._workers, self._values = [], []

    def share(self, value: Any) -> Shared:
        """Keep a value; a worker gets it with its first task that uses it."""
        self._values.append(value)
        return Shared(len(self._values) - 1)

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """As :meth:`mainstream.executors.Executor.run`."""
        source = iter(tasks)
        again: deque[tuple[Task, int]] = deque()
        try:
            while True:
                while (following := self._following(again, source)) is not None:
                    if following[0].cpus > self._free():
                        again.appendleft(following)
                        break
                    unsent = self._start(*following)
                    if unsent is not None:
                        yield unsent
                busy = self._busy()
                if not busy:
                    return
                for pipe in wait([worker.pipe for worker in busy]):
                    worker = next(one for one in busy if one.pipe is pipe)
                    assert worker.task is not None
                    following = worker.task, worker.attempt + 1
                    done = self._ended(worker)
                    if done is None:
                        again.append(following)
                    else:
                        yield done
        finally:
            for worker in self._busy():
                self._end(worker)
                self._workers.remove(worker)

    def _following(self, again: deque[tuple[Task, int]], source: Iterator[Task]) -> tuple[Task, int] | None:
        """The task to start next, and how often it was started before; None if there is none."""
        if again:
            return again.popleft()
        task = next(source, None)
        if task is not None:
            task.check(self._cpus, 0, "this executor")
        return None if task is None else (task, 0)

    def _free(self) -> int:
        return self._cpus - sum(worker.task.cpus for worker in self._workers if worker.task is not None)

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.task is not None]

    def _start(self, task: Task, attempt: int) -> Done | None:
        """Send a task to an idle worker, or to a new one; if it cannot be sent, it has ended with an error."""
        idle = [worker for worker in self._workers if worker.task is None]
        worker = next((one for one in idle if one.process.is_alive()), None) or self._new()
        used = [argument.place for argument in task.arguments if isinstance(argument, Shared)]
        new = {place: self._values[place] for place in used if place not in worker.has}
        try:
            worker.pipe.send((task.function, task.arguments, new))
        except OSError:
            pass  # the worker has just died; reading its pipe will show that
        except Exception as error:  # pickling may raise anything
            return Done(task.key, error=portable(error))
        worker.has.update(new)
        worker.task, worker.attempt = task, attempt
        return None

    def _new(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs,), daemon=True, name="mainstream-worker")
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))
        return self._workers[-1]

    def _ended(self, worker: _Worker) -> Done | None:
        """The result that a worker sent; None if it died and the task is to be run again."""
        task = worker.task
        assert task is not None
        try:
            value, error = worker.pipe.recv()
        except Exception as raised:  # unpickling may raise anything; EOFError or OSError if the worker died
            self._end(worker)
            self._workers.remove(worker)
            if not isinstance(raised, EOFError | OSError):
                return Done(task.key, error=portable(raised))
            if worker.attempt < RETRIES:
                return None
            code = worker.process.exitcode
            return Done(task.key, error=WorkerDiedError.of(task.key, worker.attempt + 1, f"exit code {code}"))
        worker.task = None
        if task.pieces is not None and error is None:
            value = [self.share(piece) for piece in value]
        return Done(task.key, value, error)

    @staticmethod
    def _end(worker: _Worker) -> None:
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()


def _work(pipe: Connection) -> None:
    """Run the tasks that come through the pipe, as long as the process at its other end lives."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C on a terminal is for the parent, which ends this process
    end_with_parent()
    values: dict[int, Any] = {}
    while True:
        value, error = None, None
        function, arguments, new = pipe.recv()
        values |= new
        try:
            value = function(*(values[one.place] if isinstance(one, Shared) else one for one in arguments))
        except Exception as raised:  # a task may raise anything
            error = portable(raised)
        try:
            pipe.send((value, error))
        except Exception as raised:  # pickling may raise anything
            pipe.send((None, portable(raised)))


def end_with_parent() -> None:
    """End this process, which multiprocessing has started, as soon as the one that started it is no more."""
    Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
