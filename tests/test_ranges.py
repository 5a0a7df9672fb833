"""Ranges: arguments, arrays and keys of descriptions are held to the same ends, and told them in the same words."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from mainstream import App, Apps, ProblemError, Video
from mainstream.events import event_metrics
from mainstream.ranges import COUNT, NON_NEGATIVE, PARAMETERS, POSITIVE, PROBABILITY, SHARE, WHOLE, Range, numbers

BETWEEN = Range(0, 1, low_open=True, high_open=True)
SIDES = Range(2, 8192, whole=True)
RANGES = [POSITIVE, NON_NEGATIVE, PROBABILITY, SHARE, BETWEEN, WHOLE, COUNT, SIDES, PARAMETERS["stream_fps"]]


def refusal(ask: Any, *arguments: Any, **keywords: Any) -> str:
    with pytest.raises(ProblemError) as caught:
        ask(*arguments, **keywords)
    return str(caught.value)


@pytest.mark.parametrize(
    ("allowed", "inside", "outside"),
    [
        (POSITIVE, [5e-324, 1, 1e308, np.float32(2), np.int64(3)], [0, -1, 10**400]),
        (NON_NEGATIVE, [0, 0.0, 1e308], [-5e-324, -(10**400)]),
        (PROBABILITY, [0, 1, 0.5], [-1e-300, 1.0000000000000002]),
        (SHARE, [1e-300, 1], [0, 1.0000000000000002]),
        (BETWEEN, [1e-300, 0.9999999999999999], [0, 1]),
        (WHOLE, [0, 2**53, np.int8(3)], [-1, 2**53 + 1, 10**400, 1.0, np.float64(1)]),
        (COUNT, [1, 2**53], [0, 0.5]),
        (PARAMETERS["stream_fps"], [0.1, 1e6], [0, 1000000.1]),
    ],
)
def test_ends_of_ranges(allowed: Range, inside: list[Any], outside: list[Any]) -> None:
    for value in inside:
        assert allowed.holds(value), value
        allowed.check("x", value)
    for value in [*outside, math.nan, math.inf, -math.inf, np.nan, True, False, np.True_, "1", None, [1], 1j]:
        assert not allowed.holds(value), value
        assert refusal(allowed.check, "x", value).startswith("x: got ")
        assert "\n" not in refusal(allowed.check, "x", value)
    assert "got nan;" in refusal(allowed.check, "x", np.float32(math.nan))


@given(st.sampled_from(RANGES), st.floats() | st.sampled_from([0.0, 1.0, 2.0, 8192.0, 1e6, 2.0**53]))
def test_a_number_an_array_and_a_key_are_held_to_the_same(allowed: Range, value: float) -> None:
    inside = bool(allowed.inside(np.array([value]))[0])
    given = int(value) if allowed.whole and math.isfinite(value) and value == int(value) else value
    assert allowed.holds(given) == inside
    key = TypeAdapter(Annotated[int if allowed.whole else float, allowed])
    try:
        assert key.validate_python(given) == given
    except ValidationError as error:
        assert not inside
        assert refusal(allowed.check, "x", given).endswith(error.errors()[0]["msg"])
    else:
        assert inside


@pytest.mark.parametrize(
    ("allowed", "given", "words"),
    [
        (POSITIVE, 0, "a finite number above 0"),
        (POSITIVE, math.inf, "a finite number above 0"),
        (NON_NEGATIVE, -1, "a finite number, 0 or more"),
        (PROBABILITY, 2, "a number in [0, 1]"),
        (SHARE, 2, "a number above 0, up to 1"),
        (BETWEEN, 1, "a number above 0, below 1"),
        (WHOLE, -1, "a whole number, 0 or more"),
        (WHOLE, "9" * 30, "a whole number, 0 or more, up to 2**53"),
        (COUNT, 10**400, "a whole number, 1 or more, up to 2**53"),
        (SIDES, 1, "a whole number, 2 to 8192"),
        (replace(POSITIVE, unit="seconds"), 0, "a number of seconds above 0"),
        (replace(POSITIVE, unit="seconds", high=1e6), 0, "a number of seconds above 0, up to 1e6"),
        (PARAMETERS["stream_fps"], 0, "a finite number above 0"),
        (PARAMETERS["stream_fps"], 1e7, "a finite number above 0, up to 1e6"),
    ],
)
def test_words_say_what_is_allowed(allowed: Range, given: Any, words: str) -> None:
    assert allowed.words(given) == words


def test_briefly_a_whole_number_is_told_the_end_that_it_passed() -> None:
    assert refusal(SIDES.check, "n", 1, briefly=True) == "n: got 1; it has to be at least 2"
    assert refusal(SIDES.check, "n", 8193, briefly=True) == "n: got 8193; it has to be at most 8192"
    assert refusal(SIDES.check, "n", 2.5, briefly=True) == "n: got 2.5; it has to be a whole number, 2 to 8192"


@pytest.mark.parametrize(
    ("allowed", "values", "message"),
    [
        (POSITIVE, [1, 0], "x: got 0; allowed is (0, inf)"),
        (PROBABILITY, [0.5, np.nan, 2], "x: got nan; allowed is [0, 1]"),
        (SHARE, [[0.5], [1.5]], "x: got 1.5; allowed is (0, 1]"),
        (BETWEEN, 1, "x: got 1; allowed is (0, 1)"),
        (SIDES, 1, "x: got 1; allowed is 2..8192"),
        (SIDES, 2.5, "x: it has to be whole numbers; got 2.5"),
        (SIDES, np.inf, "x: got inf; allowed is 2..8192"),
    ],
)
def test_an_array_is_told_its_first_wrong_value(allowed: Range, values: Any, message: str) -> None:
    assert refusal(allowed.check_array, "x", np.array(values, dtype=float)) == message


def test_codes_stand_for_what_is_no_number() -> None:
    values = np.array([0.5, np.nan, -np.inf])
    PROBABILITY.check_array("x", values, {np.nan: "none", -np.inf: "unknown"})
    message = refusal(PROBABILITY.check_array, "x", values, {np.nan: "none"})
    assert message == "x: got -inf; allowed is [0, 1], nan for none"


@pytest.mark.parametrize("given", ["x", [[1], [1, 2]], [None, {}], [10**400]])
def test_what_is_no_array_of_numbers_is_refused(given: Any) -> None:
    assert refusal(numbers, "x", given).endswith("; it has to be numbers")


ONE = {
    "accuracy": 0.9, "false_positive_rate": 0.1, "event_length_ms": 500, "event_frequency": 0.1, "correlation": 0.1,
    "stream_fps": 10, "target_fps": 5, "x_vote": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("value", [-0.5, math.inf, -math.inf])
def test_no_door_takes_what_the_table_leaves_out(name: str, value: float) -> None:
    app = {"app_id": 1, "accuracies": {0: 0.9}, "event_length_ms": 500}
    columns = {"accuracies": [[0.9]], "false_positive_rates": [[0.1]], "chokepoints": [0], "event_length_ms": 500}
    asked = 0
    if name in ONE:
        asked += 1
        assert name in refusal(event_metrics, **ONE | {name: value})
    if name in ("stream_fps", "target_fps"):
        pinned = app | {"pinned": (0, value)}
        assert "it has to be" in (refusal(Video, stream_fps=value) if name == "stream_fps" else refusal(App, **pinned))
        return
    names = ("accuracy", "accuracies"), ("false_positive_rate", "false_positive_rates")
    keys = dict(names) | {"false_correlation": "false_correlations"}
    key = keys.get(name, name)
    assert key in refusal(App, **app | {key: {0: value} if name in keys else value})
    codes = {("max_fps", math.inf), ("min_value", -math.inf)}
    if (name, value) in codes:
        Apps.from_arrays(**columns | {key: value})
    else:
        assert key in refusal(Apps.from_arrays, **columns | {key: [[value]] if name in keys else value})
