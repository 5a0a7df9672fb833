"""Random problems of any size from a seed, and the budget at which a problem is hard.

Accuracy falls with the share of the network's time that is frozen, slowly at first, with noise that makes it rise
here and there, as in measured curves. False positive rates are proportional to the errors. Lengths and frequencies of
events are uniform on a logarithmic scale. Numbers have four decimals, so that a workload does not change when it is
written to a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from mainstream.apps import AUTO_VOTE, NO_VOTE, Apps, IntArray
from mainstream.description import rounded_up
from mainstream.errors import ProblemError
from mainstream.experiments.event_grid import EventGrid, draw_apps
from mainstream.io import Curve, Problem
from mainstream.problem import App, FloatArray, Model, Video
from mainstream.ranges import PROBABILITY, WHOLE, Range
from mainstream.solver import Prepared, prepare

_APPS: Final = Range(1, 10**7, whole=True)
_POINTS: Final = Range(2, 1000, whole=True)
HARD: Final = 1.5
"""A hard budget, as a multiple of the smallest that has a schedule.

At the smallest budget there is nothing to choose. At this one the mean objective is about half of the way from there to
its value at twice the smallest budget: 46 to 71 % for 10 to 1,000 apps.
"""

_SHORTEST_MS, _LONGEST_MS = 300.0, 20_000.0
_RAREST, _COMMONEST = 0.01, 0.5
_FIXED_VOTES: Final = (NO_VOTE, 1, 2, 3)
_LAYERS_A_CHOKEPOINT: Final = 10
_TRIES: Final = 20
"""How many draws are made at most for each workload; draws that were seen before count, too."""


@dataclass(frozen=True, eq=False)
class Workload:
    """A problem without a budget; its apps are columns, since there may be very many."""

    apps: Apps
    model: Model
    video: Video

    def prepare(self) -> Prepared:
        """The workload, compiled."""
        return prepare(self.apps, self.model, self.video)

    def objects(self) -> tuple[App, ...]:
        """The same apps as objects."""
        apps = self.apps
        has_rates = not np.isnan(apps.false_positive_rates).all()
        made = []
        for i in range(len(apps)):
            here = np.flatnonzero(~np.isnan(apps.accuracies[i]))
            keys: dict[str, Any] = {"accuracies": _curve(apps, apps.accuracies, i, here)}
            if has_rates:
                keys["false_positive_rates"] = _curve(apps, apps.false_positive_rates, i, here)
            if apps.x_vote[i] != NO_VOTE:
                keys["x_vote"] = "auto" if apps.x_vote[i] == AUTO_VOTE else int(apps.x_vote[i])
            made.append(
                App(
                    app_id=int(apps.app_ids[i]),
                    event_length_ms=float(apps.event_length_ms[i]),
                    event_frequency=float(apps.event_frequency[i]),
                    correlation=float(apps.correlation[i]),
                    **keys,
                )
            )
        return tuple(made)


def workload(
    n: int,
    *,
    seed: int,
    chokepoints: int = 16,
    rates: int = 10,
    voting: float = 0.5,
    model: Model | None = None,
    curves: Sequence[Curve] = (),
) -> Workload:
    """Make a workload; the same arguments always give the same one.

    Parameters
    ----------
    n : int
        Number of apps.
    seed : int
    chokepoints : int
        Points of each accuracy curve, including the one that shares nothing; not used with `curves`.
    rates : int
        Frame rates to choose from: 1..rates; the stream has `rates` frames a second.
    voting : float
        Share of the apps with ``x_vote="auto"``; the others have none, 1, 2 or 3.
    model : Model, optional
        Base network; default: a made-up one with this number of chokepoints.
    curves : sequence of Curve
        Measured curves with false positive rates and the same `num_frozen`. Each app gets one of them, shifted and
        with noise.

    Raises
    ------
    ProblemError
        An argument is out of its range, or the curves are unsuitable.
    """
    _APPS.check("n", n, briefly=True)
    WHOLE.check("seed", seed, briefly=True)
    _POINTS.check("chokepoints", chokepoints, briefly=True)
    replace(_POINTS, low=1).check("rates", rates, briefly=True)
    PROBABILITY.check("voting", voting)
    random = np.random.default_rng([seed, n])
    if model is None:
        model = made_up_model(chokepoints, random)
    if curves:
        points, accuracies, false_positive_rates = _around(curves, n, random)
    else:
        points = _spread(sorted(model.chokepoints - {model.total_layers}), chokepoints)
        accuracies, false_positive_rates = _falling(n, model.prefix[points] / model.prefix[-1], random)
    auto = random.random(n) < voting
    apps = Apps.from_arrays(
        accuracies,
        false_positive_rates,
        points,
        event_length_ms=np.round(_log_uniform(n, _SHORTEST_MS, _LONGEST_MS, random)),
        event_frequency=np.round(_log_uniform(n, _RAREST, _COMMONEST, random), 4),
        correlation=np.round(random.uniform(0.0, 0.9, n), 4),
        x_vote=np.where(auto, AUTO_VOTE, random.choice(_FIXED_VOTES, n)),
        app_ids=np.arange(1, n + 1),
    )
    return Workload(apps, model, Video(stream_fps=rates))


def made_up_model(chokepoints: int, random: np.random.Generator) -> Model:
    """A network with ten layers a chokepoint, the early ones slower, and 4 ms in total."""
    layers = _LAYERS_A_CHOKEPOINT * chokepoints
    raw = random.lognormal(0.0, 0.5, layers) * np.linspace(1.5, 0.5, layers)
    names = {k * _LAYERS_A_CHOKEPOINT: f"block_{k}" for k in range(chokepoints)}
    return Model(
        name=f"made-up-{chokepoints}",
        total_layers=layers,
        layer_latencies=tuple(np.round(4.0 * raw / raw.sum(), 6).tolist()),
        frozen_layer_names={**names, layers: "output"},
        height=96,
        width=96,
        unit="ms",
    )


def hard_budget(prepared: Prepared) -> float:
    """:data:`HARD` times the smallest budget, rounded up to four digits; compute a second.

    Raises
    ------
    InfeasibleError
        No budget has a schedule.
    """
    return rounded_up(HARD * prepared.smallest_budget())


def workloads_on_grid(
    grid: EventGrid,
    curves: Sequence[Curve],
    n: int,
    setups: int,
    *,
    seed: int,
    stream_fps: int,
    model: Model | None = None,
) -> Iterator[tuple[tuple[App, ...], Model, Video]]:
    """Draw different workloads of the published kind: unchanged curves, event parameters from a grid.

    Parameters
    ----------
    grid : EventGrid
    curves : sequence of Curve
    n : int
        Apps in each workload.
    setups : int
        Number of workloads.
    seed : int
    stream_fps : int
    model : Model
        The base network of the curves.

    Raises
    ------
    ProblemError
        An argument is out of its range, curves or the model are missing, or there are too few different workloads.
    """
    _APPS.check("n", n, briefly=True)
    WHOLE.check("seed", seed, briefly=True)
    replace(_POINTS, low=1).check("stream_fps", stream_fps, briefly=True)
    if model is None or not curves:
        raise ProblemError("event parameters from a grid need measured curves and their network; give both")
    random = np.random.default_rng([seed, n])
    video = Video(stream_fps=stream_fps)
    seen: set[str] = set()
    tries = _TRIES * setups
    while len(seen) < setups:
        apps = draw_apps(grid, curves, n, random)
        drawn = str([app.model_dump() for app in apps])
        if drawn not in seen:
            seen.add(drawn)
            yield apps, model, video
        tries -= 1
        if not tries:
            raise ProblemError(
                f"setups: got {setups}; these curves and this grid gave only {len(seen)} different workloads; "
                "ask for fewer, or make the grid finer"
            )


def workload_problem(apps: tuple[App, ...], model: Model, video: Video, budget: float | None) -> Problem:
    """A workload as a problem; if no budget is given, it gets its hard budget.

    Raises
    ------
    ProblemError
        The budget is not a number above 0, or apps, model and video do not fit together.
    """
    if budget is None:
        budget = hard_budget(prepare(apps, model, video))
    return Problem(apps=apps, model=model, video=video, budget=budget)


def _falling(n: int, frozen: FloatArray, random: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Curves that fall with the share of time that is `frozen` (F,): accuracies and false positive rates (n, F)."""
    top = random.uniform(0.70, 0.99, (n, 1))
    fall = random.uniform(0.02, 0.5, (n, 1))
    late = random.uniform(1.0, 4.0, (n, 1))
    noise = random.normal(0.0, 0.01, (n, len(frozen)))
    accuracies = _rates(top - fall * frozen**late + noise)
    alarms = (1.0 - accuracies) * random.uniform(0.05, 0.4, (n, 1))
    return accuracies, _rates(alarms)


