"""Event model "measured": each of its parts against exact sums, draws of frames, and itself."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from mainstream import App, Apps, Model, ProblemError, Video, prepare, solve
from mainstream.event_kernels import MOST_AUTO_VOTES
from mainstream.events import METRICS, EventMetrics, event_metrics, option_values
from mainstream.experiments.simulate import simulate

Polynomial = list[Fraction]
"""Coefficients, from that of 1 on."""

LENGTHS = [200.0, 300.0, 500.0, 3000.0]
ONE: dict[str, Any] = {
    "accuracy": 0.6,
    "false_positive_rate": 0.05,
    "event_length_ms": 1000.0,
    "event_frequency": 0.2,
    "correlation": 0.7,
    "stream_fps": 12.0,
    "target_fps": 6.0,
    "x_vote": 2,
}
PARTS: dict[str, dict[str, Any]] = {
    "rate": {"correlation_fps": 12.0},
    "spread": {"accuracy_spread": 0.3},
    "lengths": {"event_lengths_ms": LENGTHS},
}


def times(first: Polynomial, second: Polynomial) -> Polynomial:
    product = [Fraction(0)] * (len(first) + len(second) - 1)
    for (i, x), (j, y) in itertools.product(enumerate(first), enumerate(second)):
        product[i + j] += x * y
    return product


def detected(rho: Fraction, n: int, votes: int) -> Polynomial:
    """P(so many hits in a row among n frames) as a polynomial in the accuracy: the sum over all 2^n sequences."""
    one = Fraction(1)
    after_hit, after_miss, first = [rho, 1 - rho], [Fraction(0), 1 - rho], [Fraction(0), one]
    total = [Fraction(0)] * (n + 1)
    for hits in itertools.product((False, True), repeat=n):
        if "1" * votes not in "".join("01"[hit] for hit in hits):
            continue
        chance = [one]
        for before, now in itertools.pairwise((None, *hits)):
            to_hit = first if before is None else after_hit if before else after_miss
            chance = times(chance, to_hit if now else [one - to_hit[0], -to_hit[1]])
        for k, x in enumerate(chance):
            total[k] += x
    return total


def over_beta(polynomial: Polynomial, p: Fraction, spread: Fraction) -> Fraction:
    """Its mean where the accuracy is Beta distributed: E[x^k] is a product of k ratios."""
    moment = mean = Fraction(0)
    for k, x in enumerate(polynomial):
        # (a + j) / (a + b + j) with a = p (1-s)/s and a + b = (1-s)/s, both times s.
        j = k - 1
        moment = Fraction(1) if k == 0 else moment * (p * (1 - spread) + j * spread) / (1 - spread + j * spread)
        mean += x * moment
    return mean


@pytest.mark.parametrize("seed", range(30))
def test_spread_and_lengths_equal_the_sum_over_all_sequences(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, rho = (Fraction(float(x)) for x in rng.random(2))
    spread = Fraction(float(rng.choice([0.0, 1e-9, rng.random(), 0.999])))
    votes = int(rng.integers(1, 5))
    quarters = [int(x) for x in rng.integers(1, 29, rng.integers(1, 4))]
    want = Fraction(0)
    for frames in quarters:
        whole, part = frames // 4, Fraction(frames % 4, 4)
        for n, share in ((whole, 1 - part), (whole + 1, part)):
            want += share * over_beta(detected(rho, n, votes), p, spread) / len(quarters)
    got = event_metrics(
        float(p),
        np.nan,
        event_length_ms=1.0,
        event_frequency=np.nan,
        correlation=float(rho),
        stream_fps=1,
        target_fps=1,
        x_vote=votes,
        accuracy_spread=float(spread),
        event_lengths_ms=[250.0 * x for x in quarters],
        event_model="measured",
    )
    assert got.recall == pytest.approx(float(want), rel=1e-10, abs=1e-13)


def test_the_correlation_is_that_of_the_chain_at_the_rate() -> None:
    """A chain at 12 frames a second, seen at 4: every third frame, and so rho to the third."""
    seen = ONE | {"target_fps": 4.0}
    got = event_metrics(**seen, correlation_fps=12.0, event_model="measured")
    want = event_metrics(**seen | {"correlation": 0.7**3}, event_model="windowed")
    np.testing.assert_allclose(got, want, rtol=1e-12)
    at_that_rate = event_metrics(**seen, correlation_fps=4.0, event_model="measured")
    np.testing.assert_allclose(at_that_rate, event_metrics(**seen), rtol=1e-12)


def test_false_alarms_have_a_chain_of_their_own() -> None:
    """Alarms are those of an app whose events have that chain; recall is that of the events' own."""
    seen = {"correlation_fps": 12.0, "accuracy_spread": 0.2, "event_lengths_ms": LENGTHS, "event_model": "measured"}
    got = event_metrics(**ONE, **seen, false_correlation=np.array([0.0, 0.7, 0.95, 1.0]))
    plain = event_metrics(**ONE, **seen)
    np.testing.assert_array_equal(got.recall, plain.recall)
    assert got.f1[1] == plain.f1
    alone = {name: value for name, value in seen.items() if name != "accuracy_spread"}
    for k, rho in enumerate((0.0, 0.7, 0.95, 1.0)):
        alarms = 4 * event_metrics(**ONE | {"accuracy": 0.05, "correlation": rho}, **alone).recall
        assert got.precision[k] == pytest.approx(got.recall[k] / (got.recall[k] + alarms), rel=1e-12)


