"""A report as one HTML file that opens without a network: charts as inline SVG, values in tooltips and tables.

The SVG comes from matplotlib and is the same that ``--pictures`` saves, so the page needs no chart library. plotly.py
would add the whole plotly.js, 4.8 MB, and its small bundle is not available as a Python package.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Final

from mainstream.report.chart_pictures import FAINT, INK, chart_svg
from mainstream.report.charts import Chart
from mainstream.report.sweep_charts import Section

_LIGHT_TO_DARK: Final = {
    INK: "#e8e8e8",
    FAINT: "#3a3a3a",
    "#0072B2": "#4aa8e0",
    "#D55E00": "#f0834a",
    "#009E73": "#2fc79b",
    "#E69F00": "#f0b840",
    "#CC79A7": "#e29cc4",
    "#56B4E9": "#8fd0f7",
    "#666666": "#a6a6a6",
    "#882255": "#d76aa0",
    "#117733": "#5fb878",
    "#332288": "#9a8cf0",
    "#aa4499": "#e08ad2",
}
"""Colour in the charts -> the colour that replaces it on a dark page."""

_STYLE: Final = """
:root { color-scheme: light dark; --page: #ffffff; %(light)s }
@media (prefers-color-scheme: dark) { :root { --page: #161616; %(dark)s } }
body { margin: 0 auto; padding: 1rem; max-width: 90rem; background: var(--page); color: var(--%(ink)s);
  font: 1rem/1.45 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%%, 22rem), 1fr)); gap: 1.5rem 2rem; }
figure { margin: 0; min-width: 0; } figcaption { font-weight: 600; }
figure p { margin: .2rem 0; font-size: .85rem; }
.pictures { grid-template-columns: repeat(auto-fill, 10rem); } .pictures img { display: block; }
svg { display: block; width: 100%%; height: auto; max-width: 34rem; }
.values { cursor: pointer; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid var(--%(faint)s); white-space: nowrap; }
td:first-child, th:first-child, .words td:nth-child(2), .words th:nth-child(2) { text-align: left; }
summary { font-size: .85rem; cursor: pointer; }
#said { position: fixed; z-index: 1; pointer-events: none; max-width: min(20rem, 90vw); padding: .3rem .5rem;
  border: 1px solid var(--%(ink)s); border-radius: .3rem; background: var(--page); font-size: .85rem; }
"""

_SCRIPT: Final = """
const said = document.getElementById("said");
function show(event) {
  const value = event.target.closest ? event.target.closest(".values > *") : null;
  said.hidden = !value;
  if (!value) return;
  const title = value.querySelector("title");
  if (title) {
    const axes = value.ownerSVGElement.dataset;
    const at = axes.x ? axes.x + " " : "";
    value.dataset.said = `${value.parentNode.dataset.series} · ${axes.y} at ${at}${title.textContent}`;
    title.remove();  // the browser would show it a second time
  }
  said.textContent = value.dataset.said;
  const left = Math.min(event.clientX + 12, innerWidth - said.offsetWidth - 4);
  const below = event.clientY + 16;
  const top = below + said.offsetHeight > innerHeight ? event.clientY - said.offsetHeight - 8 : below;
  said.style.left = Math.max(4, left) + "px";
  said.style.top = Math.max(4, top) + "px";
}
addEventListener("pointermove", show);
addEventListener("pointerdown", show);
addEventListener("scroll", () => { said.hidden = true; }, true);
"""


def report_page(title: str, lead: Sequence[str], tables: Sequence[str], sections: Sequence[Section]) -> str:
    """Make the page, as HTML.

    Parameters
    ----------
    title : str
    lead : sequence of str
        Paragraphs of plain text below the title.
    tables : sequence of str
        HTML tables above the charts, made by :func:`html_table`.
    sections : sequence of Section

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    parts = [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(words)}</p>" for words in lead), *tables]
    for i, section in enumerate(sections):
        parts.append(f"<h2>{escape(section.title)}</h2>")
        figures = "".join(_figure(chart, f"c{i}-{k}") for k, chart in enumerate(section.charts))
        parts.append(f'<div class="charts">{figures}</div>')
    names = {colour: f"c-{colour.removeprefix('#').lower()}" for colour in _LIGHT_TO_DARK}
    style = _STYLE % {
        "light": " ".join(f"--{name}: {colour};" for colour, name in names.items()),
        "dark": " ".join(f"--{name}: {_LIGHT_TO_DARK[colour]};" for colour, name in names.items()),
        "ink": names[INK],
        "faint": names[FAINT],
    }
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n<body>\n"
        + "\n".join(parts)
        + f'\n<div id="said" role="tooltip" hidden></div>\n<script>{_SCRIPT}</script>\n</body></html>\n'
    )


def html_table(caption: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of plain text under a heading; its first two columns are aligned to the left."""
    return f'<h2>{escape(caption)}</h2><div class="words">{_table(headings, rows)}</div>'


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"<thead>{_cells('th', headings)}</thead><tbody>", *(_cells("td", row) for row in rows)]
    return f'<div class="scroll"><table>{"".join(lines)}</tbody></table></div>'


def _cells(tag: str, texts: Sequence[str]) -> str:
    cells = "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)
    return f"<tr>{cells}</tr>"


def _figure(chart: Chart, prefix: str) -> str:
    note = f"<p>{escape(chart.note)}</p>" if chart.note else ""
    return (
        f'<figure id="{prefix}" data-chart="{escape(chart.key)}"><figcaption>{escape(chart.title)}</figcaption>'
        f"{_coloured(chart_svg(chart, prefix))}{note}{_values(chart)}</figure>"
    )


def _coloured(svg: str) -> str:
    """The picture with the page's colour variables in place of fixed colours."""
    known = {colour.lower(): f"var(--c-{colour.removeprefix('#').lower()})" for colour in _LIGHT_TO_DARK}
    return re.sub(r"#[0-9a-f]{6}\b", lambda found: known.get(found[0], found[0]), svg)


def _values(chart: Chart) -> str:
    """All values of a chart as a folded table; a cloud of points has none."""
    if chart.kind == "points":
        return ""
    shown = [series for series in chart.series if series.points]
    known = [{point.x: f"{point.y:.6g}" for point in series.points} for series in shown]
    rows = [
        [chart.places[int(x)] if chart.places else f"{x:.6g}", *(values.get(x, "") for values in known)]
        for x in sorted({point.x for series in shown for point in series.points})
    ]
    table = _table([chart.x_label, *(series.name for series in shown)], rows)
    return f"<details><summary>Values</summary>{table}</details>"
