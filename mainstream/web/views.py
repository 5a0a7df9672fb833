"""How things stand, as plain values for the API and the page."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import time
from typing import Any, Final

from mainstream.box.box import Box, Standing
from mainstream.formats.package import PACKAGE
from mainstream.problem import App
from mainstream.schedule import Choice, Result
from mainstream.solver import Prepared
from mainstream.solver.budgets import useful_budgets
from mainstream.stream import capacity_of, unit_of
from mainstream.streamer.events.event import planned_apps
from mainstream.streamer.meters import AppRate
from mainstream.web.heard import Heard
from mainstream.web.timeline import Timeline

_POINTS: Final = 40
"""Budgets of the frontier."""
_A_POINT_S: Final = 0.25
"""Seconds of the solve for each of them."""
_SETTLED_S: Final = 2.0
"""Seconds of a plan before which there is no observed rate."""
_MOST_PACKAGES: Final = 1000
_MOST_SAID: Final = 30

Scores = Callable[[], Mapping[int | str, dict[str, Any]]]


@dataclass(frozen=True)
class Running:
    """An app that runs.

    Attributes
    ----------
    stream : str or None
        Name of its camera.
    name : str
        Its name in events.
    rate : AppRate or None
        None if the runtime is elsewhere.
    """

    stream: str | None
    name: str
    rate: AppRate | None


class Views:
    """What can be seen of a box.

    Parameters
    ----------
    box : Box
    heard : mapping of Heard
        What the apps of each camera say, by the name of its stream.
    timeline : Timeline
    model_dir : Path or None
        Folder of packages.
    scores : callable or None
        ``app_id`` -> what was measured of the app against labels, if there are any.

    Attributes
    ----------
    said : deque of dict
        The last lines for people: `time` and `line`.
    """

    def __init__(
        self,
        box: Box,
        heard: Mapping[str | None, Heard],
        timeline: Timeline,
        model_dir: Path | None,
        scores: Scores | None = None,
    ) -> None:
        self._scores = scores
        self._box, self._heard, self._timeline, self._model_dir = box, heard, timeline, model_dir
        self._runners = {camera.name: camera.local for camera in box.cameras if camera.local is not None}
        self._frontier: tuple[Prepared, dict[str, Any]] | None = None
        self._solving = Lock()
        self.said: deque[dict[str, Any]] = deque(maxlen=_MOST_SAID)
        self._seen: tuple[object, ...] = ()
        self._version = 0

    def apps(self) -> dict[str, Any]:
        """Each app: what the file and the changes say, what it got, how it runs, what it said."""
        standing = self._box.standing
        each = () if standing.base is None else standing.base.problem.each
        base = [(one.name, app) for one in each for app in one.apps]
        running, last = self._running(), self._timeline.last_of()
        scores = None if self._scores is None else self._scores()
        choices = {} if standing.result is None else {choice.app_id: choice for choice in standing.result.choices}
        added = {one.app_id for one in standing.changes.added}
        listed, removed = [], []
        for stream, app in base:
            change = standing.changes.change_of(app.app_id)
            if change.removed:
                removed.append(app.app_id)
                continue
            now = running.get(app.app_id)
            listed.append(
                {
                    "app_id": app.app_id,
                    "name": app.app_id if isinstance(app.app_id, str) else app.name or str(app.app_id),
                    "added": app.app_id in added,
                    "paused": change.paused,
                    "region": app.region,
                    **_wishes(app),
                    **change.keys(),
                    **_given(choices.get(app.app_id)),
                    **_rate(None if now is None else now.rate),
                    "now": None if now is None else self._heard[stream].of(now.name),
                    "event": None if now is None else last.get((stream, now.name)),
                    **_named(stream),
                    **_measured(scores, app.app_id),
                }
            )
        return {"apps": listed, "removed": removed}

    def schedule(self) -> dict[str, Any]:
        """The schedule that was chosen last, and whether it runs."""
        standing = self._box.standing
        runs = bool(standing.plans) and all(camera.runs_what_was_sent for camera in self._box.cameras)
        result = None if standing.result is None else standing.result.to_dict()
        streams = () if standing.prepared is None else standing.prepared.streams
        layers = {one.name: one.model.total_layers for one in streams}
        alone = {} if None in layers or not layers else {"layers": layers}
        most = max(layers.values(), default=None)
        return {"runs": runs, "trouble": standing.trouble, "total_layers": most, "result": result, **alone}

    def budget(self) -> dict[str, Any]:
        """The budget, and what the plan takes of it a second, predicted and measured."""
        standing = self._box.standing
        models = [] if standing.prepared is None else [one.model for one in standing.prepared.streams]
        of_file = None if standing.base is None else standing.base.budget
        return {
            "budget": standing.changes.budget or of_file,
            "of_file": of_file,
            "changed": standing.changes.budget is not None,
            "unit": unit_of(models),
            "cost": None if standing.result is None else standing.result.cost,
            "measured": standing.measured,
            "capacity": capacity_of(models),
        }

    def frontier(self) -> dict[str, Any]:
        """The best schedule at each of several budgets."""
        prepared = self._box.standing.prepared
        if prepared is None:
            return {"unit": None, "metric": None, "points": []}
        with self._solving:
            if self._frontier is None or self._frontier[0] is not prepared:
                self._frontier = prepared, _frontier(prepared, self._how())
            return self._frontier[1]

    def health(self) -> dict[str, Any]:
        """What is wrong, and the last lines for people."""
        runners = self._runners.values()
        healthy = all(runner.unhealthy() is None for runner in runners)
        ready = not runners or any(runner.unready() is None for runner in runners)
        return {"healthy": healthy, "ready": ready, "said": list(self.said), **self._wrong()}

    def _wrong(self) -> dict[str, Any]:
        """The troubles, a line each; if cameras have names, also each camera's own troubles and rate."""
        cameras = [(one, [] if one.local is None else one.local.troubles()) for one in self._box.cameras]
        lines = [camera.called(line) for camera, own in cameras for line in own]
        trouble = self._box.standing.trouble
        lines += [] if trouble is None else [trouble]
        named = {one.name: {"stream_fps": one.fps, "troubles": own} for one, own in cameras if one.name is not None}
        return {"troubles": lines, **({"streams": named} if named else {})}

    def packages(self) -> dict[str, Any]:
        """Packages of the model folder."""
        if self._model_dir is None:
            return {"packages": []}
        found = sorted(path.parent.name for path in self._model_dir.glob(f"*/{PACKAGE}"))
        return {"packages": [name for name in found if name.isprintable() and name[0] not in ". "][:_MOST_PACKAGES]}

    def status(self, more: Mapping[str, Any]) -> dict[str, Any]:
        """What changes every second: rates, and what each app said in the second that is over.

        `version` changes whenever apps, schedule, budget and frontier have to be asked for again.
        """
        standing = self._box.standing
        scores = None if self._scores is None else self._scores()
        now = {
            str(app_id): {
                **_rate(one.rate),
                "now": self._heard[one.stream].of(one.name, 1),
                **_measured(scores, app_id),
            }
            for app_id, one in self._running(standing).items()
        }
        plans = tuple(runner.plan for runner in self._runners.values())
        seen = standing.result, standing.base, standing.changes, standing.trouble, *plans
        if len(seen) != len(self._seen) or any(one is not other for one, other in zip(seen, self._seen, strict=True)):
            self._seen, self._version = seen, self._version + 1
        alone = self._box.cameras[0]
        return {
            "time": round(time(), 3),
            "version": self._version,
            "apps": now,
            "measured": standing.measured,
            "stream_fps": alone.fps if alone.name is None else None,
            **self._wrong(),
            **more,
        }

    def _how(self) -> Mapping[str, Any]:
        base = self._box.standing.base
        return {} if base is None else base.how

    def _running(self, standing: Standing | None = None) -> dict[int | str, Running]:
        """The apps that run, by `app_id`."""
        standing = standing or self._box.standing
        found: dict[int | str, Running] = {}
        for camera in self._box.cameras:
            plan = standing.plans.get(camera.name) if camera.local is None else camera.local.plan
            if plan is None:
                continue
            rates = {} if camera.local is None else {rate.app_id: rate for rate in camera.local.rates()}
            for number, app in planned_apps(plan, 0.0).items():
                found[plan.app_id_of(number)] = Running(camera.name, app.name, rates.get(number))
        return found