def test_false_alarms_that_hang_together_are_what_draws_show() -> None:
    chains = {"correlation_fps": 12.0, "false_correlation": 0.95}
    given = ONE | {"x_vote": 3}
    drawn = simulate(**given, **chains, windows=400_000, seed=6)
    predicted = event_metrics(**given, **chains, event_model="measured")
    same = event_metrics(**given, correlation_fps=12.0, event_model="measured")
    value, low, high = drawn.precision
    sigma = (high - low) / 3.92
    assert abs(predicted.precision - value) < 4 * sigma
    assert abs(same.precision - value) > 12 * sigma


def test_what_no_frame_says_is_as_windowed() -> None:
    given = ONE | {"accuracy": np.linspace(0, 1, 7)[:, None], "target_fps": np.array([0.5, 1, 3, 8, 12])}
    for votes in (0, 1, 2, 5):
        plain = event_metrics(**given | {"x_vote": votes})
        measured = event_metrics(**given | {"x_vote": votes}, event_model="measured")
        np.testing.assert_allclose(measured, plain, rtol=1e-12, atol=1e-14)
    for part in (*PARTS.values(), {"false_correlation": 0.9}):
        np.testing.assert_array_equal(event_metrics(**ONE, **part), event_metrics(**ONE))


def random_parameters(n: int, seed: int) -> dict[str, Any]:
    """All parts at once; the stride is whole, as the model has it."""
    rng = np.random.default_rng(seed)
    target = rng.uniform(1, 8, n)
    stream = target * rng.integers(1, 5, n)
    mean = rng.uniform(200, 3000, n)
    return {
        "accuracy": rng.uniform(0.2, 1, n),
        "false_positive_rate": rng.uniform(0, 0.4, n),
        "event_length_ms": mean,
        "event_frequency": rng.uniform(0.02, 0.95, n),
        "correlation": rng.random(n) * rng.integers(0, 2, n),
        "stream_fps": stream,
        "target_fps": target,
        "x_vote": rng.integers(0, 5, n),
        "correlation_fps": np.where(rng.random(n) < 0.3, np.nan, stream),
        "accuracy_spread": np.where(rng.random(n) < 0.3, 0, rng.uniform(0, 0.6, n)),
        "false_correlation": np.where(rng.random(n) < 0.3, np.nan, rng.uniform(0, 0.9, n)),
        "event_lengths_ms": mean[:, None] * rng.gamma(2, 0.5, (n, 6)) + 1,
    }


