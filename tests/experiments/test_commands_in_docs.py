"""The commands of the pages on experiments work as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from support.commands import run_here

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")


def test_commands_work_one_after_the_other(tmp_path: Path) -> None:
    for folder in ("data", "benchmarks"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    commands = re.findall(r"^    (mainstream (?:.*\\\n)*.*)$", PAGE, flags=re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        words = shlex.split(command.replace("\\\n", " "))
        done = run_here(*words[1:], cwd=tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_the_grid_shown_is_that_of_the_study() -> None:
    (shown,) = re.findall(r"```ini\n(.*?)```", PAGE, flags=re.DOTALL)
    assert shown == (ROOT / "benchmarks" / "study.ini").read_text(encoding="utf-8")
