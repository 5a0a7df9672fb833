"""Requests are decoded net by net, as JSON's own decoder would; answers are one short line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.runtime import plan_of

from mainstream import ProblemError
from mainstream.streamer import NetPlan
from mainstream.streamer.requests import MOST_NETS, nets, one_line

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
STEM, TAIL = json.loads(plan_of([(4, 10)]).to_json())


@given(st.lists(VALUES, max_size=8), st.booleans(), st.sampled_from([None, 0, 3]))
def test_a_list_is_what_it_is_for_the_decoder_of_json(values: list[Any], ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(values, ensure_ascii=ascii_only, indent=indent)
    assert list(nets(f" {text}\n")) == values


@given(st.lists(VALUES, max_size=3), st.integers(0, 60), st.sampled_from(["", "]", ",", "x", "[", "}", '"']))
def test_what_is_no_list_is_refused_when_the_decoder_of_json_refuses_it(values: list[Any], at: int, put: str) -> None:
    text = json.dumps(values)
    text = text[:at] + put + text[at + 1 :]
    try:
        wanted = json.loads(text)
    except ValueError:
        wanted = None
    if isinstance(wanted, list):
        try:
            assert list(nets(text)) == wanted
        except ProblemError as error:
            assert "stands twice" in str(error)
        return
    with pytest.raises(ProblemError, match=r"^net plan: ") as caught:
        list(nets(text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [10, 4_000, 4_094, 4_095, 4_096, 4_097, 100_000])
def test_an_element_of_any_length_that_is_allowed_is_whole(length: int) -> None:
    values = ["x" * length, {"key": "y" * (length // 2)}, int("7" * min(length, 4_000))]
    assert list(nets(json.dumps(values))) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('["' + "x" * 2**17 + '"]', "no JSON, or a net of more than 131,072 characters, from character 1 on"),
        ("[" + "1" * 2**18 + "]", "no JSON: "),
        ("[" * 100_000, "no JSON: nested too deeply"),
        ('[{"a": 1, "b": 2, "a": 3}]', "key 'a' stands twice in one mapping"),
        ("[" + ",".join(["{}"] * (MOST_NETS + 1)) + "]", "it has more than 10,000 nets; no more are allowed"),
        ('[{"a": 1},\n {"b" 2}]', "no JSON: line 2, column 7: Expecting ':' delimiter"),
    ],
)
def test_what_is_too_much_is_refused(text: str, message: str) -> None:
    with pytest.raises(ProblemError) as caught:
        list(nets(text))
    assert str(caught.value).startswith(f"net plan: {message}")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([STEM | {"input_layer": "\ud800"}, TAIL], "net plan, place 0: input_layer: got '\\ud800'; it has to be text"),
        ([STEM | {"model_path": "x" * 4_097}, TAIL], "net plan, place 0: model_path: got 'xxx"),
        ([STEM, TAIL | {"event_class": "x" * 4_097}], "net plan, place 1: event_class: got 'xxx"),
        ([STEM], "net 0: it feeds no app; leave it out"),
        ([STEM, TAIL, STEM | {"net_id": 2}], "net 2: it feeds no app; leave it out"),
    ],
)
def test_a_plan_that_asks_for_too_much_is_refused(parts: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ProblemError) as caught:
        NetPlan.from_json(json.dumps(parts))
    assert str(caught.value).startswith(message)


def test_names_of_4096_characters_of_any_kind_are_taken() -> None:
    name = "\u00fc\U0001f600" * 2048
    plan = NetPlan.from_json(json.dumps([STEM | {"model_path": name}, TAIL]))
    assert plan.subnets[0].model_path == name


@given(st.text(st.characters(exclude_categories=[])))
def test_an_answer_is_one_line_of_printable_characters(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert len(one_line(text * 200)) <= 1000
    line.encode()
