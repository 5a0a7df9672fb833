"""``streams:`` in problem files: several cameras on one budget, read, solved, saved, and refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mainstream import ProblemError, Stream, solve
from mainstream.io import Problem, load_problem, load_workloads, save_problem, save_workloads
from mainstream.problem import Model

MODEL = {
    "total_layers": 3,
    "layer_latencies": [1, 2, 3],
    "frozen_layer_names": {0: "in", 2: "a", 3: "out"},
    "layer_memory_mb": [10, 10, 40],
    "unit": "ms",
    "height": 32,
    "width": 32,
}
OTHER = {**MODEL, "layer_latencies": [2, 2, 2], "name": "other"}
CURVE = "num_frozen,accuracy,false_positive_rate\n0,0.95,0.01\n2,0.9,0.02\n"
EVENT = {"event_length_ms": 2000, "event_frequency": 0.2, "curve": "one.csv"}


def app(app_id: int | str, **more: Any) -> dict[str, Any]:
    return {"app_id": app_id, **EVENT, **more}


def written(folder: Path, **changes: Any) -> Path:
    """A file of two streams with these keys in place of its own; None leaves one out."""
    (folder / "one.csv").write_text(CURVE)
    (folder / "model.json").write_text(json.dumps(MODEL))
    keys = {
        "budget": 40,
        "model": "model.json",
        "streams": [
            {"name": "door", "source": "door.mp4", "video": {"stream_fps": 10}, "apps": [app(1), app(2)]},
            {
                "name": "yard",
                "model": OTHER,
                "source": "rtsp://yard/1",
                "streamer": "tcp://yard:5555",
                "video": {"stream_fps": 5},
                "apps": [app(3, region=[0, 0, 0.5, 1]), app("gate")],
            },
        ],
        **changes,
    }
    path = folder / "problem.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in keys.items() if value is not None}))
    return path


def test_each_stream_has_its_own_camera_and_the_files_network_where_it_gives_none(tmp_path: Path) -> None:
    problem = load_problem(written(tmp_path))
    door, yard = problem.streams
    assert (door.model, yard.model) == (Model.of(MODEL), Model.of(OTHER))
    assert (door.source, yard.source) == (str(tmp_path / "door.mp4"), "rtsp://yard/1")
    assert (door.streamer, yard.streamer) == (None, "tcp://yard:5555")
    assert [one.video.stream_fps for one in problem.streams] == [10, 5]
    assert [one.app_id for one in problem.all_apps] == [1, 2, 3, "gate"]
    with pytest.raises(ProblemError, match=r"^streams: there are 2 \(door, yard\), but only one is possible here$"):
        problem.camera  # noqa: B018


def test_the_file_is_solved_as_the_library_solves_streams(tmp_path: Path) -> None:
    problem = load_problem(written(tmp_path, memory_mb=230))
    door, yard = problem.streams
    halves = [Stream([one], yard.model, yard.video) for one in yard.apps]
    expected = solve([Stream(door.apps, door.model, door.video), *halves], budget=40, memory_mb=230)
    result = solve(problem.to_solve(), **problem.given())
    assert [one.stream for one in result.schedules] == ["door", "yard", "yard"]
    assert result.objective == pytest.approx(expected.objective, abs=1e-6)
    assert result.memory_mb == 230 and result.memory is not None and result.memory <= 230
    assert "stem door" in str(result) and "stem yard" in str(result)


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    problem = load_problem(written(tmp_path, memory_mb=230))
    save_problem(problem, tmp_path / "again.yaml")
    assert load_problem(tmp_path / "again.yaml") == problem
    save_workloads([problem], tmp_path / "lines.jsonl")
    (line,) = load_workloads(tmp_path / "lines.jsonl").problems
    assert line.streams == problem.streams and line.given() == problem.given()
    result = solve(problem.to_solve(), **problem.given())
    assert type(result).from_json(result.to_json()) == result
    assert [one["stream"] for one in json.loads(result.to_json())["streams"]] == ["door", "yard", "yard"]


def test_apps_in_8_bits_are_a_choice_for_all_streams(tmp_path: Path) -> None:
    eight = {**MODEL, "layer_latencies": [0.5, 1, 1.5], "precision": "int8"}
    small = {"int8": {"curve": "one.csv"}}
    streams = [{"name": name, "video": {"stream_fps": 10}, "apps": [app(name, **small)]} for name in ("door", "yard")]
    path = written(tmp_path, streams=streams, int8_model=eight)
    problem = load_problem(path)
    plain, quantised = problem.by_precision.values()
    assert [one.model.precision for one in plain.streams] == [None, None]
    assert [one.model.precision for one in quantised.streams] == ["int8", "int8"]
    save_problem(problem, tmp_path / "again.yaml")
    assert load_problem(tmp_path / "again.yaml") == problem
    del streams[1]["apps"][0]["int8"]  # type: ignore[attr-defined]
    with pytest.raises(
        ProblemError, match=r"streams\[1\]: there is int8_model, but int8 is missing; give both or neither"
    ):
        load_problem(written(tmp_path, streams=streams, int8_model=eight))


def test_packages_without_an_id_are_numbered_through_all_streams(tmp_path: Path) -> None:
    from support.packages import make

    make(tmp_path / "dogs")
    model = {
        "total_layers": 6,
        "layer_latencies": [1.0] * 6,
        "frozen_layer_names": {0: "in", 2: "a", 4: "b", 6: "out"},
        "height": 96,
        "width": 128,
    }
    apps = [{"package": "dogs"}, {"package": "dogs"}]
    streams = [{"name": name, "video": {"stream_fps": 10}, "apps": apps} for name in ("door", "yard")]
    problem = load_problem(written(tmp_path, model=model, streams=streams))
    assert [one.app_id for one in problem.all_apps] == [1, 2, 3, 4]


def with_door(**changes: Any) -> dict[str, Any]:
    return {"streams": [{**DOOR, **changes}]}


def with_yard(**changes: Any) -> dict[str, Any]:
    return {"streams": [DOOR, {**YARD, **changes}]}


DOOR = {"name": "door", "video": {"stream_fps": 10}, "apps": [app(1)]}
YARD = {"name": "yard", "video": {"stream_fps": 10}, "apps": [app(2)]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"streams": [DOOR, {**YARD, "name": "door"}]},
            "streams[1]: name 'door' is taken by streams[0]; give each its own",
        ),
        (
            {"streams": [DOOR, {**YARD, "apps": [app(2), app(1)]}]},
            "streams[1].apps[1]: app_id 1 is taken by streams[0].apps[0]",
        ),
        (
            {"streams": [{**DOOR, "apps": [app(1), app(1)]}]},
            "streams[0].apps[1]: app_id 1 is taken by streams[0].apps[0]",
        ),
        (with_yard(camera=3), "streams[1]: unknown key 'camera'; "),
        (
            {"streams": [DOOR, {**YARD, "apps": [{**EVENT, "app_id": 5, "wieght": 3}]}]},
            "app 5: unknown key 'wieght'; did",
        ),
        (with_yard(apps=[{"curve": "one.csv"}]), "streams[1].apps[0]: missing key 'app_id'"),
        (
            {"streams": [DOOR, {**YARD, "apps": [{**EVENT, "app_id": 5, "curve": "no.csv"}]}]},
            "streams[1].apps[0]: curve: ",
        ),
        ({"apps": [app(3)]}, "apps is not allowed beside streams; move it into each stream"),
        ({"video": {"stream_fps": 3}}, "video is not allowed beside streams"),
        ({"streams": []}, "streams is empty"),
        ({"streams": DOOR}, "streams: got "),
        ({"streams": ["door"]}, "streams[0]: got 'door'; it has to be a mapping of keys to values"),
        ({"streams": [{key: DOOR[key] for key in ("video", "apps")}]}, "streams[0]: missing key 'name'"),
        (with_door(name="../door"), "streams[0]: name: got '../door'; it has to be 1 to 50 letters"),
        ({"streams": [{key: DOOR[key] for key in ("name", "apps")}]}, "streams[0]: missing key 'video'"),
        (with_door(apps=[]), "streams[0]: apps is empty"),
        (with_yard(video={"stream_fps": 0}), "streams[1].video: stream_fps: got 0"),
        ({"streams": [DOOR, YARD], "model": None}, "streams[0]: missing key 'model'"),
        (
            {"streams": [DOOR, {**YARD, "model": {**MODEL, "total_layers": 4}}]},
            "streams[1].model: layer_latencies has 3",
        ),
        ({"memory_mb": -1}, "memory_mb: got -1"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(ProblemError) as refusal:
        load_problem(path)
    assert str(refusal.value).startswith(f"{path}: {message}")
    assert "\n" not in str(refusal.value)


def test_a_problem_made_in_python_is_refused_as_a_file_is() -> None:
    camera = {"apps": [{**app(1), "accuracies": {0: 0.9}}], "model": MODEL, "video": {"stream_fps": 3}}
    del camera["apps"][0]["curve"]  # type: ignore[attr-defined]
    with pytest.raises(ProblemError, match=r"^problem: apps is not allowed beside streams"):
        Problem.of({**camera, "streams": [{"name": "door", **camera}]})
    with pytest.raises(ProblemError, match=r"^problem: missing key 'apps' \(and 2 more\)$"):
        Problem(budget=3)
    assert Problem.of({"streams": [{"name": "door", **camera}]}).camera.name == "door"
