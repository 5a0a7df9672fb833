"""The plots: what they say, and that no label covers another or leaves the page."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mainstream import MissingExtraError, Model, ProblemError, Result
from mainstream.costs import stem_parts, tail_costs
from mainstream.schedule import Schedule

pytest.importorskip("matplotlib", reason="needs the extra report")
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from mainstream.report import figures, labels, plots, staircase
from mainstream.report.figures import FrontierCurve, check_picture, frontier_figure, result_figure, save_figure
from mainstream.report.knee import knee

TINY = Path(__file__).parents[2] / "data" / "problems" / "tiny.yaml"
COMMAND = str(Path(sys.executable).with_name("mainstream"))
MODEL = Model(
    total_layers=80,
    layer_latencies=tuple(np.linspace(0.09, 0.01, 80).tolist()),
    frozen_layer_names={k: f"block_{k}" for k in range(0, 81, 10)},
    unit="ms",
)


def schedule(
    n: int, seed: int = 0, *, sharing: bool = True, left_out: int = 0, rates: int = 10, long_names: bool = False
) -> Schedule:
    """Choices at random, deep and slow ones more often, the last `left_out` apps without one."""
    random = np.random.default_rng([n, seed])
    runs = np.arange(n) < n - left_out
    frozen = np.where(runs, 10 * random.binomial(8, 0.8, n), 0)
    fps = np.where(runs, np.ceil(rates * random.random(n) ** 2), 0.0)
    rate = random.random((3, n)) * runs
    return Schedule(
        app_ids=np.arange(1, n + 1),
        num_frozen=frozen,
        target_fps=fps,
        x_vote=np.zeros(n, dtype=np.int64),
        value=rate[0],
        f1=rate[0],
        recall=rate[1],
        precision=rate[2],
        accuracy=np.where(runs, 0.6 + 0.1 * np.floor(4 * random.random(n)), np.nan),
        tail_cost=tail_costs(MODEL, frozen, fps, sharing=sharing) * runs,
        stem=stem_parts(MODEL, frozen, fps) if sharing else (),
        names=tuple(f"somebody waits at {i} for $x_1$ too long" for i in range(n)) if long_names else (),
    )


def result(made: Schedule, *, aggregate: str = "mean") -> Result:
    return Result(
        schedules=(made,),
        status="optimal",
        objective=float(made.value.mean()),
        bound=float(made.value.mean()),
        budget=1.1 * made.cost if made.cost else 1.0,
        metric="f1",
        aggregate=aggregate,
        mode="mainstream",
        event_model="windowed",
        method="branch-and-bound",
        runtime_s=0.1,
        nodes=1,
        unit="ms",
    )


def drawn(made: Schedule, frontier: FrontierCurve | None = None) -> Figure:
    return result_figure(result(made), [MODEL.prefix], title="a title", frontier=frontier)


def shown_texts(figure: Figure) -> Iterator[Text]:
    """Every text that is on the page; an axis also keeps labels of ticks beyond its limits."""
    ticks = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                ticks.update({tick.label1, tick.label2})
                if low <= tick.get_loc() <= high and tick.label1.get_visible():
                    yield from [tick.label1] if tick.label1.get_text() else []
    for text in figure.findobj(Text):
        if text not in ticks and text.get_visible() and text.get_text():
            yield text


def assert_readable(figure: Figure) -> None:
    figure.canvas.draw()
    boxes = [(text.get_text(), Text.get_window_extent(text)) for text in shown_texts(figure)]
    page = figure.bbox
    for words, box in boxes:
        assert page.x0 <= box.x0 and page.y0 <= box.y0 and box.x1 <= page.x1 and box.y1 <= page.y1, f"{words}: cut"
    for (words, box), (others, other) in itertools.combinations(boxes, 2):
        apart = box.x1 <= other.x0 or other.x1 <= box.x0 or box.y1 <= other.y0 or other.y1 <= box.y0
        assert apart, f"{words!r} and {others!r} overlap"


def words_of(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("long_names", [False, True])
@pytest.mark.parametrize("sharing", [True, False])
@pytest.mark.parametrize("n", [1, 3, 10, 16, 17, 100])
def test_labels_keep_clear_of_each_other(n: int, sharing: bool, long_names: bool) -> None:
    for seed in range(2):
        made = schedule(n, seed, sharing=sharing, long_names=long_names)
        assert_readable(drawn(made))
    budgets = np.linspace(1.0, 40.0, 25)
    objectives = np.where(budgets < 5, np.nan, 1 - 1 / budgets)
    assert_readable(drawn(made, FrontierCurve(budgets, objectives, objectives + 0.01)))


@pytest.mark.parametrize("rates", [1, 20, 60])
def test_labels_keep_clear_with_one_and_with_many_rates(rates: int) -> None:
    figure = drawn(schedule(400, rates=rates))
    assert_readable(figure)
    counts = [words for words in words_of(figure.axes[0]) if " app" in words]
    others = [words for words in words_of(figure.axes[0]) if "more at" in words]
    assert len(others) == (rates == 60)
    listed = sum(int(words.split(": ")[1].split()[0]) for words in counts)
    assert listed + sum(int(words.split()[0]) for words in others) == 400


def test_labels_that_want_one_place_stand_in_order_around_it() -> None:
    figure = Figure(figsize=(6, 4))
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    heights = labels.spread(axes, np.array([0.5, 0.5, 0.5]))
    line = heights[0] - heights[1]
    assert heights == pytest.approx([0.5 + line, 0.5, 0.5 - line])
    assert line * axes.get_window_extent().height > labels.SMALL * figure.dpi / 72
    assert labels.spread(axes, np.array([0.9, 0.2])) == pytest.approx([0.9, 0.2])
    edge = labels.spread(axes, np.array([1.0, 1.0, 0.0, 0.0]))
    assert edge[0] < 1 and edge[-1] > 0 and (np.diff(edge) <= -line + 1e-12).all()


def test_the_staircase_has_the_area_of_the_stem() -> None:
    made = schedule(10, 9)
    figure = drawn(made)
    assert len(made.stem) == 3
    filled = figure.axes[0].patches[0]
    values, edges, _ = filled.get_data()
    assert float(np.sum(values * np.diff(edges))) == pytest.approx(sum(part.cost for part in made.stem))


def test_each_app_branches_at_its_chokepoint_and_rate() -> None:
    made = schedule(10)
    axes = drawn(made).axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 2]
    tails = sorted(zip(made.num_frozen, made.target_fps, strict=True), key=lambda tail: (-tail[1], -tail[0]))
    labelled = words_of(axes)[1:]
    assert len(lines) == len(labelled) == 10
    rates = np.unique([0.0, *made.target_fps])
    for line, words, (frozen, fps) in zip(lines, labelled, tails, strict=True):
        start, end = line.get_xdata()
        assert (start, end) == pytest.approx((MODEL.prefix[frozen], MODEL.prefix[-1]))
        assert rates[np.searchsorted(rates, fps) - 1] < line.get_ydata()[0] <= fps
        assert words.endswith(f": {fps:g} fps, {frozen} shared")


def test_equal_rates_are_at_one_height_and_their_markers_side_by_side() -> None:
    for n in (3, 10, 16):
        axes = drawn(schedule(n, seed=n, rates=2)).axes[0]
        lines = [line for line in axes.lines if len(line.get_xdata()) == 2]
        assert {line.get_ydata()[0] for line in lines} <= {1.0, 2.0}
        markers = [line for line in axes.lines if len(np.atleast_1d(line.get_xdata())) == 1]
        at = np.array([line.get_transform().transform((line.get_xdata()[0], line.get_ydata()[0])) for line in markers])
        size = markers[0].get_markersize() * axes.figure.dpi / 72
        assert len(markers) == n
        for one, other in itertools.combinations(at, 2):
            assert np.abs(one - other).max() > size - 1e-6
        starts = axes.transData.transform([(line.get_xdata()[0], 0.0) for line in lines])[:, 0]
        assert (at[:, 0] <= starts + 1e-6).all() and (at[:, 0] > starts - n * size).all()


def test_without_sharing_there_is_no_stem_and_every_line_is_whole() -> None:
    made = schedule(3, sharing=False)
    figure = drawn(made)
    axes, budget, _ = figure.axes
    assert not axes.patches
    assert axes.get_title("left") == "3 apps; nothing is shared"
    assert all(line.get_xdata()[0] == 0 for line in axes.lines)
    assert not any("shared" in words or "stem" in words for words in words_of(axes))
    assert [text.get_text().split()[0] for text in budget.get_legend().get_texts()] == ["tails", "unused"]


def test_apps_left_out_are_named_and_have_no_branch_and_no_point() -> None:
    figure = drawn(schedule(10, left_out=2))
    axes, _, choices = figure.axes
    assert axes.get_title("left") == "8 apps; left out: app 9, app 10"
    assert len(words_of(axes)) == 9
    assert len(choices.lines) == 8
    assert drawn(schedule(10, left_out=5)).axes[0].get_title("left").endswith("app 6, app 7, app 8 and 2 more")
    assert_readable(drawn(schedule(10, left_out=5, sharing=False, long_names=True)))


def test_a_schedule_without_apps_is_all_unused() -> None:
    figure = drawn(schedule(2, left_out=2))
    assert_readable(figure)
    (text,) = figure.axes[1].get_legend().get_texts()
    assert text.get_text() == "unused 1 (100.0%)"


@pytest.mark.parametrize("n", [10, 100])
def test_the_bar_is_the_budget(n: int) -> None:
    made = schedule(n)
    of = result(made)
    axes = result_figure(of, [MODEL.prefix]).axes[1]
    parts = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    ends = np.cumsum([part.get_width() for part in parts])
    assert [part.get_x() for part in parts] == pytest.approx([0.0, *ends[:-1]])
    assert ends[-1] == pytest.approx(of.budget)
    assert parts[0].get_width() == pytest.approx(sum(part.cost for part in made.stem))
    tails = [part.get_width() for part in parts[1:-1]]
    if n == 10:
        assert tails == pytest.approx(made.tail_cost)
    else:
        assert tails[:-1] == pytest.approx(np.sort(made.tail_cost)[::-1][: len(tails) - 1])
    shares = [text.get_text().split("(")[1] for text in axes.get_legend().get_texts()]
    assert sum(float(share.rstrip("%)")) for share in shares) == pytest.approx(100, abs=0.2)


@pytest.mark.parametrize("n", [10, 100, 3000])
def test_there_is_a_point_for_each_app_near_its_rate_at_its_accuracy(n: int) -> None:
    made = schedule(n)
    axes = drawn(made).axes[2]
    points = np.hstack([line.get_data() for line in axes.lines]).T
    assert points[:, 1] == pytest.approx(made.accuracy)
    assert np.abs(points[:, 0] - made.target_fps).max() < 0.5


def test_points_of_one_rate_and_accuracy_do_not_cover_each_other() -> None:
    axes = drawn(schedule(16)).axes[2]
    points = axes.transData.transform(np.hstack([line.get_data() for line in axes.lines]).T)
    apart = [np.abs(a - b).max() for a, b in itertools.combinations(points, 2)]
    assert min(apart) > 0.9 * axes.lines[0].get_markersize() * axes.figure.dpi / 72


@pytest.mark.parametrize(("unit", "second"), [("ms", "ms per second"), (None, "model units per second")])
def test_the_axes_name_their_units(unit: str | None, second: str) -> None:
    figure = Figure(figsize=(12, 8))
    schedule_axes, budget, choices, frontier = figure.subplots(2, 2).flat
    made = schedule(3)
    staircase.draw_schedule(schedule_axes, made, MODEL.prefix, unit=unit)
    plots.draw_budget(budget, made, 30.0, unit=unit)
    plots.draw_choices(choices, made)
    plots.draw_frontier(frontier, [1, 2], [0.5, 0.6], [0.5, 0.7], metric="mean f1", unit=unit)
    assert schedule_axes.get_xlabel().endswith(f"({second.replace('second', 'frame')})")
    assert second in words_of(schedule_axes)[0]
    for axes in (schedule_axes.yaxis, choices.xaxis):
        assert axes.get_label_text().endswith("(fps)")
    for axes in (budget, frontier):
        assert axes.get_xlabel().endswith(f"({second})")
    assert choices.get_ylabel() == "accuracy per frame (share)"
    assert frontier.get_ylabel() == "mean f1"


def test_apps_differ_in_colour_or_marker() -> None:
    styles = [labels.style(i) for i in range(labels.NAMED)]
    assert len(set(styles)) == labels.NAMED
    assert all(a[0] != b[0] and a[1] != b[1] for a, b in itertools.pairwise(styles))


def test_a_frontier_has_its_objectives_its_bounds_and_what_does_not_fit() -> None:
    nan = np.nan
    figure = frontier_figure(FrontierCurve([3, 1, 4, 2], [0.6, nan, 0.7, 0.5], [0.65, nan, 0.7, 0.5]), unit="ms")
    assert_readable(figure)
    bound, found, nothing = figure.axes[0].lines
    assert found.get_xdata().tolist() == [1, 2, 3, 4]
    assert found.get_ydata()[1:].tolist() == [0.5, 0.6, 0.7]
    assert bound.get_ydata()[1:].tolist() == [0.5, 0.65, 0.7]
    assert nothing.get_xdata().tolist() == [1]


def test_a_frontier_where_nothing_fits_says_so() -> None:
    figure = frontier_figure(FrontierCurve([1.0, 2.0], [np.nan] * 2, [np.nan] * 2))
    assert_readable(figure)
    (axes,) = figure.axes
    assert words_of(axes) == ["no schedule fits any of these budgets"]
    (nothing,) = axes.lines
    assert nothing.get_xdata().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("objective", [0.5, np.nan])
def test_a_frontier_of_one_budget_is_a_point(objective: float) -> None:
    figure = frontier_figure(FrontierCurve(3.0, objective, objective))
    assert_readable(figure)
    (axes,) = figure.axes
    line = axes.lines[-1]
    assert line.get_xdata().tolist() == [3.0]
    assert line.get_marker() not in ("", "None")
    assert axes.get_xlim()[0] < 3.0 < axes.get_xlim()[1]


def test_the_budget_of_a_result_is_marked_on_its_frontier() -> None:
    made = schedule(3)
    of = result(made, aggregate="min")
    axes = result_figure(of, [MODEL.prefix], frontier=FrontierCurve([10, 20], [0.5, 0.6], [0.5, 0.6])).axes[3]
    assert axes.get_ylabel() == "smallest f1"
    assert axes.lines[-1].get_xdata() == pytest.approx([of.budget] * 2)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([], [], []), "equal length"),
        (([1, 2], [0.5], [0.5]), "equal length"),
        (([1, np.nan], [0.5, 0.5], [0.5, 0.5]), "finite"),
    ],
)
def test_a_frontier_that_is_none_is_refused(columns: tuple[list[float], ...], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        frontier_figure(FrontierCurve(*columns))


@pytest.mark.parametrize("suffix", [".png", ".svg", ".SVG"])
def test_a_figure_is_saved_whole_and_always_the_same(tmp_path: Path, suffix: str) -> None:
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    second.write_text("old")
    for path in (first, second):
        save_figure(drawn(schedule(3)), path)
    head = first.read_bytes()[:200]
    assert head.startswith(b"\x89PNG") if suffix == ".png" else b"<svg" in first.read_bytes()[:1000]
    assert first.read_bytes() == second.read_bytes()
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_a_figure_that_cannot_be_saved_leaves_nothing_behind(tmp_path: Path) -> None:
    taken = tmp_path / "taken.png"
    taken.mkdir()
    figure = drawn(schedule(1))
    for path in (taken, tmp_path / "missing" / "a.png"):
        with pytest.raises(ProblemError, match=r"cannot be written: "):
            save_figure(figure, path)
    assert list(tmp_path.iterdir()) == [taken]


@pytest.mark.parametrize("name", ["a.pdf", "a", "png", ".png"])
def test_another_suffix_is_refused_with_those_allowed(name: str) -> None:
    with pytest.raises(ProblemError, match=r"\.png or \.svg"):
        check_picture(name)


def test_a_missing_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstream._optional.find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=r"mainstream\[report\]"):
        check_picture("a.png")
    with pytest.raises(MissingExtraError, match=r"mainstream\[report\]"):
        figures.frontier_figure(FrontierCurve([1], [1], [1]))


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "solve", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "DISPLAY": "", "MPLBACKEND": "tkagg"},
        timeout=120,
        check=False,
    )


def test_solve_saves_a_plot(tmp_path: Path) -> None:
    picture = tmp_path / "schedule.svg"
    done = run(TINY, "--plot", picture)
    assert done.returncode == 0, done.stderr
    assert "mean f1" in done.stdout
    assert "<svg" in picture.read_text(encoding="utf-8")
    quiet = run(TINY, "-q", "--plot", tmp_path / "schedule.png")
    assert (quiet.returncode, quiet.stdout) == (0, "")
    assert (tmp_path / "schedule.png").read_bytes().startswith(b"\x89PNG")


def test_solve_refuses_a_plot_of_another_suffix_before_it_solves(tmp_path: Path) -> None:
    done = run(TINY, "--plot", tmp_path / "schedule.pdf", "--json", tmp_path / "result.json")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("mainstream: ") and done.stderr.count("\n") == 1
    assert ".png or .svg" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_knee_is_where_the_curve_bends() -> None:
    x = np.linspace(0.0, 10.0, 101)
    for bend in (2.0, 5.0, 9.0):  # steep up to there, flat from there on
        assert knee(x, np.minimum(x / bend, 1.0)) == pytest.approx(bend)
    scaled = knee(1000 + 7 * x, 0.3 + 0.01 * np.minimum(x, 4.0))
    assert scaled == pytest.approx(1000 + 7 * 4.0)  # units do not count
    assert knee(x, x) is None  # a straight line has none
    assert knee(x, -x) is None
    assert knee(x, x**2) is None
    assert knee([1.0, 2.0], [0.0, 1.0]) is None
    assert knee([1.0, 2.0, 3.0, 4.0], [np.nan, 0.0, 0.9, 1.0]) == 3.0


@pytest.mark.parametrize(("capacity", "words"), [(3.5, "capacity: 3.5"), (2000.0, "2000, beyond the right edge")])
def test_a_frontier_marks_budget_knee_and_capacity(capacity: float, words: str) -> None:
    curve = FrontierCurve([1, 2, 3, 4], [0.2, 0.6, 0.7, 0.75], [0.2, 0.6, 0.7, 0.75])
    figure = frontier_figure(curve, unit="ms", chosen=2.5, capacity=capacity)
    assert_readable(figure)
    (axes,) = figure.axes
    told = [text.get_text() for text in axes.get_legend().get_texts()]
    assert told[2:4] == ["budget: 2.5", "knee: 2"] and words in told[4]
    upright = [line.get_xdata()[0] for line in axes.lines[2:] if len(line.get_xdata())]
    assert upright == [2.5, 2.0, *([3.5] if capacity == 3.5 else [])]
    assert axes.get_xlim()[1] < 5  # a capacity far off does not press the curve together
