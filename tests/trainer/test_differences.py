"""How events differ: known spreads and lengths are found again, and what does not differ is said not to."""

from __future__ import annotations

import numpy as np
import pytest

from mainstream.events import event_metrics
from mainstream.trainer.calibration import calibrate
from mainstream.trainer.differences import SLICES, differences, length_slices


def drawn(seed: int, events: int, p: float, spread: float, rho: float, frames: int = 12):
    """Decisions of a chain on events of so many frames."""
    rng = np.random.default_rng(seed)
    certain = (1 - spread) / spread if spread else 0
    hits = np.zeros((events, frames), bool)
    x = rng.beta(p * certain, (1 - p) * certain, events) if spread else np.full(events, p)
    for k in range(frames):
        chance = x if k == 0 else np.where(hits[:, k - 1], x + (1 - x) * rho, x * (1 - rho))
        hits[:, k] = rng.random(events) < chance
    run = np.repeat(np.arange(events), frames)
    return hits.ravel(), run[1:] == run[:-1], np.ones(events * frames, bool), run


def test_spread_and_correlation_are_told_apart() -> None:
    inside = []
    for seed in range(12):
        spread, rho = 0.25, 0.4
        found = differences(*drawn(seed, 250, 0.7, spread, rho), z=1.96)
        assert found is not None
        inside.append(found.spread.low <= spread <= found.spread.high)
        inside.append(found.correlation.low <= rho <= found.correlation.high)
        assert abs(found.spread.value - spread) < 0.12
    assert np.mean(inside) > 0.85


def test_no_spread_is_found_where_there_is_none() -> None:
    found = [differences(*drawn(seed, 150, 0.7, 0.0, 0.3), z=1.96) for seed in range(10)]
    assert sum(one is not None for one in found) <= 2


def test_too_little_to_tell() -> None:
    assert differences(*drawn(1, 2, 0.7, 0.5, 0.0), z=1.96) is None
    assert differences(*drawn(1, 50, 1.0, 0.0, 0.0), z=1.96) is None


def test_slices_are_means_of_what_was_seen() -> None:
    lengths = np.arange(1.0, 17.0)
    got = length_slices(lengths, np.zeros(16, bool), lengths.mean())
    assert got == (1.5, 3.5, 5.5, 7.5, 9.5, 11.5, 13.5, 15.5)
    assert length_slices(np.array([1.0, 3.0]), np.zeros(2, bool), 4.0) == (2.0, 6.0)
    assert length_slices(np.array([5.0, 5.0, 9.0]), np.array([False, False, True]), 5.0) is None


def test_events_that_are_cut_off_count_as_long_as_they_were_seen() -> None:
    """Kaplan and Meier by hand: 1 of 4 ends at 2, one is cut at 3, then 1 of 2 ends at 4, the last at 8."""
    got = length_slices(np.array([2.0, 3.0, 4.0, 8.0]), np.array([False, True, False, False]), 5.0)
    assert got is not None
    # Mass 1/4 at 2, 3/8 at 4, 3/8 at 8: three slices, their mean 5.
    thirds = np.array([(2 / 4 + 4 / 12) * 3, (7 / 24 * 4 + 1 / 24 * 8) * 3, 8.0])
    assert got == pytest.approx(thirds * 5 / thirds.mean(), abs=1e-3)


def test_long_events_are_not_lost_to_the_ends_of_recordings() -> None:
    rng = np.random.default_rng(3)
    true = rng.gamma(2, 50, 20_000)
    limit = rng.uniform(20, 400, 20_000)
    got = length_slices(np.minimum(true, limit).round(), limit < true, 100.0)
    want = np.sort(true).reshape(SLICES, -1).mean(axis=1) * 100 / true.mean()
    assert got == pytest.approx(want, rel=0.06)


def test_calibration_makes_predictions_that_hold() -> None:
    """Events of two lengths, some seen well and some badly: with what is measured, recall at another rate is right."""
    rng = np.random.default_rng(8)
    frames, votes = 40_000, 2
    event = np.zeros(frames, bool)
    positive = rng.random(frames) < 0.02
    now, spans = 5, []
    while now < frames - 200:
        length = int(rng.choice([10, 60]))
        x = rng.beta(0.7 * 2, 0.3 * 2)
        event[now : now + length] = True
        positive[now : now + length] = rng.random(length) < x
        spans.append((now, length))
        now += length + int(rng.integers(40, 90))
    found = calibrate(np.arange(frames), event, 10.0, np.arange(frames), positive).events
    assert found.accuracy_spread is not None and found.event_lengths_ms is not None
    every = 5

    def is_found(begin: int, length: int) -> bool:
        seen = positive[begin + int(rng.integers(every)) : begin + length : every]
        return any(seen[k : k + votes].all() for k in range(len(seen) - votes + 1))

    recall = np.mean([is_found(*span) for span in spans for _ in range(5)])
    given = {
        "event_length_ms": found.event_length_ms.value,
        "event_frequency": found.event_frequency.value,
        "correlation": found.correlation.value,
        "stream_fps": 10,
        "target_fps": 2,
        "x_vote": votes,
    }
    accuracy = positive[event].mean()
    measured = event_metrics(
        accuracy,
        0.02,
        **given,
        correlation_fps=found.correlation_fps,
        accuracy_spread=found.accuracy_spread.value,
        event_lengths_ms=found.event_lengths_ms,
        event_model="measured",
    ).recall
    windowed = event_metrics(accuracy, 0.02, **given).recall
    assert abs(measured - recall) < 0.05 < abs(windowed - recall)
