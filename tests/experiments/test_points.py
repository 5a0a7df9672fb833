"""Which workloads an experiment has: apps in turn, combinations."""

from __future__ import annotations

import math
from itertools import combinations_with_replacement
from pathlib import Path

import pytest
from support.packages import make

from mainstream import App, Model, ProblemError, Video
from mainstream.experiments.points import Placed, apps_of_packages, combinations, growing, placed, selected
from mainstream.formats.named_stream import NamedStream

MODEL = Model(total_layers=1, layer_latencies=[1.0], frozen_layer_names={0: "in"})
VIDEO = Video(stream_fps=10)
NAMES = ["red car", "dog", "cat_fish", "bird"]
APPS = [App(app_id=10 + i, name=name, accuracies={0: 0.9}, event_length_ms=100) for i, name in enumerate(NAMES)]


def in_one_stream(apps: list[App], name: str | None = None) -> list[Placed]:
    return placed([NamedStream(name=name, apps=apps, model=MODEL, video=VIDEO)])


POOL = in_one_stream(APPS)


def test_apps_grow_in_turn() -> None:
    points = growing(POOL, 6)
    assert [point.id for point in points] == ["1", "2", "3", "4", "5", "6"]
    assert [app.name for app in points[-1].apps] == [*NAMES, *NAMES[:2]]
    assert [app.app_id for app in points[-1].apps] == [1, 2, 3, 4, 5, 6]


def test_apps_of_several_streams_stay_in_their_own() -> None:
    points = growing([*in_one_stream(APPS[:2], "door"), *in_one_stream(APPS[2:], "yard")], 6)
    assert [[stream.name for stream in point.streams] for point in points[1:3]] == [["door"], ["door", "yard"]]
    of_stream = {stream.name: [(app.app_id, app.name) for app in stream.apps] for stream in points[-1].streams}
    assert of_stream == {
        "door": [(1, "red car"), (2, "dog"), (5, "red car"), (6, "dog")],
        "yard": [(3, "cat_fish"), (4, "bird")],
    }


def test_all_combinations_are_there_once() -> None:
    points = combinations(POOL, 3, most=None, seed=0)
    expected = ["_".join(names) for names in combinations_with_replacement(["red-car", "dog", "cat-fish", "bird"], 3)]
    assert [point.id for point in points] == expected
    assert [app.name for app in points[1].apps] == ["red car", "red car", "dog"]


def test_a_sample_is_of_them_and_none_twice() -> None:
    every = {point.id for point in combinations(POOL, 5, most=None, seed=0)}
    assert len(every) == math.comb(8, 5)
    for most in (1, 20, 55, 56, 1000):
        drawn = [point.id for point in combinations(POOL, 5, most=most, seed=7)]
        assert len(drawn) == len(set(drawn)) == min(most, 56)
        assert set(drawn) <= every
    found = {combinations(POOL, 5, most=1, seed=seed)[0].id for seed in range(600)}
    assert found == every


def test_names_that_stand_twice_are_told_apart() -> None:
    apps = [App(app_id=i, name="dog", accuracies={0: 0.9}, event_length_ms=100) for i in (1, 2)]
    assert [point.id for point in combinations(in_one_stream(apps), 1, most=None, seed=0)] == ["dog-1", "dog-2"]


@pytest.mark.parametrize(("num_apps", "count"), [(300, "4,590,551"), (10_000, "166,766,685,001")])
def test_more_than_can_be_listed_is_refused(num_apps: int, count: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        combinations(POOL, num_apps, most=None, seed=0)
    assert str(refusal.value) == (
        f"--combs: {num_apps} of 4 apps make {count} combinations; at most 1,000,000 can be listed; "
        "draw some of them with --combs-max-samples"
    )


def test_a_sample_of_more_than_can_be_counted_is_drawn() -> None:
    many = [App(app_id=i, accuracies={0: 0.9}, event_length_ms=100) for i in range(200)]
    points = combinations(in_one_stream(many), 150, most=3, seed=1)
    assert len({point.id for point in points}) == 3
    with pytest.raises(ProblemError, match=r"make about 10\^\d+ combinations"):
        combinations(in_one_stream(many), 150, most=None, seed=1)


def test_apps_are_selected_by_name_or_id() -> None:
    assert [one.app.app_id for one in selected(POOL, ["dog", "10"])] == [11, 10]
    with pytest.raises(ProblemError, match=r"dataset 'brid': there is no such app; did you mean 'bird'\?"):
        selected(POOL, ["dog", "brid"])
    twins = [APPS[1], APPS[1].model_copy(update={"app_id": 5})]
    with pytest.raises(ProblemError, match="dataset 'dog': 2 apps have that name; give the app_id"):
        selected(in_one_stream(twins), ["dog"])


def test_the_packages_in_a_folder_are_apps(tmp_path: Path) -> None:
    model = Model(
        total_layers=6,
        layer_latencies=[1.0] * 6,
        frozen_layer_names={0: "in", 2: "a", 4: "b", 6: "out"},
        height=96,
        width=128,
    )
    for name in ("dogs", "cats"):
        make(tmp_path / name, name=name)
    (tmp_path / "notes").mkdir()
    apps = apps_of_packages(tmp_path, model)
    assert [(app.app_id, app.name, app.event_length_ms) for app in apps] == [(1, "cats", 2100.0), (2, "dogs", 2100.0)]
    with pytest.raises(ProblemError, match=r"there is no M-Package in it, that is, no subfolder with package\.yaml"):
        apps_of_packages(tmp_path / "notes", model)
    (tmp_path / "dogs" / "package.yaml").write_text("name: [", encoding="utf-8")
    with pytest.raises(ProblemError, match="dogs"):
        apps_of_packages(tmp_path, model)
