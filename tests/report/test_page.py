"""The report in a browser: every chart is there, says its values, and is read on small and on dark screens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from support.browser import chromium, look
from support.commands import run_here

from mainstream.formats.sweep import HEADER, SweepRow

pytest.importorskip("matplotlib", reason="needs the extra report")

VERSIONS = ["mainstream", "no-sharing", "max-sharing", "max-sharing-best", "max-sharing-18", "greedy", "<b>&\"'"]
COUNTS = [1, 2, 5, 9]
BUDGETS = ["10%", "30%", "60%", "90%"]
CHARTS = {
    *(f"{kind}-budget-{k}" for kind in ("objective", "gain", "fps", "accuracy", "use") for k in (1, 3, 4)),
    *(f"objective-against-budget-{n}" for n in (1, 5, 9)),
    "votes",
    "observed-rates",
    "observed-compute",
    "observed-objective",
    "time",
}


def row(version: str, apps: int, asked: str, workload: int) -> SweepRow:
    """A row that no experiment has made; its figures are all different."""
    v, budget = VERSIONS.index(version), float(asked.removesuffix("%"))
    objective = 0.9 - 0.01 * v - 0.02 * apps + 0.001 * budget + 0.0001 * workload
    fps = tuple(1.0 + (i + v) % 4 for i in range(apps))
    return SweepRow(
        id=f"{apps}-{workload}",
        apps=apps,
        trial=1,
        version=version,
        asked=asked,
        budget=budget,
        status="optimal",
        event_model="windowed",
        metric="f1",
        aggregate="mean",
        unit="ms",
        objective=objective,
        bound=objective + 1e-6,
        gap=1e-6,
        relative_accuracy=0.99 - 0.01 * v,
        cost=0.9 * budget,
        stem_cost=0.3 * budget,
        tail_cost=0.6 * budget,
        rates="observed",
        objective_at_observed=objective - 0.01,
        measured_compute=0.8 * budget,
        runtime_s=0.001 * (v + 1) * apps,
        num_frozen=(0,) * apps,
        target_fps=fps,
        observed_fps=tuple(0.9 * one for one in fps),
        x_vote=tuple((i + v) % 3 for i in range(apps)),
        relative_accuracies=(0.9,) * apps,
    )


def every_row() -> list[SweepRow]:
    return [row(v, n, b, w) for n in COUNTS for w in (1, 2) for b in BUDGETS for v in VERSIONS]


def report(*arguments: object, code: int = 0) -> str:
    done = run_here("report", *arguments)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    return done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``out.csv`` and what is made of it: ``report.html`` and ``pictures``."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "out.csv").write_text(HEADER + "".join(one.line() for one in every_row()), encoding="utf-8")
    (folder / "pictures").mkdir()
    report(folder, "-o", folder / "report.html", "--pictures", folder / "pictures", "--title", "A <study> & more")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as one:
        yield one


def test_one_file_holds_all_charts_and_asks_nobody(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert len(page.encode()) < 2_000_000
    assert set(re.findall(r'data-chart="([^"]*)"', page)) == CHARTS
    addresses = set(re.findall(r"[a-z]+://[^\s\"'<>)]*", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    assert "A &lt;study&gt; &amp; more" in page and "<b>&" not in page


def test_each_chart_is_a_picture_twice(folder: Path) -> None:
    names = {file.name for file in (folder / "pictures").iterdir()}
    assert names == {f"{key}{suffix}" for key in CHARTS for suffix in (".png", ".svg")}


def test_every_value_of_the_data_is_in_the_page(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    figure = re.search(r'<figure [^>]*data-chart="objective-budget-1".*?</figure>', page, flags=re.DOTALL)
    assert figure
    groups = re.findall(r'<g class="values" fill="transparent" data-series=(.*?)>(.*?)</g>', figure[0])
    said = [
        (unescape(name[1:-1]), unescape(words))
        for name, group in groups
        for words in re.findall(r"<title>(.*?)</title>", group)
    ]
    expected = []
    for version in VERSIONS:
        for n in COUNTS:
            mean = sum(row(version, n, "10%", w).objective or 0 for w in (1, 2)) / 2
            expected.append((version, f"{n}: {mean:.6g} (2 workloads ± 5e-05)"))
    assert said == expected
    cells = {unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", figure[0])}
    assert all(words.split()[1] in cells for _, words in expected)
    points = {(float(x), float(y)) for x, y in re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"', figure[0])}
    for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', figure[0]):
        assert any(abs(float(x) - u) + abs(float(y) - v) < 0.2 for u, v in points)  # where the marker is drawn


def test_the_browser_has_nothing_to_complain_of(folder: Path, browser: Any) -> None:
    look(browser, folder / "report.html", width=1200)
    assert browser.get_log("browser") == []
    drawn = browser.execute_script(
        "return [...document.querySelectorAll('figure svg')].map(svg => {const box = svg.getBoundingClientRect();"
        "return [box.width, box.height, svg.querySelectorAll('.values > *').length]})"
    )
    assert len(drawn) == len(CHARTS)
    assert all(width > 200 and height > 150 and values > 0 for width, height, values in drawn)


def centre(browser: Any, figure: str, place: int) -> tuple[float, float, list[str]]:
    """Where a value is in the window once it is scrolled there, and what its title is."""
    browser.execute_async_script(  # the event of scrolling, which hides what is said, comes with the next picture
        "document.querySelectorAll(`[data-chart='${arguments[0]}'] .values > *`)[arguments[1]]"
        ".scrollIntoView({block: 'center'});"
        "requestAnimationFrame(() => requestAnimationFrame(arguments[2]))",
        figure,
        place,
    )
    x, y, *said = browser.execute_script(
        "const value = document.querySelectorAll(`[data-chart='${arguments[0]}'] .values > *`)[arguments[1]];"
        "const box = value.getBoundingClientRect();"
        "return [box.x + box.width / 2, box.y + box.height / 2,"
        " value.parentNode.dataset.series + ' · ', value.querySelector('title').textContent]",
        figure,
        place,
    )
    return x, y, said


@pytest.mark.parametrize(("figure", "place"), [("objective-budget-1", 3), ("use-budget-3", 0), ("time", 27)])
@pytest.mark.parametrize("width", [1200, 400])
def test_hovering_says_the_value(figure: str, place: int, width: int, folder: Path, browser: Any) -> None:
    look(browser, folder / "report.html", width=width)
    assert not browser.execute_script("return document.getElementById('said').checkVisibility()")
    x, y, expected = centre(browser, figure, place)
    browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
    shown, said, left, right, top, bottom = browser.execute_script(
        "const said = document.getElementById('said'); const box = said.getBoundingClientRect();"
        "return [said.checkVisibility(), said.textContent, box.left, box.right, box.top, box.bottom]"
    )
    assert shown and said.startswith(expected[0]) and said.endswith(expected[1]) and re.search(r" at .*: \d", said)
    assert 0 <= left < right <= width and 0 <= top < bottom <= 900
    assert not (left <= x <= right and top <= y <= bottom)  # it does not hide what it tells of
    browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": 1, "y": 1})
    assert not browser.execute_script("return document.getElementById('said').checkVisibility()")


def test_a_telephone_shows_it_without_scrolling_sideways(folder: Path, browser: Any) -> None:
    look(browser, folder / "report.html", width=400)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
    sizes = browser.execute_script(
        "return [...document.querySelectorAll('figure svg text')].map(text =>"
        " parseFloat(getComputedStyle(text).fontSize) * Math.hypot(text.getScreenCTM().a, text.getScreenCTM().b))"
    )
    assert len(sizes) > 100 and min(sizes) >= 9  # pixels


def test_no_words_of_a_chart_cover_others(folder: Path, browser: Any) -> None:
    look(browser, folder / "report.html", width=400)
    boxes = browser.execute_script(
        "return [...document.querySelectorAll('figure')].map(figure => [figure.dataset.chart,"
        " (b => [b.left, b.top, b.right, b.bottom])(figure.querySelector('svg').getBoundingClientRect()),"
        " [...figure.querySelectorAll('svg text')]"
        ".filter(text => !(text.getAttribute('transform') || '').includes('rotate(-35'))"
        ".map(text => [text.textContent, (b => [b.left, b.top, b.right, b.bottom])(text.getBoundingClientRect())])])"
    )
    for chart, (left, top, right, bottom), texts in boxes:
        for i, (words, a) in enumerate(texts):
            assert left - 1 <= a[0] and a[2] <= right + 1 and top - 1 <= a[1] and a[3] <= bottom + 1, (chart, words)
            for others, b in texts[:i]:
                apart = a[2] <= b[0] + 1 or b[2] <= a[0] + 1 or a[3] <= b[1] + 3 or b[3] <= a[1] + 3
                assert apart, (chart, words, others)


def luminance(colour: str) -> float:
    """Of WCAG 2, from ``rgb(r, g, b)``."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True])
