"""Run schedules on a labelled clip, and compare what was predicted for each app with what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

from mainstream.evaluation.footage import Footage
from mainstream.evaluation.labels import Labels
from mainstream.evaluation.outputs import Outputs
from mainstream.evaluation.scoring import Measured, Score, score
from mainstream.evaluation.watched import Watched
from mainstream.files import naming
from mainstream.problem import Model
from mainstream.schedule import Choice, Result
from mainstream.streamer.plan import net_plan

METRICS: Final = ("recall", "precision", "f1")


@dataclass(frozen=True, eq=False)
class Evaluated:
    """One app under one schedule.

    Attributes
    ----------
    watched : Watched
    choice : Choice
        Its choice, and what was predicted with it.
    score : Score
        What was measured.
    """

    watched: Watched
    choice: Choice
    score: Score

    def measured(self, metric: str) -> Measured | None:
        """Measured recall, precision or f1; None if there is nothing to count."""
        found: Measured | None = getattr(self.score, metric)
        return found

    def outside(self, metric: str) -> bool:
        """Whether the predicted value lies outside the interval of the measured one."""
        predicted, measured = getattr(self.choice, metric), self.measured(metric)
        return predicted is not None and measured is not None and not measured.low <= predicted <= measured.high

    def cells(self, metric: str) -> tuple[str, str, str, str]:
        """A metric as text: predicted, measured, its interval, and "outside" if the prediction is not within it."""
        predicted, measured = getattr(self.choice, metric), self.measured(metric)
        return (
            "-" if predicted is None else f"{predicted:.3f}",
            "-" if measured is None else f"{measured.value:.3f}",
            "claimed nothing" if measured is None else f"{measured.low:.3f} to {measured.high:.3f}",
            "outside" if self.outside(metric) else "",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts."""
        values = {}
        for metric in METRICS:
            measured = self.measured(metric)
            keys = {"measured": None} if measured is None else measured.to_dict()
            values[metric] = {"predicted": getattr(self.choice, metric), **keys}
        return {
            "app_id": self.choice.app_id,
            "name": self.watched.called,
            "label": self.watched.label,
            "num_frozen": self.choice.num_frozen,
            "target_fps": self.choice.target_fps,
            "x_vote": self.choice.x_vote,
            "events": len(self.score.events),
            "caught": self.score.hits,
            "false_alarms": len(self.score.alarms),
            **values,
        }


def means(apps: Sequence[Evaluated]) -> tuple[str, float, float]:
    """A metric that is predicted for all apps (f1, or recall), its predicted mean, and its measured mean."""
    metric = "f1" if all(one.choice.f1 is not None for one in apps) else "recall"
    predicted = fmean(getattr(one.choice, metric) for one in apps)
    return metric, predicted, fmean(getattr(one.score, metric).value for one in apps)


def evaluate(
    schedules: Mapping[str, Result],
    watched: Sequence[Watched],
    model: Model,
    clip: Footage,
    labels: Labels,
    outputs: Outputs,
    *,
    seed: int,
) -> dict[str, tuple[Evaluated, ...]]:
    """Run all schedules on a clip in one pass, and score them.

    Parameters
    ----------
    schedules : mapping of str to Result
        Name of the version -> its schedule.
    watched : sequence of Watched
        All apps of the problem.
    model : Model
    clip : Footage
    labels : Labels
        Labels of the clip; at least two events of each app.
    outputs : Outputs
        Outputs on the clip; it keeps decisions for later calls.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    dict of str to tuple of Evaluated
        Version -> the apps that it runs.

    Raises
    ------
    ProblemError
        A schedule cannot run: a model file is missing, an app has no event class, or a part fails.
    """
    by_id = {one.app.app_id: one for one in watched}
    plans = {}
    for version, result in schedules.items():
        with naming(version):
            plans[version] = net_plan(result, [one.app for one in watched], model)
    decided = outputs.decisions(list(plans.values()))
    found = {}
    for (version, plan), decisions in zip(plans.items(), decided, strict=True):
        of_app = {plan.app_id_of(number): some for number, some in decisions.items()}
        found[version] = tuple(
            Evaluated(
                by_id[choice.app_id],
                choice,
                score(
                    of_app[choice.app_id],
                    labels.events[choice.app_id],
                    labels.known,
                    votes=choice.x_vote or 1,
                    window=by_id[choice.app_id].app.event_length_ms / 1000 * clip.fps,
                    seed=seed,
                ),
            )
            for choice in schedules[version].choices
        )
    return found
