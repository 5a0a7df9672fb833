"""Rows as CSV and as Markdown."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.row import Row, duration

Results = Mapping[str, tuple[str, Sequence[Row]]]
"""By the part's name: its title and rows."""

_COLUMNS: Final = ("part", "what", "reached", "worst", "unit", "cpu_s", "figure", "better", "against", "notes")
_HEADING: Final = ("what", "reached", "worst", "CPU", "goal", "against it", "notes")
_LEGEND: Final = """\
"Reached" is the median over the seeds (of each seed's median), "worst" the worst seed. "met, 2x" is better than the
goal by a factor of 2, "missed, 2x" worse by one. "CPU" is the median of the seconds computed: where it is
well below "reached", other processes had the machine."""


def write(results: Results, about: Mapping[str, str], stem: Path) -> None:
    """Write STEM.csv and STEM.md."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    with stem.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(_COLUMNS)
        for part, (_, rows) in results.items():
            for row in rows:
                better = "" if row.figure is None else "more" if row.at_least else "less"
                values = (
                    "" if value is None else value for value in (row.reached, row.worst, row.unit, row.cpu, row.figure)
                )
                table.writerow([part, row.what, *values, better, row.against, row.notes])
    stem.with_suffix(".md").write_text(markdown(results, about), encoding="utf-8")


def markdown(results: Results, about: Mapping[str, str]) -> str:
    """A document: the run, then a table for each part."""
    lines = ["# Results of a whole run", ""]
    lines += [f"- {key}: {f'`{value}`' if key == 'command' else value}" for key, value in about.items()]
    lines += ["", _LEGEND]
    for title, rows in results.values():
        lines += ["", f"## {title}", "", _line(_HEADING), _line(["---"] * len(_HEADING))]
        lines += [
            _line(
                [
                    row.what,
                    row.shown(row.reached),
                    row.shown(row.worst),
                    "" if row.cpu is None else duration(row.cpu),
                    _figure(row),
                    row.against,
                    row.notes,
                ]
            )
            for row in rows
        ]
    return "\n".join([*lines, ""])


def table(rows: Sequence[Row]) -> list[str]:
    """The lines of a table of rows that have no worst seed and no CPU time."""
    heading = "what", "measured", "goal", "against it", "notes"
    cells = ([row.what, row.shown(row.reached), _figure(row), row.against, row.notes] for row in rows)
    return [_line(heading), _line(["---"] * len(heading)), *map(_line, cells)]


def _figure(row: Row) -> str:
    if row.figure is None or isinstance(row.figure, str):
        return row.figure or ""
    return f"{'at least' if row.at_least else 'at most'} {row.shown(row.figure)}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
