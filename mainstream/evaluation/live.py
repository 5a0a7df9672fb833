"""What apps decide while a runtime runs them: scored against labels, and compared with a replay.

A clip is played over and over. Its passes are laid end to end, each with only the frames that the labels cover, so that
a frame is at

    position = pass * known frames + (frame - first known frame).

A camera's frames have no numbers that could be known beforehand. So its labels are by the clock, and positions are
milliseconds since 1970. The scored span begins with the first decision under the last plan and ends with the last one;
events that reach beyond it are left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mainstream.apps import IntArray
from mainstream.evaluation.evaluate import Evaluated
from mainstream.evaluation.footage import Footage
from mainstream.evaluation.labels import CLOCK_FPS, LEAST_EVENTS, Labels
from mainstream.evaluation.outputs import Decisions, Outputs
from mainstream.evaluation.scoring import score
from mainstream.evaluation.watched import Watched
from mainstream.problem import Model
from mainstream.schedule import Result
from mainstream.streamer import LocalRunner, NetPlan
from mainstream.streamer.events.event import PlannedApp
from mainstream.streamer.plan import net_plan
from mainstream.streamer.results import Analysis


class _Decision(NamedTuple):
    frame: int
    time_s: float
    positive: bool


class Decided:
    """Records what the apps of the running plan decide; only one thread at a time may call :meth:`heard`.

    Parameters
    ----------
    most : int, optional
        How many of the latest decisions of an app to keep; default: all.
    """

    def __init__(self, most: int | None = None) -> None:
        self.plan: NetPlan | None = None
        self._most = most
        self._of_apps: dict[int, deque[_Decision]] = {}

    def heard(self, plan: NetPlan, app: PlannedApp, analysis: Analysis) -> None:
        """Record that an app has analysed a frame under a plan; decisions under earlier plans are dropped."""
        if plan is not self.plan:
            self.plan, self._of_apps = plan, {number: deque(maxlen=self._most) for number in plan.target_fps}
        self._of_apps[app.app_id].append(_Decision(analysis.frame, analysis.time, bool(analysis.positive)))

    def of_apps(self) -> dict[int | str, list[_Decision]]:
        """`app_id` -> decisions, in order of the frames."""
        plan = self.plan
        return (
            {}
            if plan is None
            else {plan.app_id_of(number): list(some.copy()) for number, some in self._of_apps.items()}
        )


class Scored(NamedTuple):
    """The scores of a deployment's apps.

    Attributes
    ----------
    apps : tuple of Evaluated
    unscored : tuple of (Watched, int)
        Apps with fewer than two events in that time, and how many they had.
    seconds : float
        How long they were watched.
    """

    apps: tuple[Evaluated, ...]
    unscored: tuple[tuple[Watched, int], ...]
    seconds: float


def score_deployed(
    decided: Decided, result: Result, watched: Sequence[Watched], labels: Labels, clip: Footage | None, *, seed: int
) -> Scored:
    """Score what the apps of a deployment decided since its last plan took over.

    Parameters
    ----------
    decided : Decided
    result : Result
        The schedule of the plan.
    watched : sequence of Watched
    labels : Labels
        Labels of the clip, or by the clock for a camera.
    clip : Footage or None
        The clip that was played; None for a camera.
    seed : int
        Seed of the bootstrap.
    """
    by_id = {one.app.app_id: one for one in watched}
    fps = CLOCK_FPS if clip is None else clip.fps
    placed = {app_id: _placed(some, labels, clip) for app_id, some in decided.of_apps().items()}
    places = np.concatenate([one.frames for one in placed.values()] or [np.empty(0, np.int64)])
    span = (int(places.min()), int(places.max()) + 1) if places.size else (0, 0)
    apps, unscored = [], []
    for choice in result.choices:
        one = by_id.get(choice.app_id)
        if one is None:  # it belongs to another camera, or has no label
            continue
        events, known = _within(_repeated(labels, choice.app_id, clip, span[1]), span)
        if len(events) < LEAST_EVENTS or choice.app_id not in placed:
            unscored.append((one, len(events)))
            continue
        window = one.app.event_length_ms / 1000 * fps
        votes = choice.x_vote or 1
        done = score(placed[choice.app_id], events, known, votes=votes, window=window, seed=seed)
        apps.append(Evaluated(one, choice, done))
    return Scored(tuple(apps), tuple(unscored), (span[1] - span[0]) / fps)


def _placed(some: Sequence[_Decision], labels: Labels, clip: Footage | None) -> Decisions:
    """An app's decisions at their positions, without those on frames that the labels do not cover."""
    if clip is None:
        return Decisions(
            np.array([round(one.time_s * CLOCK_FPS) for one in some], np.int64),
            np.array([one.positive for one in some], bool),
        )
    first, behind = labels.known
    passes, frames = np.divmod(np.array([one.frame for one in some], np.int64), clip.frames)
    known = (frames >= first) & (frames < behind)
    positive = np.array([one.positive for one in some], bool)
    return Decisions((passes * (behind - first) + frames - first)[known], positive[known])


