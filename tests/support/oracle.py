"""Exhaustive solver in plain Python, and random tiny problems for it; knows nothing of the search it checks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from mainstream import Result, solve
from mainstream.events import event_metrics


class Option(NamedTuple):
    num_frozen: int
    fps: float
    value: float


class Best(NamedTuple):
    """The best objective (None if nothing fits) and the smallest cost of any schedule."""

    objective: float | None
    mean: float | None
    smallest: float


def options(app: dict[str, Any], rates: list[float], stream_fps: float, metric: str, mode: str, event_model: str):
    """Every (num_frozen, fps) that the app may have, with its value."""
    curve = app["accuracies"]
    frozen = sorted(curve)
    if "pinned" in app:
        frozen, rates = [app["pinned"][0]], [app["pinned"][1]]
    elif mode == "no-sharing":
        frozen = frozen[:1]
    elif mode == "max-sharing":
        frozen = frozen[-1:]
    found = []
    for f, fps in itertools.product(frozen, rates):
        vote = app.get("x_vote", 0)
        values = []
        for x in range(1, 8) if vote == "auto" else [vote]:
            recall, precision, f1 = event_metrics(
                curve[f],
                app["false_positive_rates"][f] if "false_positive_rates" in app else np.nan,
                event_length_ms=app["event_length_ms"],
                event_frequency=app.get("event_frequency", np.nan),
                correlation=app.get("correlation", 0.0),
                stream_fps=stream_fps,
                target_fps=fps,
                x_vote=x,
                event_model=event_model,
            )
            precision = 0.0 if recall == 0 else float(precision)
            values.append({"recall": float(recall), "precision": precision, "f1": float(f1)}[metric])
        value = max(values)
        if app.get("min_fps", 0) <= fps <= app.get("max_fps", np.inf) and value >= app.get("min_value", -1):
            found.append(Option(f, fps, value))
    if app.get("optional"):
        found.append(Option(0, 0.0, 0.0))
    return found


def cost(picked: tuple[Option, ...], latencies: list[float], mode: str) -> float:
    """Stem and tails, layer by layer."""
    total = 0.0
    for layer, latency in enumerate(latencies):
        sharing = [o.fps for o in picked if o.num_frozen > 1 and o.num_frozen > layer and mode != "no-sharing"]
        alone = [o.fps for o in picked if mode == "no-sharing" or o.num_frozen <= 1 or o.num_frozen <= layer]
        total += latency * (max(sharing, default=0.0) + sum(alone))
    return total


def best(problem: dict[str, Any], budget: float, aggregate: str = "mean") -> Best:
    """Try every schedule."""
    apps, latencies = problem["apps"], problem["model"]["layer_latencies"]
    given = {key: problem[key] for key in ("metric", "mode", "event_model")}
    rates = problem["video"]["fps_options"]
    every = [options(app, rates, problem["video"]["stream_fps"], **given) for app in apps]
    weights = np.array([app.get("weight", 1.0) for app in apps])
    top: tuple[float, float] | None = None
    smallest = np.inf
    for picked in itertools.product(*every):
        spent = cost(picked, latencies, problem["mode"])
        smallest = min(smallest, spent)
        if spent <= budget * (1 + 1e-9):
            values = np.array([o.value for o in picked])
            mean = float(values @ weights / weights.sum())
            score = (float(values.min()), mean) if aggregate == "min" else (mean, mean)
            # Two smallest values that differ in the last digit are the same: then the mean decides.
            if top is None or score[0] > top[0] + 1e-12 or (score[0] > top[0] - 1e-12 and score[1] > top[1]):
                top = score
    return Best(*(top or (None, None)), smallest)


def random_problem(seed: int, *, constraints: bool = False) -> dict[str, Any]:
    """One to four apps, up to four chokepoints and rates, with every option of an app now and then."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 5))
    layers = int(rng.integers(4, 12))
    count = int(rng.integers(1, 5 if n < 4 else 4))
    chokepoints = sorted(rng.choice(layers, size=min(count, layers), replace=False).tolist())
    chokepoints = sorted({0 if f <= 1 else f for f in chokepoints})
    rates = sorted(
        rng.choice([0.5, 1, 2, 2.5, 3, 5, 8, 10], size=int(rng.integers(1, 5 if n < 4 else 4)), replace=False)
    )
    mode = str(rng.choice(["mainstream", "mainstream", "mainstream", "no-sharing", "max-sharing"]))
    metric = str(rng.choice(["f1", "f1", "recall", "precision"]))
    # Whole latencies: many schedules of equal cost, and budgets that they meet exactly.
    latencies = rng.integers(0, 4, layers) if rng.random() < 0.4 else rng.uniform(0.0, 2.0, layers)
    latencies = [float(x) for x in latencies]
    latencies[-1] += 1.0
    apps = [_random_app(rng, i, chokepoints, rates, constraints=constraints) for i in range(n)]
    names = {f: f"layer{f}" for f in [*chokepoints, layers]}
    return {
        "apps": apps,
        "model": {"total_layers": layers, "layer_latencies": latencies, "frozen_layer_names": names},
        "video": {"stream_fps": 10, "fps_options": [float(r) for r in rates]},
        "metric": metric,
        "mode": mode,
        "event_model": str(rng.choice(["windowed", "windowed", "paper", "released"])),
    }


