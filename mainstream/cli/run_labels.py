"""What ``mainstream run --labels`` adds: it scores running apps against labels of what their camera shows."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from mainstream.cli.live_labels import LiveLabels
from mainstream.errors import ProblemError
from mainstream.evaluation.live import Decided
from mainstream.evaluation.watched import Watched
from mainstream.files import naming

if TYPE_CHECKING:
    from mainstream.box.box import Box, Standing
    from mainstream.io import Problem
    from mainstream.problem import App
    from mainstream.web.views import Scores

_EVERY_S: Final = 5.0
_MOST: Final = 200_000
"""How many of an app's last decisions are scored."""

_log = logging.getLogger(__name__)

Regions = tuple[list[str] | None, float, int]
"""Where boxes count, the share of a box that has to be inside, and the seed of the bootstrap."""


class LiveScores:
    """The scores of one camera's apps since the last plan took over; they are computed when somebody looks.

    Parameters
    ----------
    file : Path
        The labels, as for ``mainstream deploy --labels``.
    stream : str or None
        The name of the camera.
    source : str
        Where its frames come from.
    apps : sequence of App
        The apps in the file at the start.
    model_dir : Path
    how : tuple

    Raises
    ------
    ProblemError
        The labels say nothing about the source or about these apps.
    """

    def __init__(
        self, file: Path, stream: str | None, source: str, apps: Sequence[App], model_dir: Path, how: Regions
    ) -> None:
        self._file, self._stream, self._source, self._model_dir, self._how = file, stream, source, model_dir, how
        self.decided = Decided(_MOST)
        self._apps = tuple(apps)
        self._watched = {app.app_id: Watched.of(app, model_dir) for app in apps}
        self._labels = self._of(self._watched)
        self._told: str | None = None
        self._scores: dict[int | str, dict[str, Any]] = {}
        self._again_s = 0.0
        self._lock = Lock()

    def of_apps(self, standing: Standing) -> Mapping[int | str, dict[str, Any]]:
        """``app_id`` -> measured F1, its 95 % interval, events and seconds; apps with too few events are left out."""
        if monotonic() >= self._again_s and self._lock.acquire(blocking=False):
            self._again_s = monotonic() + _EVERY_S
            Thread(target=self._score, args=(standing,), name="mainstream-labels", daemon=True).start()
        return self._scores

    def _score(self, standing: Standing) -> None:
        try:
            if standing.base is None or standing.result is None:
                return
            apps = next((one.apps for one in standing.base.problem.each if one.name == self._stream), ())
            if apps != self._apps:
                self._apps = apps
                self._take_up(apps)
            scored = self._labels.scored(standing.result)
            self._scores = {
                one.choice.app_id: {
                    "f1": one.score.f1.value,
                    "f1_interval": [one.score.f1.low, one.score.f1.high],
                    "events": len(one.score.events),
                    "seconds": scored.seconds,
                }
                for one in scored.apps
            }
            self._told = None
        except ProblemError as error:
            if str(error) != self._told:
                self._told = str(error)
                _log.warning("nothing is measured against labels now: %s", error)
        finally:
            self._lock.release()

    def _take_up(self, apps: Sequence[App]) -> None:
        """Take over changed and new apps; an app that the labels say nothing about gets no score."""
        for app in apps:
            with suppress(ProblemError):
                watched = {**self._watched, app.app_id: Watched.of(app, self._model_dir)}
                self._labels, self._watched = self._of(watched), watched

    def _of(self, watched: Mapping[int | str, Watched]) -> LiveLabels:
        found = LiveLabels.of(self._file, self._source, [*watched.values()], *self._how)
        return replace(found, decided=self.decided)


def live_scores(
    given: Sequence[str] | None,
    problem: Problem | None,
    places: Mapping[str | None, str],
    model_dir: Path | None,
    how: Regions,
    *,
    page: bool,
) -> dict[str | None, LiveScores]:
    """The scores of each camera that has labels, by the name of its stream.

    Raises
    ------
    ProblemError
        The labels are for no camera here, or say nothing about its apps.
    """
    from mainstream.cli.stream_options import named_values

    if not given:
        if how[0]:
            raise ProblemError("--region says where boxes of --labels count; give both")
        return {}
    if not page:
        raise ProblemError("--labels is for --page, which shows what is measured; give both")
    if model_dir is None:
        raise ProblemError("--labels is for a runtime in this process; one elsewhere does not tell what apps decide")
    if problem is None:
        return {}
    found = {}
    for name, file in named_values("labels", given, problem.each).items():
        apps = next(one.apps for one in problem.each if one.name == name)
        with naming("--labels"):
            found[name] = LiveScores(Path(file), name, places[name], apps, model_dir, how)
    return found


def scores_of(box: Box, scores: Mapping[str | None, LiveScores]) -> Scores | None:
    """A function that gives the scores of all apps, after connecting them to the decisions; None without labels."""
    for camera in box.cameras:
        if camera.local is not None and camera.name in scores:
            camera.local.listeners.append(scores[camera.name].decided.heard)

    def of_apps() -> Mapping[int | str, dict[str, Any]]:
        standing = box.standing
        return {app_id: one for each in scores.values() for app_id, one in each.of_apps(standing).items()}

    return of_apps if scores else None
