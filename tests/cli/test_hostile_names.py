"""Sequences that a terminal would obey never reach it, whatever names hold them."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import typer
from support.commands import run_here

from mainstream import Result
from mainstream.cli.log import Log, LogForm
from mainstream.cli.terminal import Cleaned
from mainstream.io import load_problem, save_problem
from mainstream.result_text import plain_console

TINY = Path(__file__).parents[2] / "data" / "problems" / "tiny.yaml"
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31mred\r"
CONTROLS = {chr(c) for c in (*range(32), *range(127, 160))} - {"\n"}


def clean(*texts: str) -> bool:
    return not CONTROLS & set("".join(texts))


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    described = load_problem(TINY)
    apps = tuple(app.model_copy(update={"name": EVIL}) for app in described.apps)
    model = described.model.model_copy(update={"name": EVIL}) if described.model else None
    save_problem(described.model_copy(update={"apps": apps, "model": model}), tmp_path / f"p{EVIL}.yaml")
    return tmp_path / f"p{EVIL}.yaml"


@pytest.mark.parametrize("command", [["solve"], ["frontier", "--points", 2], ["simulate", "--frames", 1000]])
def test_results_are_clean(problem: Path, command: list[object]) -> None:
    name, *more = command
    done = run_here(name, problem, *more)
    assert done.returncode == 0, done.stderr
    assert clean(done.stdout, done.stderr)
    assert name != "solve" or "\\x1b]0;owned" in done.stdout


def test_a_terminal_gets_our_own_sequences_only(problem: Path) -> None:
    done = run_here("solve", problem, FORCE_COLOR="1", TERM="xterm")
    assert "\x1b[1m" in done.stdout
    assert clean(done.stdout.replace("\x1b[1m", "").replace("\x1b[0m", ""))


def test_print_of_a_result_is_clean(problem: Path, tmp_path: Path) -> None:
    assert run_here("solve", problem, "--json", tmp_path / "r.json", "-q").returncode == 0
    assert clean(str(Result.from_json((tmp_path / "r.json").read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    "arguments",
    [
        ["solve", f"no{EVIL}.yaml"],
        ["solve", TINY, "--mode", EVIL],
        ["solve", TINY, f"--{EVIL}"],
        ["fleet", EVIL],
        [EVIL],
        ["packages", "show", EVIL],
        ["experiment", 2, "out", "--apps", TINY, "--versions", EVIL],
    ],
)
def test_errors_are_clean(arguments: list[object], tmp_path: Path) -> None:
    done = run_here(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and clean(done.stderr)


@contextmanager
def box(answer: dict[str, Any], status: int) -> Iterator[str]:
    class Box(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Box) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_a_box_answers_is_clean() -> None:
    one = {
        "app_id": EVIL,
        "value": 0.5,
        "target_fps": 1,
        "observed_fps": 1,
        "paused": False,
        "failure": EVIL,
        "weight": 1,
    }
    with box({"apps": [one], "removed": [EVIL]}, 200) as at:
        done = run_here("apps", "list", "--at", at)
    assert done.returncode == 0 and "\\x1b]0;owned" in done.stdout and clean(done.stdout, done.stderr)
    with box({"error": f"no such app {EVIL}"}, 404) as at:
        done = run_here("apps", "list", "--at", at)
    assert done.returncode == 2 and "\\x1b]0;owned" in done.stderr and clean(done.stdout, done.stderr)


def test_what_is_followed_and_logged_is_clean(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:

    monkeypatch.setattr(sys, "stdout", Cleaned(sys.stdout))
    monkeypatch.setattr(sys, "stderr", Cleaned(sys.stderr))
    typer.echo(f"epoch 1\t{EVIL}\n", nl=False)
    said = Log(LogForm.TEXT, plain_console(stderr=True))
    said.say(f"stream {EVIL} is away")
    logging.getLogger("mainstream.box").warning("stream %s is away", EVIL)
    shown = capsys.readouterr()
    assert "epoch 1\t\\x1b]0;owned" in shown.out and shown.err.count("\\x1b]0;owned") == 2
    assert clean(shown.out.replace("\t", ""), shown.err)
