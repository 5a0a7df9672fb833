"""The rates at which apps run, live: for ``streamer`` and ``deploy --local``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mainstream.result_text import LISTED

if TYPE_CHECKING:
    from mainstream.streamer import LocalRunner


@contextmanager
def live_rates(runners: Mapping[str | None, LocalRunner], screen: Console, *, quiet: bool = False) -> Iterator[None]:
    """Show the rates of each camera's runner while the block runs: on a terminal, and not if `quiet`."""
    if quiet or not screen.is_terminal:
        yield
        return

    def shown() -> Group:
        return Group(
            *(part for name, one in runners.items() for part in ([Text(name)] if name else []) + [rates_of(one)])
        )

    with Live(console=screen, get_renderable=shown, transient=True, refresh_per_second=4):
        yield


def rates_of(runner: LocalRunner) -> Table:
    """The apps that run, their target and observed rates, frames analysed and dropped, and why some fail."""
    made = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for heading in ("app", "target fps", "observed", "frames", "dropped"):
        made.add_column(heading, justify="right", no_wrap=True)
    if runner.silent_s:
        made.caption = f"the camera has been away for {runner.silent_s:.0f} s"
    rates = runner.rates()
    failing = any(one.failure for one in rates)
    if failing:
        made.add_column("failed")
    for one in rates[:LISTED]:
        numbers = f"{one.target_fps:g}", f"{one.observed_fps:.2f}", f"{one.analysed}", f"{one.dropped}"
        notes = [Text(f"{'stopped: ' if one.stopped else ''}{one.failure or ''}")] if failing else []
        made.add_row(str(one.app_id), *numbers, *notes)
    if len(rates) > LISTED:
        made.add_row(Text(f"... and {len(rates) - LISTED:,} more"))
    return made
