"""The correction of a profile against its definition, and what has to hold for any measurement."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mainstream import Model
from mainstream.correction import LARGEST_FACTOR, LEAST_RUNS, MeasuredPart, corrected
from mainstream.io import load_profile, save_profile

LAYERS = 8


def network(latencies: Sequence[float], **keys: str) -> Model:
    names = {k: f"t{k}" for k in range(len(latencies) + 1)}
    return Model(
        total_layers=len(latencies), layer_latencies=tuple(latencies), frozen_layer_names=names, unit="ms", **keys
    )


def part(model: Model, start: int, stop: int, runs: int, factor: float) -> MeasuredPart:
    """A part that took `factor` times what the profile says."""
    predicted = runs * float(model.prefix[stop] - model.prefix[start]) / 1000
    return MeasuredPart(None, start, stop, runs, factor * predicted, predicted)


def seconds(model: Model, parts: Sequence[MeasuredPart]) -> float:
    """What the profile says of the parts together, seconds."""
    return sum(one.runs * sum(model.layer_latencies[one.start : one.stop]) / 1000 for one in parts)


@st.composite
def measurements(draw: st.DrawFn) -> tuple[Model, list[MeasuredPart]]:
    latencies = draw(st.lists(st.floats(0.01, 50) | st.just(0.0), min_size=LAYERS, max_size=LAYERS))
    assume(sum(latencies) > 0)
    model = network(latencies)
    ends = st.tuples(st.integers(0, LAYERS - 1), st.integers(1, LAYERS)).filter(lambda pair: pair[0] < pair[1])
    count = draw(st.integers(1, 6))
    return model, [
        part(model, *draw(ends), draw(st.integers(LEAST_RUNS, 1000)), draw(st.floats(0.06, 18.0))) for _ in range(count)
    ]


@given(measurements())
def test_what_was_measured_is_what_is_predicted_then(measured: tuple[Model, list[MeasuredPart]]) -> None:
    model, parts = measured
    after = corrected(model, parts)
    assert seconds(after, parts) == pytest.approx(sum(one.measured_core_s for one in parts), rel=1e-9)
    factors = [one.factor for one in parts if one.factor is not None]
    for before, latency in zip(model.layer_latencies, after.layer_latencies, strict=True):
        if factors:
            assert min(factors) * before * (1 - 1e-9) <= latency <= max(factors) * before * (1 + 1e-9)


@given(measurements())
def test_each_layer_takes_the_mean_factor_of_its_parts(measured: tuple[Model, list[MeasuredPart]]) -> None:
    model, parts = measured
    after = corrected(model, parts)
    counted = [one for one in parts if one.factor is not None]
    together = sum(one.measured_core_s for one in counted) / (sum(one.predicted_core_s or 0 for one in counted) or 1)
    for layer, latency in enumerate(model.layer_latencies):
        pairs = [(one.runs, one.factor or 0) for one in counted if one.start <= layer < one.stop]
        mean = sum(n * f for n, f in pairs) / sum(n for n, _ in pairs) if pairs else together
        assert after.layer_latencies[layer] == pytest.approx(latency * (mean if counted else 1), rel=1e-9)


@given(measurements(), st.floats(0.5, 3.0))
def test_a_profile_that_is_off_by_one_factor_is_right_after_one_step(
    measured: tuple[Model, list[MeasuredPart]], factor: float
) -> None:
    model, shapes = measured
    parts = [part(model, one.start, one.stop, one.runs, factor) for one in shapes]
    assume(any(one.factor is not None for one in parts))
    after = corrected(model, parts)
    assert after.layer_latencies == pytest.approx([factor * latency for latency in model.layer_latencies])


def test_layers_wrong_each_by_its_own_factor_come_right_over_the_rounds() -> None:
    true = network([2.0, 1.0, 4.0, 1.0, 2.0, 1.0, 1.0, 1.0])
    wrong = network([f * x for f, x in zip([0.5, 0.5, 3, 3, 1, 1, 2, 2], true.layer_latencies, strict=True)])
    shapes = [(0, 2, 300), (2, 4, 200), (2, 8, 300), (4, 6, 100), (4, 8, 200), (6, 8, 100)]
    off = []
    for _ in range(12):
        parts = [
            MeasuredPart(
                None, a, b, n, seconds(true, [part(true, a, b, n, 1)]), seconds(wrong, [part(wrong, a, b, n, 1)])
            )
            for a, b, n in shapes
        ]
        off.append(max(abs((one.factor or 0) - 1) for one in parts))
        wrong = corrected(wrong, parts)
    assert all(after < before for before, after in pairwise(off))
    assert off[0] == pytest.approx(1) and off[-1] < 0.06


def test_a_part_that_was_to_take_nothing_takes_what_was_measured() -> None:
    model = network([0.0, 0.0, 2.0, 1.0])
    stem, tail = MeasuredPart(None, 0, 2, 100, 0.05, 0.0), part(model, 2, 4, 100, 1.0)
    assert corrected(model, [stem, tail]).layer_latencies == pytest.approx((0.25, 0.25, 2.0, 1.0))
    assert stem.factor is None
    whole = part(model, 0, 4, 50, 1.5)
    assert seconds(corrected(model, [stem, tail, whole]), [stem, tail, whole]) == pytest.approx(
        sum(one.measured_core_s for one in (stem, tail, whole))
    )
    absurd = MeasuredPart(None, 0, 2, 100, 1e6, 0.0)
    assert corrected(model, [absurd, tail]).layer_latencies == (0.0, 0.0, 2.0, 1.0)


@pytest.mark.parametrize(
    "bad",
    [
        MeasuredPart(None, 0, 2, LEAST_RUNS - 1, 9.0, 1.0),
        MeasuredPart(None, 0, 2, 0, 0.0, 0.0),
        MeasuredPart(None, 0, 2, 100, 1.01 * LARGEST_FACTOR, 1.0),
        MeasuredPart(None, 0, 2, 100, 1.0, 1.01 * LARGEST_FACTOR),
        MeasuredPart(None, 0, 2, 100, 0.0, 1.0),
        MeasuredPart(None, 0, 2, 100, 1.0, None),
    ],
)
def test_parts_that_do_not_count_change_nothing(bad: MeasuredPart) -> None:
    model = network([1.0, 2.0, 3.0])
    assert bad.factor is None
    assert corrected(model, [bad]) is model
    good = part(model, 1, 3, 50, 2.0)
    assert corrected(model, [good, bad]) == corrected(model, [good])
    assert corrected(model, [good, bad]).layer_latencies == (2.0, 4.0, 6.0)


def test_a_corrected_profile_says_so_once_and_reads_back(tmp_path: Path) -> None:
    model = network([1.0, 2.0], measured_on="a box, 2026-01-02")
    model = model.model_copy(update={"whole_network_ms": 3.0, "cores": 2})
    twice = corrected(model, [part(model, 0, 2, 50, 2.0)])
    twice = corrected(twice, [part(twice, 0, 2, 50, 0.25)])
    assert twice.layer_latencies == (0.5, 1.0)
    assert twice.measured_on and twice.measured_on.startswith("a box, 2026-01-02, corrected by measured compute, 20")
    assert twice.measured_on.count("corrected") == 1
    assert (twice.whole_network_ms, twice.cores, twice.frozen_layer_names) == (None, 2, model.frozen_layer_names)
    save_profile(twice, tmp_path / "profile.json")
    assert load_profile(tmp_path / "profile.json") == twice
