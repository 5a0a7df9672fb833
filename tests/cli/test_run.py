"""`mainstream run` as users run it: the installed command, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from support.boxes import SOURCE, app, write_problem
from support.commands import Run
from support.failing_models import write_graph
from support.terminal import COMMAND
from support.third_party_solver import install
from support.waiting import comes_true, found

pytest.importorskip("av", reason="needs the extra run")
pytest.importorskip("zmq", reason="needs the extra run")


def test_it_runs_what_the_file_says_now_until_it_is_ended_and_begins_again_after_a_kill(tmp_path: Path) -> None:
    install(tmp_path, "theirs", {"mainstream.part_loaders": {"matrices": "support.third_party:MATRICES"}})
    paths = [str(tmp_path), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    out = tmp_path / "results.jsonl"
    options = ["--source", SOURCE, "-m", ".", "--engine", "matrices", "--results", out.name, "--state", "state"]

    def apps() -> set[int]:
        lines = out.read_text().splitlines()[-9:] if out.exists() else []
        return {json.loads(line)["app_id"] for line in lines}

    def start() -> subprocess.Popen[bytes]:
        command = [COMMAND, "run", "problem.yaml", *options, "--events", "events"]
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=said)

    write_problem(tmp_path, app(1), budget=1000.0)
    with (tmp_path / "said").open("w") as said:
        process = start()
        try:
            comes_true(lambda: apps() == {1})
            write_problem(tmp_path, app(1), app(2, event_class=0, region=[0.5, 0, 0.5, 1]), budget=1000.0)
            comes_true(lambda: apps() == {1, 2})
            found(lambda: '"app_id": 2' in (tmp_path / "state" / "plan.json").read_text())
            assert '"region": [0.5, 0.0, 0.5, 1.0]' in (tmp_path / "state" / "plan.json").read_text()
            process.kill()
            process.wait()
            (tmp_path / "problem.yaml").write_text("apps: [")
            out.unlink()
            process = start()
            comes_true(lambda: apps() == {1, 2})
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
    lines = (tmp_path / "said").read_text().splitlines()
    assert lines[0].startswith("1 apps, predicted mean recall ") and lines[0].endswith(" of 1000 ms/s")
    assert any(line.startswith("the problem has changed: 2 apps") for line in lines)
    assert lines[-1] == "ended" and not any("Traceback" in line for line in lines)
    kept = [line for line in lines if line.endswith("the plan that was kept runs")]
    assert len(kept) == 1 and "problem.yaml" in kept[0]
    assert not list((tmp_path / "events" / "open").iterdir())


@pytest.mark.parametrize(("engine", "model"), [("tensorflow", "net.pb"), ("onnx", "net.onnx")])
def test_models_run_on_the_engine_that_is_named(tmp_path: Path, engine: str, model: str) -> None:
    pytest.importorskip({"onnx": "onnxruntime"}.get(engine, engine), reason="needs the engine", exc_type=ImportError)
    if engine == "onnx":
        from support.onnx_models import write_channels_first

        write_channels_first(tmp_path / model)
    else:
        write_graph(tmp_path / model, lambda tf, mean: mean)
    write_problem(tmp_path, app(1, accuracies={0: 0.6}, model_path={0: model}), budget=1000.0)
    command = [COMMAND, "run", "problem.yaml", "--source", SOURCE, "-m", ".", "--engine", engine]
    out = tmp_path / "results.jsonl"
    with subprocess.Popen([*command, "--results", out.name], cwd=tmp_path, stderr=subprocess.PIPE) as process:
        try:
            comes_true(lambda: out.exists() and '"app_id": 1' in out.read_text())
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "command line: give either --source and -m, to run here, or --streamer"),
        (["--source", "a"], "command line: --source needs -m, the folder of the models"),
        (["--streamer", "tcp://h:1", "--state", "s"], "command line: --state is for a runtime in this process"),
        (["--source", "test://", "-m", ".", "--clips", "3"], "command line: clips: they need a folder"),
        (["--source", "test://", "-m", "."], "problem.yaml: no such file or directory"),
    ],
)
def test_what_cannot_be_run_is_one_line(tmp_path: Path, options: list[str], message: str, run_elsewhere: Run) -> None:
    done = run_elsewhere("run", "problem.yaml", *options, cwd=tmp_path, MAINSTREAM_MQTT="")
    assert done.returncode == 2 and done.stderr.startswith(f"mainstream: {message}"), done.stderr
    assert done.stderr.count("\n") == 1
