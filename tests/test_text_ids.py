"""Apps that go by a name: in problems, results, schedules, and as numbers on the wire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.commands import run_here

from mainstream import App, Apps, Choice, ProblemError, Result, Scheduler, solve
from mainstream.io import load_problem
from mainstream.streamer import NetPlan, net_plan

MODEL = {
    "total_layers": 4,
    "layer_latencies": [1, 1, 1, 1],
    "frozen_layer_names": {0: "in", 2: "cut", 4: "out"},
    "height": 8,
    "width": 8,
}
VIDEO = {"stream_fps": 4}


def app(app_id: int | str, **changes: Any) -> dict[str, Any]:
    keys = {"accuracies": {0: 0.9, 2: 0.88}, "event_length_ms": 1500, "model_path": {0: "a.pb", 2: "b.pb"}}
    return {"app_id": app_id, **keys, **changes}


MIXED = [app("door"), app(2), app("gate", optional=True), app(1), app("yard")]


def test_names_tell_apps_apart_from_the_problem_to_the_result(tmp_path: Path) -> None:
    result = solve(MIXED, MODEL, VIDEO, 30)
    assert [choice.app_id for choice in result.choices] == ["door", 2, "gate", 1, "yard"]
    assert Result.from_json(result.to_json()) == result
    assert "\ndoor " in str(result)
    cheap = solve(MIXED, MODEL, VIDEO, 2 + 4 * 2)
    assert cheap.left_out == ("gate",)
    assert Result.from_json(cheap.to_json()) == cheap
    again = solve(MIXED, MODEL, VIDEO, 30, warm_start=result)
    assert again.objective == pytest.approx(result.objective)


def test_a_problem_file_and_the_commands_take_names(tmp_path: Path) -> None:
    path = tmp_path / "names.yaml"
    path.write_text(yaml.safe_dump({"budget": 30, "video": VIDEO, "model": MODEL, "apps": MIXED}), encoding="utf-8")
    assert [one.app_id for one in load_problem(path).apps] == ["door", 2, "gate", 1, "yard"]

    def run(*words: str) -> str:
        done = run_here(*words)
        # A slow machine shows how far the search is.
        said = [line for line in done.stderr.splitlines() if ": incumbent " not in line]
        assert (done.returncode, said) == (0, [])
        return done.stdout

    assert "door" in run("solve", str(path))
    tree = run("plan", str(path), "--tree")
    assert "app door: " in tree and "app 2: " in tree
    assert {part["app_id"] for part in json.loads(run("plan", str(path)))} == {-1, 1, 2, 3, 4, 5}
    assert "yard" in run("simulate", str(path), "--frames", "1000")
    assert json.loads(run("solve", str(path), "--json", "-"))["choices"][0]["app_id"] == "door"


def test_on_the_wire_a_number_stands_for_a_name() -> None:
    plan = net_plan(solve(MIXED, MODEL, VIDEO, 30), MIXED, MODEL)
    assert plan.names == {3: "door", 4: "gate", 5: "yard"}  # 1 and 2 are taken
    assert [plan.app_id_of(number) for number in plan.target_fps] == [
        {3: "door", 4: "gate", 5: "yard"}.get(number, number) for number in plan.target_fps
    ]
    sent = json.loads(plan.to_json())
    assert all(isinstance(part["app_id"], int) for part in sent)
    assert NetPlan.from_json(plan.to_json()) == plan
    assert plan.with_integer_fps().names == plan.names
    # Whoever is left out keeps its number.
    fewer = net_plan(solve(MIXED, MODEL, VIDEO, 10), MIXED, MODEL)
    assert fewer.names[5] == "yard"
    assert 4 not in fewer.target_fps


def test_the_closed_loop_tells_rates_by_name() -> None:
    class Device:
        def deploy(self, plan: NetPlan) -> dict[int, float]:
            return dict(plan.target_fps)

    history = Scheduler(MIXED, MODEL, VIDEO, deployer=Device()).run(30)
    assert history.converged
    assert history[0].observed == {choice.app_id: choice.target_fps for choice in history[0].result.choices}
    assert set(history[0].observed) == {"door", 1, 2, "gate", "yard"}


def test_columns_take_names_too() -> None:
    columns = Apps.from_arrays(np.full((3, 1), 0.5), None, [0], event_length_ms=100, app_ids=["a", "b", "7"])
    assert columns.app_ids.tolist() == ["a", "b", 7]
    choices = solve(columns, MODEL, VIDEO, 100).choices
    assert [type(choice) for choice in choices] == [Choice] * 3
    assert [choice.app_id for choice in choices] == ["a", "b", 7]


def test_digits_are_a_number() -> None:
    assert App(**app("12")).app_id == 12
    with pytest.raises(ProblemError, match="app_id 7 stands 2 times"):
        solve([app("7"), app(7)], MODEL, VIDEO, 100)
    with pytest.raises(ProblemError, match="app_id door stands 2 times"):
        solve([app("door"), app("door")], MODEL, VIDEO, 100)


@pytest.mark.parametrize("bad", ["", " door", "a\nb", "\ud800", "x" * 101, True, 1.5, -1, None, [1], "\x1b[31m"])
def test_what_is_no_id_is_refused_in_one_line(bad: object) -> None:
    with pytest.raises(
        ProblemError, match=r"app_id: got .*; it has to be a whole number, 0 or more, .* or a name of 1 "
    ) as e:
        App(**app(bad))  # type: ignore[arg-type]
    assert str(e.value).isprintable()
    with pytest.raises(ProblemError, match=r"app_ids: got .*or names of printable characters"):
        Apps.from_arrays(np.full((1, 1), 0.5), None, [0], event_length_ms=100, app_ids=[bad])  # type: ignore[list-item]