def _repeated(labels: Labels, app_id: int | str, clip: Footage | None, behind: int) -> IntArray:
    """An app's events at their positions, once for each pass of the clip that begins before position `behind`."""
    events = labels.events[app_id]
    if clip is None:
        return events
    first, last = labels.known
    length = last - first
    return np.concatenate([events - first + k * length for k in range(-(-behind // length))] or [events[:0]])


def _within(events: IntArray, span: tuple[int, int]) -> tuple[IntArray, tuple[int, int]]:
    """The events within a span, and the span without the parts taken by events that reach beyond it."""
    start, end = span
    begun = events[(events[:, 0] < start) & (events[:, 1] > start)]
    going_on = events[(events[:, 0] < end) & (events[:, 1] > end)]
    start, end = max([start, *begun[:, 1].tolist()]), min([end, *going_on[:, 0].tolist()])
    return events[(events[:, 0] >= start) & (events[:, 1] <= end)], (start, end)


@dataclass(frozen=True)
class LiveCheck:
    """A plan that ran at the clip's own pace, compared with its replay.

    Attributes
    ----------
    seconds : float
    rates : mapping of int or str to (float, float)
        `app_id` -> frames a second that the app should analyse, and that it did analyse.
    decisions, equal : int
        Decisions on frames that both runs analysed, and how many of them are equal.
    """

    seconds: float
    rates: Mapping[int | str, tuple[float, float]]
    decisions: int
    equal: int

    @property
    def agrees(self) -> bool:
        """Whether each app got its rate, to a tenth and one frame, and decided the same as in the replay."""
        slack = 1 / self.seconds
        near = all(abs(measured - target) <= 0.1 * target + slack for target, measured in self.rates.values())
        return near and self.decisions > 0 and self.equal == self.decisions

    def __str__(self) -> str:
        target, measured = (sum(pair[i] for pair in self.rates.values()) for i in (0, 1))
        return (
            f"live: {self.seconds:g} s at the clip's own pace, {measured:.3g} of {target:.3g} frames a second, "
            f"{self.equal:,} of {self.decisions:,} decisions as in the replay: "
            f"{'it agrees' if self.agrees else 'IT DOES NOT AGREE'}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts."""
        rates = [
            {"app_id": app_id, "target_fps": target, "measured_fps": measured}
            for app_id, (target, measured) in self.rates.items()
        ]
        keys = {"seconds": self.seconds, "decisions": self.decisions, "equal": self.equal, "agrees": self.agrees}
        return {**keys, "apps": rates}


def run_live(result: Result, watched: Sequence[Watched], model: Model, outputs: Outputs, seconds: float) -> LiveCheck:
    """Run a schedule on a clip at the clip's own pace, and compare that with its replay.

    Parameters
    ----------
    result : Result
    watched : sequence of Watched
    model : Model
    outputs : Outputs
        Outputs on the clip.
    seconds : float
        How long to run at most; it ends with the clip.

    Raises
    ------
    DeployError
        The plan cannot run.
    """
    clip, plan, decided = outputs.clip, net_plan(result, [one.app for one in watched], model), Decided()
    length = max(min(seconds, clip.frames / clip.fps), 2 / clip.fps)
    with LocalRunner(
        clip.path, outputs.model_dir, window_s=length, engine=outputs.loader, trust_models=outputs.trusted
    ) as runner:
        runner.listeners.append(decided.heard)
        observed = runner.deploy(plan)
    rates = {plan.app_id_of(number): (target, observed[number]) for number, target in plan.target_fps.items()}
    (replayed,) = outputs.decisions([plan])
    of_replay = {
        plan.app_id_of(number): dict(zip(some.frames.tolist(), some.positive.tolist(), strict=True))
        for number, some in replayed.items()
    }
    same = [
        of_replay[app_id][one.frame] == one.positive
        for app_id, some in decided.of_apps().items()
        for one in some
        if one.frame in of_replay[app_id]
    ]
    return LiveCheck(length, rates, len(same), sum(same))
