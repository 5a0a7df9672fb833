"""``mainstream report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mainstream.errors import ProblemError


def command(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES|DIR", help="OUT_PREFIX.csv of experiments.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.html", help="The report: one file.", show_default=False)
    ],
    pictures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Save each chart there as .svg and .png, too.", show_default=False),
    ] = None,
    title: Annotated[str, typer.Option(help="Of the report.")] = "Mainstream: an experiment",
) -> None:
    """Draw what experiments found: one HTML file.

    It needs no network. Several experiments are put together; of a DIR all of them are. Hovering over a point shows its
    value.
    """
    from mainstream._optional import require
    from mainstream.experiments.comparison import compare
    from mainstream.files import check_target, write_text
    from mainstream.formats.sweep import SweepRow, load_sweep
    from mainstream.report.chart_pictures import chart_figure
    from mainstream.report.figures import save_figure
    from mainstream.report.page import html_table, report_page
    from mainstream.report.sweep_charts import sections

    require("matplotlib", "report")
    check_target(output)
    if pictures is not None and not pictures.is_dir():
        raise ProblemError(f"{pictures}: there is no such folder for the pictures; make it first")
    found = _found(files)
    rows: dict[tuple[object, ...], SweepRow] = {}
    for file in found:
        for row in load_sweep(file):
            key = (*row.key, row.kind)
            if key in rows:
                raise ProblemError(
                    f"{file}: workload {row.id}, {row.version}, budget {row.asked} is in another file, too"
                )
            rows[key] = row
    made = sections(rows.values())
    if not made:
        raise ProblemError(f"{files[0]}: no schedule fits any budget; there is nothing to draw")

    names = ", ".join(file.name for file in found)
    lead = [
        f"From {names}: {len(rows):,} schedules of {len({row.id for row in rows.values()}):,} workloads.",
        "Means are over the workloads in which every version has a schedule, ± their standard error. max-sharing-best "
        "is the fair static rival, the best single chokepoint for the workload: what is gained over max-sharing "
        "shrinks against it.",
    ]
    tables = []
    for kind in dict.fromkeys(row.kind for row in rows.values()):
        cells = [
            [
                one.asked,
                one.version,
                f"{one.schedules:,}",
                "-" if one.objective is None else f"{one.objective:.6f}",
                "-" if one.gain is None else f"{one.gain:+.2%}",
                "-" if one.gap is None else f"{one.gap:.1e}",
            ]
            for one in compare(row for row in rows.values() if row.kind == kind)
        ]
        headings = ("budget", "version", "schedules", "objective", "mainstream gains", "largest gap")
        tables.append(html_table(kind, headings, cells))
    write_text(output, report_page(title, lead, tables, made))
    if pictures is not None:
        for section in made:
            for chart in section.charts:
                for suffix in (".svg", ".png"):
                    save_figure(chart_figure(chart), pictures / f"{chart.key}{suffix}")


def _found(given: list[Path]) -> list[Path]:
    """The files, and those of experiments in the folders."""
    from mainstream.formats.sweep import is_sweep

    found = []
    for place in given:
        inside = sorted(file for file in place.glob("*.csv") if is_sweep(file)) if place.is_dir() else [place]
        if not inside:
            raise ProblemError(f"{place}: there is no OUT_PREFIX.csv of an experiment in this folder")
        found += inside
    return found