def _random_app(
    rng: np.random.Generator, app_id: int, chokepoints: list[int], rates: list[float], *, constraints: bool
) -> dict[str, Any]:
    own = sorted(rng.choice(chokepoints, size=int(rng.integers(1, len(chokepoints) + 1)), replace=False).tolist())
    keys = [1 if f == 0 and rng.random() < 0.5 else f for f in own]
    app: dict[str, Any] = {
        "app_id": app_id,
        # The curve's points have no order, since it need not fall with num_frozen.
        "accuracies": {f: float(rng.choice([0.0, 1.0, rng.random()], p=[0.05, 0.05, 0.9])) for f in keys},
        "false_positive_rates": {f: float(rng.random() ** 3) for f in keys},
        "event_length_ms": float(rng.choice([50, 200, 500, 1000, 3000])),
        "event_frequency": float(rng.uniform(0.01, 1.0)),
        "correlation": float(rng.choice([0.0, rng.random(), 1.0], p=[0.3, 0.6, 0.1])),
    }
    if rng.random() < 0.4:
        app["x_vote"] = "auto" if rng.random() < 0.4 else int(rng.integers(1, 5))
    if rng.random() < 0.3:
        app["weight"] = float(rng.uniform(0.1, 5.0))
    if rng.random() < 0.15:
        app["pinned"] = (int(rng.choice(keys)), float(rng.choice(rates)))
    if constraints and rng.random() < 0.7:
        if rng.random() < 0.4:
            app["min_fps"] = float(rng.choice(rates))
        if rng.random() < 0.3:
            app["max_fps"] = float(rng.choice(rates))
        if rng.random() < 0.3:
            app["min_value"] = float(rng.uniform(0.0, 0.5))
        if rng.random() < 0.5:
            app["optional"] = True
        if app.get("min_fps", 0) > app.get("max_fps", np.inf):
            del app["min_fps"]
    return app


def budgets(problem: dict[str, Any], seed: int) -> Iterator[float]:
    """A tight, a middling and a wide budget, and one that a schedule meets exactly."""
    rng = np.random.default_rng(seed)
    smallest = best(problem, np.inf).smallest
    if 0 < smallest < np.inf:
        yield smallest
        yield smallest * 0.98
        yield smallest * float(rng.uniform(1.0, 2.0))
        yield smallest * float(rng.uniform(2.0, 6.0))


def run(problem: dict[str, Any], budget: float, **options: Any) -> Result:
    """The project's own answer to such a problem."""
    return solve(
        problem["apps"],
        problem["model"],
        problem["video"],
        budget,
        objective=problem["metric"],
        mode=problem["mode"],
        event_model=problem["event_model"],
        **options,
    )
