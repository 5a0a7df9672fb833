"""What a supervisor sees: health, readiness, a structured log, exit codes, and a unit that systemd takes."""

from __future__ import annotations

import json
import logging
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.clips import write_clip
from support.failing_models import alone, write_graph, write_matrix
from support.terminal import COMMAND
from support.third_party import MATRICES

from mainstream.cli.log import Log, LogForm
from mainstream.result_text import plain_console
from mainstream.streamer import LocalRunner, StreamerClient

pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)
pytest.importorskip("zmq", reason="needs the extra run")
ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def asked(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode().strip()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode().strip()


def test_it_is_ready_when_a_plan_runs_and_frames_come(tmp_path: Path) -> None:
    write_matrix(tmp_path / "net.npz")
    port = free_port()
    source = "test://?fps=20&width=32&height=32&frames=40"
    options = {"engine": MATRICES, "window_s": 0.3, "loop": False, "metrics": str(port)}
    with LocalRunner(source, tmp_path, **options) as runner:  # type: ignore[arg-type]
        assert asked(port, "/healthz") == (200, "ok")
        assert asked(port, "/readyz") == (503, "no plan runs")
        runner.deploy(alone((1, "net.npz")))
        assert asked(port, "/readyz") == (200, "ok")
        assert asked(port, "/metrics")[0] == 200
        runner.wait(10)
        time.sleep(0.2)
        assert asked(port, "/healthz") == asked(port, "/readyz") == (503, "the source has ended")


@contextmanager
def server(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    address = f"ipc://{folder}/socket"
    process = subprocess.Popen(
        [COMMAND, "streamer", "-m", str(folder), "--bind", address, "--log", "json", *options],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_every_line_of_the_log_is_json_and_a_signal_is_no_failure(tmp_path: Path) -> None:
    with server(tmp_path, "--source", "test://", "--engine", "onnx") as process:
        assert process.stderr is not None
        first = json.loads(process.stderr.readline())
        assert first["level"] == "info" and first["message"].startswith("listening at ")
        assert abs(first["time"] - time.time()) < 60
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=20)
    assert [json.loads(line)["message"] for line in rest.splitlines()] == ["ended"]
    assert process.returncode == 0


@pytest.mark.parametrize("form", LogForm)
def test_a_quiet_log_says_errors_only(form: LogForm, capsys: pytest.CaptureFixture[str]) -> None:
    said = Log(form, plain_console(stderr=True), quiet=True)
    said.say("listening")
    said.say_new("engine onnx")
    logging.getLogger("mainstream.box").warning("the camera is away")
    assert capsys.readouterr().err == ""
    said.fail("mainstream: the camera is gone")
    assert "mainstream: the camera is gone" in capsys.readouterr().err


def test_a_source_that_breaks_off_is_another_exit_code_than_one_that_cannot_be_opened(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.avi", frames=20, fps=20)
    with server(tmp_path, "--source", str(tmp_path / "clip.avi")) as process:
        assert process.stderr is not None
        process.stderr.readline()
        (tmp_path / "clip.avi").unlink()
        write_graph(tmp_path / "good.pb", lambda tf, mean: mean)
        with (
            StreamerClient(f"ipc://{tmp_path}/socket") as client,
            pytest.raises(Exception, match=r"no such file|closed"),
        ):
            client.deploy(alone((1, "good.pb")))
        _, rest = process.communicate(timeout=20)
        assert process.returncode == 4
        last = json.loads(rest.splitlines()[-1])
        assert last["level"] == "error" and "no such file" in last["message"]
    with server(tmp_path, "--source", str(tmp_path / "clip.avi")) as process:
        process.communicate(timeout=20)
        assert process.returncode == 2


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_systemd_takes_the_unit_and_the_command_knows_its_options(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "mainstream.service").read_text(encoding="utf-8")
    unit = tmp_path / "mainstream.service"
    unit.write_text(text.replace("/opt/mainstream/bin/mainstream", COMMAND))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "mainstream.service" not in done.stderr, done.stderr
    (line,) = re.findall(r"^ExecStart=(.*)$", text, flags=re.MULTILINE)
    known = subprocess.run([COMMAND, "streamer", "--help"], capture_output=True, text=True, check=True).stdout
    assert all(option in known for option in line.split() if option.startswith("--"))
