"""What a person sees of objects: one line each, tables that names cannot break out of, frames, pictures."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.results import result, schedule

import mainstream
from mainstream import App, Frontier, History, MissingExtraError, ProblemError, Result, Schedule, Stream
from mainstream.history import Measurement, Round
from mainstream.io import Curve, SolveOptions, Workloads, load_problem
from mainstream.report.staircase import known_latencies

ROOT = Path(__file__).parents[1]
HOSTILE = "<script>alert(1)</script>\x1b[31m\n&\"'" + "x" * 2000
PROBLEM = load_problem(ROOT / "data" / "problems" / "tiny.yaml")
PREPARED = mainstream.prepare(PROBLEM.to_solve(), budget=20)
CAMERAS = load_problem(ROOT / "data" / "problems" / "two-cameras.yaml")


@pytest.fixture(scope="module")
def solved() -> Result:
    return PREPARED.solve()


@pytest.fixture(scope="module")
def found() -> Frontier:
    return PREPARED.frontier([1, 10, 20])


def history(of: Result) -> History:
    measured = Measurement(10.0, ())
    rounds = [Round(20.0, of, 18.5, 17.0, (), None, "why"), Round(17.0, of, 18.5, 18.0, (), measured, None)]
    return History(tuple(rounds), "converged", {None: PROBLEM.model or pytest.fail("no model")})


def test_each_is_one_line(solved: Result, found: Frontier) -> None:
    cameras = CAMERAS.streams
    shown = {
        "<App 1 'person': accuracy 0.992 to 0.979 at 11 chokepoints, events of 2000 ms>": PROBLEM.apps[0],
        "<Apps: 3 apps, 11 chokepoints>": PREPARED.apps,
        "<Model 'mobilenetv2-96': 156 layers, 4.026 ms a frame, 22 chokepoints>": PROBLEM.model,
        "<Video: 10 fps, 3 rates from 1 to 10>": PROBLEM.video,
        "<Stream: 3 apps, 10 fps, 156 layers>": PREPARED.streams[0],
        "<Problem: 3 apps, budget 20>": PROBLEM,
        f"<Problem: {len(CAMERAS.all_apps)} apps in 2 streams, budget {CAMERAS.budget:g}>": CAMERAS,
        f"<NamedStream {cameras[0].name}: {len(cameras[0].apps)} apps, {cameras[0].video.stream_fps:g} fps>": cameras[
            0
        ],
        "<SolveOptions: budget 3, method greedy>": SolveOptions(budget=3, method="greedy"),
        "<SolveOptions: all as usual>": SolveOptions(),
        "<Prepared: 3 apps, f1, mainstream, windowed, budget 20>": PREPARED,
        "<Curve: accuracy 0.9 to 0.8 at 2 chokepoints>": Curve({10: 0.8, 0: 0.9}, None),
        "<Curve: accuracy 0.9 at 1 chokepoint, with false positive rates>": Curve({0: 0.9}, {0: 0.1}),
        "<Workloads: 1 problem, line 2 is cut off>": Workloads((PROBLEM,), 2),
        "<Result: 3 apps, mean f1 0.8331 (optimal), cost 18.56 of 20 ms/s>": solved,
        "<Schedule: 3 apps, cost 18.56>": solved.schedule,
        "<Schedule: 2 apps, 1 left out, cost 5.95>": schedule(2, left_out=1),
        "<Choice of app 1 'person': 1 fps, 90 layers shared, f1 0.969, recall 0.995, precision 0.944>": solved[1],
        "<Frontier: 3 budgets from 1 to 20, mean f1 0.6546 to 0.8331>": found,
        "<Frontier: 1 budget from 1 to 1, nothing fits any of them>": Frontier(np.array([1.0]), (None,)),
        "<History: 2 rounds, converged>": history(solved),
        "<Measurement: 0 ms/s over 10 s>": Measurement(10.0, ()),
    }
    for text, one in shown.items():
        assert repr(one) == text
    for one in (PROBLEM.apps[0], PROBLEM.model, PROBLEM.video, PROBLEM):
        assert str(one) == repr(one)
    assert repr(history(solved).rounds[0]).startswith("<Round: budget 20, compute not measured, cost predicted 18.5")


def test_hostile_names_stay_in_their_line() -> None:
    keys: dict[str, Any] = {"app_id": 1, "accuracies": {0: 0.9}, "event_length_ms": 100, "name": HOSTILE}
    model = {"total_layers": 1, "layer_latencies": [1], "frozen_layer_names": {0: "in"}, "unit": HOSTILE}
    stream = Stream([App(**keys)], model, {"stream_fps": 5}, name=HOSTILE)
    solved = mainstream.solve([stream], budget=5)
    for one in (*stream.described, stream.model, stream, solved, solved.schedule, solved[1]):
        assert repr(one).isprintable()
    assert len(repr(stream.described[0])) < 200


class Tags(HTMLParser):
    """The tags of a page, its cells, and all its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


