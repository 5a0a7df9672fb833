"""What the commands share on the screen: results as a table, progress, warnings."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mainstream.schedule import Choice, Result

if TYPE_CHECKING:
    from mainstream.solver.search import Progress

LISTED: Final = 30
"""Apps that a table shows; the rest are counted."""
_SHORTEST_NAME: Final = 8
_SILENT_S: Final = 1.0
"""A solve that takes no longer than this shows no progress."""


def plain_console(*, stderr: bool = False) -> Console:
    """A console that takes text as it is: an app's name is no markup."""
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)


def show_result(screen: Console, result: Result, title: str) -> None:
    """Print a result: its choices as a table, the stem, the totals."""
    unit = f"{result.unit}/s" if result.unit else ""
    screen.print(Text(title, style="bold"))
    if result.choices:
        screen.print(_table(result, f"tail {unit or 'cost'}", screen.width))
    if len(result.choices) > LISTED:
        screen.print(f"... and {len(result.choices) - LISTED:,} more apps")
    if result.left_out:
        ids = ", ".join(str(app_id) for app_id in result.left_out[:LISTED])
        more = len(result.left_out) - LISTED
        screen.print(f"left out: {ids}" + (f" and {more:,} more" if more > 0 else ""))
    for line in _totals(result, unit):
        screen.print(line)


def _table(result: Result, cost: str, width: int) -> Table:
    """The first choices; numbers are never cut, names are, to keep within `width` columns."""
    listed = result.choices[:LISTED]
    metrics = [result.metric, *(name for name in ("f1", "recall", "precision") if name != result.metric)]
    metrics = [name for name in metrics if any(getattr(choice, name) is not None for choice in listed)]
    numbers = [["app", "num_frozen", "fps", "votes", *metrics, cost], *(_numbers(choice, metrics) for choice in listed)]
    widths = [max(map(len, column)) for column in zip(*numbers, strict=True)]
    left = max(_SHORTEST_NAME, width - sum(widths) - len(widths))

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for heading, needed in zip(numbers[0], widths, strict=True):
        table.add_column(heading, justify="right", no_wrap=True, min_width=needed)
        if heading == "app":
            table.add_column("name", max_width=left, no_wrap=True, overflow="ellipsis")
    for choice, (app_id, *rest) in zip(listed, numbers[1:], strict=True):
        table.add_row(app_id, Text(choice.name or ""), *rest)
    return table


def _numbers(choice: Choice, metrics: list[str]) -> list[str]:
    values = [getattr(choice, name) for name in metrics]
    return [
        str(choice.app_id),
        str(choice.num_frozen),
        f"{choice.target_fps:g}",
        "-" if choice.x_vote is None else str(choice.x_vote),
        *("-" if value is None else f"{value:.4f}" for value in values),
        f"{choice.tail_cost:.4g}",
    ]


def _totals(result: Result, unit: str) -> list[str]:
    steps = [f"layers {part.start}-{part.stop - 1} at {part.target_fps:g} fps" for part in result.stem]
    stem_cost = sum(part.cost for part in result.stem)
    goal = "smallest" if result.aggregate == "min" else "mean"
    lines = [
        f"stem       {', '.join(steps)}: {stem_cost:.4g} {unit}".rstrip() if steps else "stem       nothing is shared",
        f"objective  {goal} {result.metric} {result.objective:.6f} ({result.status})",
        f"bound      {result.bound:.6f}, gap {result.gap:.1e}",
    ]
    if result.mean is not None and result.mean_bound is not None:
        lines.append(f"then       mean {result.metric} {result.mean:.6f}, bound {result.mean_bound:.6f}")
    share = 100 * result.cost / result.budget
    lines.append(f"cost       {result.cost:.6g} of {result.budget:.6g} {unit}".rstrip() + f" ({share:.1f} %)")
    lines.append(f"solved by  {result.method}, {result.nodes:,} nodes, {result.runtime_s:.3g} s")
    return lines


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
