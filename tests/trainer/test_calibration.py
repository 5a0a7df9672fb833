"""Calibration: known parameters are found again within their intervals, and what cannot be told is said."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mainstream import ProblemError
from mainstream.trainer.calibration import CONFIDENCE, calibrate


@dataclass(frozen=True)
class World:
    """Events of at least `shortest_s`, the rest of their length and the gaps exponential, seen by a chain model."""

    fps: float
    seconds: float
    shortest_s: float
    mean_s: float
    gap_s: float
    p: float
    q: float
    rho: float
    every: int = 1

    @property
    def truth(self) -> dict[str, float]:
        return {
            "event_length_ms": 1000 * self.mean_s,
            "min_event_length_ms": 1000 * self.shortest_s,
            "event_frequency": self.mean_s / (self.mean_s + self.gap_s),
            "correlation": self.rho,
            "accuracy": self.p,
            "false_positive_rate": self.q,
            "false_correlation": self.rho,
        }

    def recording(self, seed: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Frames, whether they are of an event, analysed frames, decisions; it begins at any moment."""
        random = np.random.default_rng(seed)
        frames = np.arange(int(self.seconds * self.fps))
        times = frames / self.fps
        event = np.zeros(len(frames), bool)
        now = -20 * (self.mean_s + self.gap_s)
        while now < self.seconds:
            now += 0.3 + random.exponential(self.gap_s - 0.3)
            begin = now
            now += self.shortest_s + random.exponential(self.mean_s - self.shortest_s)
            event |= (times >= begin) & (times < now)
        changes = np.concatenate([[0], np.cumsum(event[1:] != event[:-1])])
        analysed = frames[:: self.every]
        positive: list[bool] = []
        for n, frame in enumerate(analysed):
            rate = self.p if event[frame] else self.q
            if n and changes[frame] == changes[analysed[n - 1]]:
                rate = rate * (1 - self.rho) + self.rho * positive[-1]
            positive.append(bool(random.random() < rate))
        return frames, event, analysed, np.array(positive)


@pytest.mark.slow
@pytest.mark.parametrize(
    "world",
    [
        World(fps=10, seconds=300, shortest_s=0.5, mean_s=2, gap_s=8, p=0.85, q=0.05, rho=0.4),
        World(fps=25, seconds=900, shortest_s=0.4, mean_s=2, gap_s=20, p=0.7, q=0.1, rho=0.2, every=5),
        World(fps=10, seconds=120, shortest_s=1, mean_s=6, gap_s=6, p=0.9, q=0.02, rho=0.7),  # most recordings cut some
    ],
    ids=["plain", "every fifth frame", "few and long"],
)
def test_known_parameters_lie_in_their_intervals_as_often_as_these_say(world: World) -> None:
    inside, found = defaultdict(list), defaultdict(list)
    for seed in range(120):
        frames, event, analysed, positive = world.recording(seed)
        result = calibrate(frames, event, world.fps, analysed, positive)
        assert result.events.correlation_fps == world.fps / world.every
        for key, truth in world.truth.items():
            estimate = getattr(result.events, key, None) or getattr(result, key, None)
            if estimate is not None:
                inside[key].append(estimate.low <= truth <= estimate.high)
                found[key].append(estimate.value)
    for key, truth in world.truth.items():
        assert len(inside[key]) > 60, key
        # With a coverage of 0.95, fewer than 0.88 of 120 happen once in 1,000 times; the least one here has 0.90.
        assert np.mean(inside[key]) >= 0.85, (key, np.mean(inside[key]), truth)
        if key != "min_event_length_ms":  # what was seen is never shorter than what there is
            assert np.mean(found[key]) == pytest.approx(truth, rel=0.1), key


def events_at(*spans: tuple[int, int], of: int) -> tuple[NDArray[Any], NDArray[Any]]:
    frames = np.arange(of)
    event = np.zeros(of, bool)
    for begin, end in spans:
        event[begin:end] = True
    return frames, event


def test_a_cut_event_counts_half() -> None:
    frames, event = events_at((2, 6), (8, 10), (15, 20), of=20)
    found = calibrate(frames, event, 10)
    assert found.events.event_length_ms.value == pytest.approx(100 * (4 + 2 + 5) / 2.5)
    assert found.events.event_frequency.value == pytest.approx(11 / 20)
    assert found.events.min_event_length_ms.value == pytest.approx(200)
    assert (found.events.events, found.cut_off, found.events.labelled_frames) == (3, 1, 20)
    assert (found.events.correlation, found.accuracy) == (None, None)