@pytest.mark.parametrize("metric", METRICS)
def test_measured_lies_in_the_intervals_of_draws(metric: str) -> None:
    n = 400
    parameters = random_parameters(n, seed=11)
    simulated = getattr(simulate(**parameters, windows=5000, seed=12), metric)
    predicted = getattr(event_metrics(**parameters, event_model="measured"), metric)
    tried = (predicted > 0.01) & (predicted < 0.99)
    inside = ((predicted >= simulated.low) & (predicted <= simulated.high))[tried]
    assert tried.sum() > n / 2
    assert 0.91 < inside.mean() < 0.99
    plain = getattr(event_metrics(**parameters), metric)[tried]
    assert ((plain >= simulated.low[tried]) & (plain <= simulated.high[tried])).mean() < 0.5


@pytest.mark.parametrize("part", PARTS)
def test_each_part_alone_is_what_draws_show_and_windowed_is_not(part: str) -> None:
    drawn = simulate(**ONE, **PARTS[part], windows=400_000, seed=5)
    predicted = event_metrics(**ONE, **PARTS[part], event_model="measured")
    plain = event_metrics(**ONE)
    for metric in ("recall", "f1"):
        value, low, high = getattr(drawn, metric)
        sigma = (high - low) / 3.92
        assert abs(getattr(predicted, metric) - value) < 4 * sigma
        assert abs(getattr(plain, metric) - value) > 12 * sigma


def test_all_or_none_of_an_event_is_seen_where_the_spread_is_whole() -> None:
    got = event_metrics(**ONE, accuracy_spread=1.0, event_model="measured")
    assert got.recall == pytest.approx(0.6, rel=1e-12)
    drawn = simulate(**ONE, accuracy_spread=1.0, windows=50_000, seed=1).recall
    assert drawn.low < 0.6 < drawn.high


@pytest.mark.parametrize(
    ("frames", "votes", "off"), [(30, 3, 1e-4), (100, 3, 1e-3), (100, 7, 1e-3), (300, 4, 2e-3), (100, 1, 3e-3)]
)
def test_long_windows_are_near_the_integral(frames: int, votes: int, off: float) -> None:
    """A midpoint rule of the Beta density over many accuracies, each computed without spread."""
    spread, p = 0.2, 0.7
    a, b = p * (1 - spread) / spread, (1 - p) * (1 - spread) / spread
    x = (np.arange(20_000) + 0.5) / 20_000
    density = x ** (a - 1) * (1 - x) ** (b - 1)
    given = ONE | {"event_length_ms": 1000.0 * frames, "stream_fps": 1, "target_fps": 1, "x_vote": votes}
    each = event_metrics(**given | {"accuracy": x, "correlation": 0.2}).recall
    got = event_metrics(**given | {"correlation": 0.2, "accuracy": p}, accuracy_spread=spread, event_model="measured")
    assert got.recall == pytest.approx((density @ each) / density.sum(), abs=off)


RATES = np.array([0.5, 1, 2.5, 4, 8, 12.5])


def random_apps(seed: int, x_vote: int | str, points: int = 18) -> Apps:
    """Apps of all kinds, at more chokepoints than one pass takes."""
    rng = np.random.default_rng(seed)
    n = 9
    p = rng.random((n, points))
    p[:, 1:][rng.random((n, points - 1)) < 0.2] = np.nan
    lengths = [rng.uniform(50, 4000, rng.integers(0, 5)).tolist() for _ in range(n)]
    return Apps.from_arrays(
        p,
        np.where(np.isnan(p), np.nan, rng.choice([0, 0.01, 0.3], (n, points))),
        2 * np.arange(points),
        event_length_ms=rng.choice([40, 300, 2500, 60_000], n),
        event_frequency=rng.choice([0.02, 0.5, 1.0], n),
        correlation=rng.choice([0, 0.4, 0.9], n),
        correlation_fps=rng.choice([np.nan, 12.5], n),
        accuracy_spread=rng.choice([0, 0.05, 0.4], n),
        false_correlations=rng.choice([np.nan, 0.0, 0.6], (n, points)),
        event_lengths_ms=lengths,
        x_vote=x_vote,
    )


