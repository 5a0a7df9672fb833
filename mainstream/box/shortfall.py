"""What to give up when no schedule fits: which app's minimum, or which app, and how much of its value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final, NamedTuple

from mainstream.errors import MainstreamError
from mainstream.problem import App
from mainstream.schedule import Result
from mainstream.solver import Prepared, prepare
from mainstream.stream import Stream

_MINIMA: Final = ("min_value", "min_fps", "pinned")
_LONGEST_S: Final = 5.0
"""Seconds after which no more apps are tried."""
_A_SOLVE_S: Final = 1.0
"""Seconds of a solve; a schedule need not be the best to show what would fit."""


class _Way(NamedTuple):
    """An app that gives way, and the schedule that then fits."""

    app: App
    result: Result


def what_would_give(prepared: Prepared, how: Mapping[str, Any]) -> str:
    """The change to one app with which the best schedule fits, as a sentence.

    Parameters
    ----------
    prepared : Prepared
        No schedule fits its budget.
    how : mapping of str to object
        Keywords of :meth:`mainstream.Prepared.solve`.
    """
    until = monotonic() + _LONGEST_S
    metric = "F1" if prepared.objective == "f1" else prepared.objective
    freed = _best(_without_minima(prepared, how, until))
    if freed is not None:
        app = freed.app
        value = next((choice.value for choice in freed.result.choices if choice.app_id == app.app_id), 0.0)
        minima = " and ".join(_minimum(app, key) for key in _MINIMA if getattr(app, key) is not None)
        less = "" if app.min_value is None else f", {app.min_value - value:.2f} less than it asks for"
        return f"it fits when app {_called(app)} gives up its {minima}: {metric} {value:.2f}{less}"
    left_out = _best(_without_one(prepared, how, until))
    if left_out is not None:
        app, lost = left_out.app, ""
        with suppress(MainstreamError):
            lost = f"; with the budget to itself it has {metric} {_solve(prepared, [app], how).choices[0].value:.2f}"
        return f"it fits without app {_called(app)}{lost}"
    return "no single app that gives way is enough"


def _without_minima(prepared: Prepared, how: Mapping[str, Any], until: float) -> Iterator[_Way]:
    apps = _apps(prepared)
    for app in apps:
        if any(getattr(app, key) is not None for key in _MINIMA) and monotonic() < until:
            free = app.model_copy(update=dict.fromkeys(_MINIMA))
            with suppress(MainstreamError):
                yield _Way(app, _solve(prepared, [free if one is app else one for one in apps], how))


def _without_one(prepared: Prepared, how: Mapping[str, Any], until: float) -> Iterator[_Way]:
    apps = _apps(prepared)
    for app in apps:
        if not app.optional and monotonic() < until:
            with suppress(MainstreamError):
                yield _Way(app, _solve(prepared, [one for one in apps if one is not app], how))


def _best(ways: Iterator[_Way]) -> _Way | None:
    return max(ways, key=lambda way: way.result.objective, default=None)


def _apps(prepared: Prepared) -> list[App]:
    return [app for stream in prepared.streams for app in stream.described]


def _solve(prepared: Prepared, apps: Sequence[App], how: Mapping[str, Any]) -> Result:
    """The best schedule, within a second, of some of the apps, which may be changed."""
    by_id = {app.app_id: app for app in apps}
    each = [(one, [by_id[app.app_id] for app in one.described if app.app_id in by_id]) for one in prepared.streams]
    streams = [Stream(some, one.model, one.video, one.name) for one, some in each if some]
    what = {key: getattr(prepared, key) for key in ("memory_mb", "objective", "mode", "event_model")}
    other = prepare(streams, budget=prepared.budget, **what)
    return other.solve(**{**how, "time_limit": _A_SOLVE_S})


def _minimum(app: App, key: str) -> str:
    given = getattr(app, key)
    return f"{key} {given:g}" if isinstance(given, int | float) else f"{key} {given[0]}, {given[1]:g} fps"


def _called(app: App) -> str:
    return f"{app.app_id} ({app.name})" if app.name else str(app.app_id)