def test_a_gap_in_the_labels_cuts_too() -> None:
    frames, event = events_at((2, 6), (8, 14), (16, 18), of=20)
    kept = (frames != 10) & (frames != 19)
    found = calibrate(frames[kept], event[kept], 10)
    assert found.cut_off == 2
    # 8-9 and 11-13 are two halves of events, as what was between them is not known; 10 is no time at all.
    assert found.events.event_length_ms.value == pytest.approx(100 * (4 + 2 + 3 + 2) / (1 + 0.5 + 0.5 + 1))
    assert found.events.event_frequency.value == pytest.approx(11 / 18)


def test_labels_of_every_kth_frame_say_the_same_to_within_k() -> None:
    world = World(fps=25, seconds=2000, shortest_s=1, mean_s=4, gap_s=10, p=0.9, q=0.1, rho=0.5)
    frames, event, _, _ = world.recording(0)
    whole, sparse = calibrate(frames, event, 25).events, calibrate(frames[::5], event[::5], 25).events
    assert sparse.event_length_ms.value == pytest.approx(whole.event_length_ms.value, rel=0.02)
    assert sparse.event_frequency.value == pytest.approx(whole.event_frequency.value, rel=0.02)
    assert abs(sparse.min_event_length_ms.value - whole.min_event_length_ms.value) <= 200
    assert sparse.labelled_frames == pytest.approx(whole.labelled_frames / 5)


def likelihood(hits: Sequence[Sequence[bool]], p: float, rho: float) -> float:
    """Log-likelihood of the event model's chain, frame by frame."""
    total = 0.0
    for run in hits:
        for n, hit in enumerate(run):
            rate = p if n == 0 else p * (1 - rho) + rho * run[n - 1]
            total += math.log(rate if hit else 1 - rate)
    return total


@pytest.mark.parametrize("seed", range(5))
def test_the_correlation_is_the_most_likely_one_and_its_interval_the_likely_ones(seed: int) -> None:
    world = World(fps=5, seconds=300, shortest_s=1, mean_s=3, gap_s=6, p=0.8, q=0.1, rho=0.5)
    frames, event, analysed, positive = world.recording(seed)
    found = calibrate(frames, event, 5, analysed, positive).events.correlation
    assert found is not None
    bounds = np.flatnonzero(np.diff(np.concatenate([[False], event, [False]]).astype(int)))
    runs = [positive[begin:end].tolist() for begin, end in zip(bounds[::2], bounds[1::2], strict=True)]
    best = {
        rho: max(likelihood(runs, p, rho) for p in np.linspace(0.5, 0.98, 97))
        for rho in (found.value, found.value - 0.04, found.value + 0.04, found.low, found.high)
    }
    assert best[found.value] == max(best.values()), seed
    for end in (found.low, found.high):
        assert best[found.value] - best[end] == pytest.approx(1.92, abs=0.1), seed  # half of chi-squared's 95 %


