"""Threads that run frames; one that hangs is given up and replaced.

A model's computing cannot be stopped. But nobody has to wait for its thread: it is a daemon, and if it comes back after
all its result is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import Final


class Job:
    """Something to run, and what became of it.

    Parameters
    ----------
    do : callable
        Called with the job; has to ask :meth:`finish` before it tells anybody of its result.
    give_up : callable
        Called if it took too long.
    """

    def __init__(self, do: Callable[[Job], None], give_up: Callable[[], None]) -> None:
        self.do = do
        self.give_up = give_up
        self.begun_s: float | None = None
        self._open = True
        self._lock = Lock()

    def finish(self) -> bool:
        """End the job; return whether it was this call that did, since only one of two may tell of a result."""
        with self._lock:
            was_open, self._open = self._open, False
            return was_open


class Workers:
    """A number of threads.

    Parameters
    ----------
    count : int
    longest_s : float
        Seconds that a job may take.
    """

    def __init__(self, count: int, longest_s: float) -> None:
        self._longest_s: Final = longest_s
        self._waiting: SimpleQueue[Job | None] = SimpleQueue()
        self._running: set[Job] = set()
        self._lock = Lock()
        self._threads: list[Thread] = []
        for _ in range(count):
            self._add()

    def _add(self) -> None:
        thread = Thread(target=self._work, name="mainstream-worker", daemon=True)
        self._threads.append(thread)
        thread.start()

    def submit(self, job: Job) -> None:
        """Run a job when a thread is free."""
        self._waiting.put(job)

    def give_up_overdue(self) -> None:
        """Give up the jobs that take too long, and put a fresh thread in each one's place."""
        with self._lock:
            overdue = [job for job in self._running if monotonic() - (job.begun_s or 0.0) > self._longest_s]
        for job in overdue:
            if job.finish():
                with self._lock:
                    self._running.discard(job)
                self._add()
                job.give_up()

    def end(self, timeout_s: float) -> None:
        """Let the threads end after what they run now; wait for that for at most `timeout_s`."""
        until = monotonic() + timeout_s
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(max(0.0, until - monotonic()))

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None:
            job.begun_s = monotonic()
            with self._lock:
                self._running.add(job)
            job.do(job)
            with self._lock:
                if job not in self._running:  # it was given up, and this thread with it
                    return
                self._running.discard(job)
