"""Problem files with apps in 8 bits beside those as they were trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.packages import CURVE, KEYS, make
from typer.testing import CliRunner

from mainstream import ProblemError, Result, solve
from mainstream.cli import app
from mainstream.formats.curve import Curve
from mainstream.io import load_package, load_problem, save_problem

MODEL: dict[str, Any] = {
    "total_layers": 6,
    "layer_latencies": [1.0] * 6,
    "frozen_layer_names": KEYS["chokepoints"],
    "height": 96,
    "width": 128,
    "unit": "ms",
}
INT8_MODEL = {**MODEL, "layer_latencies": [0.5] * 6, "precision": "int8"}
WORSE = Curve({k: rate - 0.05 for k, rate in CURVE.accuracies.items()}, CURVE.false_positive_rates)
APPS = [
    {"package": "dogs", "weight": 2, "int8": {"package": "dogs-int8"}},
    {
        "accuracies": {0: 0.9, 4: 0.8},
        "event_length_ms": 500,
        "app_id": 2,
        "model_path": {0: "a.pb"},
        "int8": {"accuracies": {0: 0.85, 4: 0.7}, "model_path": {0: "b.onnx", 4: "c.onnx"}},
    },
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    make(tmp_path / "dogs")
    make(tmp_path / "dogs-int8", WORSE, precision="int8", models={0: "models/0.onnx", 4: "models/4.onnx"})
    write(tmp_path / "problem.yaml")
    return tmp_path / "problem.yaml"


def write(path: Path, apps: Any = APPS, **changes: Any) -> None:
    described = {
        "budget": 20,
        "video": {"stream_fps": 10},
        "objective": "recall",
        "model": MODEL,
        "int8_model": INT8_MODEL,
        "apps": apps,
    }
    given = {key: value for key, value in {**described, **changes}.items() if value is not ...}
    path.write_text(yaml.safe_dump(given))


def test_an_app_in_8_bits_has_its_keys_but_for_what_its_models_are(file: Path) -> None:
    problem = load_problem(file)
    assert problem.int8 is not None
    first, second = problem.int8.apps
    assert first == load_package(file.parent / "dogs-int8", app_id=1, weight=2)
    assert problem.apps[0] == load_package(file.parent / "dogs", app_id=1, weight=2)
    assert (second.accuracies, second.event_length_ms, second.app_id) == ({0: 0.85, 4: 0.7}, 500, 2)
    assert second.model_path == {0: "b.onnx", 4: "c.onnx"}
    assert problem.int8.model.prefix[-1] == 3 and problem.model.prefix[-1] == 6
    plain, quantised = problem.by_precision.values()
    assert (plain.apps, quantised.apps) == (problem.apps, problem.int8.apps)
    assert plain.int8 is None and quantised.int8 is None
    save_problem(problem, file.with_name("copy.yaml"))
    assert load_problem(file.with_name("copy.yaml")) == problem


def test_solve_takes_the_better_and_plan_its_models(file: Path) -> None:
    for budget, expected in ((20, "int8"), (1000, "float32")):
        saved = file.with_name("result.json")
        given = ["solve", str(file), "--budget", str(budget), "--json", str(saved)]
        done = CliRunner().invoke(app, given)
        assert done.exit_code == 0, done.output
        found = Result.from_json(saved.read_text())
        other = {"int8": "float32", "float32": "int8"}[expected]
        each = {name: solve(p.apps, p.model, p.video, budget, objective="recall") for name, p in by(file).items()}
        assert (found.precision, found.objective) == (expected, each[expected].objective)
        assert f"precision  {expected}, {other} reaches {each[other].objective:.6f}" in done.stdout
        again = CliRunner().invoke(app, ["plan", str(saved), "--problem", str(file)])
        assert {part["model_path"].rpartition(".")[2] for part in json.loads(again.stdout)} == (
            {"onnx"} if expected == "int8" else {"pb"}
        )
        first = CliRunner().invoke(app, ["plan", str(file), "--budget", str(budget)])
        assert first.stdout == again.stdout
        dry = CliRunner().invoke(app, ["deploy", str(file), "--budget", str(budget), "--dry-run"])
        assert dry.stdout == first.stdout


def by(file: Path) -> Any:
    return load_problem(file).by_precision


def test_a_frontier_and_a_simulation_take_the_better(file: Path) -> None:
    done = CliRunner().invoke(app, ["frontier", str(file), "--budgets", "20,1000"])
    assert done.exit_code == 0, done.output
    assert [line.split()[-1] for line in done.stdout.splitlines()] == ["precision", "int8", "float32"]
    done = CliRunner().invoke(app, ["frontier", str(file), "--points", "3", "--csv", "-"])
    assert done.stdout.splitlines()[0].endswith(",precision")
    done = CliRunner().invoke(app, ["simulate", str(file), "--frames", "20000"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("apps", "changes", "message"),
    [
        ([APPS[0], {**APPS[1], "int8": ...}], {}, "apps[1]: int8 is missing, but apps[0] has it; all apps run in one"),
        ([{**APPS[0], "int8": ...}, APPS[1]], {}, "apps[0]: int8 is missing, but apps[1] has it"),
        ([{**APPS[0], "int8": "dogs-int8"}], {}, "apps[0]: int8: got 'dogs-int8'; it has to be a mapping"),
        ([{**APPS[0], "int8": {"app_id": 5}}], {}, "app 5: missing key 'accuracies'"),
        (
            [{**APPS[0], "int8": {"package": "dogs-int8", "app_id": 5}}],
            {},
            "int8 has to have the apps of the problem, in their order",
        ),
        (
            [{**APPS[0], "int8": {"package": "dogs"}}],
            {},
            "apps[0]: int8: its models are in float32, but the model was measured in int8; profile what will run",
        ),
        (
            [{"package": "dogs-int8", "int8": {"package": "dogs-int8"}}],
            {},
            "apps[0]: its models are in int8, but the model was measured in float32",
        ),
        ([{"package": "dogs"}], {}, "there is int8_model, but int8 is missing; give both or neither"),
        (APPS, {"int8_model": ...}, "apps have int8, but int8_model is missing; give both or neither"),
        (APPS[1:], {"int8_model": MODEL}, "int8: int8_model was measured in float32; it has to be a profile with"),
        (APPS[1:], {"int8_model": {**INT8_MODEL, "unit": "s"}}, "model has unit 'ms', int8_model 's'; they share"),
        (
            APPS[1:],
            {"model": INT8_MODEL},
            "model was measured in int8, as int8_model was; give the profile in float32 as model",
        ),
        (APPS[1:], {"int8_model": {**INT8_MODEL, "precision": "int4"}}, "int8_model: model: precision: got 'int4'"),
        (APPS[1:], {"int8": {"apps": APPS[1:]}}, "unknown key 'int8'"),
    ],
)
def test_what_would_mix_precisions_or_cannot_be_compared_is_one_line(
    file: Path, apps: list[dict[str, Any]], changes: dict[str, Any], message: str
) -> None:
    write(file, [{key: value for key, value in one.items() if value is not ...} for one in apps], **changes)
    with pytest.raises(ProblemError) as refusal:
        load_problem(file)
    said = str(refusal.value)
    assert said.startswith(f"{file}: ") and message in said and "\n" not in said


def test_a_quantised_tail_behind_a_float_stem_is_one_line(file: Path) -> None:
    write(file, [{"package": "dogs"}, {"package": "dogs-int8"}], int8_model=...)
    with pytest.raises(ProblemError, match=r"apps\[1\]: its models are in int8, those of apps\[0\] in float32"):
        load_problem(file)


def test_packages_in_8_bits_by_themselves_need_a_profile_in_8_bits(file: Path) -> None:
    write(file, [{"package": "dogs-int8"}], model=INT8_MODEL, int8_model=...)
    problem = load_problem(file)
    assert list(problem.by_precision) == ["int8"]
    done = CliRunner().invoke(app, ["solve", str(file)])
    assert done.exit_code == 0 and "\nprecision " not in done.stdout
