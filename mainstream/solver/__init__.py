"""solve() and frontier(): they wire the parts together and hold no algorithm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mainstream.apps import Apps
from mainstream.problem import App, Model, Video
from mainstream.schedule import Choice, Result


def solve(
    apps: Apps | Iterable[App | Mapping[str, Any]],
    model: Model | Mapping[str, Any],
    video: Video | Mapping[str, Any],
    budget: float,
    *,
    objective: str | None = None,
    aggregate: str = "mean",
    mode: str = "mainstream",
    method: str = "auto",
    event_model: str = "windowed",
    gap: float = 1e-6,
    time_limit: float | None = None,
    warm_start: Result | Iterable[Choice] | None = None,
    progress: Callable[..., None] | None = None,
) -> Result:
    raise NotImplementedError


def frontier() -> None:
    raise NotImplementedError