def test_only_frames_next_to_each_other_are_successive() -> None:
    frames, event = events_at((0, 40), (50, 90), (95, 99), of=100)
    hits = np.arange(100) % 4 < 2  # hit hit miss miss ...
    every = calibrate(frames, event, 10, frames, hits).events
    assert every.correlation_fps == 10
    third = frames[::3]
    other = calibrate(frames, event, 10, third, hits[third]).events
    assert other.correlation_fps == pytest.approx(10 / 3)
    # 3 of 10 frames a second, as a runtime takes them: steps of 3, 3 and 4.
    uneven = np.array([n for n in range(100) if (3 * n) // 10 != (3 * (n - 1)) // 10])
    assert calibrate(frames, event, 10, uneven, hits[uneven]).events.correlation_fps == pytest.approx(3, rel=0.05)
    # Without each fifth frame, what is left of a pattern of two is two pairs of successive frames less.
    dropped = frames[frames % 5 != 4]
    assert calibrate(frames, event, 10, dropped, hits[dropped]).events.correlation_fps == 10


def test_decisions_that_are_all_the_same_tell_no_correlation_but_bound_the_rates() -> None:
    frames, event = events_at((5, 15), (20, 40), (50, 60), of=80)
    found = calibrate(frames, event, 10, frames, event)
    assert (found.events.correlation, found.events.correlation_fps, found.false_correlation) == (None, None, None)
    assert found.false_correlation_fps is None
    other = calibrate(frames, event, 10, frames[::2], ~event[::2] & (frames[::2] % 3 == 0))
    assert other.events.correlation is None and other.events.correlation_fps is None
    assert other.false_correlation is not None and other.seen(4).correlation_fps == 5
    assert found.accuracy is not None and found.false_positive_rate is not None
    assert (found.accuracy.value, found.accuracy.high) == (1, 1)
    assert found.accuracy.low == pytest.approx(((1 - CONFIDENCE) / 2) ** (1 / 3))
    assert (found.false_positive_rate.value, found.false_positive_rate.low) == (0, 0)
    assert found.false_positive_rate.high == pytest.approx(1 - ((1 - CONFIDENCE) / 2) ** (1 / 4))


def test_frames_without_a_label_do_not_count() -> None:
    frames, event = events_at((5, 15), (20, 40), of=50)
    hits = np.ones(80, bool)
    found = calibrate(frames, event, 10, np.arange(80), hits)
    assert found.analysed == 50
    only_events = calibrate(frames, event, 10, frames[event], hits[frames[event]])
    assert only_events.false_positive_rate is None


@pytest.mark.parametrize(
    ("events", "quantile"), [(2, 12.7062), (3, 4.3027), (4, 3.1824), (6, 2.5706), (11, 2.2281), (31, 2.0423)]
)
def test_intervals_are_students_t_by_the_printed_table(events: int, quantile: float) -> None:
    lengths = [5 + 3 * (n % 4) + n % 3 for n in range(events)]
    begins = [2 + 30 * n for n in range(events)]
    spans = [(begin, begin + length) for begin, length in zip(begins, lengths, strict=True)]
    found = calibrate(*events_at(*spans, of=30 * events + 2), 10).events.event_length_ms
    # No event is cut off: the mean of independent lengths, whose interval on the log scale is the classic one.
    assert found.value == pytest.approx(100 * statistics.mean(lengths))
    far = quantile * statistics.stdev(lengths) / math.sqrt(events) / statistics.mean(lengths)
    assert math.log(found.high / found.value) == pytest.approx(far, rel=2e-5)
    assert math.log(found.value / found.low) == pytest.approx(far, rel=2e-5)


def test_events_of_one_length_have_no_spread() -> None:
    frames, event = events_at((5, 15), (25, 35), (45, 55), of=70)
    found = calibrate(frames, event, 10).events
    assert (found.event_length_ms.low, found.event_length_ms.high) == (1000, 1000)
    assert (found.min_event_length_ms.low, found.min_event_length_ms.high) == (900, 1100)
    for on, cycle in ((10, 20), (1, 12), (7, 24)):
        frames = np.arange(5 * cycle)
        share = calibrate(frames, frames % cycle < on, 29.97).events.event_frequency  # the same in each cycle
        assert (share.low, share.value, share.high) == pytest.approx((on / cycle,) * 3)


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([], "0 events in 20 labelled frames; intervals need 2 or more: label more"),
        ([(3, 6)], "1 events in 20 labelled frames; intervals need 2 or more"),
        ([(0, 20)], "1 events in 20"),
        ([(0, 6), (15, 20)], "every event is cut off by an end of the recording or a gap in the labels"),
    ],
)
def test_too_little_to_see_is_refused(spans: list[tuple[int, int]], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        calibrate(*events_at(*spans, of=20), 10)


def test_nothing_but_events_is_refused() -> None:
    frames, event = np.array([0, 1, 2, 5, 6, 7]), np.ones(6, bool)
    with pytest.raises(ProblemError, match="every labelled frame is in an event"):
        calibrate(frames, event, 10)


def test_scores_of_other_frames_are_refused() -> None:
    frames, event = events_at((5, 15), (20, 40), of=50)
    with pytest.raises(ProblemError, match="no frame has both a label and a score"):
        calibrate(frames, event, 10, frames + 100, event)
