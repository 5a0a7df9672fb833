"""What the commands show in the same way: results as a table, progress, warnings."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from mainstream.cli.json_file import STDOUT
from mainstream.cli.progress import next_line_s
from mainstream.result_text import plain_console, print_result
from mainstream.schedule import Result
from mainstream.stream import capacity_of

if TYPE_CHECKING:
    from mainstream.problem import Model
    from mainstream.solver.progress import Progress

_SILENT_S: Final = 1.0
"""A solve that takes no longer than this shows no progress."""


def output(*, quiet: bool = False, json: str | None = None) -> Console:
    """Where results go: to stdout, or nowhere with ``-q`` or when ``--json -`` needs stdout for itself."""
    screen = plain_console()
    screen.quiet = quiet or json == STDOUT
    return screen


def errors(*, quiet: bool = False) -> Console:
    """Stderr. From now on it also shows the package's warnings or, with `quiet`, only what is worse."""
    screen = plain_console(stderr=True)
    logger = logging.getLogger("mainstream")
    logger.handlers = [_OnScreen(screen)]
    logger.setLevel(logging.ERROR if quiet else logging.WARNING)
    logger.propagate = False
    return screen


def show_result(screen: Console, result: Result, title: str, models: Sequence[Model] = ()) -> None:
    """Print a result below a title, and its share of the box if the models' profiles say how many cores it has."""
    screen.print(Text(title, style="bold"))
    print_result(screen, result)
    share = of_box(result.cost, models)
    if share is not None:
        screen.print(f"of the box {share}")


def of_box(cost: float, models: Sequence[Model]) -> str | None:
    """The share of the box, "20 of 2,000 ms/s: 1 % of 2 cores"; None if a profile does not say its cores."""
    capacity = capacity_of(models)
    if capacity is None:
        return None
    cores = capacity / 1000
    return f"{_rounded(cost)} of {_rounded(capacity)} ms/s: {_rounded(100 * cost / capacity)} % of {cores:g} " + (
        "core" if cores == 1 else "cores"
    )


def _rounded(value: float) -> str:
    """A number with three digits, or with all those before the point: 0.0123, 1.23, 1,234."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


class Watch:
    """Shows how a solve goes: a line that renews itself or, if stderr is no terminal, a line now and then."""

    def __init__(self, screen: Console, *, quiet: bool = False) -> None:
        self._screen = screen
        self._quiet = quiet
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
        if self._quiet or progress.runtime_s < _SILENT_S:
            return
        if self._screen.is_terminal:
            if self._live is None:
                self._live = Live(console=self._screen, transient=True, auto_refresh=False)
                self._live.start()
            self._live.update(Text(_line(progress)), refresh=True)
        elif progress.runtime_s >= self._next_line_s:
            self._next_line_s = next_line_s(progress.runtime_s)
            self._screen.print(_line(progress))


def _line(progress: Progress) -> str:
    best = "none yet" if progress.objective is None else f"{progress.objective:.6f}"
    gap = "" if progress.objective is None else f", gap {progress.gap:.1e}"
    return f"{progress.runtime_s:6.1f} s: incumbent {best}, bound {progress.bound:.6f}{gap}, {progress.nodes:,} nodes"


class _OnScreen(logging.Handler):
    """Shows warnings through the console that shows the progress, so that neither overwrites the other."""

    def __init__(self, screen: Console) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        self._screen.print(self.format(record))
