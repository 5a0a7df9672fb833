"""What ``mainstream experiment`` shows: how far it is, and what came out."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from mainstream.formats.sweep import SweepRow


class SweepProgress:
    """How far it is and how long it will take: a bar on a terminal, else a line now and then."""

    def __init__(self, screen: Console, total: int, *, quiet: bool) -> None:
        self._screen = screen
        self._total = total
        self._done = 0
        self._quiet = quiet
        self._started = monotonic()
        self._first: tuple[float, int] | None = None
        self._next_line_s = 5.0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self._screen.is_terminal and not self._quiet:
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

            columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=self._screen, transient=True)
            self._task = self._bar.add_task("", total=self._total)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, weight: int) -> None:
        self._done += weight
        elapsed = monotonic() - self._started
        if self._first is None:  # what comes before the first row, such as compilation, comes once
            self._first = (elapsed, self._done)
            return
        pace = (elapsed - self._first[0]) / (self._done - self._first[1])
        left = f"{pace * (self._total - self._done):.0f} s left"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done, description=left)
        elif not self._quiet and elapsed >= self._next_line_s:
            self._next_line_s = 2 * elapsed
            self._screen.print(f"{elapsed:6.0f} s: {self._done / self._total:.0%} done, about {left}")


def print_comparison(screen: Console, rows: list[SweepRow], tidy: Path) -> None:
    """Mean objectives of the versions, and what mainstream gains over each, where all have a schedule."""
    from rich.table import Table

    from mainstream.experiments.comparison import compare

    compared = compare(rows)
    for asked in dict.fromkeys(one.asked for one in compared):
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        table.add_column(f"budget {asked}", no_wrap=True)
        for heading in ("fit", "do not", "mean", "mainstream gains", "gap up to", "seconds"):
            table.add_column(heading, justify="right", no_wrap=True)
        for one in (one for one in compared if one.asked == asked):
            table.add_row(
                one.version,
                f"{one.schedules:,}",
                f"{one.infeasible:,}",
                "-" if one.objective is None else f"{one.objective:.6f}",
                "-" if one.gain is None else f"{one.gain:+.2%}",
                "-" if one.gap is None else f"{one.gap:.1e}",
                "-" if one.runtime_s is None else f"{one.runtime_s:.2g}",
            )
        screen.print(table)
    screen.print("means: over the workloads in which every version has a schedule")
    screen.print(f"{len(rows):,} rows in {tidy}")
