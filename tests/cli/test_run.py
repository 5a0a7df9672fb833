"""`mainstream run` as users run it: the installed command, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from support.boxes import SOURCE, app, write_cameras, write_problem
from support.clips import write_clip
from support.commands import Run
from support.failing_models import write_graph
from support.mosquitto import Broker, Listener
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
    assert lines[0].startswith("1 app, predicted mean recall ") and lines[0].endswith(" of 1000 ms/s")
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
    assert not list(tmp_path.glob(".net.pb.*")), "it was converted for the other engine"


def test_two_cameras_of_one_file_run_and_run_again_after_a_kill(tmp_path: Path) -> None:
    install(tmp_path, "theirs", {"mainstream.part_loaders": {"matrices": "support.third_party:MATRICES"}})
    paths = [str(tmp_path), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    out, events, said = tmp_path / "results.jsonl", tmp_path / "events", tmp_path / "said"
    for name in ("door.mp4", "yard.mp4"):
        write_clip(tmp_path / name, frames=60, fps=20)
    # One of the two classes is the best, whatever is seen.
    apps = {"door": [app("gate", event_class=0), app("cat", event_class=1)], "yard": [app("dogs")]}
    write_cameras(tmp_path, apps, budget=1000.0, door={"source": "door.mp4"}, yard={"source": "none.mp4"})

    def streams() -> set[str]:
        lines = out.read_text().splitlines()[-20:] if out.exists() else []
        return {json.loads(line)["stream"] for line in lines}

    def start(*more: str) -> subprocess.Popen[bytes]:
        options = ["-m", ".", "--engine", "matrices", "--results", out.name, "--state", "state", "--events", "events"]
        command = [COMMAND, "run", "problem.yaml", *options, "--source", "yard=yard.mp4", *more]
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=errors)

    with said.open("w") as errors, Broker(tmp_path / "broker") as broker, Listener(broker) as listener:
        process = start("--clips", "1", "--mqtt", f"{broker.url}/box")
        try:
            comes_true(lambda: streams() == {"door", "yard"})
            going_on = found(lambda: next((topic for topic, said in [*listener.last.items()] if said == b"ON"), None))
            assert going_on in ("box/door/gate/state", "box/door/cat/state")
            name = going_on.split("/")[2]
            comes_true(lambda: f"homeassistant/binary_sensor/box_2Fdoor/{name}/config" in listener.last)
            comes_true(lambda: "homeassistant/image/box_2Fyard/dogs/config" in listener.last)
            assert listener.last["box/yard/availability"] == b"online"
            assert [one["event"]["stream"] for one in listener.events("box/door/events")] == ["door"]
            comes_true((tmp_path / "state" / "streams" / "yard" / "plan.json").exists)
            comes_true((tmp_path / "state" / "streams" / "door" / "plan.json").exists)
            comes_true(lambda: bool([*(events / "door" / "open").glob("*.json")]))
            process.kill()
            process.wait()
            comes_true(lambda: listener.last["box/yard/availability"] == b"offline")
            (tmp_path / "problem.yaml").write_text("streams: [")
            out.unlink()
            assert (tmp_path / "state" / "cameras.json").stat().st_mode & 0o777 == 0o600
            process = start()
            comes_true(lambda: streams() == {"door", "yard"})
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
    lines = [json.loads(line) for line in (events / "door" / "events.jsonl").read_text().splitlines()]
    assert lines[0]["stream"] == "door" and lines[0]["app"] == name and lines[0]["interrupted"]
    assert (events / "door" / "media" / lines[0]["snapshot"]).exists()
    assert len({line["event_id"] for line in lines}) == len(lines) and not [*(events / "door" / "open").iterdir()]
    text = said.read_text()
    assert text.startswith("3 apps, predicted mean recall ") and "Traceback" not in text
    assert "problem.yaml: streams: " in text or "the plan that was kept runs" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--source", "a"], "command line: --source needs -m, the folder of the models"),
        (["--streamer", "tcp://h:1", "--state", "s"], "command line: --state is for a runtime in this process"),
        (["--source", "test://", "-m", ".", "--clips", "3"], "command line: clips: they need a folder"),
        (["--source", "test://", "-m", "."], "problem.yaml: no such file or directory"),
        (["one", "-m", "."], "command line: give either --source and -m, to run here, or --streamer"),
        (["one"], "command line: give either --source and -m, to run here, or --streamer"),
        (["one", "--streamer", "tcp://h:1", "--source", "a", "-m", "."], "command line: give either --source and -m, "),
        (["two", "-m", ".", "--source", "test://"], "command line: --source: got 'test://'; it has to be NAME=..., "),
        (["two", "-m", ".", "--source", "door=none.mp4"], "command line: stream door: none.mp4: no such file"),
        (["two"], "command line: stream door has no streamer; give it in the file, or as --streamer door=..."),
    ],
)
def test_what_cannot_be_run_is_one_line(tmp_path: Path, options: list[str], message: str, run_elsewhere: Run) -> None:
    if options[:1] == ["one"]:
        write_problem(tmp_path, app(1))
    elif options[:1] == ["two"]:
        write_cameras(tmp_path, {"door": [app(1)], "yard": [app(2)]})
    flags = options[options[:1] in (["one"], ["two"]) :]
    done = run_elsewhere("run", "problem.yaml", *flags, cwd=tmp_path, MAINSTREAM_MQTT="")
    assert done.returncode == 2 and done.stderr.startswith(f"mainstream: {message}"), done.stderr
    assert done.stderr.count("\n") == 1
