"""A network that PyTorch could have exported, from the file to frames: the commands with ONNX Runtime, no TensorFlow.

Where TensorFlow is installed no process may load it; ``.ci/run`` runs this file once more where it is not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("av", reason="needs the extra onnx")
onnx = pytest.importorskip("onnx", reason="needs the extra onnx")

from onnx import helper  # noqa: E402
from support.bad_models import write_bad_onnx  # noqa: E402
from support.onnx_models import SIDE, model_of, torch_network  # noqa: E402
from support.waiting import comes_true  # noqa: E402

from mainstream.onnx_graphs.quantising import quantised  # noqa: E402

SOURCE = "test://?fps=10&width=64&height=48"
SHARED = 8
STEM_ENDS = "/features/Add_output_0"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """That of a process in which TensorFlow and Keras cannot be imported."""
    folder = tmp_path_factory.mktemp("without")
    for package in ("tensorflow", "keras"):
        (folder / f"{package}.py").write_text("raise AssertionError('TensorFlow is loaded')\n")
    here = [str(folder), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, here)), "COLUMNS": "80"}


def run(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mainstream", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)


def _huge() -> Any:
    """A network that asks for petabytes when it runs."""
    nodes = [
        helper.make_node("ReduceMean", ["frame"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        helper.make_node("Add", ["mean", "sum"], ["softmax"]),
    ]
    return model_of(nodes, {"shape": np.array([20_000_000, 50_000_000])})


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """Two apps with heads of their own, a profile of their network, and a problem in which sharing is worth it."""
    folder = tmp_path_factory.mktemp("box")
    (folder / "models").mkdir()
    for app in (1, 2):
        onnx.save(torch_network(head=app), folder / "models" / f"app{app}.onnx")
    onnx.save(_huge(), folder / "models" / "huge.onnx")
    write_bad_onnx(folder / "models")
    network = str(folder / "models" / "app1.onnx")
    options = ["--seconds", "1", "--chokepoints", "every", "-o", str(folder / "profile.json")]
    measured = run(environment, "profile", "--net", network, "--engine", "onnx", *options)
    assert measured.returncode == 0, measured.stderr
    assert f"layout     the model takes (batch, 3, {SIDE}, {SIDE}); frames are turned for it" in measured.stdout
    apps = [
        {
            "app_id": app,
            "accuracies": {0: 0.8, SHARED: 0.9},
            "event_length_ms": 1000,
            "model_path": {k: f"app{app}.onnx" for k in (0, SHARED)},
            "event_class": 1,
        }
        for app in (1, 2)
    ]
    video = {"stream_fps": 10, "fps_options": [5, 10]}
    problem = {"apps": apps, "video": video, "model": "profile.json", "budget": 1000}
    (folder / "problem.yaml").write_text(yaml.safe_dump(problem))
    (folder / "bad.yaml").write_text((folder / "problem.yaml").read_text().replace("app2.onnx", "missing.onnx"))
    return folder


def test_layers_finds_the_chokepoints_of_an_onnx_graph(box: Path, environment: dict[str, str]) -> None:
    done = run(environment, "layers", box / "models" / "app1.onnx", "--chokepoints", "every")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:14]]
    first, second = ([f"/features/features.{n}/features.{n}.{k}" for k in range(3)] for n in (0, 1))
    cuts = [f"{first[0]}/Conv", f"{first[1]}/BatchNormalization", f"{first[2]}/Relu", "/features/Add", "/pool/MaxPool"]
    cuts += ["/gap/GlobalAveragePool", "/flatten/Flatten", "/head/Gemm"]
    assert [row[1] for row in rows if row[-1] == "x"] == [*(f"{name}_output_0" for name in cuts), "scores"]
    assert f"{second[0]}/Conv_output_0" in [row[1] for row in rows]
    assert done.stdout.splitlines()[-2].startswith("app1: 13 layers, 883 parameters, 10 chokepoints")


def test_share_says_how_many_layers_could_run_once(box: Path, environment: dict[str, str]) -> None:
    models = [box / "models" / f"app{app}.onnx" for app in (1, 2)]
    done = run(environment, "share", *models, "--json", "-")
    assert done.returncode == 0, done.stderr
    (stem,) = {(one["num_frozen"], one["layer"]) for one in json.loads(done.stdout)["models"]}
    assert stem == (11, "/flatten/Flatten_output_0")
    (group,) = json.loads(done.stdout)["groups"]
    assert group["forks"] == [f"/head/Gemm: other weights in {models[1]} than in {models[0]}"]


def test_the_profile_says_what_it_was_measured_with(box: Path) -> None:
    profile = json.loads((box / "profile.json").read_text())
    assert profile["engine"] == "onnx" and "ONNX Runtime" in profile["measured_on"]
    assert profile["frozen_layer_names"][str(SHARED)] == STEM_ENDS and profile["total_layers"] == 13


def test_the_plan_of_its_schedule_has_one_stem_which_deploy_local_runs_once(
    box: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    solved = run(environment, "solve", box / "problem.yaml", "--json", tmp_path / "result.json", "-q")
    assert solved.returncode == 0, solved.stderr
    planned = run(environment, "plan", tmp_path / "result.json", "--problem", box / "problem.yaml")
    assert planned.returncode == 0, planned.stderr
    stem, *tails = json.loads(planned.stdout)
    assert (stem["shared"], stem["input_layer"], stem["output_layer"]) == (True, "frame", STEM_ENDS)
    assert [(tail["parent_id"], tail["app_id"], tail["model_path"]) for tail in tails] == [
        (0, 1, "app1.onnx"),
        (0, 2, "app2.onnx"),
    ]
    rounds = tmp_path / "rounds.json"
    options = ["--local", "--source", SOURCE, "-m", box / "models", "--window", 2, "--json", rounds, "--one-round"]
    done = run(environment, "deploy", box / "problem.yaml", *options, "--engine", "onnx")
    assert done.returncode == 0, done.stderr
    _reached(json.loads(rounds.read_text()))
    (one,) = json.loads(rounds.read_text())["rounds"]
    parts = one["measured"]["parts"]
    assert [(part["app_id"], part["start"], part["stop"]) for part in parts] == [(None, 0, 8), (1, 8, 13), (2, 8, 13)]
    assert all(abs(part["runs"] - parts[0]["runs"]) <= 1 for part in parts)


def test_deploy_local_tells_of_a_profile_of_another_engine(
    box: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    profile = json.loads((box / "profile.json").read_text()) | {"engine": "tensorflow"}
    (box / "other.json").write_text(json.dumps(profile))
    problem = yaml.safe_load((box / "problem.yaml").read_text()) | {"model": "other.json"}
    (box / "other.yaml").write_text(yaml.safe_dump(problem))
    options = ["--local", "--source", SOURCE, "-m", box / "models", "--window", 1, "--one-round"]
    done = run(environment, "deploy", box / "other.yaml", *options, "--engine", "auto")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "engine onnx" in said
    assert "mainstream: the profile was measured with engine tensorflow, and onnx runs the models" in said


def _in_both_precisions(box: Path, share: float) -> dict[str, Any]:
    """The problem with int8 variants of half the latency, and a budget of so many times that of the network in float32.

    With 4 times nothing fits in float32: 5 fps need 5 times it at least, but for what is shared.
    """
    profile = json.loads((box / "profile.json").read_text())
    profile["layer_latencies"] = [0.1] * profile["total_layers"]
    faster = profile | {"layer_latencies": [0.05] * profile["total_layers"], "precision": "int8"}
    problem: dict[str, Any] = yaml.safe_load((box / "problem.yaml").read_text())
    frames = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), np.uint8)
    for app in problem["apps"]:
        name = f"app{app['app_id']}-int8.onnx"
        if not (box / "models" / name).exists():
            (box / "models" / name).write_bytes(quantised(box / "models" / f"app{app['app_id']}.onnx", frames))
        app["int8"] = {"accuracies": {0: 0.7, SHARED: 0.8}, "model_path": {k: name for k in (0, SHARED)}}
    return problem | {"model": profile, "int8_model": faster, "budget": share * 0.1 * profile["total_layers"]}


@pytest.mark.parametrize(("share", "chosen"), [(4, "int8"), (100, "float32")])
def test_deploy_local_says_and_runs_the_precision_that_is_chosen(
    box: Path, environment: dict[str, str], tmp_path: Path, share: float, chosen: str
) -> None:
    (tmp_path / "problem.yaml").write_text(yaml.safe_dump(_in_both_precisions(box, share)))
    options = ["--local", "--source", SOURCE, "-m", box / "models", "--window", 1, "--one-round", "--engine", "onnx"]
    done = run(environment, "deploy", tmp_path / "problem.yaml", *options)
    assert done.returncode == 0, done.stderr
    assert f"precision {chosen}, " in " ".join(done.stderr.split())
    assert ("app1-int8.onnx" in done.stdout) == (chosen == "int8")


def test_run_chooses_the_precision_when_the_problem_changes_and_goes_on_when_a_model_is_none(
    box: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    said, plan, beside = tmp_path / "said", tmp_path / "state" / "plan.json", tmp_path / "beside"

    def write(problem: dict[str, Any]) -> None:
        beside.write_text(yaml.safe_dump(problem))
        beside.replace(tmp_path / "problem.yaml")

    def runs(*models: str) -> bool:
        parts = json.loads(plan.read_text()) if plan.exists() else []
        return {part["model_path"] for part in parts} == {*models}

    command = [sys.executable, "-m", "mainstream", "run", str(tmp_path / "problem.yaml"), "--source", SOURCE]
    options = ["-m", str(box / "models"), "--engine", "auto", "--window", "1", "--state", str(tmp_path / "state")]
    write(_in_both_precisions(box, 4))
    with said.open("w") as stderr, subprocess.Popen([*command, *options], stderr=stderr, env=environment) as process:
        try:
            comes_true(lambda: runs("app1-int8.onnx", "app2-int8.onnx"))
            write(_in_both_precisions(box, 100))
            comes_true(lambda: runs("app1.onnx", "app2.onnx"))
            broken = _in_both_precisions(box, 100)
            broken["apps"][1]["model_path"] = dict.fromkeys((0, SHARED), "damaged.onnx")
            write(broken)
            comes_true(lambda: "the old plan goes on" in said.read_text())
            assert runs("app1.onnx", "app2.onnx") and process.poll() is None
            process.terminate()
            assert process.wait(30) == 0
        finally:
            process.kill()
    lines = said.read_text().splitlines()
    assert [line for line in lines if line.startswith("engine ")] == ["engine onnx"]
    chosen = [line for line in lines if line.startswith("precision ")]
    assert [line.split(",")[0] for line in chosen] == ["precision int8", "precision float32"]
    turned = f"info: {box / 'models' / 'app1.onnx'} takes (batch, channels, height, width); frames are turned for it"
    assert turned in lines
    (refused,) = [line for line in lines if line.endswith("; the old plan goes on")]
    assert "model_path: " in refused and "it is not an ONNX model, or only a piece of one" in refused


def test_a_server_runs_it(box: Path, environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mainstream", "streamer", "--source", SOURCE, "-m", str(box / "models")]
    options = ["--bind", "tcp://127.0.0.1:*", "--window", "2", "--engine", "onnx"]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stderr is not None
            line = server.stderr.readline()
            assert line.startswith("listening at "), line
            address = line.removeprefix("listening at ").split(";")[0]
            rounds = tmp_path / "rounds.json"
            deployed = run(
                environment, "deploy", box / "problem.yaml", "--streamer", address, "--json", rounds, "--one-round"
            )
            assert deployed.returncode == 0, deployed.stderr
            _reached(json.loads(rounds.read_text()))
            assert server.stderr.readline().startswith(f"info: {box / 'models' / 'app1.onnx'} takes (batch, channels")
            problem = (box / "problem.yaml").read_text().replace("app2.onnx", "new.onnx")
            (box / "new.yaml").write_text(problem)
            refused = run(environment, "deploy", box / "new.yaml", "--streamer", address, "--one-round")
            line = _refused(refused)
            assert "the server refused the plan: net 2: model_path: " in line and "it has opset 99, newer" in line
            assert server.poll() is None
        finally:
            server.kill()


def _reached(rounds: dict[str, Any]) -> None:
    for app in rounds["rounds"][-1]["apps"]:
        assert app["target_fps"] == 10
        assert app["observed_fps"] > 5  # a busy machine drops some


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["layers", "no.onnx"], "no.onnx cannot be read: no such file"),
        (["layers", "app1.onnx", "--size", "32"], "app1.onnx takes frames of 16 x 16, not 32 x 32"),
        (["layers", "app1.onnx", "--chokepoints", "resnet"], "an ONNX model has block, every, or a number"),
        (
            ["profile", "--net", "app1.onnx", "--engine", "tensorflow"],
            "engine tensorflow does not run; use --engine onnx",
        ),
        (["profile", "--net", "app1.onnx", "--engine", "tnesorflow"], "did you mean 'tensorflow'"),
        (["profile", "--net", "app1.onnx", "--dense"], "app1.onnx brings its own weights and head"),
        (["profile", "--net", "huge.onnx"], "huge: a frame needs more memory than there is"),
        (
            ["deploy", "../bad.yaml", "--local", "--source", SOURCE, "-m", ".", "--engine", "onnx"],
            "net 2: model_path: there is no file 'missing.onnx' in the folder of the models",
        ),
        (["deploy", "../problem.yaml", "--engine", "onnx"], "--engine is for --local; a Streamer has its own"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(
    box: Path, environment: dict[str, str], arguments: list[str], message: str
) -> None:
    command = [sys.executable, "-m", "mainstream", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env=environment, cwd=box / "models"
    )
    assert message in _refused(done)


def _refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that says why."""
    told = ("waiting for the observed rates", "budget ")  # and the warning about a budget in another unit
    (line,) = (line for line in done.stderr.splitlines() if not line.startswith(told))
    assert done.returncode == 2
    return line
