"""``--utilisation`` and ``utilisation:``: the budget as a share of the cores that the profile was measured on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.commands import run_here
from typer.testing import CliRunner

from mainstream import App, Model, Result, Video
from mainstream.cli import app
from mainstream.errors import ProblemError
from mainstream.io import Problem, load_problem, save_problem

APPS = (App(app_id=1, accuracies={0: 0.9, 2: 0.8}, event_length_ms=1000),)


def save(path: Path, cores: int | None = 4, unit: str | None = "ms") -> None:
    layers: dict[str, Any] = {
        "total_layers": 2,
        "layer_latencies": (10.0, 30.0),
        "frozen_layer_names": {0: "a", 2: "b"},
    }
    model = Model(**layers, cores=cores, unit=unit)
    save_problem(Problem(apps=APPS, model=model, video=Video(stream_fps=10), budget=70), path)


def solved(path: Path, *arguments: str, cores: int | None = 4, unit: str | None = "ms") -> Result:
    save(path, cores, unit)
    done = CliRunner().invoke(app, ["solve", str(path), "--json", "-", *arguments], standalone_mode=False)
    if done.exception:
        raise done.exception
    return Result.from_json(done.stdout)


def test_the_budget_is_a_share_of_the_cores(tmp_path: Path) -> None:
    assert solved(tmp_path / "p.yaml", "--utilisation", "0.8").budget == pytest.approx(1000 * 4 * 0.8)
    assert solved(tmp_path / "p.yaml", "--utilisation", "1", cores=1).budget == 1000


@pytest.mark.parametrize("share", ["0", "1.01", "-1", "nan", "most"])
def test_it_is_a_share(tmp_path: Path, share: str) -> None:
    with pytest.raises(ProblemError, match="command line: utilisation: got "):
        solved(tmp_path / "p.yaml", "--utilisation", share)


def test_it_is_instead_of_a_budget(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="say the same; give one of them"):
        solved(tmp_path / "p.yaml", "--utilisation", "0.8", "--budget", "10")


@pytest.mark.parametrize(("cores", "unit"), [(None, "ms"), (4, "MFLOP"), (4, None)])
def test_the_profile_has_to_say_what_a_share_is_of(tmp_path: Path, cores: int | None, unit: str | None) -> None:
    with pytest.raises(ProblemError, match="has to say its cores and unit 'ms'; give a budget instead"):
        solved(tmp_path / "p.yaml", "--utilisation", "0.8", cores=cores, unit=unit)


def test_a_file_may_say_it_and_flags_go_before_it(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    save(path)
    described = load_problem(path).model_copy(update={"budget": None, "utilisation": 0.01})
    save_problem(described, path)
    assert "utilisation: 0.01" in path.read_text(encoding="utf-8")
    assert load_problem(path).given()["budget"] == pytest.approx(40)
    for flags, budget in (((), 40), (("--budget", "70"), 70), (("--utilisation", "0.5"), 2000)):
        done = run_here("solve", path, "--json", "-", *flags)
        assert Result.from_json(done.stdout).budget == pytest.approx(budget), done.stderr


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("utilisation: 0.5\nbudget: 70", "budget and utilisation say the same; give one of them"),
        ("utilisation: 1.5", "utilisation: got 1.5; it has to be a number above 0, up to 1"),
        ("utilisation: 0.5", "utilisation: the profile has to say its cores and unit 'ms'; give a budget instead"),
    ],
)
def test_a_file_that_says_it_wrongly_is_one_line(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "p.yaml"
    save(path, cores=None)
    path.write_text(path.read_text(encoding="utf-8").replace("budget: 70.0", line), encoding="utf-8")
    done = run_here("solve", path)
    assert (done.returncode, done.stderr) == (2, f"mainstream: {path}: {told}\n")


def test_a_result_says_what_it_is_of_the_box(tmp_path: Path) -> None:
    save(tmp_path / "p.yaml", cores=2)
    done = run_here("solve", tmp_path / "p.yaml", "--budget", 40)
    assert done.stdout.splitlines()[-1] == "of the box 40 of 2,000 ms/s: 2 % of 2 cores"
    methods = run_here("methods", tmp_path / "p.yaml", "--budget", 40, "--time-limit", 5).stdout
    assert methods.splitlines()[-1] == "budget: of the box 40 of 2,000 ms/s: 2 % of 2 cores"
    frontier = run_here("frontier", tmp_path / "p.yaml", "--budgets", "20,40", "--gap", "0").stdout
    assert frontier.splitlines()[-1] == "largest cost: of the box 40 of 2,000 ms/s: 2 % of 2 cores"
    save(tmp_path / "p.yaml", cores=1)
    assert run_here("solve", tmp_path / "p.yaml").stdout.splitlines()[-1].endswith(" % of 1 core")
    save(tmp_path / "p.yaml", cores=None)
    assert "of the box" not in run_here("solve", tmp_path / "p.yaml").stdout
