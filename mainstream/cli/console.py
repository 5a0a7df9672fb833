"""What the commands share on the screen: results as a table, progress, warnings."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from mainstream.result_text import print_result
from mainstream.schedule import Result

if TYPE_CHECKING:
    from mainstream.solver.progress import Progress

_SILENT_S: Final = 1.0
"""A solve that takes no longer than this shows no progress."""


def show_result(screen: Console, result: Result, title: str) -> None:
    """Print a result below a title."""
    screen.print(Text(title, style="bold"))
    print_result(screen, result)


class Watch:
    """Shows how a solve goes: a line that renews itself, or, where stderr is no terminal, a line now and then."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen
        self._live: Live | None = None
        self._next_line_s = _SILENT_S

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, progress: Progress) -> None:
        if progress.runtime_s < _SILENT_S:
            return
        if self._screen.is_terminal:
            if self._live is None:
                self._live = Live(console=self._screen, transient=True, auto_refresh=False)
                self._live.start()
            self._live.update(Text(_line(progress)), refresh=True)
        elif progress.runtime_s >= self._next_line_s:
            self._next_line_s = 2 * progress.runtime_s
            self._screen.print(_line(progress))


def _line(progress: Progress) -> str:
    best = "none yet" if progress.objective is None else f"{progress.objective:.6f}"
    gap = "" if progress.objective is None else f", gap {progress.gap:.1e}"
    return f"{progress.runtime_s:6.1f} s: incumbent {best}, bound {progress.bound:.6f}{gap}, {progress.nodes:,} nodes"


class _OnScreen(logging.Handler):
    """Warnings through the console that shows the progress, so that neither overwrites the other."""

    def __init__(self, screen: Console) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        self._screen.print(self.format(record))


def show_warnings(screen: Console, *, quiet: bool) -> None:
    """Let the package's warnings appear on `screen`; with `quiet`, only what is worse than a warning."""
    logger = logging.getLogger("mainstream")
    logger.handlers = [_OnScreen(screen)]
    logger.setLevel(logging.ERROR if quiet else logging.WARNING)
    logger.propagate = False
