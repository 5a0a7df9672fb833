"""Work on the rows of large arrays, shared by the cores that this process may use.

It pays where the work holds no lock of Python's, as compiled code without it. Nothing is compiled for it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

_Made = TypeVar("_Made")

FEWEST: Final = 4_000
"""Rows from which on threads are worth starting."""
_BLOCKS_A_CORE: Final = 4
"""So that one slow block, or a core that others use, too, does not hold up the rest for long."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def row_blocks(rows: int) -> list[slice]:
    """The rows in blocks for :func:`shared`; one block where threads would not pay."""
    count = 1 if rows < FEWEST or cores() == 1 else _BLOCKS_A_CORE * cores()
    ends = [rows * k // count for k in range(count + 1)]
    return [slice(*block) for block in itertools.pairwise(ends)]


def shared(work: Callable[[slice], _Made], blocks: Sequence[slice]) -> list[_Made]:
    """What `work` returns for each block; the cores take turns where there is more than one."""
    if len(blocks) == 1:
        return [work(blocks[0])]
    with ThreadPoolExecutor(cores(), thread_name_prefix="mainstream-rows") as pool:
        return list(pool.map(work, blocks))