def _around(curves: Sequence[Curve], n: int, random: np.random.Generator) -> tuple[IntArray, FloatArray, FloatArray]:
    """The curves' `num_frozen` (F,), and n curves near them: accuracies and false positive rates (n, F)."""
    points = sorted(curves[0].accuracies)
    for curve in curves:
        if curve.false_positive_rates is None or sorted(curve.accuracies) != points:
            raise ProblemError("curves: all have to have false positive rates and the same num_frozen")
    accuracy = np.array([[curve.accuracies[f] for f in points] for curve in curves])
    alarm = np.array([[(curve.false_positive_rates or {})[f] for f in points] for curve in curves])
    which = random.integers(len(curves), size=n)
    shift = random.normal(0.0, 0.04, (n, 1)) + random.normal(0.0, 0.01, (n, len(points)))
    return np.array(points), _rates(_moved(accuracy[which], shift)), _rates(_moved(alarm[which], -shift))


def _moved(rate: FloatArray, shift: FloatArray) -> FloatArray:
    """Move rates on the logit scale: by `shift` at 1/2, and by less near 0 and 1."""
    inside = _rates(rate)
    moved: FloatArray = 1.0 / (1.0 + (1.0 - inside) / inside * np.exp(-4.0 * shift))
    return moved


def _rates(raw: FloatArray) -> FloatArray:
    return raw.clip(0.0005, 0.9995).round(4)


def _log_uniform(n: int, low: float, high: float, random: np.random.Generator) -> FloatArray:
    values: FloatArray = np.exp(random.uniform(np.log(low), np.log(high), n))
    return values


def _spread(known: list[int], count: int) -> IntArray:
    """`count` of the `known` chokepoints, evenly spaced, including the first and the last."""
    if count > len(known):
        raise ProblemError(f"chokepoints: got {count}; the model has only {len(known)}")
    places = np.unique(np.linspace(0, len(known) - 1, count).round().astype(np.int64))
    return np.array(known)[places]


def _curve(apps: Apps, rates: FloatArray, i: int, here: IntArray) -> dict[int, float]:
    return {int(apps.chokepoints[k]): float(rates[i, k]) for k in here}