def elementwise(apps: Apps, x_vote: int) -> EventMetrics:
    def wide(column: Any) -> Any:
        return column[:, None, None]

    lengths = np.where(np.isnan(apps.event_lengths_ms[:, :1]), apps.event_length_ms[:, None], apps.event_lengths_ms)
    lengths[np.isnan(apps.event_lengths_ms[:, 0]), 1:] = np.nan
    return event_metrics(
        np.nan_to_num(apps.accuracies)[..., None],
        apps.false_positive_rates[..., None],
        event_length_ms=wide(apps.event_length_ms),
        event_frequency=wide(apps.event_frequency),
        correlation=wide(apps.correlation),
        correlation_fps=wide(apps.correlation_fps),
        accuracy_spread=wide(apps.accuracy_spread),
        false_correlation=apps.false_correlations[..., None],
        event_lengths_ms=lengths[:, None, None, :],
        stream_fps=12.5,
        target_fps=RATES,
        x_vote=x_vote,
        event_model="measured",
    )


@pytest.mark.parametrize("metric", METRICS)
def test_options_are_worth_the_metrics_and_auto_takes_the_best_votes(metric: str) -> None:
    each = []
    for votes in range(1, MOST_AUTO_VOTES + 1):
        metrics = elementwise(random_apps(3, votes), votes)
        values, _ = option_values(random_apps(3, votes), RATES, 12.5, metric=metric, event_model="measured")
        want = np.where(metrics.recall > 1e-15, getattr(metrics, metric), 0 * getattr(metrics, metric))
        closed = np.isnan(random_apps(3, votes).accuracies)[..., None]
        np.testing.assert_allclose(values, np.where(closed, np.nan, want), rtol=1e-9, atol=1e-12)
        each.append(values)
    best, votes_behind = option_values(random_apps(3, "auto"), RATES, 12.5, metric=metric, event_model="measured")
    # For recall it takes one vote; more can be ahead by what interpolation is off.
    np.testing.assert_allclose(best, np.array(each).max(axis=0), rtol=1e-9, atol=1e-6)
    assert len(np.unique(votes_behind[~np.isnan(best)])) > 1 or metric == "recall"


MODEL = Model(total_layers=4, layer_latencies=(1, 1, 1, 1), frozen_layer_names={1: "in", 2: "mid", 4: "out"})
PLAIN = {"app_id": 1, "accuracies": {0: 0.9, 2: 0.8}, "event_length_ms": 1500, "correlation": 0.5}


@pytest.mark.parametrize(
    "keys", [{"correlation_fps": 5}, {"accuracy_spread": 0.1}, {"event_lengths_ms": [1000, 2000]}], ids=str
)
def test_an_app_that_was_measured_makes_it_the_default(keys: dict[str, Any]) -> None:
    video = Video(stream_fps=5)
    assert solve([PLAIN], MODEL, video, 8).event_model == "windowed"
    result = solve([PLAIN, PLAIN | {"app_id": 2} | keys], MODEL, video, 8)
    assert result.event_model == "measured"
    _, second = result.choices
    want = event_metrics(
        second.accuracy,
        np.nan,
        event_length_ms=1500,
        event_frequency=np.nan,
        correlation=0.5,
        stream_fps=5,
        target_fps=second.target_fps,
        event_model="measured",
        **keys,
    )
    assert second.recall == pytest.approx(float(want.recall), rel=1e-12)
    assert solve([PLAIN | keys], MODEL, video, 8, event_model="windowed").event_model == "windowed"


