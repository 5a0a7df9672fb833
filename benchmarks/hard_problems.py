"""Problems that exact searches choke on, each drawn from its seed: odd networks, curves, events and constraints.

Usual workloads have smooth curves and a stem that is worth its cost. Here the stem may be nearly all of the network or
nearly none of it. Accuracy may be noise, events may be shorter than the time between two frames, and weights may be
twelve orders of magnitude apart. Most models may be missing, apps may be optional, and the budget may be next to the
smallest or far above it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.instances import Instance
from mainstream import prepare
from mainstream.apps import Apps
from mainstream.errors import InfeasibleError
from mainstream.problem import FloatArray, Model, Video


def hard_problem(seed: int) -> Instance | None:
    """The problem of a seed; None if no budget has a schedule.

    Parameters
    ----------
    seed : int

    Returns
    -------
    Instance or None
    """
    rng = np.random.default_rng([seed, 13])
    n = int(rng.choice([3, 6, 10, 20, 30, 50, 100, 300]))
    tail = _tails(rng, int(rng.choice([3, 8, 15, 30, 60])))
    rates = _rates(rng, int(rng.choice([3, 5, 10, 30, 60])))
    accuracy = _accuracies(rng, n, tail)
    length_s = _event_lengths(rng, n, rates[-1])
    correlation = [np.ones(n), rng.uniform(0.0, 0.9, n), np.zeros(n)][rng.integers(3)]
    value = _recall(accuracy, length_s[:, None] * rates, correlation)
    missing = rng.random(accuracy.shape) < rng.choice([0.0, 0.0, 0.5, 0.8, 0.95])
    missing[np.arange(n), rng.integers(0, len(tail), n)] = False
    accuracy[missing] = np.nan
    value[missing] = np.nan
    # A hair under that share of its best value, so that rounding leaves every app an option.
    least = rng.choice([-np.inf, -np.inf, 0.5, 0.8, 0.95, 0.99]) * (1 - 1e-9) * np.nanmax(value, axis=(1, 2))
    weight = 10.0 ** rng.uniform(-6.0, 6.0, n) if rng.random() < 1 / 3 else np.ones(n)
    factor = float(rng.choice([1.0001, 1.01, 1.1, 1.3, 1.5, 2.0, 3.0, 5.0]))
    optional = rng.random() < 0.25

    chokepoints = [0, *range(2, len(tail) + 1)]
    layers = -np.diff(tail, append=0.0)
    model = Model(
        total_layers=len(tail) + 1,
        layer_latencies=(layers[0] / 2, layers[0] / 2, *layers[1:]),
        frozen_layer_names={k: f"layer{k}" for k in (*chokepoints, len(tail) + 1)},
    )
    video = Video(stream_fps=float(rates[-1]), fps_options=tuple(rates.tolist()))
    columns: dict[str, Any] = {
        "event_length_ms": 1000.0 * length_s,
        "correlation": correlation,
        "weight": weight,
        "min_value": least,
    }
    try:
        smallest = prepare(Apps.from_arrays(accuracy, None, chokepoints, **columns), model, video).smallest_budget()
    except InfeasibleError:
        return None
    apps = Apps.from_arrays(accuracy, None, chokepoints, optional=optional, **columns)
    return Instance(apps, model, video, factor * smallest * (rng.uniform(0.1, 1.0) if optional else 1.0))


def _tails(rng: np.random.Generator, depths: int) -> FloatArray:
    """The latency after each of the chokepoints, where the whole network has 1."""
    stem = [
        rng.lognormal(0.0, 0.7, depths),
        np.ones(depths),
        0.8 ** np.arange(depths),
        rng.pareto(1.0, depths) + 0.01,
    ][rng.integers(4)]
    stem *= (1.0 - rng.choice([1e-4, 0.01, 0.1, 0.25, 0.5, 0.9])) / stem.sum()
    return np.concatenate([[1.0], 1.0 - np.cumsum(stem)])


def _rates(rng: np.random.Generator, count: int) -> FloatArray:
    """Frames a second: whole numbers, in a fixed ratio, or any."""
    kinds = [np.arange(1.0, count + 1.0), np.geomspace(0.1, 30.0, count), np.sort(rng.uniform(0.2, 30.0, count))]
    return kinds[rng.choice(3, p=[0.5, 0.25, 0.25])]


def _accuracies(rng: np.random.Generator, n: int, tail: FloatArray) -> FloatArray:
    """(N, F): smooth curves with a knee, noise, a random walk, decay, or whatever is in ratio to the tail."""
    frozen = 1.0 - tail / tail[0]
    shape = (n, len(tail))
    kind = rng.integers(5)
    if kind == 0:
        drop, knee = rng.uniform(0.02, 0.5, (n, 1)), rng.uniform(1.5, 8.0, (n, 1))
        curve = rng.uniform(0.8, 0.99, (n, 1)) - drop * frozen**knee + rng.normal(0.0, 0.006, shape)
    elif kind == 1:
        curve = rng.random(shape)
    elif kind == 2:
        curve = 0.95 + np.cumsum(rng.normal(-0.01, 0.02, shape), axis=1)
    elif kind == 3:
        curve = np.exp(-rng.uniform(0.0, 3.0, (n, 1)) * frozen) * rng.uniform(0.9, 1.1, shape)
    else:
        curve = tail * rng.uniform(0.95, 1.05, shape)
    return np.clip(curve, 0.001, 0.999)


def _event_lengths(rng: np.random.Generator, n: int, fastest: float) -> FloatArray:
    """Seconds: under one frame, many frames, all sorts, or half a frame for all."""
    kinds = [rng.uniform(0.001, 1.0, n) / fastest, rng.uniform(1.0, 20.0, n), 10.0 ** rng.uniform(-1.3, 1.3, n)]
    return [*kinds, np.full(n, 0.5 / fastest)][rng.integers(4)]


def _recall(accuracy: FloatArray, frames: FloatArray, correlation: FloatArray) -> FloatArray:
    """(N, F, R): about the recall without votes, for the apps' least values."""
    p, later = accuracy[:, :, None], np.maximum(frames - 1.0, 0.0)[:, None, :]
    missed = (1.0 - p) * (1.0 - p * (1.0 - correlation[:, None, None])) ** later
    return np.minimum(frames, 1.0)[:, None, :] * (1.0 - missed)
