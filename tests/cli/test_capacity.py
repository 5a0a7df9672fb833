"""``mainstream capacity``: its answers, yes and no, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.commands import run_here

from mainstream.io import load_problem
from mainstream.solver.capacity import capacity

PROBLEMS = Path(__file__).parents[2] / "data" / "problems"
CROSSING = PROBLEMS / "crossing.yaml"


def ask(*arguments: object) -> tuple[int, str, str]:
    done = run_here("capacity", *arguments, COLUMNS="200")
    return done.returncode, done.stdout, done.stderr


def test_yes_says_what_they_need_and_how_many_more_fit(tmp_path: Path) -> None:
    code, printed, _ = ask(CROSSING, "--fps", "5", "--budget", "300", "--json", tmp_path / "answer.json")
    found = capacity(load_problem(CROSSING).to_solve(), budget=300, min_fps=5)
    assert code == 0 and found.fits and found.proven and found.more > 0
    title, fits, needed, *rest = printed.splitlines()
    assert title == "crossing.yaml: 10 apps, each at 5 frames a second at least"
    assert fits == "fits        yes"
    assert needed.startswith(f"needs       {found.needs:.3g} of 300 ms/s, {found.needs / 300:.0%} of the budget, pred")
    assert rest[-1] == f"more        room for {found.more:,} more like them, proven for the predicted costs"
    assert rest[-2].startswith(f"costs most  app {found.dearest} (")
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert (answer["needs"], answer["more"], answer["fits"]) == (found.needs, found.more, True)


def test_no_is_an_answer_that_ends_with_3(tmp_path: Path) -> None:
    code, printed, errors = ask(CROSSING, "--budget", "2", "--json", "-")
    answer = json.loads(printed)
    assert (code, answer["fits"], answer["more"], errors) == (3, False, 0, "")
    assert answer["needs"] > 2
    code, printed, errors = ask(CROSSING, "--min-f1", "0.999")
    assert (code, errors) == (3, "")
    assert printed.splitlines()[1].startswith("fits        no: app ")
    assert ask(CROSSING, "--budget", "2", "-q") == (3, "", "")


def test_several_cameras() -> None:
    code, printed, _ = ask(PROBLEMS / "two-cameras.yaml", "--fps", "2", "--budget", "40")
    assert code == 0
    assert printed.startswith("two-cameras.yaml: 5 apps in 2 streams, each at 2 frames a second at least")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--fps 11", "{file}: 11 frames a second for each app: the camera offers 10 at most"),
        ("--fps nan", "--fps: got nan; it has to be a finite number above 0"),
        ("--min-f1 2", "--min-f1: got 2.0; it has to be a number in [0, 1]"),
        ("--budget 5 --utilisation 0.5", "command line: budget and utilisation say the same; give one of them"),
        ("--utilisation 1.5", "command line: utilisation: got '1.5'; it has to be a number above 0, up to 1"),
        ("--budget many", "command line: budget: got 'many'; it has to be a finite number above 0"),
        ("--json no/where.json", "no/where.json: cannot be written: there is no folder no"),
    ],
)
def test_bad_input_is_one_line(arguments: str, message: str) -> None:
    code, printed, errors = ask(CROSSING, *arguments.split())
    assert (code, printed) == (2, "")
    assert errors == f"mainstream: {message.format(file=CROSSING)}\n"


def test_apps_without_an_f1(tmp_path: Path) -> None:
    problem = tmp_path / "recall.yaml"
    problem.write_text(
        "budget: 50\nvideo: {stream_fps: 5}\nmodel: {total_layers: 2, layer_latencies: [1, 1], "
        "frozen_layer_names: {0: a}}\napps: [{app_id: 1, accuracies: {0: 0.9}, event_length_ms: 1000}]\n"
    )
    assert ask(problem, "--min-f1", "0.5")[::2] == (
        2, f"mainstream: {problem}: --min-f1: the apps' value is recall; give each its min_value instead\n",
    )  # fmt: skip
    code, printed, _ = ask(problem)
    assert "1 app, each at the least that the problem allows (rates begin at 1 fps)\n" in printed
    assert (
        code == 0 and printed.splitlines()[-1] == "more        room for 24 more like it, proven for the predicted costs"
    )
    problem.write_text(problem.read_text().removeprefix("budget: 50\n"))
    assert ask(problem)[::2] == (
        2, f"mainstream: {problem}: no budget, and no profile that says its cores; give --budget\n",
    )  # fmt: skip
