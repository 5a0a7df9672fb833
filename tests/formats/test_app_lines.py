"""Large problem files: each app a line, read as JSON where YAML reads the same, else as YAML."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from mainstream.errors import ProblemError
from mainstream.experiments.workloads import workload, workload_problem
from mainstream.files import yaml_values
from mainstream.formats import app_lines
from mainstream.formats.app_lines import problem_keys, problem_text
from mainstream.io import load_problem, save_problem


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three apps are many."""
    monkeypatch.setattr(app_lines, "MANY", 3)


@pytest.mark.usefixtures("few")
def test_a_problem_in_lines_comes_back_whichever_way_it_is_read(tmp_path: Path) -> None:
    made = workload(5, seed=0)
    problem = workload_problem(made.objects(), made.model, made.video, 100.0)
    path = tmp_path / "many.yaml"
    save_problem(problem, path, comment="Written by: a test")
    assert sum(line.startswith('- {"app_id": ') for line in path.read_text().splitlines()) == 5
    assert load_problem(path) == problem
    text = path.read_text()
    assert app_lines._in_lines(text) is not None
    as_yaml = yaml_values(text)
    path.with_suffix(".yml").write_text(yaml.safe_dump(as_yaml))
    assert load_problem(path.with_suffix(".yml")) == problem


HEAD = "budget: 5\nvideo: {stream_fps: 10}"
LINES = ['- {"app_id": 1, "name": "é: #x", "optional": true, "pin": null}', '- {"app_id": 2, "r": [0.5, -3, 1.5]}']


def both(text: str) -> tuple[Any, Any]:
    return app_lines._in_lines(text), yaml_values(text)


def test_lines_are_what_yaml_makes_of_them() -> None:
    ours, theirs = both("\n".join([HEAD, "apps:", *LINES, ""]))
    assert ours == theirs and ours is not None


@pytest.mark.parametrize(
    "text",
    [
        "\n".join([HEAD, "apps:", LINES[0], "# a comment", LINES[1], ""]),
        "\n".join([HEAD, "apps:", *LINES, "objective: f1", ""]),
        "\n".join([HEAD, "apps:", '- {"a": 1e3}', '- {"a": 1.5e3}', ""]),
        "\n".join([HEAD, "apps:", '- {"a": NaN}', ""]),
        "\n".join([HEAD, "apps:", '- {"a": "\\u00e9\\/"}', ""]),
        "\n".join([HEAD, "apps:", "- {a: 1}", ""]),
        "\n".join([HEAD, "apps:", '- {"a": 1,', '   "b": 2}', ""]),
        "\n".join(["apps: [1]", "x: 2", ""]),
        "\n".join(["x: |", "  a", " ", "  apps:", *("  " + line for line in LINES), ""]),
        "a: {\napps:\n- {}\n",
        'a: "\napps:\n- {"x": 1}\n',
        "- a\napps:\n- {}\n",
    ],
)
def test_what_yaml_reads_otherwise_is_left_to_it(text: str) -> None:
    assert app_lines._in_lines(text) is None


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("value", [math.inf, 1e-7, "a\\b", 'a "b"'])
def test_what_json_cannot_say_as_yaml_does_is_written_as_yaml(value: object, tmp_path: Path) -> None:
    keys = {"budget": 1.0, "apps": [{"app_id": k, "x": value} for k in range(4)]}
    text = problem_text(keys)
    assert not any(line.startswith('- {"') for line in text.splitlines())
    (tmp_path / "a.yaml").write_text(text)
    assert problem_keys(tmp_path / "a.yaml") == keys


def test_a_line_with_an_error_is_told_of_as_in_any_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("\n".join([HEAD, "apps:", LINES[0], '- {"app_id": 1, "app_id": 2}', ""]))
    with pytest.raises(ProblemError, match=r"a\.yaml: line 5: key 'app_id' stands twice in one mapping"):
        problem_keys(path)
    path.write_text("- {}\n- {}\n")
    with pytest.raises(ProblemError, match="it has to be a mapping of keys to values"):
        problem_keys(path)
