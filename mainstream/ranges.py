"""Which numbers are allowed: each range is stated once, for arguments, arrays and the keys of descriptions alike."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import GetCoreSchemaHandler, ValidationError, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema

from mainstream.description import refuse, shown
from mainstream.errors import ProblemError

_EXACT: Final = 2**53
"""A float represents every whole number up to this one exactly."""


@dataclass(frozen=True)
class Range:
    """The finite numbers between two ends.

    As metadata of a type, ``Annotated[float, Range(...)]``, it checks a key of a description.

    Parameters
    ----------
    low, high : float
    low_open, high_open : bool
        Whether the end itself is left out; an infinite end always is.
    whole : bool
        Whole numbers only.
    high_told : bool
        If False, a message names `high` only to a user who gave a number above it.
    unit : str
        What is counted, in the plural.
    """

    low: float
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    whole: bool = False
    high_told: bool = True
    unit: str = ""

    def holds(self, given: object) -> bool:
        """Whether `given` is a number, not a bool or text, and lies inside."""
        number = _plain(given)
        # An integer may be below infinity and still be too large for a float.
        return self._is_number(number) and bool(self._between(number)) and abs(number) <= sys.float_info.max

    def _is_number(self, given: object) -> TypeGuard[float]:
        return isinstance(given, int if self.whole else int | float) and not isinstance(given, bool)

    def inside(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of `values` lie inside; NaN does not."""
        between: NDArray[np.bool_] = self._between(values)
        return between & (values == np.floor(values)) if self.whole else between

    def _between(self, values: Any) -> Any:
        above = values > self.low if self.low_open else values >= self.low
        return above & (values < self.high if self.high_open or self.high == math.inf else values <= self.high)

    def words(self, given: object = None) -> str:
        """What is allowed, in words for whoever gave `given`."""
        ends = self.high < math.inf and self.high_told
        kind = "whole number" if self.whole else "number" if ends or self.unit else "finite number"
        noun = f"a {kind} of {self.unit}" if self.unit else f"a {kind}"
        low, high = _written(self.low), _written(self.high)
        if ends and not self.low_open:
            return f"{noun}, {low} to {high}" if self.whole else f"{noun} in [{low}, {high}{self._bracket}"
        upper = f", {'below' if self.high_open else 'up to'} {high}" if ends or self._exceeded_by(given) else ""
        return f"{noun} above {low}{upper}" if self.low_open else f"{noun}, {low} or more{upper}"

    def _exceeded_by(self, given: Any) -> bool:
        """Whether `given`, which may be anything, stands for a number above `high`."""
        try:
            return self.high < float(given)
        except OverflowError:
            return self.high < math.inf
        except (TypeError, ValueError):
            return False

    @property
    def _bracket(self) -> str:
        return ")" if self.high_open or self.high == math.inf else "]"

    def check(self, name: str, given: object, *, briefly: bool = False) -> None:
        """Refuse an argument that does not lie inside.

        Parameters
        ----------
        name : str
            The argument's.
        given : object
        briefly : bool
            For a whole number, name only the end that it lies beyond.

        Raises
        ------
        ProblemError
            `given` is a bool, text, NaN, infinite, too large for a float, or lies outside.
        """
        given = _plain(given)
        if self.holds(given):
            return
        allowed = self.words(given)
        if briefly and self._is_number(given):
            allowed = f"at most {_written(self.high)}" if given > self.high else f"at least {_written(self.low)}"
        raise ProblemError(f"{name}: got {shown(given)}; it has to be {allowed}")

    def check_array(self, name: str, values: NDArray[np.float64], codes: Mapping[float, str] | None = None) -> None:
        """Refuse an array with a value that does not lie inside.

        Parameters
        ----------
        name : str
            The argument's.
        values : array
        codes : mapping of float to str, optional
            Further values that are allowed -> what each stands for.

        Raises
        ------
        ProblemError
            A value lies outside; the message names the first one.
        """
        inside = self.inside(values)
        codes = codes or {}
        for code in codes:
            inside = inside | (np.isnan(values) if math.isnan(code) else values == code)
        if inside.all():
            return
        first = values[~inside].flat[0]
        if self.whole and math.isfinite(first) and first != math.floor(first):
            raise ProblemError(f"{name}: it has to be whole numbers; got {first:g}")
        low, high = _written(self.low), _written(self.high)
        allowed = f"{low}..{high}" if self.whole else f"{'(' if self.low_open else '['}{low}, {high}{self._bracket}"
        others = "".join(f", {code:g} for {meaning}" for code, meaning in codes.items())
        raise ProblemError(f"{name}: got {first:g}; allowed is {allowed}{others}")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The type of a description's key, with the same words."""
        ends: dict[str, Any] = {"gt" if self.low_open else "ge": self.low}
        if self.high < math.inf:
            ends["lt" if self.high_open else "le"] = self.high
        number = core_schema.int_schema(**ends) if self.whole else core_schema.float_schema(**ends, allow_inf_nan=False)
        return core_schema.no_info_wrap_validator_function(self._checked, number)

    def _checked(self, given: Any, number: ValidatorFunctionWrapHandler) -> Any:
        try:
            if not isinstance(given, bool):  # YAML's yes and no, which would pass as 1 and 0
                return number(given)
        except ValidationError:
            pass
        raise refuse(f"it has to be {self.words(given)}")


