"""TensorFlow with oneDNN or without: measured in two processes, kept for the machine, used at the next start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="needs the extra train", exc_type=ImportError)

from mainstream.graphs import onednn
from mainstream.trainer import onednn as measuring

ASK = """
from mainstream.graphs.backend import tensorflow
tensorflow()
from tensorflow.python.util import _pywrap_util_port
print(_pywrap_util_port.IsMklEnabled())
"""


@pytest.fixture(autouse=True)
def a_machine_that_was_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(onednn.VARIABLE, raising=False)


def enabled(**environment: str) -> str:
    """What TensorFlow says in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-c", ASK], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return run.stdout.strip()


@pytest.mark.slow
def test_a_profile_measures_both_and_the_next_start_has_the_faster(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mainstream", "profile", "--net", "mobilenetv2", "--size", "32", "--seconds", "1"]
    run = subprocess.run([*command, "-o", "p.json"], cwd=tmp_path, capture_output=True, text=True, check=True)
    (line,) = [line for line in run.stdout.splitlines() if line.startswith("oneDNN")]
    words = line.split()
    faster = "1" if float(words[1]) < float(words[5]) else "0"
    assert json.loads(onednn.kept_at().read_text()) == {onednn.processor(): faster}
    said = json.loads((tmp_path / "p.json").read_text())["measured_on"]
    assert ("with oneDNN" in said, "without oneDNN" in said) == (faster == "1", faster == "0")
    assert enabled() == str(faster == "1")


@pytest.mark.slow
def test_what_is_kept_holds_unless_the_environment_says_something() -> None:
    for setting, other, holds in (("0", "1", "False"), ("1", "0", "True")):
        onednn.keep(setting)
        del os.environ[onednn.VARIABLE]
        assert enabled() == holds
        assert enabled(**{onednn.VARIABLE: other}) != holds


@pytest.mark.parametrize("content", ["", "[]", "{", '{"%s": "2"}', '{"%s": {}}', '{"another": "1"}', "\0"])
def test_a_damaged_file_says_nothing(content: str) -> None:
    onednn.kept_at().parent.mkdir(parents=True)
    onednn.kept_at().write_text(content.replace("%s", onednn.processor()))
    onednn.use_kept()
    assert onednn.VARIABLE not in os.environ


def test_processors_that_share_a_home_keep_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    onednn.keep("1")
    monkeypatch.setattr(onednn, "processor", lambda: "another")
    onednn.keep("0")
    assert sorted(json.loads(onednn.kept_at().read_text()).values()) == ["0", "1"]


def test_nothing_is_measured_where_nothing_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measuring.with_and_without("mobilenetv2", 32) is None  # TensorFlow is imported here
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setenv(onednn.VARIABLE, "1")
    assert measuring.with_and_without("mobilenetv2", 32) is None


def test_a_measurement_that_fails_or_takes_too_long_chooses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tensorflow")
    assert measuring.with_and_without("no such network") is None
    monkeypatch.setattr(measuring, "_LONGEST_S", 0.2)
    assert measuring.with_and_without("mobilenetv2", 32) is None
