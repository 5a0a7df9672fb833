"""Options in blocks of apps: every app once, the same values whatever the block, and a clock that may end it."""

from __future__ import annotations

import numpy as np
import pytest

from mainstream import blocks
from mainstream.blocks import over_blocks
from mainstream.events import option_values
from mainstream.experiments.workloads import workload
from mainstream.extensions import EVENT_MODELS


@pytest.mark.parametrize("event_model", ["windowed", "measured"])
def test_values_are_the_same_in_many_blocks_as_in_one(event_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = workload(40, seed=5, voting=0.5)
    rates = made.video.rates("mainstream")
    found = []
    for block in (1, 1_000, 10**9):
        monkeypatch.setattr(blocks, "_BLOCK", block)
        how = {"metric": "f1", "event_model": EVENT_MODELS.find(event_model)}
        found.append(option_values(made.apps, rates, made.video.stream_fps, **how))
    for values, votes in found[:-1]:
        np.testing.assert_array_equal(values, found[-1][0])
        np.testing.assert_array_equal(votes, found[-1][1])


@pytest.mark.parametrize("apps", [1, 7, 40_000, 123_456])
def test_each_app_is_in_one_block_and_answers_keep_their_order(apps: int) -> None:
    parts = over_blocks(np.empty((apps, 5, 2)), lambda block: np.arange(apps)[block], None)
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(apps))


def test_what_is_called_meanwhile_may_end_it() -> None:
    begun: list[slice] = []

    def enough() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        over_blocks(np.empty((100_000, 16, 10)), begun.append, enough)
    assert begun[0] == slice(0, 1_000)


def test_an_error_in_a_block_comes_back() -> None:
    def work(block: slice) -> None:
        if block.start:
            raise ValueError(f"from {block.start}")

    with pytest.raises(ValueError, match="from 1000"):
        over_blocks(np.empty((4_000, 16, 10)), work, None)
