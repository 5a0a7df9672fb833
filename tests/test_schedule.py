"""What comes back: choices on demand, the round trip through JSON, the summary."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from support.results import result, schedule

from mainstream import Choice, ProblemError, Result


def test_choices_are_the_columns_of_the_apps_that_run() -> None:
    made = schedule(2, left_out=1)
    assert made.choices == (
        Choice(10, 18, 2.5, 3, 0.5, 0.5, 1 / 3, 0.7, 0.9, 0.1, None),
        Choice(11, 18, 2.5, None, 0.501, None, 1 / 3, None, 0.9, 0.1, "app 1"),
    )
    assert all(type(choice.app_id) is int and type(choice.value) is float for choice in made.choices)
    assert len(made) == 3
    assert made.cost == pytest.approx(4.5 + 1.25 + 0.2)
    assert result(made).left_out == (12,)


@pytest.mark.parametrize("left_out", [0, 2])
@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("extra", [{}, {"aggregate": "min", "mean": 0.9, "mean_bound": 0.91, "unit": None}])
def test_a_result_reads_back_from_json_as_it_was(left_out: int, names: bool, extra: dict[str, Any]) -> None:
    first = result(schedule(5, left_out=left_out, names=names), **extra)
    back = Result.from_json(first.to_json())
    assert back == first
    for field in dataclasses.fields(Result):
        if field.name != "schedules":
            assert getattr(back, field.name) == getattr(first, field.name)
    for column in ("app_ids", "num_frozen", "target_fps", "x_vote", "value", "f1", "precision", "tail_cost"):
        np.testing.assert_array_equal(getattr(back.schedule, column), getattr(first.schedule, column), err_msg=column)
    assert back.stem == first.stem
    assert back.cost == first.cost
    assert back != result(schedule(5, left_out=left_out, names=names), objective=0.5)


def test_a_result_is_text_in_a_notebook_too(monkeypatch: pytest.MonkeyPatch) -> None:
    made = result(schedule(5))
    text = str(made)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert str(made) == text != ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "result: no JSON: "),
        ("[1]", "'format' has to be 'mainstream-result-1'"),
        ('{"format": "mainstream-result-0"}', "'format' has to be 'mainstream-result-1'"),
        ('{"format": "mainstream-result-1"}', "result: not as saved: 'choices'"),
    ],
)
def test_text_that_is_no_result_is_refused(text: str, message: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        Result.from_json(text)
    assert message in str(refusal.value)


def test_a_result_with_a_broken_choice_is_refused() -> None:
    data = json.loads(result(schedule(1)).to_json())
    del data["choices"][0]["recall"]
    with pytest.raises(ProblemError, match=r"result: not as saved: .*recall"):
        Result.from_json(json.dumps(data))


def test_the_summary_says_it_all_and_lists_thirty() -> None:
    text = str(result(schedule(32, left_out=1)))
    assert "stem       layers 0-8 at 5 fps, layers 9-17 at 2.5 fps: " in text
    assert "objective  mean f1 0.875000 (optimal)" in text
    assert "bound      0.875000, gap 4.0e-07" in text
    assert "of 8 ms/s" in text
    assert "... and 2 more apps" in text
    assert "left out: 42" in text
    assert "branch-and-bound, 17 nodes, 0.0123 s" in text
    assert len(text.splitlines()) == 1 + 30 + 1 + 1 + 5
    smallest = str(result(schedule(1), aggregate="min", mean=0.9, mean_bound=0.91))
    assert "smallest f1 0.875000" in smallest
    assert "mean f1 0.900000, bound 0.910000" in smallest
