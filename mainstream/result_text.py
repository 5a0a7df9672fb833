"""A result as text: the one way in which it is shown, by ``print(result)`` and by the commands."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from mainstream.description import printable
from mainstream.region import written

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mainstream.schedule import Choice, Result, Schedule

LISTED: Final = 30
"""Apps that a table shows; the rest are counted."""
_SHORTEST_NAME: Final = 8
_WIDE: Final = 1000
"""Columns where there is no terminal; so wide that nothing is cut."""


class PlainConsole(Console):
    """A console that prints characters which a terminal would obey, such as those of a hostile name, as escapes."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text, but="\n"), segment.style)


def plain_console(*, stderr: bool = False, file: StringIO | None = None, width: int | None = None) -> PlainConsole:
    """A console that takes text as it is: an app's name is no markup."""
    # In a notebook Rich would show its own HTML there and then, and give no text to whoever asks for it.
    return PlainConsole(
        stderr=stderr,
        file=file,
        width=width,
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=True,
        force_jupyter=False,
    )


def result_text(result: Result) -> str:
    """A result as plain lines."""
    text = StringIO()
    print_result(plain_console(file=text, width=_WIDE), result)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def print_result(screen: Console, result: Result) -> None:
    """Print a result: its choices as a table, the stem, the totals."""
    unit = f"{result.unit}/s" if result.unit else ""
    if result.choices:
        screen.print(_table(result, f"tail {unit or 'cost'}", screen.width))
    for line in (*_not_listed(result), *_totals(result, unit)):
        screen.print(line)


def _not_listed(result: Result) -> list[str]:
    """What the table does not show: how many more apps there are, and which apps do not run."""
    lines = []
    if len(result.choices) > LISTED:
        lines.append(f"... and {len(result.choices) - LISTED:,} more apps")
    if result.left_out:
        ids = ", ".join(str(app_id) for app_id in result.left_out[:LISTED])
        more = len(result.left_out) - LISTED
        lines.append(f"left out: {ids}" + (f" and {more:,} more" if more > 0 else ""))
    return lines


def precision_text(result: Result) -> str:
    """The precision that was chosen, and what the others reach."""
    others = [
        f"{name} {'does not fit' if value is None else f'reaches {value:.6f}'}"
        for name, value in (result.precisions or {}).items()
        if name != result.precision
    ]
    return ", ".join([f"{result.precision}", *others])


def table_rows(result: Result) -> tuple[list[list[str]], list[str]]:
    """The headings, a row for each of the first choices with its name, and the lines that go below them."""
    unit = f"{result.unit}/s" if result.unit else ""
    listed, rows = _rows(result, f"tail {unit or 'cost'}")
    names = ["name", *(choice.name or "" for choice in listed)]
    after = rows[0].index("app") + 1
    rows = [[*row[:after], name, *row[after:]] for row, name in zip(rows, names, strict=True)]
    return rows, [*_not_listed(result), *_totals(result, unit)]


def _rows(result: Result, cost: str) -> tuple[list[Choice], list[list[str]]]:
    """The first choices, and the headings and a row for each of them."""
    of_stream = [
        (schedule.stream or str(k), one) for k, schedule in enumerate(result.schedules) for one in schedule.choices
    ]
    of_stream = of_stream[:LISTED]
    listed = [choice for _, choice in of_stream]
    metrics = [result.metric, *(name for name in ("f1", "recall", "precision") if name != result.metric)]
    metrics = [name for name in metrics if any(getattr(choice, name) is not None for choice in listed)]
    ends = any(getattr(choice, f"{result.metric}_interval") is not None for choice in listed)
    headings = [f"{name} (95 %)" if ends and name == result.metric else name for name in metrics]
    rows = [["app", "num_frozen", "fps", "votes", *headings, cost], *(_cells(choice, metrics) for choice in listed)]
    if len(result.schedules) > 1:
        rows = [["stream", *rows[0]], *([k, *row] for (k, _), row in zip(of_stream, rows[1:], strict=True))]
    return listed, rows


