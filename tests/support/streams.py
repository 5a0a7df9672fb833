"""Exhaustive solver and random tiny problems for several streams on one budget; knows nothing of the search."""

from __future__ import annotations

import itertools
from typing import Any

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


def every_schedule(problems: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cost (S,), value of each app (S, N) of every joint schedule, and weights (N,)."""
    costs, values = np.zeros(1), np.zeros((1, 0))
    for problem in problems:
        given = {key: problem[key] for key in ("metric", "mode", "event_model")}
        rates, stream_fps = problem["video"]["fps_options"], problem["video"]["stream_fps"]
        every = [oracle.options(app, rates, stream_fps, **given) for app in problem["apps"]]
        latencies = problem["model"]["layer_latencies"]
        picks = list(itertools.product(*every))
        own_costs = np.array([oracle.cost(picked, latencies, problem["mode"]) for picked in picks])
        own_values = np.array([[option.value for option in picked] for picked in picks])
        own_values = own_values.reshape(len(picks), len(every))
        costs = (costs[:, None] + own_costs[None, :]).ravel()
        values = np.concatenate([np.repeat(values, len(picks), axis=0), np.tile(own_values, (len(values), 1))], axis=1)
    weights = np.array([app.get("weight", 1.0) for problem in problems for app in problem["apps"]])
    return costs, values, weights


def best(tried: tuple[np.ndarray, np.ndarray, np.ndarray], budget: float, aggregate: str) -> tuple[float, float] | None:
    """The best objective and the mean that goes with it, or None when nothing fits."""
    costs, values, weights = tried
    fits = costs <= budget * (1 + 1e-9)
    if not fits.any():
        return None
    means = values[fits] @ weights / weights.sum()
    if aggregate == "mean":
        return float(means.max()), float(means.max())
    smallest = values[fits].min(axis=1)
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
