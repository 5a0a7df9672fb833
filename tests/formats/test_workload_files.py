"""Workload files: each line a problem that solves alone, under an id made of its content."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from support.commands import run_here

from mainstream import ProblemError, solve
from mainstream.experiments.workloads import workload, workload_problem
from mainstream.io import Problem, load_workloads, save_workloads, workload_id


def problems(count: int) -> list[Problem]:
    made = [workload(3, seed=seed, chokepoints=4, rates=3) for seed in range(count)]
    return [workload_problem(one.objects(), one.model, one.video, 20.0) for one in made]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    path = tmp_path_factory.mktemp("workloads") / "three.jsonl"
    save_workloads(problems(3), path)
    return path.read_text(encoding="utf-8").splitlines()


def loaded(text: str, tmp_path: Path) -> tuple[tuple[Problem, ...], int | None]:
    (tmp_path / "w.jsonl").write_text(text, encoding="utf-8")
    return load_workloads(tmp_path / "w.jsonl")


def test_what_is_written_is_read_back(lines: list[str], tmp_path: Path) -> None:
    read, cut = loaded("\n".join(lines) + "\n", tmp_path)
    assert cut is None
    for one, before in zip(read, problems(3), strict=True):
        assert one.model_copy(update={"id": None}) == before


def test_each_line_solves_alone(lines: list[str], tmp_path: Path) -> None:
    for line, problem in zip(lines, problems(3), strict=True):
        (tmp_path / "one.json").write_text(line, encoding="utf-8")
        done = run_here("solve", tmp_path / "one.json", "--json", "-")
        expected = solve(problem.apps, problem.model, problem.video, 20.0)
        assert json.loads(done.stdout)["objective"] == pytest.approx(expected.objective, abs=1e-12)


def shuffled(value: Any, draw: random.Random) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        draw.shuffle(keys)
        return {key: shuffled(value[key], draw) for key in keys}
    return [shuffled(one, draw) for one in value] if isinstance(value, list) else value


def test_the_same_content_has_the_same_id(lines: list[str], tmp_path: Path) -> None:
    content = json.loads(lines[0])
    identity = content.pop("id")
    for seed in range(5):
        ((one,), _) = loaded(json.dumps(shuffled(content, random.Random(seed))), tmp_path)
        assert one.id == identity == workload_id(one)
    content["video"]["stream_fps"] = int(content["video"]["stream_fps"])
    ((one,), _) = loaded(json.dumps(content), tmp_path)
    assert one.id == identity
    content["budget"] = 20.5
    ((other,), _) = loaded(json.dumps(content), tmp_path)
    assert other.id != identity


@pytest.mark.parametrize("end", ['{"id": "0', '{"apps": [{"app_id": 1, "accu', "{"])
def test_of_a_file_that_is_cut_off_the_whole_lines_are_used(end: str, lines: list[str], tmp_path: Path) -> None:
    read, cut = loaded("\n".join([*lines, end]), tmp_path)
    assert (len(read), cut) == (3, 4)


def test_a_last_line_that_is_whole_but_for_its_line_break_is_used(lines: list[str], tmp_path: Path) -> None:
    read, cut = loaded("\n".join(lines), tmp_path)
    assert (len(read), cut) == (3, None)


def with_id(line: str, identity: str) -> str:
    return json.dumps({**json.loads(line), "id": identity})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda lines: [lines[0], lines[1][:50], lines[2], ""], "w.jsonl: line 2: no JSON"),
        (
            lambda lines: [lines[0], with_id(lines[1], "0123456789ab"), ""],
            "w.jsonl: line 2: id '0123456789ab' does not match",
        ),
        (lambda lines: [lines[0], lines[1], lines[0], ""], "w.jsonl: line 3: workload "),
        (lambda lines: ['{"apps": []}', ""], "w.jsonl: line 1: workload: "),
        (lambda lines: ["[1]", ""], "w.jsonl: line 1: workload: got [1]; it has to be a mapping"),
        (lambda lines: [lines[0][:40]], "w.jsonl: line 1 is cut off, and there is no other"),
    ],
)
def test_bad_files_name_the_line(make: Any, message: str, lines: list[str], tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as refusal:
        loaded("\n".join(make(lines)), tmp_path)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
