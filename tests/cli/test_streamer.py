"""The server as users run it: the installed commands, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.clips import write_clip
from support.commands import Run
from support.runtime import MODEL, apps_of, plan_of, write_models
from support.terminal import COMMAND, on_terminal

from mainstream._optional import load_quietly
from mainstream.errors import DeployError
from mainstream.io import Problem, save_problem
from mainstream.onnx_graphs.conversion import converted
from mainstream.problem import Video
from mainstream.streamer import StreamerClient

pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)
pytest.importorskip("tf2onnx", reason="needs the extra onnx", exc_type=ImportError)
pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("av", reason="needs the extra run")
pytest.importorskip("zmq", reason="needs the extra run")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models, also as ONNX, a clip of 10 fps, a problem in which one app sees half of it, and Streamer's two files."""
    folder = tmp_path_factory.mktemp("box")
    (folder / "models").mkdir()
    write_models(folder / "models", [1, 2, 3])
    for model in (folder / "models").glob("*.pb"):
        converted(model, trusted=False)  # it is kept there
    write_clip(folder / "clip.avi", frames=60, fps=10)
    first, second, third = apps_of(3)
    apps = first, second, third.model_copy(update={"region": (0.5, 0.0, 0.5, 1.0)})
    problem = Problem(apps=apps, model=MODEL, video=Video(stream_fps=10, fps_options=(2, 5, 10)), budget=12.0)
    save_problem(problem, folder / "problem.yaml")
    (folder / "cameras.toml").write_text(
        f'[[camera]]\nname = "gate"\nvideo_uri = "{folder}/clip.avi"\nwidth = 64\nheight = 48\n'
    )
    (folder / "models.toml").write_text(
        '[[model]]\nname = "plain"\ntype = "tensorflow"\ndesc_path = "app1-4.pb"\ninput_width = 16\n'
        'input_height = 16\ndefault_input_layer = "frame"\ndefault_output_layer = "softmax"\n'
        '[[model]]\nname = "large"\ntype = "tensorflow"\ndesc_path = "app1-4.pb"\ninput_width = 32\n'
        'input_height = 32\ndefault_input_layer = "frame"\ndefault_output_layer = "softmax"\n'
    )
    return folder