def _plain(given: object) -> object:
    """NumPy's scalars as Python's."""
    return given.item() if isinstance(given, np.generic) else given


def _written(end: float) -> str:
    return "2**53" if end == _EXACT else str(end) if isinstance(end, int) else f"{end:g}".replace("e+0", "e")


def numbers(name: str, given: ArrayLike) -> NDArray[np.float64]:
    """An array argument as floats.

    Raises
    ------
    ProblemError
        It holds something else, or rows of different lengths.
    """
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ProblemError(f"{name}: got {shown(given)}; it has to be numbers") from None


POSITIVE: Final = Range(0, low_open=True)
NON_NEGATIVE: Final = Range(0)
PROBABILITY: Final = Range(0, 1)
SHARE: Final = Range(0, 1, low_open=True)
WHOLE: Final = Range(0, _EXACT, whole=True, high_told=False)
COUNT: Final = Range(1, _EXACT, whole=True, high_told=False)
SECONDS: Final = Range(0, low_open=True, unit="seconds")
THREADS: Final = Range(1, 4096, whole=True, high_told=False)
SIDE: Final = Range(1, 8192, whole=True, high_told=False)
"""The pixels that a frame's height or width may have."""

Positive = Annotated[float, POSITIVE]
NonNegative = Annotated[float, NON_NEGATIVE]
Probability = Annotated[float, PROBABILITY]
Share = Annotated[float, SHARE]
Whole = Annotated[int, WHOLE]
Count = Annotated[int, COUNT]

PARAMETERS: Final[Mapping[str, Range]] = {
    "accuracy": PROBABILITY,
    "false_positive_rate": PROBABILITY,
    "event_length_ms": POSITIVE,
    "event_frequency": SHARE,
    "correlation": PROBABILITY,
    "correlation_fps": POSITIVE,
    "accuracy_spread": PROBABILITY,
    "false_correlation": PROBABILITY,
    "weight": POSITIVE,
    "x_vote": COUNT,
    "min_fps": POSITIVE,
    "max_fps": POSITIVE,
    "min_value": PROBABILITY,
    "stream_fps": Range(0, 1e6, low_open=True, high_told=False),
    "target_fps": POSITIVE,
}
"""A parameter of apps, events or streams -> the values that it may have, wherever it is given."""

StreamFps = Annotated[float, PARAMETERS["stream_fps"]]
TargetFps = Annotated[float, PARAMETERS["target_fps"]]
