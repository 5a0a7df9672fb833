"""Files: what is written reads back equal, and whatever is wrong with a file is one line that begins with its name."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.results import result, schedule

from mainstream import ProblemError
from mainstream.files import check_target, write_text
from mainstream.io import (
    Curve,
    Problem,
    SolveOptions,
    load_curve,
    load_problem,
    load_profile,
    load_result,
    save_curve,
    save_problem,
    save_profile,
    save_result,
)
from mainstream.problem import App, Model, Video

DATA = Path(__file__).parents[2] / "data"

GOOD = """\
budget: 15
video: {stream_fps: 10, fps_options: [1, 4, 10]}
model: model.json
apps:
  - {app_id: 1, curve: one.csv, event_length_ms: 2000, event_frequency: 0.2}
  - app_id: 2
    accuracies: {0: 0.9, 2: 0.8}
    event_length_ms: 1500
    x_vote: auto
"""
CURVE = "num_frozen,accuracy,false_positive_rate\n0,0.95,0.01\n2,0.9,0.02\n"
MODEL = {"total_layers": 3, "layer_latencies": [1, 2, 3], "frozen_layer_names": {"0": "in", "2": "a"}, "unit": "ms"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one.csv").write_text(CURVE)
    (tmp_path / "model.json").write_text(json.dumps(MODEL))
    (tmp_path / "good.yaml").write_text(GOOD)
    return tmp_path


def refused(load: Callable[[Path], object], path: Path) -> str:
    """The message; it is one line, not long, and begins with the file."""
    with pytest.raises(ProblemError) as refusal:
        load(path)
    message = str(refusal.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 300
    return message.removeprefix(f"{path}: ").replace(f"{path.parent}/", "")


def test_a_problem_is_loaded_with_the_files_that_it_names(folder: Path) -> None:
    problem = load_problem(folder / "good.yaml")
    assert problem.model == Model(**MODEL)
    assert problem.video == Video(stream_fps=10, fps_options=(1, 4, 10))
    assert problem.apps == (
        App(
            app_id=1,
            accuracies={0: 0.95, 2: 0.9},
            false_positive_rates={0: 0.01, 2: 0.02},
            event_length_ms=2000,
            event_frequency=0.2,
        ),
        App(app_id=2, accuracies={0: 0.9, 2: 0.8}, event_length_ms=1500, x_vote="auto"),
    )
    assert problem.given() == {"budget": 15}
    with pytest.raises(ValueError, match="frozen"):
        problem.budget = 3  # type: ignore[misc]


def test_json_and_a_model_in_place_say_the_same(folder: Path) -> None:
    problem = load_problem(folder / "good.yaml")
    apps = [app.model_dump(exclude_defaults=True) for app in problem.apps]
    video = {"stream_fps": 10, "fps_options": [1, 4, 10]}
    (folder / "same.json").write_text(json.dumps({"budget": 15, "video": video, "model": MODEL, "apps": apps}))
    assert load_problem(folder / "same.json") == problem
    inline = GOOD.replace("model: model.json", f"model: {json.dumps(MODEL)}")
    (folder / "inline.yaml").write_text("\N{BYTE ORDER MARK}" + inline, encoding="utf-8")
    assert load_problem(folder / "inline.yaml") == problem


def test_options_in_a_file(folder: Path) -> None:
    options = "objective: recall\naggregate: min\nmode: no-sharing\nmethod: auto\nevent_model: paper\ngap: 1e-4\n"
    path = folder / "options.yaml"
    path.write_text(GOOD.replace("budget: 15\n", options + "time_limit: 2\n"))
    assert load_problem(path).given() == {
        "objective": "recall",
        "aggregate": "min",
        "mode": "no-sharing",
        "method": "auto",
        "event_model": "paper",
        "gap": 1e-4,
        "time_limit": 2,
    }
    assert list(SolveOptions().given()) == []


def test_aliases_and_merging_work_as_yaml_has_them(folder: Path) -> None:
    path = folder / "merged.yaml"
    path.write_text(
        "video: {stream_fps: 10}\nmodel: model.json\napps:\n"
        "  - &first {app_id: 1, accuracies: &curve {0: 0.9}, event_length_ms: 10}\n"
        "  - {<<: *first, app_id: 2}\n"
        "  - {app_id: 3, accuracies: *curve, event_length_ms: 10}\n"
    )
    apps = load_problem(path).apps
    assert [(app.app_id, app.accuracies, app.event_length_ms) for app in apps] == [(i, {0: 0.9}, 10) for i in (1, 2, 3)]


ALIAS_BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 40))
MERGE_BOMB = "a0: &a0 {x: 1}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 40)
)
ALIAS_TOWER = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 1200))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b" \n\t\n", "the file is empty"),
        (b"# nothing but a comment\n", "the file is empty"),
        (b"- a\n- b\n", "holds ['a', 'b']; it has to be a mapping of keys to values"),
        (b"hello", "holds 'hello'; it has to be a mapping of keys to values"),
        (b"budget: [1, 2\n", "no YAML: line 2, column 1: did not find expected ',' or ']'"),
        (b"apps:\n\t- a\n", "no YAML: line 2, column 1: found character that cannot start any token"),
        (b"a: 1\n---\nb: 2\n", "no YAML: line 2, column 1: but found another document"),
        (b"a: *b\n", "no YAML: line 1, column 4: found undefined alias"),
        (b"a: !!python/name:os.system\n", "no YAML: line 1, column 4: could not determine a constructor for the tag"),
        (b"a: 2001-99-99\n", "no YAML: month must be in 1..12"),
        (b"a: " + b"9" * 5000, "no YAML: Exceeds the limit (4300 digits) for integer string conversion"),
        (b"[" * 1_000_000, "no YAML: nested more than 100 deep"),
        (b"- " * 500_000, "no YAML: nested more than 100 deep"),
        (b"name: caf\xe9\n", "no UTF-8 text: byte 9 is 0xe9"),
        ("budget: 1\n".encode("utf-16"), "no UTF-8 text: byte 0 is 0xff"),
        (random.Random(1).randbytes(1_000_000), "no UTF-8 text: byte "),
        (bytes(random.Random(1).choices(range(32, 127), k=1_000_000)), "no YAML: line 1, column "),
        (bytes(1_000_000), "no YAML: character 0: "),
        (ALIAS_BOMB.encode(), "its aliases stand for more than a million values; write them out"),
        (MERGE_BOMB.encode(), "its aliases stand for more than a million values; write them out"),
        (ALIAS_TOWER.encode(), "unknown key 'a0'; known: "),
        (b"a: &a {b: *a}\n", "line 1: an alias stands for something that contains it"),
        (b"budget: 1\nvideo: {}\nbudget: 2\n", "line 3: key 'budget' stands twice in one mapping"),
        (b"1: 2\n0x1: 3\n", "line 2: key 1 stands twice in one mapping"),
        (b"3: 4\n", "unknown key 3; known: budget, utilisation, memory_mb, objective"),
        (b"bugdet: 4\n", "unknown key 'bugdet'; did you mean 'budget'?"),
        (b"budget: 4\n", "missing key 'apps' (and 2 more)"),
    ],
    ids=range(28),
)
def test_files_that_are_no_problem_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    assert refused(load_problem, path).startswith(message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("budget: 15", "budget: 0", "budget: got 0; it has to be a finite number above 0"),
        ("budget: 15", "budget: -1", "budget: got -1; it has to be a finite number above 0"),
        ("budget: 15", "budget: .inf", "budget: got inf; it has to be a finite number above 0"),
        ("budget: 15", "budget: .nan", "budget: got nan; it has to be a finite number above 0"),
        ("budget: 15", "budget: yes", "budget: got True; it has to be a finite number above 0"),
        ("budget: 15", "budget: lots", "budget: got 'lots'; it has to be a finite number above 0"),
        ("budget: 15", "mode: shared", "mode: got 'shared'; it has to be 'mainstream', 'no-sharing' or 'max-sharing'"),
        ("budget: 15", "gap: -1", "gap: got -1; it has to be a finite number, 0 or more"),
        ("budget: 15", "time_limit: 0", "time_limit: got 0; it has to be a finite number above 0"),
        ("apps:", "appz:", "unknown key 'appz'; did you mean 'apps'?"),
        ("model.json", "other.json", "other.json: no such file or directory"),
        ("model: model.json", "model: 3", "model: got 3; it has to be a mapping of keys to values"),
        ("model: model.json\n", "", "missing key 'model'"),
        ("{stream_fps: 10, f", "{stream_fps: 8, f", "video: fps_options go up to 10, the stream has 8 fps"),
        ("video: {stream_fps", "video: {streem_fps", "video: unknown key 'streem_fps'; did you mean 'stream_fps'?"),
        ("app_id: 2", "app_id: 1", "app_id 1 stands 2 times; each app needs its own"),
        ("- app_id: 2", "- app_idd: 2", "apps[1]: unknown key 'app_idd'; did you mean 'app_id'?"),
        ("0: 0.9,", "0: 1.9,", "app 2: accuracies.0: got 1.9; it has to be a number in [0, 1]"),
        ("0: 0.9,", "2: 0.9,", "line 7: key 2 stands twice in one mapping"),
        ("one.csv", "two.csv", "apps[0]: curve: two.csv: no such file or directory"),
        ("one.csv", "..", "apps[0]: curve: ..: is a directory"),
        ("one.csv", "[1]", "apps[0]: curve: got [1]; it has to be the name of a CSV file"),
        ("one.csv,", "one.csv, accuracies: {0: 1},", "apps[0]: curve has 'accuracies', too; give only one of them"),
        ("one.csv,", "one.csv, prob_tnrs: {0: 1},", "apps[0]: curve has 'prob_tnrs', too; give only one of them"),
    ],
)
def test_wrong_values_in_a_file_are_refused(folder: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = folder / "bad.yaml"
    path.write_text(GOOD.replace(old, new))
    assert refused(load_problem, path).startswith(message)


@pytest.mark.parametrize(
    ("apps", "message"),
    [("[]", "apps is empty"), ("", "apps: got None; it has to be a list"), ("{1: 2}", "apps: got {1: 2}; it has to")],
)
def test_no_apps_are_refused(folder: Path, apps: str, message: str) -> None:
    path = folder / "bad.yaml"
    path.write_text(f"video: {{stream_fps: 10}}\nmodel: model.json\napps: {apps}\n")
    assert message in refused(load_problem, path)


@pytest.mark.parametrize("load", [load_problem, load_profile, load_curve, load_result])
def test_files_that_cannot_be_read_are_refused(load: Callable[[Path], object], tmp_path: Path) -> None:
    assert refused(load, tmp_path / "missing") == "no such file or directory"
    assert refused(load, tmp_path) == "is a directory"
    with pytest.raises(ProblemError, match=r"null (byte|character)"):
        load(Path("a\0b"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1, "a": 2}', "key 'a' stands twice in one mapping"),
        ("{", "no JSON: line 1, column 2: Expecting property name"),
        ("[" * 100_000, "no JSON: nested too deeply"),
        ("9" * 5000, "no JSON: Exceeds the limit"),
        ("[1]", "holds [1]; it has to be a mapping of keys to values"),
        (json.dumps({**MODEL, "total_layers": 4}), "layer_latencies has 3 values, total_layers is 4"),
        (json.dumps({**MODEL, "layer_latencies": [1, -1, 2]}), "layer_latencies.1: got -1; it has to be a finite numb"),
        (json.dumps({**MODEL, "layer_latencies": [1, float("nan"), 2]}), "layer_latencies.1: got nan; it has to be"),
    ],
)
def test_wrong_profiles_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    assert refused(load_profile, path).startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("num_frozen,acuracy\n0,1\n", "unknown column 'acuracy'; did you mean 'accuracy'?"),
        (
            "num_frozen\n0\n",
            "columns num_frozen; needed: num_frozen, accuracy, false_positive_rate (the last optional)",
        ),
        ("num_frozen,accuracy,accuracy\n0,1,1\n", "columns num_frozen, accuracy, accuracy; needed: num_frozen"),
        ("num_frozen,accuracy\n", "it has no rows below its header"),
        ("num_frozen,accuracy\n0,1\n2\n", "line 3: it has to have 2 values: num_frozen, accuracy"),
        ("num_frozen,accuracy\n0,1,2\n", "line 2: it has to have 2 values: num_frozen, accuracy"),
        ("num_frozen,accuracy\n0,1\n0,1\n", "line 3: num_frozen 0 is listed twice"),
        ("num_frozen,accuracy\n0,1.5\n", "line 2: accuracy: got '1.5'; it has to be a number in [0, 1]"),
        ("num_frozen,accuracy\nx,0.5\n", "line 2: num_frozen: got 'x'; it has to be a whole number, 0 or more"),
        (CURVE + "3,0.5,\n", "line 4: false_positive_rate: got ''; it has to be a number in [0, 1]"),
        ('num_frozen,accuracy\n"0,1\n', "no CSV: unexpected end of data"),
    ],
)
def test_wrong_curves_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    assert refused(load_curve, path).startswith(message)


def test_curves_read_back_as_written(tmp_path: Path) -> None:
    both = Curve({0: 0.1 + 0.2, 18: 1 / 3}, {0: 0.0, 18: 1e-9})
    for curve in (both, both._replace(false_positive_rates=None)):
        save_curve(curve, tmp_path / "curve.csv")
        assert load_curve(tmp_path / "curve.csv") == curve


def test_profiles_read_back_as_written(tmp_path: Path) -> None:
    profile = load_profile(DATA / "profiles" / "mobilenetv2-96.json")
    save_profile(profile, tmp_path / "copy.json")
    assert load_profile(tmp_path / "copy.json") == profile


def test_problems_read_back_as_written(folder: Path) -> None:
    problem = load_problem(folder / "good.yaml")
    full = Problem(
        apps=[
            {
                "app_id": 7,
                "name": "straße #7",
                "accuracies": {1: 1 / 3, 2: 0.5},
                "false_positive_rates": {1: 0.1, 2: 0.2},
                "event_length_ms": 0.1,
                "event_frequency": 1e-7,
                "correlation": 0.5,
                "x_vote": 3,
                "weight": 2,
                "pinned": (2, 2.5),
                "min_fps": 1,
                "max_fps": 3,
                "min_value": 0.25,
                "optional": True,
                "model_path": {1: "a.pb"},
            }
        ],
        model=problem.model,
        video={"stream_fps": 29.97},
        gap=1e-7,
        mode="max-sharing",
    )
    for written in (problem, full):
        save_problem(written, folder / "copy.yaml", comment="one\ntwo")
        assert load_problem(folder / "copy.yaml") == written
        assert (folder / "copy.yaml").read_text(encoding="utf-8").startswith("# one\n# two\n")
    save_problem(problem, folder / "copy.yaml", profile="model.json")
    assert "model: model.json\n" in (folder / "copy.yaml").read_text()
    assert load_problem(folder / "copy.yaml") == problem


def test_a_result_reads_back_as_written(tmp_path: Path) -> None:
    first = result(schedule(3, left_out=1))
    save_result(first, tmp_path / "result.json")
    assert load_result(tmp_path / "result.json") == first
    (tmp_path / "result.json").write_text("{}")
    assert refused(load_result, tmp_path / "result.json").startswith("result: no saved result")


def test_writing_replaces_the_file_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "curve.csv"
    target.write_text("old")
    curve = Curve({0: 0.5}, None)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fail)
        with pytest.raises(ProblemError, match=r"curve\.csv: cannot be written: no space left on device"):
            save_curve(curve, target)
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["curve.csv"]

    link = tmp_path / "link.csv"
    link.symlink_to(target)
    save_curve(curve, link)
    assert link.is_symlink()
    assert load_curve(target) == curve
    save_curve(curve, "/dev/null")
    with pytest.raises(ProblemError, match="cannot be written: there is no folder"):
        save_curve(curve, tmp_path / "missing" / "curve.csv")
    with pytest.raises(ProblemError, match="cannot be written: is a directory"):
        save_curve(curve, tmp_path)


@pytest.mark.parametrize("path", sorted((DATA / "problems").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_problems_of_the_project_load(path: Path) -> None:
    problem = load_problem(path)
    for stream in problem.each:
        assert all(f in stream.model.chokepoints for app in stream.apps for f in app.accuracies)
    assert problem.budget


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is a directory; name a file"),
        ("no/file.json", "there is no folder "),
        ("x" * 300, "file name too long"),
        ("x" * 250, "file name too long"),  # the file itself would do, but not what is written beside it
        ("/proc/file.json", "no such file or directory"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_known_before(tmp_path: Path, name: str, message: str) -> None:
    for check in (check_target, lambda path: write_text(path, "text")):
        with pytest.raises(ProblemError) as caught:
            check(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: cannot be written: {message}")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_can_be_written_to_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "there.json").write_text("as it was")
    for name in ("there.json", "new.json", "/dev/null"):
        check_target(tmp_path / name)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("there.json", "as it was")]
