"""ONNX models that are none, given to each command that reads one by itself: one line each, exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="needs the extra onnx")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")

from support.bad_models import write_bad_onnx
from support.commands import run_here
from support.onnx_models import write_channels_first

COMMANDS = {
    "layers": ["layers", "{}"],
    "share": ["share", "good.onnx", "{}"],
    "profile": ["profile", "--net", "{}", "--engine", "onnx"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_bad_models_are_one_line(tmp_path: Path, command: str) -> None:
    write_channels_first(tmp_path / "good.onnx")
    for file, reason in write_bad_onnx(tmp_path).items():
        done = run_here(*(word.format(file) for word in COMMANDS[command]), cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), file
        assert done.stderr.startswith(f"mainstream: {file}") and reason in done.stderr
        assert done.stderr.count("\n") == 1