def _table(result: Result, cost: str, width: int) -> Table:
    """The first choices. Names are cut to keep within `width` columns; numbers never are."""
    listed, rows = _rows(result, cost)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = max(_SHORTEST_NAME, width - sum(widths) - len(widths))

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for heading, needed in zip(rows[0], widths, strict=True):
        table.add_column(heading, justify="right", no_wrap=True, min_width=needed)
        if heading == "app":
            table.add_column("name", max_width=left, no_wrap=True, overflow="ellipsis")
    after = rows[0].index("app") + 1
    for choice, row in zip(listed, rows[1:], strict=True):
        table.add_row(*row[:after], Text(choice.name or ""), *row[after:])
    return table


def _cells(choice: Choice, metrics: list[str]) -> list[str]:
    return [
        str(choice.app_id),
        str(choice.num_frozen),
        f"{choice.target_fps:g}",
        "-" if choice.x_vote is None else str(choice.x_vote),
        *(_value(choice, name, first=name == metrics[0]) for name in metrics),
        f"{choice.tail_cost:.4g}",
    ]


def _stem(schedule: Schedule, heading: str, unit: str) -> str:
    steps = [f"layers {part.start}-{part.stop - 1} at {part.target_fps:g} fps" for part in schedule.stem]
    cost = sum(part.cost for part in schedule.stem)
    text = f"{', '.join(steps)}: {cost:.4g} {unit}".rstrip() if steps else "nothing is shared"
    return f"{heading:<10} {text}" + (f"; region {written(schedule.region)}" if schedule.region else "")


def _stems(result: Result, unit: str) -> list[str]:
    """The stem of each stream, the first few of many."""
    schedules = result.schedules
    if len(schedules) == 1:
        return [_stem(schedules[0], "stem", unit)]
    headings = [f"stem {schedule.stream or k}" for k, schedule in enumerate(schedules[:LISTED])]
    width = max(map(len, headings))
    lines = [_stem(schedule, f"{name:<{width}}", unit) for name, schedule in zip(headings, schedules, strict=False)]
    more = len(schedules) - LISTED
    if more > 0:
        lines.append(f"... and {more:,} more stems")
    seen = {(schedule.stream, schedule.region) for schedule in schedules}
    if len(seen) > len({stream for stream, _ in seen}):
        lines.append("regions    apps of different regions share no layers")
    return lines


def _value(choice: Choice, metric: str, *, first: bool) -> str:
    """A metric; with its interval if it is the one that was maximised."""
    value, interval = getattr(choice, metric), getattr(choice, f"{metric}_interval")
    if value is None:
        return "-"
    ends = f" ({interval[0]:.2f}-{interval[1]:.2f})" if first and interval is not None else ""
    return f"{value:.4f}{ends}"


def _totals(result: Result, unit: str) -> list[str]:
    lines = [
        *_stems(result, unit),
        f"objective  {result.goal} {result.objective:.6f} ({result.status})",
        f"bound      {result.bound:.6f}, gap {result.gap:.1e}",
    ]
    if result.mean is not None and result.mean_bound is not None:
        lines.append(f"then       mean {result.metric} {result.mean:.6f}, bound {result.mean_bound:.6f}")
    share = 100 * result.cost / result.budget
    lines.append(f"cost       {result.cost:.6g} of {result.budget:.6g} {unit}".rstrip() + f" ({share:.1f} %)")
    if result.memory_mb is not None and result.memory is not None:
        lines.append(f"memory     {result.memory:.6g} of {result.memory_mb:.6g} MB")
    if result.precision is not None:
        lines.append(f"precision  {precision_text(result)}")
    lines.append(f"solved by  {result.method}, {result.nodes:,} nodes, {result.runtime_s:.3g} s")
    return lines