HERE = "--local", "--engine", "onnx"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def server(folder: Path, *options: str, engine: str = "onnx") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """ONNX Runtime is there in no time; TensorFlow takes seconds of each process."""
    address = f"tcp://127.0.0.1:{free_port()}"
    command = [COMMAND, "streamer", "-m", str(folder / "models"), "--bind", address, "--engine", engine, *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith(f"listening at {address}"), line + process.stderr.read()
        yield process, address
    finally:
        process.kill()
        process.communicate()


def run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_a_plan_deployed_to_a_server_reaches_its_rates_and_sigterm_ends_it(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    options = "--source", "clip.avi", "--window", "3", "--results", str(out)
    with server(folder, *options, engine="tensorflow") as (process, address):
        deployed = run("deploy", folder / "problem.yaml", "--streamer", address, "--json", tmp_path / "rounds.json")
        assert deployed.returncode == 0, deployed.stderr
        began = time.monotonic()
        process.terminate()
        assert process.wait(10) == 0
        assert time.monotonic() - began < 5
    rounds = json.loads((tmp_path / "rounds.json").read_text())
    assert rounds["reason"] == "converged"
    for app in rounds["rounds"][-1]["apps"]:
        assert app["observed_fps"] == pytest.approx(app["target_fps"], rel=0.1)
    seen = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["app_id"] for line in seen} == {1, 2, 3}


@pytest.mark.parametrize(("number", "engine"), [(signal.SIGINT, "tensorflow"), (signal.SIGTERM, "onnx")])
def test_a_signal_ends_it_within_five_seconds_while_it_measures(
    folder: Path, number: signal.Signals, engine: str
) -> None:
    with server(folder, "--source", "clip.avi", "--window", "60", engine=engine) as (process, address):
        sender = subprocess.Popen(
            [sys.executable, "-c", f"from mainstream.streamer import *; print(flush=True); StreamerClient({address!r})."
             f"deploy(NetPlan.from_json({plan_of([(4, 5)]).to_json()!r}))"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert sender.stdout is not None
        sender.stdout.readline()
        time.sleep(3)
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == (130 if number == signal.SIGINT else 0)
        assert time.monotonic() - began < 5
        assert "the connection was closed before an answer came" in sender.communicate(timeout=20)[1]


def test_a_server_that_is_killed_within_the_window_is_an_error_in_good_time(folder: Path) -> None:
    with server(folder, "--source", "clip.avi", "--window", "60") as (process, address):
        import threading

        threading.Timer(2, process.kill).start()
        with (
            StreamerClient(address, timeout_s=60) as client,
            pytest.raises(DeployError, match="the connection was closed before an answer came"),
        ):
            client.deploy(plan_of([(4, 5)]))


def test_camera_and_model_come_from_streamers_files(folder: Path) -> None:
    options = "-C", ".", "--camera", "gate", "--window", "1", "-n"
    with server(folder, *options, "plain") as (_, address), StreamerClient(address) as client:
        assert client.deploy(plan_of([(4, 5)])) == {1: pytest.approx(5, abs=1)}
    message = "net 0: height, width: 16 x 16; this runtime takes 32 x 32"
    with (
        server(folder, *options, "large") as (_, address),
        StreamerClient(address) as client,
        pytest.raises(DeployError, match=message),
    ):
        client.deploy(plan_of([(4, 5)]))


def test_with_keys_it_answers_known_clients_only(folder: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    assert run("streamer-keys", keys).returncode == 0
    with server(folder, "--source", "clip.avi", "--window", "1", "--curve-keys", str(keys)) as (_, address):
        deploy = "deploy", folder / "problem.yaml", "--one-round", "--streamer", address
        stranger = run(*deploy)
        assert stranger.returncode == 2
        assert "it takes clients with keys only" in stranger.stderr and "Traceback" not in stranger.stderr
        known = run(*deploy, "--curve-keys", keys)
        assert known.returncode == 0, known.stderr


def test_a_clip_played_once_ends_it(folder: Path, tmp_path: Path) -> None:
    with server(folder, "--source", "clip.avi", "--once", "--window", "60", "--results", "-") as (process, address):
        with StreamerClient(address) as client:
            assert client.deploy(plan_of([(4, 5)])) == {1: pytest.approx(5, rel=0.1)}
        out, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert [json.loads(line)["frame"] for line in out.splitlines()] == list(range(0, 60, 2))
    assert errors == "ended: the source has no more frames\n"


def test_deploy_runs_plans_in_its_own_process(folder: Path, tmp_path: Path) -> None:
    done = run(
        *("deploy", folder / "problem.yaml", "--local", "--source", folder / "clip.avi", "-m", folder / "models"),
        *("--window", "2", "--json", tmp_path / "rounds.json"),
    )
    assert done.returncode == 0, done.stderr
    rounds = json.loads((tmp_path / "rounds.json").read_text())
    assert rounds["reason"] == "converged"
    for app in rounds["rounds"][-1]["apps"]:
        assert app["observed_fps"] == pytest.approx(app["target_fps"], rel=0.1)
    assert "ended      converged" in done.stdout


@pytest.fixture(scope="module")
def two_cameras(folder: Path) -> Path:
    """Two streams on one budget, the source of one in the file."""
    first, *others = apps_of(3)
    video = Video(stream_fps=10, fps_options=(2, 5, 10))
    streams = [
        {"name": "door", "source": "clip.avi", "model": MODEL, "video": video, "apps": [first]},
        {"name": "yard", "model": MODEL, "video": video, "apps": others},
    ]
    path = folder / "two.yaml"
    save_problem(Problem.of({"streams": streams, "budget": 20.0}), path)
    return path


def test_deploy_runs_each_stream_on_its_own_source(folder: Path, two_cameras: Path, tmp_path: Path) -> None:
    options = "--one-round", "--window", "2", "--json", tmp_path / "rounds.json", "-m", folder / "models", *HERE
    done = run("deploy", two_cameras, *options, "--source", "yard=test://?fps=10&width=64&height=48")
    assert done.returncode == 0, done.stderr
    (one,) = json.loads((tmp_path / "rounds.json").read_text())["rounds"]
    assert sorted(one["measured"]["streams"]) == ["door", "yard"]
    assert one["measured_compute"] == pytest.approx(
        sum(
            1000 * sum(part["measured_core_s"] for part in measured["parts"]) / measured["window_s"]
            for measured in one["measured"]["streams"].values()
        )
    )
    for app in one["apps"]:
        assert app["observed_fps"] == pytest.approx(app["target_fps"], rel=0.3)
    assert [line for line in done.stdout.splitlines() if line in ("door", "yard")] == ["door", "yard"]


def test_a_terminal_shows_the_rates_while_they_are_measured(folder: Path) -> None:
    arguments = ["deploy", "problem.yaml", *HERE, "--source", "clip.avi", "-m", "models", "--window", "2"]
    text = on_terminal(arguments, lambda text: "1 s left" in text, lambda process: None, cwd=folder)
    assert text.endswith("exit 0")
    assert all(heading in text for heading in ("target fps", "observed", "frames", "dropped"))


def test_ctrl_c_while_plans_run_here_leaves_none_running_and_says_so(folder: Path) -> None:
    arguments = ["deploy", "problem.yaml", *HERE, "--source", "clip.avi", "-m", "models", "--window", "60"]
    text = on_terminal(
        arguments, lambda text: "s left" in text,
        lambda process: process.send_signal(signal.SIGINT), cwd=folder,
    )  # fmt: skip
    assert text.splitlines()[-1] == "exit 130"
    assert "mainstream: interrupted" in text and "may go on running" not in text


STREAMER = ["streamer", "-m", "models", "--source", "clip.avi"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["streamer", "-m", "models"], "command line: give either --source, or --camera and its -C CONFIG_DIR"),
        (["streamer", "-m", "models", "--camera", "gate"], "command line: --camera and -n need -C"),
        (["streamer", "-m", "models", "--source", "no.avi"], "no.avi"),
        (["streamer", "-m", "models", "--source", "problem.yaml"], "problem.yaml"),
        (["streamer", "-m", "no", "--source", "clip.avi"], "command line: model_dir: 'no' is no folder"),
        (["streamer", "-m", "models", "--source", "gst://x"], "gst://"),
        ([*STREAMER, "--window", "inf"], "command line: window_s: got inf; it has to be a number of seconds above 0"),
        ([*STREAMER, "--window", "nan"], "command line: window_s: got nan; it has to be a number of seconds above 0"),
        ([*STREAMER, "--threads", "0"], "command line: threads: got 0; it has to be a whole number, 1 or more"),
        ([*STREAMER, "--threads", "9" * 30], "it has to be a whole number, 1 or more, up to 4096"),
        (
            ["streamer", "-m", "models", "--source", "test://?fps=1e300"],
            "fps: got '1e300'; it has to be a finite number above 0, up to 1e6",
        ),
        ([*STREAMER, "--bind", "tcp://127.0.0.1:99999"], "command line: bind: got 'tcp://127.0.0.1:99999'"),
        (["streamer", "-m", "models", "-C", ".", "--camera", "gaet"], "did you mean 'gate'"),
        (["streamer", "-m", "models", "-C", ".", "--camera", "gate", "-n", "no"], "'no'"),
        (["deploy", "problem.yaml", "--local"], "command line: --local needs --source and -m"),
        (["deploy", "problem.yaml", "--window", "inf"], "command line: --window: got inf; it has to be a number"),
        (["deploy", "problem.yaml", "--window", "nan"], "command line: --window: got nan; it has to be a number"),
        (["deploy", "problem.yaml", "--source", "clip.avi"], "command line: --source and -m are for --local"),
        (["deploy", "problem.yaml", "--local", "--streamer", "tcp://x:1"], "command line: --local and --streamer"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    folder: Path, arguments: list[str], message: str, run_elsewhere: Run
) -> None:
    done = run_elsewhere(*arguments, cwd=folder)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert done.stderr.startswith("mainstream: ") and message in done.stderr and done.stderr.count("\n") == 1


def test_ctrl_c_within_the_making_of_a_librarys_class_is_a_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_to_load.py").write_text(
        "import signal\n"
        "class Named:\n"
        "    def __set_name__(self, owner, name):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "class Made:\n"
        "    it = Named()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        load_quietly("slow_to_load", "run")


def test_a_signal_while_it_starts_ends_it(folder: Path) -> None:
    process = subprocess.Popen(
        [COMMAND, "streamer", "-m", "models", "--source", "clip.avi"],
        stderr=subprocess.PIPE, text=True, cwd=folder, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    time.sleep(2.5)  # TensorFlow is being imported
    process.terminate()
    assert "Traceback" not in process.communicate(timeout=20)[1]
    assert process.returncode == 0
