"""A small demo from film to report, and the folders that it refuses."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.terminal import COMMAND

pytest.importorskip("tensorflow", reason="needs the extra train", exc_type=ImportError)
pytest.importorskip("av", reason="needs the extra run", exc_type=ImportError)

from mainstream.demo.folder import MARK, fresh_folder
from mainstream.errors import ProblemError
from mainstream.io import load_problem

SMALL = """
from pathlib import Path
from mainstream.demo.demo import Size, demo
if __name__ == "__main__":
    size = Size(events=12, cutouts=3, event_s=1.2, gap_s=1.2, epochs=1, profile_s=0.1, window_s=1)
    made = demo(Path("out"), size=size, tell=print)
    print(made.report, *made.found)
"""


@pytest.mark.slow
def test_a_small_demo_writes_its_report(tmp_path: Path) -> None:
    script = tmp_path / "small.py"
    script.write_text(SMALL)
    command = [sys.executable, script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("out/report.html mainstream")
    assert len(re.findall(r"frames a second planned, [\d.]+ observed", done.stdout)) == 3
    page = (tmp_path / "out" / "report.html").read_text()
    for kind in ("car", "person", "bird"):
        assert f"<td>{kind}</td><td>recall</td>" in page
    assert page.count("data:image/jpeg;base64") >= 12  # each of the 12 events is caught or missed
    problem = load_problem(tmp_path / "out" / "problem.yaml")
    assert [app.name for app in problem.apps] == ["car", "person", "bird"]
    fresh_folder(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [MARK]


@pytest.mark.parametrize("held", ["notes.txt", "models", "report.html"])
def test_what_no_demo_made_is_not_touched(tmp_path: Path, held: str) -> None:
    (tmp_path / held).write_text("mine")
    with pytest.raises(ProblemError, match=f"holds '?{held}'?, which is not from a demo"):
        fresh_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [held]
    assert (tmp_path / held).read_text() == "mine"
    with pytest.raises(ProblemError, match="cannot be used as the demo's folder"):
        fresh_folder(tmp_path / held)


def test_ctrl_c_is_one_line(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen([COMMAND, "demo", "-o", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (out / "clips").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 130
    assert errors.strip() == "mainstream: interrupted"
