"""What the box is to run: a problem, its budget, and how to solve it, at the rate that the camera really has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mainstream.io import Problem
from mainstream.problem import Model, Video
from mainstream.solver import Prepared, prepare

_SAME_RATE: Final = 0.1
"""A camera whose rate is this near to the problem's has the problem's."""


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

    def prepared(self, stream_fps: float | None, model: Model | None = None) -> Prepared:
        """The problem, compiled for a camera of `stream_fps` and a corrected model; None is what the problem says."""
        camera = self.problem.camera
        return prepare(camera.apps, model or camera.model, at_rate(camera.video, stream_fps), self.budget, **self.what)


def at_rate(video: Video, stream_fps: float | None) -> Video:
    """The video as it comes: with the camera's rate, and without the options that are above it."""
    if stream_fps is None or same_rate(video.stream_fps, stream_fps):
        return video
    if video.fps_options is None:
        return Video(stream_fps=stream_fps)
    kept = tuple(fps for fps in video.fps_options if fps <= stream_fps)
    return Video(stream_fps=stream_fps, fps_options=kept or (stream_fps,))


def same_rate(one: float, other: float) -> bool:
    """Whether two rates differ by no more than jitter does."""
    return abs(other / one - 1) <= _SAME_RATE
