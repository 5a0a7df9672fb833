"""Makes a table of options in blocks of apps, one core for each block. Between blocks it looks at clock and Ctrl-C."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from mainstream._system import usable_cores
from mainstream.problem import FloatArray

_BLOCK: Final = 160_000
"""Options of a block. One takes some hundredths of a second, compared with which a thread costs nothing."""

_Returned = TypeVar("_Returned")


def over_blocks(
    options: FloatArray, work: Callable[[slice], _Returned], meanwhile: Callable[[], None] | None
) -> list[_Returned]:
    """What `work` returns for each block of apps, in their order.

    Parameters
    ----------
    options : (N, F, R) array
    work : callable
        Takes the slice of the apps of a block. It runs in threads, without the GIL. The first block runs alone, since
        numba may have to compile what it calls.
    meanwhile : callable, optional
        Called between two blocks; it may raise to stop the work.
    """
    apps = max(1, _BLOCK // max(1, math.prod(options.shape[1:])))
    first, *others = [slice(begin, begin + apps) for begin in range(0, max(1, len(options)), apps)]
    done = [work(first)]
    if not others:
        return done
    with ThreadPoolExecutor(usable_cores()) as threads:
        try:
            for future in [threads.submit(work, block) for block in others]:
                if meanwhile is not None:
                    meanwhile()
                done.append(future.result())
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return done
