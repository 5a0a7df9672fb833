"""Elsewhere than on Linux: solving works, and what cannot work there says so in one line."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import run_here

from mainstream._system import usable_cores

TINY = Path(__file__).parents[1] / "data" / "problems" / "tiny.yaml"
ELSEWHERE = """
import os, sys

sys.modules["fcntl"] = sys.modules["resource"] = None  # as on Windows, which has neither
del os.sched_getaffinity  # macOS has none
from mainstream.cli import main

sys.argv[1:1] = ["solve"]
main()
"""


def test_solving_asks_for_nothing_that_only_linux_has() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(TINY)], capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, "objective" in done.stdout) == (0, True), done.stderr


def test_cores_are_those_of_the_machine_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == os.cpu_count()


@pytest.mark.parametrize(
    "command",
    [
        ["streamer", "--source", "test://", "-m", "."],
        ["deploy", TINY, "--local", "--source", "test://", "-m", "."],
        ["experiment", "1", "out", "--apps", TINY, "--budget", "30"],
    ],
    ids=lambda command: command[0],
)
def test_what_needs_linux_says_so(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    done = run_here(*map(str, command), cwd=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert "runs on Linux only, and this is Darwin" in done.stderr
    assert [*tmp_path.iterdir()] == []
