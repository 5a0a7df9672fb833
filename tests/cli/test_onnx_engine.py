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
from support.onnx_models import SIDE, model_of, small_network  # noqa: E402

from mainstream.onnx_graphs.quantising import quantised  # noqa: E402

SOURCE = "test://?fps=10&width=64&height=48"


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
    """Two apps with heads of their own, a profile of their network, and a problem."""
    folder = tmp_path_factory.mktemp("box")
    (folder / "models").mkdir()
    for app in (1, 2):
        model = small_network(batch=1)
        head = next(one for one in model.graph.initializer if one.name == "dense")
        head.raw_data = bytes(bytearray(head.raw_data[::-1]) if app == 2 else head.raw_data)
        onnx.save(model, folder / "models" / f"app{app}.onnx")
    onnx.save(_huge(), folder / "models" / "huge.onnx")
    network = str(folder / "models" / "app1.onnx")
    options = ["--seconds", "1", "--chokepoints", "every", "--out", str(folder / "profile.json")]
    measured = run(environment, "profile", "--net", network, "--engine", "onnx", *options)
    assert measured.returncode == 0, measured.stderr
    assert f"layout     the model takes (batch, 3, {SIDE}, {SIDE}); frames are turned for it" in measured.stdout
    apps = [
        {
            "app_id": app,
            "accuracies": {0: 0.9, 5: 0.88},
            "event_length_ms": 1000,
            "model_path": {k: f"app{app}.onnx" for k in (0, 5)},
            "event_class": 1,
        }
        for app in (1, 2)
    ]
    video = {"stream_fps": 10, "fps_options": [5, 10]}
    problem = {"apps": apps, "video": video, "model": "profile.json", "budget": 1000}
    (folder / "problem.yaml").write_text(yaml.safe_dump(problem))
    return folder


def test_layers_finds_the_chokepoints_of_an_onnx_graph(box: Path, environment: dict[str, str]) -> None:
    done = run(environment, "layers", box / "models" / "app1.onnx", "--chokepoints", "every")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:11]]
    assert [row[1] for row in rows if row[-1] == "x"] == [
        "conv",
        "relu",
        "add",
        "pool",
        "mean",
        "gap",
        "scores",
        "softmax",
    ]
    assert "conv2" in [row[1] for row in rows]
    assert done.stdout.splitlines()[-2].startswith("app1: 10 layers, 832 parameters, 9 chokepoints")


def test_the_profile_says_what_it_was_measured_with(box: Path) -> None:
    profile = json.loads((box / "profile.json").read_text())
    assert profile["engine"] == "onnx" and "ONNX Runtime" in profile["measured_on"]
    assert profile["frozen_layer_names"]["5"] == "add" and profile["total_layers"] == 10


def test_deploy_local_runs_it_and_tells_of_a_profile_of_another_engine(
    box: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    profile = json.loads((box / "profile.json").read_text()) | {"engine": "tensorflow"}
    (box / "other.json").write_text(json.dumps(profile))
    problem = yaml.safe_load((box / "problem.yaml").read_text()) | {"model": "other.json"}
    (box / "other.yaml").write_text(yaml.safe_dump(problem))
    rounds = tmp_path / "rounds.json"
    options = ["--local", "--source", SOURCE, "-m", box / "models", "--window", 2, "--json", rounds, "--once"]
    done = run(environment, "deploy", box / "other.yaml", *options, "--engine", "auto")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "engine onnx" in said
    assert "mainstream: the profile was measured with engine tensorflow, and onnx runs the models" in said
    _reached(json.loads(rounds.read_text()))


@pytest.mark.parametrize(("share", "chosen"), [(4, "int8"), (100, "float32")])
def test_deploy_local_says_and_runs_the_precision_that_is_chosen(
    box: Path, environment: dict[str, str], tmp_path: Path, share: float, chosen: str
) -> None:
    """With a budget of 4 times the network's latency nothing fits in float32: 5 fps need 5 times it at least."""
    profile = json.loads((box / "profile.json").read_text())
    profile["layer_latencies"] = [0.1] * profile["total_layers"]
    faster = profile | {"layer_latencies": [0.05] * profile["total_layers"], "precision": "int8"}
    problem = yaml.safe_load((box / "problem.yaml").read_text())
    frames = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), np.uint8)
    for app in problem["apps"]:
        name = f"app{app['app_id']}-int8.onnx"
        (box / "models" / name).write_bytes(quantised(box / "models" / f"app{app['app_id']}.onnx", frames))
        app["int8"] = {"accuracies": {0: 0.8, 5: 0.7}, "model_path": {k: name for k in (0, 5)}}
    problem |= {"model": profile, "int8_model": faster, "budget": share * 0.1 * profile["total_layers"]}
    (tmp_path / "problem.yaml").write_text(yaml.safe_dump(problem))
    options = ["--local", "--source", SOURCE, "-m", box / "models", "--window", 1, "--once", "--engine", "onnx"]
    done = run(environment, "deploy", tmp_path / "problem.yaml", *options)
    assert done.returncode == 0, done.stderr
    assert f"precision {chosen}, " in " ".join(done.stderr.split())
    assert ("app1-int8.onnx" in done.stdout) == (chosen == "int8")


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
                environment, "deploy", box / "problem.yaml", "--streamer", address, "--json", rounds, "--once"
            )
            assert deployed.returncode == 0, deployed.stderr
            _reached(json.loads(rounds.read_text()))
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
        (["profile", "--net", "huge.onnx"], "huge: a frame takes more memory than there is"),
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
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert message in line
