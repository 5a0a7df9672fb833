"""Progress: seconds left of works whose speed changes, lines where there is no terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from time import sleep

import pytest
from rich.console import Console

from mainstream.cli import progress
from mainstream.cli.progress import Bar, Pace, next_line_s


def steady(t: float) -> float:
    return t / 400


def slower(t: float) -> float:
    """Half of it in 50 s, the other half in 350."""
    return t / 100 if t < 50 else 0.5 + (t - 50) / 700


def faster(t: float) -> float:
    return t / 600 if t < 300 else 0.5 + (t - 300) / 200


def late(t: float) -> float:
    """Nothing at all for a minute, as while something compiles."""
    return max(0.0, (t - 60) / 340)


def in_steps(t: float) -> float:
    """A step every 8 s."""
    return t // 8 / 50


@pytest.mark.parametrize(
    ("work", "whole_s", "changes_s"), [(steady, 400, 0), (slower, 400, 50), (faster, 400, 300), (late, 400, 60),
                                      (in_steps, 400, 0)]
)  # fmt: skip
def test_seconds_left_follow_the_speed_of_late(
    work: Callable[[float], float], whole_s: float, changes_s: float
) -> None:
    pace, before, checked = Pace(), -1.0, 0
    for tick in range(0, int(whole_s * 10)):
        now = tick / 10
        done = work(now)
        if done > before:
            pace.step(now, done)
            before = done
        left = pace.left_s(now)
        # Soon after a change nothing of the speed before is left in it.
        if changes_s + min(60, max(12, 0.35 * changes_s)) + 8 < now < whole_s - 10:
            assert left is not None and left == pytest.approx(whole_s - now, rel=0.15, abs=10)
            checked += 1
    assert checked > 10


def test_nothing_is_said_of_an_unknown_speed() -> None:
    pace = Pace()
    assert pace.left_s(1.0) is None
    pace.step(1.0, 0.2)
    assert pace.left_s(2.0) is None


def test_a_log_gets_a_line_after_ten_seconds_and_each_minute_at_last() -> None:
    moments = [next_line_s(0.0)]
    while moments[-1] < 20_000:
        moments.append(next_line_s(moments[-1]))
    waits = [later - before for before, later in zip([0.0, *moments], moments, strict=False)]
    assert waits[0] == 10 and waits[-1] == 60 and waits == sorted(waits)


def test_lines_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_FIRST_LINE_S", 0.05)
    said = io.StringIO()
    with Bar(Console(file=said, width=80), "reading [a].yaml") as bar:
        while "reading" not in said.getvalue():
            sleep(0.01)
        bar(0.01, "measuring")
        sleep(0.02)
        bar(0.02)
        while "2%" not in said.getvalue():
            sleep(0.01)
        bar(0.5)
        while "50%" not in said.getvalue():
            sleep(0.01)
        bar(1.0)
        while "100%" not in said.getvalue():
            sleep(0.01)
    lines = said.getvalue().splitlines()
    of_little, *_, of_half, of_all = [line for line in lines if "measuring" in line]
    assert re.fullmatch(r" +\d+ s: reading \[a\]\.yaml", lines[0])
    assert re.fullmatch(r" +\d+ s: measuring, [12]% done", of_little), "too early to tell"
    assert re.fullmatch(r" +\d+ s: measuring, 50% done, about \d+ s left", of_half)
    assert re.fullmatch(r" +\d+ s: measuring, 100% done", of_all)


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_quick_or_quiet_shows_nothing(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    with Bar(Console(file=said, force_terminal=terminal), "reading"):
        pass
    monkeypatch.setattr(progress, "_FIRST_LINE_S", 0.01)
    monkeypatch.setattr(progress, "_SILENT_S", 0.01)
    with Bar(Console(file=said, force_terminal=terminal), "reading", quiet=True) as bar:
        bar(0.5)
        sleep(0.05)
    assert said.getvalue() == ""


def test_a_bar_on_a_terminal_goes_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SILENT_S", 0.0)
    said = io.StringIO()
    with pytest.raises(KeyboardInterrupt), Bar(Console(file=said, force_terminal=True, width=80), "drawing") as bar:
        bar(0.25)
        bar(0.5)
        while "left" not in said.getvalue():
            sleep(0.01)
        raise KeyboardInterrupt
    assert "drawing" in said.getvalue()
    assert said.getvalue().rindex("\x1b[?25h") > said.getvalue().rindex("\x1b[?25l")
