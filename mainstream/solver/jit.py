"""Numba's compiler, with its cache on disk and without loss of the types."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

_Arguments = ParamSpec("_Arguments")
_Returned = TypeVar("_Returned")


def jit(function: Callable[_Arguments, _Returned]) -> Callable[_Arguments, _Returned]:
    """`function`, compiled when first called, without Python's lock; the cache sees changes in its own file only."""
    jitted: Callable[_Arguments, _Returned] = numba.njit(cache=True, nogil=True)(function)
    return jitted
