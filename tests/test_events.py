"""The event model against the published values, exact enumeration, matrix powers, and replays of its chain."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mainstream import Apps, ProblemError
from mainstream.event_kernels import MOST_AUTO_VOTES, MOST_VOTES, POINTS
from mainstream.events import METRICS, event_metrics, option_values
from mainstream.extensions import EVENT_MODELS

RELEASED = np.genfromtxt(Path(__file__).parent / "data" / "event_model_released.csv", delimiter=",", names=True)
TYPICAL = {
    "event_length_ms": 700.0,
    "event_frequency": 0.1,
    "correlation": 0.3,
    "stream_fps": 15.0,
    "target_fps": 6.0,
}


def shares(p, rho, nbar, x_vote, event_model="windowed"):
    """Recall over windows of `nbar` frames on average; at r = S = 1 a second is a frame in every variant."""
    return event_metrics(
        p,
        np.nan,
        event_length_ms=1000 * np.asarray(nbar, dtype=float),
        event_frequency=np.nan,
        correlation=rho,
        stream_fps=1,
        target_fps=1,
        x_vote=x_vote,
        event_model=event_model,
    ).recall


def transitions(p, rho, free):
    """P(hit | hit), P(hit | miss)."""
    return p + (1 - p) * rho, p if free else p * (1 - rho)


def enumerated(p, rho, n, x_vote, free):
    """P(x_vote hits in a row among n frames): the sum over all 2^n sequences."""
    after_hit, after_miss = transitions(p, rho, free)
    found = Fraction(0)
    for hits in itertools.product((False, True), repeat=n):
        chance = Fraction(1)
        for before, now in itertools.pairwise((None, *hits)):
            to_hit = p if before is None else after_hit if before else after_miss
            chance *= to_hit if now else 1 - to_hit
        longest = max((len(list(run)) for hit, run in itertools.groupby(hits) if hit), default=0)
        if longest >= x_vote:
            found += chance
    return found


def by_matrix(p, rho, n, x_vote):
    """The same by the n-th power of the transition matrix over runs of hits; the last state is "detected"."""
    after_hit, after_miss = transitions(p, rho, free=False)
    step = np.zeros((x_vote + 1, x_vote + 1))
    for run in range(x_vote):
        to_hit = after_hit if run else after_miss
        step[run, 0] += 1 - to_hit
        step[run, run + 1] += to_hit
    step[x_vote, x_vote] = 1
    start = np.zeros(x_vote + 1)
    start[:2] = 1 - p, p
    return (start @ np.linalg.matrix_power(step, n - 1))[x_vote]


def replayed(rng, windows, p, rho, nbar, x_vote):
    """Which of so many windows are detected, by drawing every frame."""
    n = math.floor(nbar) + (rng.random(windows) < nbar % 1)
    after_hit, after_miss = transitions(p, rho, free=False)
    hit = np.zeros(windows, dtype=bool)
    run = np.zeros(windows, dtype=int)
    found = np.zeros(windows, dtype=bool)
    for frame in range(n.max()):
        to_hit = np.where(hit, after_hit, after_miss) if frame else p
        hit = rng.random(windows) < to_hit
        run = np.where(hit, run + 1, 0)
        found |= (run >= max(x_vote, 1)) & (frame < n)
    return found


def random_parameters(seed):
    """Parameters where the metrics are neither 0 nor 1, most of the time."""
    rng = np.random.default_rng(seed)
    stream_fps = rng.uniform(5, 30)
    parameters = {
        "accuracy": rng.uniform(0.3, 1),
        "false_positive_rate": rng.uniform(0, 0.4),
        "event_length_ms": rng.uniform(100, 3000),
        "event_frequency": rng.uniform(0.05, 0.9),
        "correlation": rng.choice([0.0, rng.random()]),
        "stream_fps": stream_fps,
        "target_fps": rng.uniform(1, stream_fps),
        "x_vote": int(rng.integers(0, 5)),
    }
    return rng, parameters


def ratio_and_sigma(above, below):
    """Ratio of two sums over windows, and its standard deviation by the delta method."""
    ratio = above.sum() / below.sum()
    return ratio, np.sqrt(((above - ratio * below) ** 2).sum()) / below.sum()


def assert_within_4_sigma(predicted, above, below, what):
    ratio, sigma = ratio_and_sigma(above.astype(float), below.astype(float))
    # With a share near 0 or 1 few windows say otherwise: sigma is itself uncertain by some counts.
    assert abs(predicted - ratio) <= 4 * sigma + 8 / below.sum(), what


def test_released_meets_the_published_values():
    got = event_metrics(
        RELEASED["accuracy"],
        RELEASED["false_positive_rate"],
        event_length_ms=RELEASED["event_length_ms"],
        event_frequency=RELEASED["event_frequency"],
        correlation=RELEASED["correlation"],
        stream_fps=RELEASED["stream_fps"],
        target_fps=RELEASED["fps"],
        x_vote=RELEASED["x_vote"],
        event_model="released",
    )
    assert len(got.recall) == 300
    np.testing.assert_allclose(got.recall, RELEASED["recall"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(got.f1, RELEASED["f1"], rtol=0, atol=1e-9)
    seen = RELEASED["recall"] > 1e-9
    np.testing.assert_allclose(got.precision[seen], RELEASED["precision"][seen], rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(60))
def test_detection_equals_the_sum_over_all_sequences(seed):
    rng = np.random.default_rng(seed)

    def probability():
        near_0 = 10 ** rng.uniform(-12, 0)
        return Fraction(float(rng.choice([0, 1, rng.random(), rng.random(), near_0, 1 - near_0])))

    p, rho = probability(), probability()
    quarters, x_vote = int(rng.integers(1, 36)), int(rng.integers(0, 8))
    event_model = str(rng.choice(list(EVENT_MODELS)))
    whole, part = quarters // 4, Fraction(quarters % 4, 4)
    free = event_model == "released" and x_vote > 0
    least = max(x_vote, 1)
    want = (1 - part) * enumerated(p, rho, whole, least, free) + part * enumerated(p, rho, whole + 1, least, free)
    got = shares(float(p), float(rho), quarters / 4, x_vote, event_model)
    assert got == pytest.approx(float(want), rel=4e-15, abs=0)


@pytest.mark.parametrize("x_vote", [1, 2, 3, 5, 7, 20, MOST_VOTES])
@pytest.mark.parametrize("n", [1, 19, 130, 1500, 10**6, 10**9])
def test_long_windows_equal_a_matrix_power(x_vote, n):
    rng = np.random.default_rng(n + x_vote)
    for p in (*rng.random(6), 0.01, 0.999, 1 - 1e-9):
        for rho in (0.0, rng.random(), 0.999):
            want = by_matrix(p, rho, n, x_vote)
            assert shares(p, rho, n, x_vote) == pytest.approx(want, rel=1e-12 + 1e-15 * n, abs=1e-13)


def test_rare_detections_keep_their_digits():
    # To first order, n - 1 places where a pair may stand, and a pair of rate p^2 at each.
    assert shares(1e-9, 0, 1000, 2) == pytest.approx(999e-18, rel=1e-6)
    assert shares(1e-14, 0, 1000, 0) == pytest.approx(1000e-14, rel=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_windowed_agrees_with_a_replay(seed):
    rng, drawn = random_parameters(seed)
    windows = 40_000
    nbar = drawn["event_length_ms"] / 1000 * drawn["target_fps"]
    chain = (drawn["correlation"], nbar, drawn["x_vote"])
    held = rng.random(windows) < drawn["event_frequency"]
    found = np.where(
        held,
        replayed(rng, windows, drawn["accuracy"], *chain),
        replayed(rng, windows, drawn["false_positive_rate"], *chain),
    )
    predicted = event_metrics(**drawn)
    assert_within_4_sigma(predicted.recall, held & found, held, f"recall, seed {seed}: {drawn}")
    assert_within_4_sigma(predicted.f1, 2 * (held & found), 1 * held + found, f"f1, seed {seed}: {drawn}")
    if found.any():
        assert_within_4_sigma(predicted.precision, held & found, found, f"precision, seed {seed}: {drawn}")


@pytest.mark.parametrize("seed", range(100, 120))
def test_paper_agrees_with_a_replay_of_events_and_gaps(seed):
    rng, drawn = random_parameters(seed)
    drawn["event_frequency"] = max(drawn["event_frequency"], 0.2)
    events = 20_000
    nbar = drawn["event_length_ms"] / 1000 * drawn["target_fps"]
    gap = nbar * (1 - drawn["event_frequency"]) / drawn["event_frequency"]
    found = replayed(rng, events, drawn["accuracy"], drawn["correlation"], nbar, drawn["x_vote"])
    alarm = replayed(rng, events, drawn["false_positive_rate"], drawn["correlation"], gap, drawn["x_vote"])
    predicted = event_metrics(**drawn, event_model="paper")
    assert_within_4_sigma(predicted.recall, found, np.ones(events), f"recall, seed {seed}: {drawn}")
    assert_within_4_sigma(predicted.f1, 2 * found, 1 + found + 1 * alarm, f"f1, seed {seed}: {drawn}")
    if found.any() or alarm.any():
        assert_within_4_sigma(predicted.precision, found, 1 * found + alarm, f"precision, seed {seed}: {drawn}")


def random_apps(seed, x_vote):
    """12 apps at 4 chokepoints, some models missing, app 1 without an event frequency, app 2 without q."""
    rng = np.random.default_rng(seed)
    n, f = 12, 4
    p = rng.random((n, f))
    p[rng.random((n, f)) < 0.2] = np.nan
    p[:, 0] = 0.9, *rng.random(n - 1)
    q = np.where(np.isnan(p), np.nan, rng.choice([0, 0.01, 0.3], (n, f)))
    apps = Apps.from_arrays(
        p,
        q,
        [0, 3, 5, 9],
        event_length_ms=rng.choice([40, 300, 2500, 60_000], n),
        event_frequency=rng.choice([0.02, 0.5, 1.0], n),
        correlation=rng.choice([0, 0.4, 1], n),
        x_vote=x_vote,
    )
    apps.event_frequency[1] = np.nan
    apps.false_positive_rates[2] = np.nan
    return apps


def elementwise(apps, rates, stream_fps, x_vote, event_model):
    """`event_metrics` of every option, shape (N, F, R); votes given as a number for all."""

    def wide(column):
        return column[:, np.newaxis, np.newaxis]

    return event_metrics(
        np.nan_to_num(apps.accuracies)[..., np.newaxis],
        apps.false_positive_rates[..., np.newaxis],
        event_length_ms=wide(apps.event_length_ms),
        event_frequency=wide(apps.event_frequency),
        correlation=wide(apps.correlation),
        stream_fps=stream_fps,
        target_fps=rates,
        x_vote=x_vote,
        event_model=event_model,
    )


def as_objective(metrics, metric, apps):
    values = np.where(metrics.recall > 0, getattr(metrics, metric), 0 * getattr(metrics, metric))
    return np.where(np.isnan(apps.accuracies)[..., np.newaxis], np.nan, values)


RATES = np.array([0.5, 1, 2.5, 4, 8, 12.5])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("event_model", EVENT_MODELS)
@pytest.mark.parametrize("x_vote", [None, 1, 2, 3, 6])
def test_option_values_are_event_metrics(metric, event_model, x_vote):
    apps = random_apps(7, x_vote)
    values, votes = option_values(apps, RATES, 12.5, metric=metric, event_model=event_model)
    want = as_objective(elementwise(apps, RATES, 12.5, x_vote or 0, event_model), metric, apps)
    assert values.shape == votes.shape == (12, 4, 6)
    assert (votes == (x_vote or 0)).all()
    assert not np.isnan(want).all()
    np.testing.assert_allclose(values, want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("event_model", EVENT_MODELS)
def test_auto_takes_the_best_votes(metric, event_model):
    apps = random_apps(8, "auto")
    values, votes = option_values(apps, RATES, 12.5, metric=metric, event_model=event_model)
    each = np.array(
        [
            as_objective(elementwise(apps, RATES, 12.5, x, event_model), metric, apps)
            for x in range(1, MOST_AUTO_VOTES + 1)
        ]
    )
    np.testing.assert_allclose(values, each.max(axis=0), rtol=1e-12, atol=1e-14)
    defined = ~np.isnan(values)
    chosen = np.take_along_axis(each, votes[np.newaxis].astype(int) - 1, axis=0)[0]
    np.testing.assert_allclose(chosen[defined], values[defined], rtol=1e-12, atol=1e-14)
    # On a tie the fewest: nothing before the chosen one is as good, but for the last digits.
    for x in range(1, MOST_AUTO_VOTES):
        later = defined & (votes > x)
        assert (each[x - 1][later] < values[later] + 1e-12).all()
    assert (votes[defined & (values == 0)] == 1).all()


def drawn_apps(seed):
    """Apps with any curve, sure hits and sure misses included, more points than one pass takes; and their rates."""
    rng = np.random.default_rng(seed)
    n, points = 8, int(rng.choice([1, POINTS - 1, POINTS, POINTS + 1, 2 * POINTS + 3]))

    def curve():
        drawn = rng.random((n, points)) ** rng.choice([0.3, 1, 8])
        return np.where(rng.random((n, points)) < 0.3, rng.choice([0, 1, 1e-9, 1 - 1e-9], (n, points)), drawn)

    apps = Apps.from_arrays(
        curve(),
        curve(),
        2 * np.arange(points),
        event_length_ms=np.exp(rng.uniform(2, 12, n)),
        event_frequency=rng.choice([1e-4, 0.1, 0.7, 1], n),
        correlation=rng.choice([0, rng.random(), 0.999, 1], n),
        x_vote="auto",
    )
    return apps, np.unique(rng.uniform(0.1, 20, rng.integers(1, 12)))


@pytest.mark.parametrize("seed", range(40))
def test_auto_is_the_best_of_all_votes_computed_alone(seed):
    apps, rates = drawn_apps(seed)
    for metric, event_model in itertools.product(METRICS, EVENT_MODELS):
        values, votes = option_values(apps, rates, 20.0, metric=metric, event_model=event_model)
        each = np.array(
            [
                as_objective(elementwise(apps, rates, 20.0, x, event_model), metric, apps)
                for x in range(1, MOST_AUTO_VOTES + 1)
            ]
        )
        what = f"{metric}, {event_model}"
        np.testing.assert_allclose(values, each.max(axis=0), rtol=1e-11, atol=1e-14, err_msg=what)
        # Fewer votes come as near to the best by their last digits at most, and the chosen ones do so.
        near = each >= each.max(axis=0) * (1 - 1e-11) - 1e-13
        assert (votes - 1 >= near.argmax(axis=0)).all(), what
        assert np.take_along_axis(near, votes[np.newaxis].astype(int) - 1, axis=0).all(), what
        assert (votes[values == 0] == 1).all(), what


def test_auto_takes_the_fewest_votes_on_a_tie():
    apps = Apps.from_arrays([[1.0]], [[0.0]], [0], event_length_ms=9000, event_frequency=0.1, x_vote="auto")
    values, votes = option_values(apps, np.array([1.0]), 1.0, metric="f1", event_model="windowed")
    assert (values.item(), votes.item()) == (1, 1)


def test_each_app_has_its_own_votes():
    mixed = random_apps(9, [0, 1, 2, 3, -1, 7, -1, 0, 2, 5, 1, -1])
    values, votes = option_values(mixed, RATES, 12.5, metric="f1", event_model="released")
    for x_vote in (None, 1, 2, 3, 5, 7, "auto"):
        alone = option_values(random_apps(9, x_vote), RATES, 12.5, metric="f1", event_model="released")
        rows = mixed.x_vote == {None: 0, "auto": -1}.get(x_vote, x_vote)
        assert rows.any()
        np.testing.assert_array_equal(values[rows], alone[0][rows])
        np.testing.assert_array_equal(votes[rows], alone[1][rows])


def test_one_vote_is_no_voting_but_for_released():
    for event_model in EVENT_MODELS:
        none, one = (event_metrics(0.6, 0.1, **TYPICAL, x_vote=x, event_model=event_model).f1 for x in (0, 1))
        assert (none == one) == (event_model != "released")


def test_without_false_positives_or_frequency_there_is_recall_only():
    full = event_metrics(0.6, 0.1, **TYPICAL)
    frequency = TYPICAL | {"event_frequency": np.nan}
    for event_model in EVENT_MODELS:
        for got in (
            event_metrics(0.6, np.nan, **TYPICAL, event_model=event_model),
            event_metrics(0.6, 0.1, **frequency, event_model=event_model, x_vote=2),
        ):
            assert np.isnan(got.precision)
            assert np.isnan(got.f1)
            assert got.recall > 0
    assert event_metrics(0.6, np.nan, **TYPICAL).recall == full.recall


def test_events_throughout_leave_no_room_for_alarms():
    always = TYPICAL | {"event_frequency": 1}
    for event_model in EVENT_MODELS:
        for x_vote in (0, 2):
            got = event_metrics(0.6, 0.9, **always, x_vote=x_vote, event_model=event_model)
            assert got.precision == 1
            assert got.f1 == pytest.approx(2 * got.recall / (1 + got.recall))


def test_never_hitting():
    for x_vote in (0, 3):
        silent = event_metrics(0, 0, **TYPICAL, x_vote=x_vote)
        assert (silent.recall, silent.precision, silent.f1) == (0, 1, 0)
        blind = event_metrics(0, 0.5, **TYPICAL, x_vote=x_vote)
        assert (blind.recall, blind.precision, blind.f1) == (0, 0, 0)
    apps = Apps.from_arrays([[0.0]], [[0.0]], [0], event_length_ms=500, event_frequency=0.1)
    assert option_values(apps, RATES, 30.0, metric="precision", event_model="windowed")[0].max() == 0


def test_always_hitting_needs_only_enough_frames():
    nbar = np.array([0.25, 1, 2, 2.5, 3, 200])
    for rho in (0, 0.5, 1):
        np.testing.assert_allclose(shares(1, rho, nbar, 0), [0.25, 1, 1, 1, 1, 1], rtol=0, atol=1e-15)
        np.testing.assert_allclose(shares(1, rho, nbar, 3), [0, 0, 0, 0.5, 1, 1], rtol=0, atol=1e-15)


def test_full_correlation_makes_one_frame_of_a_window():
    assert shares(0.3, 1, [1, 2, 7, 1e6], 0) == pytest.approx([0.3] * 4, rel=1e-14)
    assert shares(0.3, 1, [1, 4, 7, 1e6], 4) == pytest.approx([0, 0.3, 0.3, 0.3], rel=1e-14)


@pytest.mark.parametrize("x_vote", [0, 1, 2, 7])
def test_rounding_of_the_mean_number_of_frames_does_not_matter(x_vote):
    near = np.nextafter(8.0, [0.0, 8.0, 9.0])
    got = shares(0.4, 0.2, near, x_vote)
    np.testing.assert_allclose(got, got[1], rtol=1e-13)


def test_no_share_passes_1_by_its_last_digits():
    rng = np.random.default_rng(5)
    got = shares(rng.random(20_000), rng.random(20_000), rng.uniform(0, 60, 20_000), rng.integers(0, 5, 20_000))
    assert got.max() == 1


def test_gaps_of_any_length():
    rare = TYPICAL | {"event_frequency": [1e-3, 1e-12, 1e-310]}
    for x_vote in (0, 2, 7):
        got = event_metrics(0.9, 0.2, **rare, x_vote=x_vote, event_model="paper")
        assert got.precision[1:] == pytest.approx(got.recall[1:] / (1 + got.recall[1:]), rel=1e-12)
        assert np.isfinite(got.f1).all()
        endless = rare | {"event_length_ms": 1e20}
        assert np.isfinite(event_metrics(0.9, 0.2, **endless, x_vote=x_vote, event_model="paper").f1).all()
        assert (event_metrics(0.9, 0, **rare, x_vote=x_vote).precision == 1).all()


def test_shapes_broadcast():
    got = event_metrics(np.full((3, 1), 0.5), [0.1, 0.2], **TYPICAL)
    assert [metric.shape for metric in got] == [(3, 2)] * 3
    assert event_metrics([], 0.1, **TYPICAL).f1.shape == (0,)
    assert event_metrics(0.5, 0.1, **TYPICAL).f1.shape == ()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("accuracy", -0.1),
        ("accuracy", [0.5, np.nan]),
        ("false_positive_rate", 1.1),
        ("event_length_ms", 0),
        ("event_length_ms", np.inf),
        ("event_frequency", 0),
        ("event_frequency", 1.01),
        ("correlation", -1e-9),
        ("correlation", np.nan),
        ("stream_fps", 0),
        ("target_fps", 0),
        ("target_fps", 15.5),
        ("x_vote", -1),
        ("x_vote", 1.5),
        ("x_vote", MOST_VOTES + 1),
        ("event_model", "papers"),
        ("accuracy", "much"),
    ],
)
def test_bad_arguments_are_named_in_one_line(key, value):
    arguments = {"accuracy": 0.5, "false_positive_rate": 0.1, **TYPICAL, key: value}
    with pytest.raises(ProblemError, match=key) as caught:
        event_metrics(**arguments)
    assert "\n" not in str(caught.value)


def test_shapes_that_do_not_broadcast():
    with pytest.raises(ProblemError, match=r"accuracy \(2,\), false_positive_rate \(3,\)"):
        event_metrics([0.5, 0.5], [0.1, 0.1, 0.1], **TYPICAL)


@pytest.mark.parametrize("rates", [[], [2, 1], [1, 1], [0, 1], [1, 13], [1, np.nan], [[1, 2]]])
def test_bad_rates(rates):
    with pytest.raises(ProblemError, match="rates"):
        option_values(random_apps(1, None), np.array(rates), 12.5, metric="f1", event_model="windowed")


def test_bad_words_and_votes():
    apps = random_apps(1, MOST_VOTES + 1)
    with pytest.raises(ProblemError, match="x_vote: got 128"):
        option_values(apps, RATES, 12.5, metric="f1", event_model="windowed")
    with pytest.raises(ProblemError, match="metric"):
        option_values(apps, RATES, 12.5, metric="f2", event_model="windowed")
    with pytest.raises(ProblemError, match="event_model"):
        option_values(apps, RATES, 12.5, metric="f1", event_model="window")
