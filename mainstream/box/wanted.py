"""What the box is to run: a problem, its budget, and how to solve it, at the rate that the camera really has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from mainstream.errors import ProblemError
from mainstream.io import Problem
from mainstream.problem import App, Model, Video
from mainstream.solver import Prepared, prepare
from mainstream.stream import streams_of

_SAME_RATE: Final = 0.1
"""A camera's rate that differs from the problem's by no more than this share counts as the same."""


@dataclass(frozen=True)
class Wanted:
    """A problem to be solved again and again.

    Attributes
    ----------
    problem : Problem
    budget : float
        Compute a second.
    what, how : mapping of str to object
        Keywords of :func:`mainstream.prepare` and of :meth:`mainstream.Prepared.solve`.
    """

    problem: Problem
    budget: float
    what: Mapping[str, Any]
    how: Mapping[str, Any]

    def prepared(self, stream_fps: Mapping[str | None, float | None], models: Mapping[str | None, Model]) -> Prepared:
        """The problem, compiled for the cameras' rates and corrected models, by name; else for the problem's own."""
        streams = [
            stream
            for one in self.problem.each
            for stream in streams_of(
                one.apps, models.get(one.name, one.model), at_rate(one.video, stream_fps.get(one.name)), one.name
            )
        ]
        return prepare(streams, budget=self.budget, **self.what)

    def with_apps(self, keep: Callable[[App], App | None], budget: float | None) -> Wanted:
        """The same, with apps changed by `keep` or left out if it gives None, and with another budget if one is given.

        Raises
        ------
        ProblemError
            No app would be left.
        """
        each = [(one, tuple(new for app in one.apps if (new := keep(app)) is not None)) for one in self.problem.each]
        streams = tuple(one.model_copy(update={"apps": apps}) for one, apps in each if apps)
        if not streams:
            raise ProblemError("no app would be left that runs; let at least one run")
        update: dict[str, Any] = {"streams": streams} if self.problem.streams else {"apps": streams[0].apps}
        return replace(self, problem=self.problem.model_copy(update=update), budget=budget or self.budget)


def at_rate(video: Video, stream_fps: float | None) -> Video:
    """The video as it really is: with the camera's rate, and without rates that are above it."""
    if stream_fps is None or same_rate(video.stream_fps, stream_fps):
        return video
    if video.fps_options is None:
        return Video(stream_fps=stream_fps)
    kept = tuple(fps for fps in video.fps_options if fps <= stream_fps)
    return Video(stream_fps=stream_fps, fps_options=kept or (stream_fps,))


def same_rate(one: float, other: float) -> bool:
    """Whether two rates differ by no more than jitter."""
    return abs(other / one - 1) <= _SAME_RATE
