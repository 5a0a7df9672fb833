"""What each app said in the last two minutes: its best score of every second."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from time import time
from typing import Any, Final

from mainstream.streamer.events.event import PlannedApp
from mainstream.streamer.plan import NetPlan
from mainstream.streamer.results import Analysis

SECONDS: Final = 120


@dataclass
class _Strip:
    """One app; `scores` has the best score of each of the last seconds, up to `second`."""

    analysis: Analysis
    second: int
    scores: list[float | None] = field(default_factory=lambda: [None] * SECONDS)

    def go_on(self, second: int) -> None:
        passed = min(max(0, second - self.second), SECONDS)
        self.scores = self.scores[passed:] + [None] * passed
        self.second += max(0, second - self.second)


class Heard:
    """Notes what the apps of a camera say; one thread at a time calls :meth:`heard`, others read."""

    def __init__(self) -> None:
        self._strips: dict[str, _Strip] = {}

    def heard(self, plan: NetPlan, app: PlannedApp, analysis: Analysis) -> None:
        """An app has analysed a frame."""
        second = int(analysis.time)
        strip = self._strips.get(app.name)
        if strip is None:
            self._forget(second)
            strip = self._strips[app.name] = _Strip(analysis, second)
        strip.analysis = analysis
        strip.go_on(second)
        score = _score(analysis)
        if score is not None:
            before = strip.scores[-1]
            strip.scores[-1] = score if before is None else max(before, score)

    def of(self, name: str, seconds: int = SECONDS) -> dict[str, Any] | None:
        """What the app of this name says now, and its best score in each of the last `seconds` that are over."""
        strip = self._strips.get(name)
        if strip is None:
            return None
        analysis, scores, second = strip.analysis, strip.scores, strip.second
        passed = min(max(0, int(time()) - second), SECONDS)
        over = [None, *scores[:-1]] if not passed else scores[passed - 1 :] + [None] * (passed - 1)
        return {
            "time": round(analysis.time, 3),
            "score": _score(analysis),
            "class": analysis.event_class if analysis.event_class is not None else int(analysis.scores.argmax()),
            "positive": analysis.positive,
            "strip": over[-seconds:],
        }

    def _forget(self, second: int) -> None:
        """Drop apps that have said nothing for long."""
        self._strips = {name: one for name, one in self._strips.items() if second - one.second <= SECONDS}


def _score(analysis: Analysis) -> float | None:
    """The score of the event's class, or the best one if there is none."""
    scores, event_class = analysis.scores, analysis.event_class
    score = float(scores.max() if event_class is None else scores[event_class])
    return float(f"{score:.4g}") if isfinite(score) else None
