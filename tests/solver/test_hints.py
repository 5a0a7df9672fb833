"""What is allowed but hardly meant is solved, and warned of once, with its likely cause."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.commands import run_here

from mainstream import InfeasibleError, Stream, prepare
from mainstream.solver import hints

APP = {"app_id": 1, "accuracies": {0: 0.9, 2: 0.8}, "event_length_ms": 500}
MODEL: dict[str, Any] = {
    "total_layers": 4,
    "layer_latencies": [1, 1, 1, 1],
    "frozen_layer_names": {0: "in", 2: "mid"},
    "unit": "ms",
}
VIDEO = {"stream_fps": 10}


@pytest.fixture(autouse=True)
def _nothing_said() -> None:
    hints._warn.cache_clear()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    told = [record.getMessage() for record in caplog.records if record.name == "mainstream"]
    return [line for line in told if not line.startswith("compiling")]


def said(caplog: pytest.LogCaptureFixture, budget: float, model: dict[str, Any] = MODEL, **app: Any) -> list[str]:
    with caplog.at_level(logging.WARNING, "mainstream"), suppress(InfeasibleError):
        prepare([{**APP, **app}], model, VIDEO).solve(budget)
    return warnings(caplog)


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (0.04, "budget 0.04 ms/s: one app alone, at the lowest rate, takes 4; .* 1,000 times .* perhaps meant (40)"),
        (4e4, "all apps together, each at the highest rate alone, take 40; .* a thousandth .* meant (40)"),
        (2001, "budget 2001 ms/s is more than the device has: its 2 cores give 2000; perhaps the profile is of"),
    ],
)
def test_a_budget_that_was_hardly_meant(caplog: pytest.LogCaptureFixture, budget: float, message: str) -> None:
    heavy = {**MODEL, "cores": 2, "layer_latencies": [100] * 4} if budget == 2001 else MODEL
    (line,) = said(caplog, budget, heavy)
    for part in message.split(".*"):
        assert part.strip() in line
    assert "\n" not in line
    caplog.clear()
    assert said(caplog, budget, heavy) == []


@pytest.mark.parametrize("budget", [0.2, 4, 40, 1200, 2000])
def test_a_budget_that_can_be_meant_has_no_warning(caplog: pytest.LogCaptureFixture, budget: float) -> None:
    heavy = {**MODEL, "cores": 2, "layer_latencies": [100] * 4} if budget == 2000 else MODEL
    assert said(caplog, budget, heavy) == []


def test_an_event_that_is_shorter_than_a_frame(caplog: pytest.LogCaptureFixture) -> None:
    assert said(caplog, 20, event_length_ms=100) == []
    (line,) = said(caplog, 20, event_length_ms=0.5)
    assert line == (
        "app 1: an event of 0.5 ms is shorter than one frame of the stream, 100 ms, so most events fall "
        "between two frames; event_length_ms is in milliseconds, not in seconds"
    )
    caplog.clear()
    prepare([Stream([{**APP, "app_id": k, "event_length_ms": 40}], MODEL, {"stream_fps": 10 * k}) for k in (1, 2, 3)])
    (line,) = warnings(caplog)
    assert line.startswith("app 1, 2: an event of 40 ms is shorter than one frame")


def test_a_command_says_it_as_its_other_warnings(tmp_path: Path) -> None:
    problem = tmp_path / "problem.yaml"
    problem.write_text(f"budget: 40000\nvideo: {VIDEO}\nmodel: {MODEL}\napps: [{APP}]\n", encoding="utf-8")
    done = run_here("solve", problem)
    assert done.returncode == 0
    assert "a thousandth was perhaps meant (40)" in done.stderr
    assert "a thousandth" not in done.stdout