def _named(stream: str | None) -> dict[str, str]:
    """The camera's name, if it has one."""
    return {} if stream is None else {"stream": stream}


def _measured(scores: Mapping[int | str, dict[str, Any]] | None, app_id: int | str) -> dict[str, Any]:
    """What was measured of an app, if there are labels."""
    return {} if scores is None else {"measured": scores.get(app_id)}


def _wishes(app: App) -> dict[str, Any]:
    return {"weight": app.weight, "min_value": app.min_value, "min_fps": app.min_fps}


def _given(choice: Choice | None) -> dict[str, Any]:
    """What an app got; all None if it does not run."""
    keys = ("target_fps", "num_frozen", "value", "f1", "recall", "precision", "f1_interval", "tail_cost")
    return {key: None if choice is None else getattr(choice, key) for key in keys}


def _rate(rate: AppRate | None) -> dict[str, Any]:
    keys = ("observed_fps", "analysed", "dropped", "failed", "failure", "stopped")
    if rate is None:
        return dict.fromkeys(keys)
    observed = round(rate.observed_fps, 2) if rate.age_s >= _SETTLED_S else None
    return {key: getattr(rate, key) for key in keys} | {"observed_fps": observed}


def _frontier(prepared: Prepared, how: Mapping[str, Any]) -> dict[str, Any]:
    budgets = useful_budgets(prepared, _POINTS)
    found = prepared.frontier(budgets, **{**how, "time_limit": _A_POINT_S})
    points = [_point(budget, one) for budget, one in zip(found.budgets.tolist(), found.results, strict=True) if one]
    return {"unit": unit_of(one.model for one in prepared.streams), "metric": prepared.objective, "points": points}


def _point(budget: float, result: Result) -> dict[str, Any]:
    fps = {str(choice.app_id): choice.target_fps for choice in result.choices}
    return {"budget": budget, "objective": result.objective, "cost": result.cost, "fps": fps}
