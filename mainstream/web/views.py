"""How things stand, as plain values: what the API and the page show."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
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
from mainstream.streamer import LocalRunner, StreamerClient
from mainstream.streamer.events.event import planned_apps
from mainstream.streamer.meters import AppRate
from mainstream.web.heard import Heard
from mainstream.web.timeline import Timeline

_POINTS: Final = 40
"""Budgets of the frontier."""
_A_POINT_S: Final = 0.25
_MOST_PACKAGES: Final = 1000
_MOST_SAID: Final = 30


@dataclass(frozen=True)
class Running:
    """An app that runs.

    Attributes
    ----------
    name : str
        What it is called in events.
    rate : AppRate or None
        Where the runtime is in this process.
    """

    name: str
    rate: AppRate | None


class Views:
    """What there is to see of a box.

    Parameters
    ----------
    box : Box
    runtime : LocalRunner or StreamerClient
    heard : Heard
    timeline : Timeline
    model_dir : Path or None
        Where packages are.

    Attributes
    ----------
    said : deque of dict
        The last lines for people: `time` and `line`.
    """

    def __init__(
        self,
        box: Box,
        runtime: LocalRunner | StreamerClient,
        heard: Heard,
        timeline: Timeline,
        model_dir: Path | None,
    ) -> None:
        self._box, self._heard, self._timeline, self._model_dir = box, heard, timeline, model_dir
        self._local = runtime if isinstance(runtime, LocalRunner) else None
        self._frontier: tuple[Prepared, dict[str, Any]] | None = None
        self._solving = Lock()
        self.said: deque[dict[str, Any]] = deque(maxlen=_MOST_SAID)
        self._seen: tuple[object, ...] = (None,) * 5
        self._version = 0

    def apps(self) -> dict[str, Any]:
        """Each app: what the file and the changes say, what it was given, how it runs, what it said."""
        standing = self._box.standing
        base = () if standing.base is None else standing.base.problem.apps
        running, last = self._running(), self._timeline.last_of()
        choices = {} if standing.result is None else {choice.app_id: choice for choice in standing.result.choices}
        added = {one.app_id for one in standing.changes.added}
        listed, removed = [], []
        for app in base:
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
                    "now": None if now is None else self._heard.of(now.name),
                    "event": None if now is None else last.get(now.name),
                }
            )
        return {"apps": listed, "removed": removed}

    def schedule(self) -> dict[str, Any]:
        """The schedule that was chosen last, and whether it runs."""
        standing = self._box.standing
        runs = standing.plan is not None and (self._local is None or self._local.plan == standing.plan)
        result = None if standing.result is None else standing.result.to_dict()
        layers = None if standing.prepared is None else standing.prepared.model.total_layers
        return {"runs": runs, "trouble": standing.trouble, "total_layers": layers, "result": result}

    def budget(self) -> dict[str, Any]:
        """The budget, what the plan is predicted to take of it and what it was measured to take, a second."""
        standing = self._box.standing
        model = None if standing.prepared is None else standing.prepared.model
        of_file = None if standing.base is None else standing.base.budget
        return {
            "budget": standing.changes.budget or of_file,
            "of_file": of_file,
            "changed": standing.changes.budget is not None,
            "unit": None if model is None else model.unit,
            "cost": None if standing.result is None else standing.result.cost,
            "measured": standing.measured,
            "capacity": None if model is None else model.capacity,
        }

    def frontier(self) -> dict[str, Any]:
        """The best that each of some budgets can pay for."""
        prepared = self._box.standing.prepared
        if prepared is None:
            return {"unit": None, "metric": None, "points": []}
        with self._solving:
            if self._frontier is None or self._frontier[0] is not prepared:
                self._frontier = prepared, _frontier(prepared, self._how())
            return self._frontier[1]

    def health(self) -> dict[str, Any]:
        """What is wrong, and the last lines for people."""
        trouble = self._box.standing.trouble
        troubles = [] if self._local is None else self._local.troubles()
        healthy = self._local is None or self._local.unhealthy() is None
        ready = self._local is None or self._local.unready() is None
        troubles += [] if trouble is None else [trouble]
        return {"healthy": healthy, "ready": ready, "troubles": troubles, "said": list(self.said)}

    def packages(self) -> dict[str, Any]:
        """Packages of the model folder."""
        if self._model_dir is None:
            return {"packages": []}
        found = sorted(path.parent.name for path in self._model_dir.glob(f"*/{PACKAGE}"))
        return {"packages": [name for name in found if name.isprintable() and name[0] not in ". "][:_MOST_PACKAGES]}

    def status(self, more: Mapping[str, Any]) -> dict[str, Any]:
        """What changes by the second: rates, and what each app said in the second that is over.

        `version` is another one whenever apps, schedule, budget and frontier have to be asked for again.
        """
        standing = self._box.standing
        now = {
            str(app_id): {**_rate(one.rate), "now": self._heard.of(one.name, 1)}
            for app_id, one in self._running(standing).items()
        }
        plan = None if self._local is None else self._local.plan
        seen = standing.result, standing.base, standing.changes, standing.trouble, plan
        if any(one is not other for one, other in zip(seen, self._seen, strict=True)):
            self._seen, self._version = seen, self._version + 1
        fps = None if self._local is None else self._local.stream_fps
        return {
            "time": round(time(), 3),
            "version": self._version,
            "apps": now,
            "measured": standing.measured,
            "stream_fps": fps,
            "troubles": self.health()["troubles"],
            **more,
        }

    def _how(self) -> Mapping[str, Any]:
        base = self._box.standing.base
        return {} if base is None else base.how

    def _running(self, standing: Standing | None = None) -> dict[int | str, Running]:
        """The apps that run, by `app_id`."""
        plan = (standing or self._box.standing).plan if self._local is None else self._local.plan
        if plan is None:
            return {}
        rates = {} if self._local is None else {rate.app_id: rate for rate in self._local.rates()}
        return {
            plan.app_id_of(number): Running(app.name, rates.get(number))
            for number, app in planned_apps(plan, 0.0).items()
        }


def _wishes(app: App) -> dict[str, Any]:
    return {"weight": app.weight, "min_value": app.min_value, "min_fps": app.min_fps}


def _given(choice: Choice | None) -> dict[str, Any]:
    """What an app was given; all None where it does not run."""
    keys = ("target_fps", "num_frozen", "value", "f1", "recall", "precision", "f1_interval", "tail_cost")
    return {key: None if choice is None else getattr(choice, key) for key in keys}


def _rate(rate: AppRate | None) -> dict[str, Any]:
    keys = ("observed_fps", "analysed", "dropped", "failed", "failure", "stopped")
    if rate is None:
        return dict.fromkeys(keys)
    return {key: getattr(rate, key) for key in keys} | {"observed_fps": round(rate.observed_fps, 2)}


def _frontier(prepared: Prepared, how: Mapping[str, Any]) -> dict[str, Any]:
    budgets = useful_budgets(prepared, _POINTS)
    found = prepared.frontier(budgets, **{**how, "time_limit": _A_POINT_S})
    points = [_point(budget, one) for budget, one in zip(found.budgets.tolist(), found.results, strict=True) if one]
    return {"unit": prepared.model.unit, "metric": prepared.objective, "points": points}


def _point(budget: float, result: Result) -> dict[str, Any]:
    fps = {str(choice.app_id): choice.target_fps for choice in result.choices}
    return {"budget": budget, "objective": result.objective, "cost": result.cost, "fps": fps}
