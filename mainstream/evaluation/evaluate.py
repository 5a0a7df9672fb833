"""Schedules on a labelled clip: what was predicted for each app, and what was measured."""

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
        What it was given, and what was predicted.
    score : Score
        What it did.
    """

    watched: Watched
    choice: Choice
    score: Score

    def measured(self, metric: str) -> Measured | None:
        """Recall, precision or f1; None where there is nothing to count."""
        found: Measured | None = getattr(self.score, metric)
        return found

    def outside(self, metric: str) -> bool:
        """Whether what was predicted lies outside the interval of what was measured."""
        predicted, measured = getattr(self.choice, metric), self.measured(metric)
        return predicted is not None and measured is not None and not measured.low <= predicted <= measured.high

    def cells(self, metric: str) -> tuple[str, str, str, str]:
        """A metric as text: predicted, measured, its interval, and "outside" where that does not hold the first."""
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
    """The metric that all apps have a prediction of, f1 or else recall; its mean as predicted, and as measured."""
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
    """Run schedules on a clip, all in one pass, and score them.

    Parameters
    ----------
    schedules : mapping of str to Result
        By the name of their version.
    watched : sequence of Watched
        All apps of the problem.
    model : Model
    clip : Footage
    labels : Labels
        Of the clip; two events of each app at least.
    outputs : Outputs
        Of the clip; keeps what is decided for later calls.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict of str to tuple of Evaluated
        For each version the apps that it runs.

    Raises
    ------
    ProblemError
        A schedule cannot be run: a model file is missing, an app has no event class, a part fails.
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
