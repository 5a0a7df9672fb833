"""The problems of the published generator have the published objectives.

They are drawn again here as the published generator draws them; that they are the same is shown by their published ids,
which are hashes of all that they hold.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainstream import solve

FILE = Path(__file__).parents[1] / "data" / "published_problems.json"
FPS = 5
BUDGET = 100.0


def text(number: float) -> str:
    """A number as Python 2 writes it."""
    return f"{number:.12g}" if "." in f"{number:.12g}" else f"{number:.1f}"


def problems(data: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Id and apps of five problems of 2, 3, 4 and 5 apps."""
    grid = [np.arange(0, 1.1, 0.1), np.arange(0.1, 1.1, 0.1), np.arange(200, 1500, 500), list(data["curves"])]
    draw = random.Random(1337)
    for n in (2, 3, 4, 5):
        for _ in range(5):
            apps, ids = [], []
            for i in range(n):
                correlation, frequency, length, name = (one[int(draw.random() * len(one))] for one in grid)
                curve = data["curves"][name]
                words = "Architecture.mobilenets224"
                for column in (1, 2):
                    words += ",".join(f"{point[0]}:{text(round(point[column], 4))}" for point in curve)
                words += "".join(text(round(float(value), 4)) for value in (length, frequency, correlation))
                ids.append(f"{name}-mobilenet244:{hashlib.sha1(words.encode()).hexdigest()[:8]}")
                app = {
                    "app_id": i,
                    "accuracies": {point[0]: point[1] for point in curve},
                    "prob_tnrs": {point[0]: point[2] for point in curve},
                    "event_length_ms": float(length),
                    "event_frequency": min(float(frequency), 1.0),
                    "correlation_coefficient": min(float(correlation), 1.0),
                }
                apps.append(app)
            yield hashlib.sha1((",".join(ids) + str(FPS)).encode()).hexdigest()[:8], apps


def test_the_published_objectives_are_found_again() -> None:
    data = json.loads(FILE.read_text(encoding="utf-8"))
    found = dict(problems(data))
    assert list(found) == list(data["objectives"]) and len(found) == 20
    chokepoints = [point[0] for point in data["curves"]["flowers"]]
    model = {
        "total_layers": len(data["layer_latencies"]),
        "layer_latencies": data["layer_latencies"],
        "frozen_layer_names": {f: f"layer {f}" for f in chokepoints},
    }
    for identity, apps in found.items():
        result = solve(apps, model, {"stream_fps": FPS}, BUDGET, event_model="released", objective="f1", gap=1e-9)
        # Six digits are published: as few behind the point, or as many as count.
        assert 1 - result.objective == pytest.approx(data["objectives"][identity], abs=5.01e-7), identity