def test_words_and_lines_stand_out(dark: bool, folder: Path, browser: Any) -> None:
    look(browser, folder / "report.html", width=1200, dark=dark)
    page, words, lines = browser.execute_script(
        "const of = (what, key) =>"
        " [...new Set([...document.querySelectorAll(what)].map(one => getComputedStyle(one)[key]))];"
        "return [getComputedStyle(document.body).backgroundColor, of('body, figcaption, td, figure svg text', 'color')"
        ".concat(of('figure svg text', 'fill')), of('svg g[id*=line2d] > path', 'stroke')]"
    )
    assert (luminance(page) < 0.1) == dark

    def contrast(colour: str) -> float:
        low, high = sorted((luminance(colour), luminance(page)))
        return (high + 0.05) / (low + 0.05)

    assert all(contrast(colour) >= 4.5 for colour in words), words
    told_apart = [colour for colour in lines if colour.startswith("rgb") and contrast(colour) >= 2]
    assert len(told_apart) >= len(VERSIONS)


def test_several_experiments_are_put_together(tmp_path: Path) -> None:
    rows = every_row()
    halves = {"a": rows[: len(rows) // 2], "b": rows[len(rows) // 2 :]}
    for name, some in halves.items():
        (tmp_path / f"{name}.csv").write_text(HEADER + "".join(one.line() for one in some), encoding="utf-8")
    report(tmp_path / "a.csv", tmp_path / "b.csv", "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f"From a.csv, b.csv: {len(rows):,} schedules of 8 workloads." in page


@pytest.mark.parametrize(
    ("files", "output", "message"),
    [
        (["none.csv"], "page.html", "none.csv: no such file or directory"),
        (["."], "page.html", ".: there is no OUT_PREFIX.csv of an experiment in this folder"),
        (["other"], "page.html", "other: not the table of an experiment: its first line has other columns"),
        (["twice", "twice"], "page.html", "twice: workload 1-1, mainstream, budget 10% is in another file, too"),
        (["nothing"], "page.html", "nothing: no schedule fits any budget; there is nothing to draw"),
        (["twice"], "no/page.html", "no/page.html: cannot be written: there is no folder no"),
        (["twice", "--pictures", "no"], "page.html", "no: there is no such folder for the pictures; make it first"),
    ],
)
def test_bad_input_is_refused(
    files: list[str], output: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = row("mainstream", 1, "10%", 1)
    nothing = SweepRow("1", 1, 1, "mainstream", "10%", 1.0, "infeasible", "windowed", "f1", "mean")
    Path("other").write_text("a,b\n1,2\n", encoding="utf-8")
    Path("twice").write_text(HEADER + one.line(), encoding="utf-8")
    Path("nothing").write_text(HEADER + nothing.line(), encoding="utf-8")
    assert report(*files, "-o", output, code=2) == f"mainstream: {message}\n"
    assert not Path("page.html").exists()
