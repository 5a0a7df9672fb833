"""Exhaustive solver and random tiny problems for several streams on one budget; knows nothing of the search."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from support import oracle

from mainstream import Result, Stream, solve


def random_streams(seed: int) -> list[dict[str, Any]]:
    """Two or three tiny problems, app ids different, with what they have to have in common."""
    rng = np.random.default_rng([seed, 1])
    problems = [
        oracle.random_problem(int(rng.integers(1 << 30)), constraints=bool(rng.random() < 0.5))
        for _ in range(int(rng.integers(2, 4)))
    ]
    common = {key: problems[0][key] for key in ("metric", "mode", "event_model")}
    taken = 0
    kept = []
    for problem in problems:
        # As many schedules as can be tried.
        apps = problem["apps"][: 2 if len(problems) == 2 else 1 + int(taken == 0)]
        kept.append({**problem, **common, "apps": [{**app, "app_id": taken + i} for i, app in enumerate(apps)]})
        taken += len(apps)
    return kept


class Tried(NamedTuple):
    """Every joint schedule: cost and megabytes (S,), the value of each app (S, N), and the weights (N,)."""

    cost: np.ndarray
    memory: np.ndarray
    value: np.ndarray
    weight: np.ndarray


def memory(picked: tuple[oracle.Option, ...], megabytes: list[float], mode: str) -> float:
    """Stem and tails, layer by layer."""
    running = [option for option in picked if option.fps > 0]
    total = 0.0
    for layer, own in enumerate(megabytes):
        sharing = [o.num_frozen > 1 and o.num_frozen > layer and mode != "no-sharing" for o in running]
        total += own * (any(sharing) + sharing.count(False))
    return total


def every_schedule(problems: list[dict[str, Any]]) -> Tried:
    """All schedules of one stream with all of the others."""
    costs, megabytes, values = np.zeros(1), np.zeros(1), np.zeros((1, 0))
    for problem in problems:
        given = {key: problem[key] for key in ("metric", "mode", "event_model")}
        rates, stream_fps = problem["video"]["fps_options"], problem["video"]["stream_fps"]
        every = [oracle.options(app, rates, stream_fps, **given) for app in problem["apps"]]
        model = problem["model"]
        picks = list(itertools.product(*every))
        own_costs = np.array([oracle.cost(picked, model["layer_latencies"], problem["mode"]) for picked in picks])
        own_mb = [memory(picked, model.get("layer_memory_mb", []), problem["mode"]) for picked in picks]
        own_values = np.array([[option.value for option in picked] for picked in picks])
        own_values = own_values.reshape(len(picks), len(every))
        costs = (costs[:, None] + own_costs[None, :]).ravel()
        megabytes = (megabytes[:, None] + np.array(own_mb)[None, :]).ravel()
        values = np.concatenate([np.repeat(values, len(picks), axis=0), np.tile(own_values, (len(values), 1))], axis=1)
    weights = np.array([app.get("weight", 1.0) for problem in problems for app in problem["apps"]])
    return Tried(costs, megabytes, values, weights)


def best(tried: Tried, budget: float, aggregate: str, memory_mb: float = np.inf) -> tuple[float, float] | None:
    """The best objective and the mean that goes with it, or None when nothing fits."""
    fits = (tried.cost <= budget * (1 + 1e-9)) & (tried.memory <= memory_mb * (1 + 1e-9))
    if not fits.any():
        return None
    values = tried.value[fits]
    means = values @ tried.weight / tried.weight.sum()
    if aggregate == "mean":
        return float(means.max()), float(means.max())
    smallest = values.min(axis=1)
    return float(smallest.max()), float(means[smallest > smallest.max() - 1e-12].max())


def run(problems: list[dict[str, Any]], budget: float, **options: Any) -> Result:
    """The project's own answer."""
    return solve(
        [Stream(problem["apps"], problem["model"], problem["video"]) for problem in problems],
        budget=budget,
        objective=problems[0]["metric"],
        mode=problems[0]["mode"],
        event_model=problems[0]["event_model"],
        **options,
    )
