"""Make the same call for many things on all cores, in threads: the kernels of the search run without the GIL."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mainstream._system import usable_cores

_Given = TypeVar("_Given")
_Returned = TypeVar("_Returned")


def side_by_side(
    call: Callable[[_Given], _Returned], given: Iterable[_Given], threads: int | None = None
) -> list[_Returned]:
    """Call `call` for each and give the results in order.

    Parameters
    ----------
    call : callable
    given : iterable
    threads : int, optional
        Default: the cores that this process may use.
    """
    todo = list(given)
    found = [call(one) for one in todo[:1]]  # alone, since the first call may compile the search
    pool = ThreadPoolExecutor(threads or usable_cores(), thread_name_prefix="mainstream-fleet")
    try:
        found += pool.map(call, todo[1:])
    finally:
        pool.shutdown(cancel_futures=True)
    return found
