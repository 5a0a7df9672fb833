"""The largest functions, which a tree calls by their addresses: each is compiled once, and only when it is needed.

Called in the usual way, each would be compiled once more inside the tree's code, with all that it calls.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numba

from mainstream._jit import address, caller
from mainstream.solver.kernels import Cells, Packed, Scratch, Staircase, Terms
from mainstream.solver.kernels.charges import charge_box
from mainstream.solver.kernels.knapsack import close_knapsack
from mainstream.solver.kernels.two_resources import close_two

_types: Any = numba.types  # which has no types itself
_FLOAT, _INT = _types.float64, _types.int64
_FLOATS, _INTS, _CELLS = _types.float64[::1], _types.int64[::1], _types.int32[::1]
_FLOAT_ROWS, _INT_ROWS = _types.float64[:, ::1], _types.int64[:, ::1]
# Types in the order of the fields. A wrong type gives an error when the tree is compiled, not a wrong answer.
_PACKED = _types.NamedTuple(
    (_INTS, _FLOATS, _CELLS, _FLOAT_ROWS, _FLOAT_ROWS, _INTS, _INTS, _FLOATS, _FLOATS, _FLOAT), Packed
)
_TERMS = _types.NamedTuple((_FLOAT, _FLOAT, _FLOAT, _INT, _INT, _INT), Terms)
_SCRATCH = _types.NamedTuple(
    (
        *(_FLOATS, _FLOATS, _INTS, _INTS, _INTS, _FLOATS, _FLOATS, _INTS),
        *(_FLOAT_ROWS, _INT_ROWS, _INTS, _CELLS, _CELLS),
        *(_FLOATS, _FLOATS, _FLOAT_ROWS, _FLOAT_ROWS, _INT_ROWS, _FLOATS, _FLOAT_ROWS, _INTS),
        *(_FLOATS, _FLOAT_ROWS, _FLOAT_ROWS, _INT_ROWS, _FLOAT_ROWS),
        *(_FLOATS, _FLOATS, _FLOAT_ROWS, _INT_ROWS),
    ),
    Scratch,
)
_CLOSE_KNAPSACK = _types.Tuple((_FLOAT, _types.boolean, _INT))(
    _PACKED, _SCRATCH, _TERMS, _FLOAT, _FLOAT, _FLOAT, _FLOAT, _CELLS
)
_CLOSE_TWO = _types.Tuple((_FLOAT, _types.boolean, _INT))(
    _PACKED, _SCRATCH, _TERMS, _FLOAT, _FLOAT, _FLOAT, _FLOAT, _FLOAT, _CELLS
)
_CHARGE_BOX = _types.Tuple((_FLOAT, _INT))(_PACKED, _SCRATCH, _INTS, _FLOAT, _FLOAT, _FLOAT)

call_close_knapsack: Callable[
    [int, tuple[Packed, Scratch, Terms, float, float, float, float, Cells]], tuple[float, bool, int]
] = caller(_CLOSE_KNAPSACK)
call_close_two: Callable[
    [int, tuple[Packed, Scratch, Terms, float, float, float, float, float, Cells]], tuple[float, bool, int]
] = caller(_CLOSE_TWO)
call_charge_box: Callable[[int, tuple[Packed, Scratch, Staircase, float, float, float]], tuple[float, int]] = caller(
    _CHARGE_BOX
)


# Compiling, or loading from disk, takes a while, so it is done once for each process.
@cache
def close_knapsack_address() -> int:
    """Where :func:`mainstream.solver.kernels.knapsack.close_knapsack` stands."""
    return address(close_knapsack, _CLOSE_KNAPSACK)


@cache
def close_two_address() -> int:
    """Where :func:`mainstream.solver.kernels.two_resources.close_two` stands."""
    return address(close_two, _CLOSE_TWO)


@cache
def charge_box_address() -> int:
    """Where :func:`mainstream.solver.kernels.charges.charge_box` stands."""
    return address(charge_box, _CHARGE_BOX)
