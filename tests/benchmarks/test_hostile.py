"""The table of what hurts the runtime: its verdicts, and that what it calls malformed is."""

from __future__ import annotations

import random

import pytest
from support.failing_models import alone

from benchmarks.hostile.malformed import noise
from benchmarks.hostile.serving import lost
from benchmarks.row import Row
from benchmarks.writing import table
from mainstream import ProblemError
from mainstream.streamer import NetPlan

pytest.importorskip("zmq", reason="needs the extra run")


@pytest.mark.parametrize(
    ("reached", "figure", "at_least", "against"),
    [
        (0, 0, False, "met"),
        (3, 0, False, "missed"),
        (0.0, 1.0, False, "met"),
        (0.0, 1.0, True, "missed"),
        (0.5, 1.0, False, "met, 2x"),
        (2.0, 1.0, False, "missed, 2x"),
        (2.0, None, False, ""),
    ],
)
def test_a_figure_of_nothing_is_met_or_missed_without_a_factor(
    reached: float, figure: float | None, at_least: bool, against: str
) -> None:
    row = Row("what", reached, "", figure=figure, at_least=at_least)
    assert row.against == against
    assert len(table([row])) == 3


def test_what_it_calls_malformed_is_no_plan() -> None:
    plan = alone((1, "net.pb"), (2, "net.pb"))
    for seed in range(300):
        request = noise(random.Random(seed), plan)
        with pytest.raises((ProblemError, UnicodeDecodeError)):
            NetPlan.from_json(request.decode())


def test_frames_without_result_are_those_between_an_apps_first_and_last() -> None:
    assert lost([(1, 3), (2, 7), (1, 4), (1, 7), (2, 8)]) == (2, 7)
    assert lost([]) == (0, 0)
