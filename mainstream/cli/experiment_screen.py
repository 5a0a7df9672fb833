"""What ``mainstream experiment`` shows of its results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from mainstream.formats.sweep import SweepRow


def print_comparison(screen: Console, rows: list[SweepRow], tidy: Path) -> None:
    """Mean objectives of the versions, and what mainstream gains over each, over cases where all have a schedule."""
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
