"""Count the events that an app caught and its false alarms, in the way that the event models predict them.

An event is caught if it contains as many positive frames in a row as the app needs votes. The time between events is
cut into windows as long as an event of the app: a gap of g into max(1, round(g / L)) equal windows. A window that
contains that many positive frames in a row is a false alarm. With n events, c caught and a false alarms

    recall = c / n,    precision = c / (c + a),    F1 = 2 c / (n + c + a).

Recall and precision are shares and have Wilson's interval. F1 has the percentile interval of a bootstrap: events are
drawn with replacement, each with the false alarms between it and the next one (the first also with those before it). A
bootstrap knows only what was seen: if nothing was missed and there was no false alarm, its interval is a single point.
So the interval is widened to that of J = c / (n + a) by Wilson's formula, since F1 = 2 J / (1 + J).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from mainstream.apps import IntArray
from mainstream.evaluation.outputs import Decisions
from mainstream.shares import f1_interval, share_interval

_DRAWS: Final = 2000
_TAIL: Final = 2.5
"""Percent beyond each end of an interval."""
_AT_ONCE: Final = 2_000_000
"""The most events that are drawn in one array; it bounds memory."""


class Measured(NamedTuple):
    """A measured value with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Plain keys."""
        return {"measured": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, eq=False)
class Score:
    """How an app did.

    Attributes
    ----------
    events : (n, 2) int array
        First frame of each event, and first frame after it.
    caught : tuple of int or None
        For each event the frame on which it was detected; None if it was missed.
    alarms : tuple of int
        The frames of false alarms.
    recall, f1 : Measured
    precision : Measured or None
        None if the app claimed nothing.
    """

    events: IntArray
    caught: tuple[int | None, ...]
    alarms: tuple[int, ...]
    recall: Measured
    precision: Measured | None
    f1: Measured

    @property
    def hits(self) -> int:
        """How many events were caught."""
        return sum(frame is not None for frame in self.caught)

    @property
    def missed(self) -> list[tuple[int, int]]:
        """The events that were not caught."""
        return [(int(a), int(b)) for (a, b), frame in zip(self.events, self.caught, strict=True) if frame is None]


def score(
    decisions: Decisions, events: IntArray, known: tuple[int, int], *, votes: int, window: float, seed: int
) -> Score:
    """Score an app's decisions against its events.

    Parameters
    ----------
    decisions : Decisions
    events : (n, 2) int array
        First frame of each event, and first frame after it; in order, without overlaps, at least one.
    known : (int, int)
        The frames that the labels cover: the first, and the first frame after them.
    votes : int
        Positive frames in a row that the app needs.
    window : float
        Length of an event of the app, in frames of the clip.
    seed : int
        Seed of the bootstrap.
    """
    caught = tuple(_detection(decisions, float(start), float(end), votes) for start, end in events)
    alarms: list[int] = []
    after = np.zeros(len(events), np.int64)
    for place, start, end in _gaps(events, known):
        edges = np.linspace(start, end, max(1, round((end - start) / window)) + 1).tolist()
        false = [_detection(decisions, begins, ends, votes) for begins, ends in pairwise(edges)]
        found = [frame for frame in false if frame is not None]
        alarms += found
        after[max(place, 0)] += len(found)
    hits = np.array([frame is not None for frame in caught], np.int64)
    count, claims = int(hits.sum()), int(hits.sum()) + len(alarms)
    return Score(
        events=events,
        caught=caught,
        alarms=tuple(alarms),
        recall=_share(count, len(events)),
        precision=_share(count, claims) if claims else None,
        f1=_f1(hits, after, seed),
    )


def _gaps(events: IntArray, known: tuple[int, int]) -> Iterator[tuple[int, int, int]]:
    """The gaps between events: index of the event before (-1 for none), first frame, and first frame after the gap."""
    starts = [known[0], *events[:, 1].tolist()]
    ends = [*events[:, 0].tolist(), known[1]]
    for place, (start, end) in enumerate(zip(starts, ends, strict=True), start=-1):
        if end > start:
            yield place, start, end


def _detection(decisions: Decisions, start: float, end: float, votes: int) -> int | None:
    """The frame that completes the first `votes` positive frames in a row before `end`; None if there is none."""
    first, behind = np.searchsorted(decisions.frames, (start, end))
    if behind - first < votes:
        return None
    before = np.concatenate(([0], np.cumsum(decisions.positive[first:behind])))
    last = np.flatnonzero(before[votes:] - before[:-votes] == votes)
    return int(decisions.frames[first + last[0] + votes - 1]) if last.size else None


def _share(count: int, of: int) -> Measured:
    return Measured(*(float(part) for part in share_interval(count, of)))


def _f1(hits: IntArray, after: IntArray, seed: int) -> Measured:
    random = np.random.default_rng(seed)
    n = len(hits)
    drawn: list[float] = []
    while len(drawn) < _DRAWS:
        chosen = random.integers(n, size=(min(_DRAWS - len(drawn), max(1, _AT_ONCE // n)), n))
        caught, alarms = hits[chosen].sum(axis=1), after[chosen].sum(axis=1)
        drawn += (2 * caught / (n + caught + alarms)).tolist()
    shares = f1_interval(hits.sum(), n, hits.sum() + after.sum())
    low, high = np.percentile(drawn, (_TAIL, 100 - _TAIL))
    return Measured(float(shares.value), float(min(shares.low, low)), float(max(shares.high, high)))