def test_each_model_has_its_own_false_alarms() -> None:
    rates = {"false_positive_rates": {0: 0.1, 2: 0.1}, "event_frequency": 0.2, "x_vote": 3}
    keys = PLAIN | rates | {"accuracies": {1: 0.9, 2: 0.9}, "false_positive_rates": {1: 0.1, 2: 0.1}}
    apps = [App.of(keys | {"app_id": k, "pinned": (k, 5), "false_correlations": {2: 0.9}}) for k in (1, 2)]
    result = solve(apps, MODEL, Video(stream_fps=5), 100)
    own, other = result.choices
    assert result.event_model == "measured" and own.recall == other.recall
    assert own.precision is not None and other.precision is not None and own.precision > other.precision + 0.03
    grown = prepare(apps[:1], MODEL, Video(stream_fps=5)).with_app(apps[1])
    np.testing.assert_array_equal(grown.apps.false_correlations, [[np.nan, 0.9]] * 2)
    with pytest.raises(ProblemError, match="false_correlations: accuracies has no num_frozen 4"):
        App.of(keys | {"false_correlations": {4: 0.5}})
    with pytest.raises(ProblemError, match="false_correlations"):
        App.of(keys | {"false_correlations": {2: 1.5}})
    with pytest.raises(ProblemError, match=r"false_correlations: shape \(1,\); accuracies has \(1, 2\)"):
        Apps.from_arrays([[0.9, 0.9]], None, [0, 2], event_length_ms=1000, false_correlations=[0.5])


def test_an_app_that_comes_or_goes_leaves_the_table_as_built_anew() -> None:
    video = Video(stream_fps=5)
    apps = [PLAIN, PLAIN | {"app_id": 2, "accuracy_spread": 0.2, "event_lengths_ms": [700, 900, 2000]}]
    more = PLAIN | {"app_id": 3, "event_lengths_ms": [500, 600, 700, 800], "correlation_fps": 5}
    grown = prepare(apps, MODEL, video).with_app(more)
    np.testing.assert_array_equal(
        grown.table.parts[0].values, prepare([*apps, more], MODEL, video).table.parts[0].values
    )
    np.testing.assert_array_equal(grown.apps.event_lengths_ms[1], [700, 900, 2000, np.nan])
    left = grown.without(2)
    np.testing.assert_array_equal(
        left.table.parts[0].values, prepare([PLAIN, more], MODEL, video).table.parts[0].values
    )


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("correlation_fps", 0, "correlation_fps: got 0; it has to be a finite number above 0"),
        ("accuracy_spread", 1.5, "accuracy_spread: got 1.5"),
        ("event_lengths_ms", [], "event_lengths_ms"),
        ("event_lengths_ms", [100, -1], "event_lengths_ms"),
        ("event_lengths_ms", [100] * 65, "event_lengths_ms"),
        ("event_lengths_ms", "long", "event_lengths_ms"),
    ],
)
def test_bad_keys_are_named_in_one_line(key: str, value: Any, words: str) -> None:
    with pytest.raises(ProblemError, match=words) as caught:
        App.of(PLAIN | {key: value})
    assert "\n" not in str(caught.value)


def test_bad_lengths_in_arrays() -> None:
    with pytest.raises(ProblemError, match="event_lengths_ms: got 0"):
        event_metrics(**ONE, event_lengths_ms=[100, 0])
    with pytest.raises(ProblemError, match="event_lengths_ms: shape"):
        event_metrics(**ONE | {"accuracy": [0.1, 0.2, 0.3]}, event_lengths_ms=[[1, 2], [3, 4]])
    with pytest.raises(ProblemError, match="event_lengths_ms: it has to be 1 lists of at most 64"):
        Apps.from_arrays([[0.5]], None, [0], event_length_ms=10, event_lengths_ms=[[1.0], [2.0]])
