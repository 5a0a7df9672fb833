"""ONNX models that are none, given to each command that reads one by itself: one line each, exit code 2."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="needs the extra onnx")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")

from support.bad_models import write_bad_onnx
from support.onnx_models import write_channels_first

from mainstream.cli import main

COMMANDS = {
    "layers": ["layers", "{}"],
    "share": ["share", "good.onnx", "{}"],
    "profile": ["profile", "--net", "{}", "--engine", "onnx"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_bad_models_are_one_line(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_channels_first(tmp_path / "good.onnx")
    monkeypatch.chdir(tmp_path)
    for file, reason in write_bad_onnx(tmp_path).items():
        monkeypatch.setattr(sys, "argv", ["mainstream", *(word.format(file) for word in COMMANDS[command])])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert (ended.value.code, printed.out) == (2, ""), file
        assert printed.err.startswith(f"mainstream: {file}") and reason in printed.err
        assert printed.err.count("\n") == 1
