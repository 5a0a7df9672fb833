"""How far a command has come and how long it will still take: a bar on a terminal, else a line now and then."""

from __future__ import annotations

from collections import deque
from threading import Event, Lock, Thread
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

_SILENT_S: Final = 1.0
"""Work that takes no longer than this shows no bar."""
_FIRST_LINE_S: Final = 10.0
_LONGEST_S: Final = 60.0
_RECENT: Final = 0.25
_LEAST_S: Final = 10.0
_SAMPLES: Final = 100
_LEAST_DONE: Final = 0.05
"""With less than this, the time left would be a wild guess."""


def next_line_s(elapsed_s: float) -> float:
    """When a log gets its next line: at first after another 10 s, after hours of work every minute."""
    return elapsed_s + min(_LONGEST_S, max(_FIRST_LINE_S, _RECENT * elapsed_s))


class Pace:
    """Estimates the seconds left from the speed in the last quarter of the time, at least 10 s and at most a minute.

    left = (1 - done) (t - t0) / (done - done0), at the last step t, where t0 is the start of that stretch of time. The
    time before the first step, in which things are compiled, does not count.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()
        self._began = 0.0
        self._last = (0.0, 0.0)

    def step(self, now_s: float, done: float) -> None:
        """Record the share that is done, 0..1."""
        if not self._seen:
            self._began = now_s
            self._seen.append((now_s, done))
        self._last = now_s, done
        window = min(_LONGEST_S, max(_LEAST_S, _RECENT * (now_s - self._began)))
        if now_s - self._seen[-1][0] >= window / _SAMPLES:
            self._seen.append(self._last)
        while len(self._seen) > 1 and self._seen[1][0] <= now_s - window:
            self._seen.popleft()

    def left_s(self, now_s: float) -> float | None:
        """Seconds left; None while the speed is not known yet."""
        if not self._seen:
            return None
        (begin_s, begin), (last_s, last) = self._seen[0], self._last
        if last <= begin:
            return None
        return max(0.0, (1 - last) * (last_s - begin_s) / (last - begin) - (now_s - last_s))


class Bar:
    """Shows how far some work has come while a ``with`` block runs.

    Parameters
    ----------
    screen : Console
        The console of stderr.
    what : str
        The name of the work.
    quiet : bool
        Show nothing.
    """

    def __init__(self, screen: Console, what: str, *, quiet: bool = False) -> None:
        self._screen = screen
        self._what, self._done = what, 0.0
        self._pace = Pace()
        self._began = monotonic()
        self._ended = Event()
        self._changing = Lock()
        self._thread = None if quiet else Thread(target=self._show, name="mainstream-progress", daemon=True)

    def __enter__(self) -> Self:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def __call__(self, done: float, what: str | None = None) -> None:
        """Record the share that is done, 0..1, and what is being done now."""
        with self._changing:
            self._done, self._what = done, self._what if what is None else what
            self._pace.step(monotonic(), done)

    def next(self, what: str) -> None:
        """Record that other work begins, which has a pace of its own."""
        with self._changing:
            self._done, self._what, self._pace = 0.0, what, Pace()

    def _show(self) -> None:
        if self._screen.is_terminal:
            self._show_bar()
        else:
            self._show_lines()

    def _show_lines(self) -> None:
        elapsed_s = 0.0
        while not self._ended.wait(self._began + next_line_s(elapsed_s) - monotonic()):
            elapsed_s = monotonic() - self._began
            what, done, left = self._now()
            share = f", {done:.0%} done" if done else ""
            self._screen.print(f"{elapsed_s:6.0f} s: {what}{share}{left and ', '}{left}", markup=False)

    def _show_bar(self) -> None:
        if self._ended.wait(_SILENT_S):
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        with Progress(*columns, console=self._screen, transient=True) as shown:
            task = shown.add_task(self._what, total=None, left="")
            while not self._ended.wait(0.1):
                self._update(shown, task)

    def _update(self, shown: Progress, task: TaskID) -> None:
        what, done, left = self._now()
        shown.update(task, description=what, completed=done, total=1.0 if done else None, left=left)

    def _now(self) -> tuple[str, float, str]:
        with self._changing:
            left = self._pace.left_s(monotonic()) if _LEAST_DONE <= self._done < 1 else None
            return self._what, self._done, "" if left is None else f"about {_duration(left)} left"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