TABLE = {"table", "caption", "thead", "tbody", "tr", "th", "td", "div"}


def test_html_is_a_small_escaped_table(solved: Result, found: Frontier) -> None:
    for one in (solved, found, history(solved), Frontier(np.array([1.0]), (None,))):
        page = Tags(one._repr_html_())
        assert page.tags <= TABLE
        assert page.cells
    many = schedule(40, left_out=3, names=False)
    names = tuple([HOSTILE] * len(many))
    of = result(Schedule(**{**vars(many), "names": names}), unit="<b>", metric="f1")
    page = of._repr_html_()
    assert Tags(page).tags <= TABLE
    assert page.count("<tr>") == 31
    assert "... and 10 more apps" in page
    assert "left out: 50, 51, 52" in page
    assert max(map(len, Tags(page).cells)) < 500
    assert len(page) < 20_000


def test_a_result_is_asked_by_the_id_of_an_app() -> None:
    of = result(schedule(3, left_out=1))
    assert of[11] is of.choices[1]
    assert [choice.app_id for choice in of] == [10, 11, 12]
    assert 12 in of
    assert 13 not in of
    for app_id, words in (("x", "app 'x' is not in"), (13, "app 13 is not in"), ([], "app [] is not in")):
        with pytest.raises(KeyError) as missing:
            of[app_id]  # type: ignore[index]  # ids of no kind
        assert isinstance(missing.value, ProblemError)
        assert str(missing.value) == f"{words} the result, which has [10, 11, 12]; left out are [13]"


def test_frames_have_what_the_objects_have(solved: Result, found: Frontier) -> None:
    frame = solved.to_frame()
    assert list(frame["app_id"]) == [1, 2, 3]
    assert frame["tail_cost"].sum() == pytest.approx(solved.schedule.tail_cost.sum())
    several = CAMERAS.to_solve()
    streams = mainstream.solve(several, budget=CAMERAS.budget).to_frame()["stream"]
    assert list(streams) == [one.name for one in several for _ in one.apps.app_ids]
    assert list(found.to_frame().columns) == found.to_csv().splitlines()[0].split(",")
    np.testing.assert_array_equal(found.to_frame()["objective"], found.objectives)
    assert list(found.to_frame()["status"]) == ["infeasible", "optimal", "optimal"]
    assert list(history(solved).to_frame()["budget"]) == [20, 17]


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, solved: Result, found: Frontier) -> None:
    monkeypatch.setattr("mainstream._optional.find_spec", lambda package: None)
    for one in (solved, found, history(solved)):
        with pytest.raises(MissingExtraError, match=re.escape("pandas is not installed; pip install 'mainstream[note")):
            one.to_frame()
    for drawn in (solved, found):
        with pytest.raises(MissingExtraError, match="matplotlib is not installed"):
            drawn.plot()


def test_a_result_knows_what_its_picture_needs_of_the_profile() -> None:
    for mode in ("mainstream", "no-sharing", "max-sharing"):
        for problem in (PROBLEM, CAMERAS):
            streams = problem.to_solve()
            made = mainstream.solve(streams, budget=400, mode=mode)
            for one, stream in zip(made.schedules, streams, strict=True):
                known, prefix = known_latencies(one), stream.model.prefix
                places = np.flatnonzero(~np.isnan(known[:-1]))
                np.testing.assert_allclose(known[places], prefix[places], atol=1e-9)
                assert known[-1] == pytest.approx(prefix[-1])
                assert {0, *(part.stop for part in one.stem)} <= {*places.tolist()}
                if one.stem:
                    assert {*one.num_frozen.tolist()} <= {*places.tolist()}
    assert known_latencies(schedule(0, left_out=2)).tolist() == [0, 1]


def test_pictures_are_figures_that_notebooks_show(solved: Result, found: Frontier) -> None:
    for figure in (solved.plot(title="a title", frontier=found), found.plot(chosen=20)):
        assert figure._repr_png_().startswith(b"\x89PNG")
        assert len(figure.axes) in (1, 4)
