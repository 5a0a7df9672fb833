"""Threads that run frames; one that hangs is given up and replaced.

What a model computes cannot be broken off. But a thread need not be waited for: it is a daemon, and when it comes back
after all nobody listens.
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
        Takes the job; has to ask :meth:`finish` before it tells anybody of its result.
    give_up : callable
        Called in its place when it took too long.
    """

    def __init__(self, do: Callable[[Job], None], give_up: Callable[[], None]) -> None:
        self.do = do
        self.give_up = give_up
        self.begun_s: float | None = None
        self._open = True
        self._lock = Lock()

    def finish(self) -> bool:
        """Whether it is this call that ends the job: one call of two is told so."""
        with self._lock:
            was_open, self._open = self._open, False
            return was_open


class Workers:
    """So many threads.

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
        """Let threads end when what they run has ended; wait for that, but no longer than `timeout_s`."""
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
