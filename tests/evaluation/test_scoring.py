"""Events caught and false alarms against a count frame by frame, and intervals that hold what they should."""

from __future__ import annotations

import numpy as np
import pytest

from mainstream.evaluation.outputs import Decisions
from mainstream.evaluation.scoring import score


def claimed(positive: dict[int, bool], start: float, end: float, votes: int) -> int | None:
    """The first analysed frame within [start, end) that ends `votes` positive ones in a row there."""
    row = 0
    for frame in sorted(positive):
        if start <= frame < end:
            row = row + 1 if positive[frame] else 0
            if row == votes:
                return frame
    return None


@pytest.mark.parametrize("seed", range(30))
def test_counts_are_those_of_a_look_at_each_frame(seed: int) -> None:
    random = np.random.default_rng(seed)
    votes, length = int(random.integers(1, 4)), 7
    frames = np.flatnonzero(random.random(400) < 0.6)
    positive = random.random(len(frames)) < 0.5
    starts = np.arange(20, 380, 21) + random.integers(0, 5)
    events = np.stack([starts, starts + random.integers(1, 12, len(starts))], axis=1)
    found = score(Decisions(frames, positive), events, (3, 396), votes=votes, window=length, seed=0)
    by_frame = dict(zip(frames.tolist(), positive.tolist(), strict=True))

    assert found.caught == tuple(claimed(by_frame, *event, votes) for event in events.tolist())
    edges = [3, *events.flatten().tolist(), 396]
    alarms = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        count = max(1, round((end - start) / length))
        bounds = [start + (end - start) * k / count for k in range(count + 1)]
        alarms += [claimed(by_frame, bounds[k], bounds[k + 1], votes) for k in range(count)]
    assert list(found.alarms) == [frame for frame in alarms if frame is not None]
    caught, n = sum(frame is not None for frame in found.caught), len(events)
    assert found.recall.value == caught / n
    claims = caught + len(found.alarms)
    assert (found.precision is None) == (claims == 0)
    if found.precision is not None:
        assert found.precision.value == caught / claims
    assert found.f1.value == pytest.approx(2 * caught / (n + claims))
    for measured in (found.recall, found.precision, found.f1):
        assert measured is None or measured.low <= measured.value <= measured.high


def test_f1s_interval_holds_the_true_one_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    starts = np.arange(20, 20 + 40 * 150, 40)
    events = np.stack([starts, starts + 20], axis=1)
    recall, alarm = 0.7, 0.15
    true = 2 * recall / (1 + recall + alarm)
    held = 0
    for _ in range(100):
        positive = np.zeros(20 + 40 * 150, bool)
        positive[starts] = random.random(150) < recall
        positive[starts + 25] = random.random(150) < alarm
        found = score(
            Decisions(np.arange(len(positive)), positive), events, (20, len(positive)), votes=1, window=20, seed=0
        )
        held += found.f1.low <= true <= found.f1.high
    assert held >= 88  # of 95 expected; 2.2 is the standard deviation


def test_the_same_seed_gives_the_same_interval() -> None:
    events = np.array([[0, 5], [10, 15], [20, 25], [30, 35]])
    decisions = Decisions(np.arange(40), np.arange(40) % 20 < 7)
    one, same, other = (score(decisions, events, (0, 40), votes=1, window=5, seed=seed) for seed in (1, 1, 2))
    assert one.f1 == same.f1
    assert one.f1.value == other.f1.value


def test_false_alarms_that_come_together_leave_more_open_than_as_many_apart() -> None:
    """Between two events are 30 windows: all of them false after one event, or one after each."""
    starts = np.arange(0, 40 * 30, 40)
    events = np.stack([starts, starts + 10], axis=1)
    apart, together = np.zeros(1200, bool), np.zeros(1200, bool)
    apart[starts], together[starts] = True, True
    apart[starts + 15] = True
    together[410:440] = True
    found = [
        score(Decisions(np.arange(1200), positive), events, (0, 1200), votes=1, window=1, seed=0).f1
        for positive in (apart, together)
    ]
    assert found[0].value == found[1].value
    assert found[1].high - found[1].low > 1.5 * (found[0].high - found[0].low)
