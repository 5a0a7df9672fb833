"""Rows in threads: every row once, the same numbers on any number of cores, errors come through."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from mainstream import prepare
from mainstream.experiments.workloads import workload
from mainstream.threads import FEWEST, cores, row_blocks, shared

TWO_CORES = pytest.mark.skipif(
    cores() < 2 or not hasattr(os, "sched_setaffinity"), reason="needs two cores, and a system that lets one be chosen"
)


@pytest.mark.parametrize("rows", [0, 1, FEWEST - 1, FEWEST, FEWEST + 13, 10 * FEWEST + 1])
def test_blocks_hold_every_row_once(rows: int) -> None:
    blocks = row_blocks(rows)
    assert np.concatenate([np.arange(rows)[block] for block in blocks]).tolist() == list(range(rows))
    assert rows >= FEWEST or len(blocks) == 1


def test_what_is_returned_is_in_order() -> None:
    blocks = [slice(k, k + 1) for k in range(50)]
    assert shared(lambda rows: rows.start, blocks) == list(range(50))


def test_an_error_in_a_block_comes_through() -> None:
    def work(rows: slice) -> None:
        raise ValueError(f"at row {rows.start}")

    for blocks in ([slice(3, 4)], [slice(3, 4), slice(4, 5)]):
        with pytest.raises(ValueError, match="at row 3"):
            shared(work, blocks)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mainstream-rows")]


@TWO_CORES
def test_any_number_of_cores_makes_the_same_table() -> None:
    made = workload(FEWEST + 501, seed=3, chokepoints=5, rates=4)
    made.apps.optional[::7] = True
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert cores() == 1 and len(row_blocks(len(made.apps))) == 1
        alone = prepare(made.apps, made.model, made.video).table
    finally:
        os.sched_setaffinity(0, allowed)
    assert len(row_blocks(len(made.apps))) > 1
    together = prepare(made.apps, made.model, made.video).table
    np.testing.assert_array_equal(together.values, alone.values)
    np.testing.assert_array_equal(together.votes, alone.votes)
    for name, array in alone.packed._asdict().items():
        np.testing.assert_array_equal(getattr(together.packed, name), array, err_msg=name)
