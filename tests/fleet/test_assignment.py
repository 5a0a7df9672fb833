"""Which box each camera goes to, against every assignment there is; what is told when none fits."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fleets import NETWORK, app, fleet, stream

from mainstream.errors import InfeasibleError
from mainstream.fleet.fleet import Fleet
from mainstream.fleet.fleet_file import load_fleet
from mainstream.fleet.planning import plan_fleet
from mainstream.fleet.problems import FleetProblems

SLOW = {**NETWORK, "layer_latencies": [2 * x for x in NETWORK["layer_latencies"]]}


def loaded(folder: Path, given: dict[str, Any]) -> Fleet:
    (folder / "fleet.json").write_text(json.dumps(given))
    return load_fleet(folder / "fleet.json")


def random_fleet(seed: int) -> dict[str, Any]:
    """Two or three boxes of different speed and budget, up to five cameras, some of which may be on some boxes only."""
    rng = np.random.default_rng(seed)
    names = [f"box{b}" for b in range(int(rng.integers(2, 4)))]

    def camera(name: str) -> dict[str, Any]:
        apps = [
            app(
                i,
                accuracies={k: float(x) for k, x in zip((0, 2, 4), sorted(rng.uniform(0.3, 1, 3)), strict=True)},
                event_length_ms=float(rng.uniform(300, 3000)),
                correlation=float(rng.uniform(0, 0.9)),
                weight=float(rng.choice([1.0, 1.0, 3.0])),
                optional=bool(rng.random() < 0.5),
            )
            for i in range(int(rng.integers(1, 4)))
        ]
        return stream(name, *apps)

    boxes = [
        {
            "name": name,
            "budget": float(rng.uniform(15, 70)),
            **({"memory_mb": float(rng.uniform(10, 40))} if rng.random() < 0.3 else {}),
            **({"streams": [camera("own")]} if rng.random() < 0.5 else {}),
            **({"profiles": {"small": SLOW}} if rng.random() < 0.3 else {}),
        }
        for name in names
    ]
    cameras = [camera(f"camera{c}") for c in range(int(rng.integers(1, 6)))]
    for one in cameras:
        if rng.random() < 0.4:
            one["boxes"] = sorted(rng.choice(names, 2, replace=False).tolist())
    return fleet(*boxes, cameras=cameras, gap=1e-9)


def best_of_all(given: Fleet) -> float:
    """The largest objective of any assignment; NaN where none fits."""
    problems = FleetProblems(given)
    known: dict[tuple[int, tuple[int, ...]], float] = {}

    def worth(box: int, cameras: tuple[int, ...]) -> float:
        if not cameras:
            return 0.0
        if (box, cameras) not in known:
            weight = sum(given.cameras[k].weight for k in cameras)
            try:
                known[box, cameras] = weight * problems.solve(box, cameras).objective
            except InfeasibleError:
                known[box, cameras] = -np.inf
        return known[box, cameras]

    totals = [
        sum(worth(box, tuple(k for k, place in enumerate(places) if place == box)) for box in range(len(given.boxes)))
        for places in itertools.product(*(sorted(camera.on) for camera in given.cameras))
    ]
    return max(totals) / sum(camera.weight for camera in given.cameras)


@pytest.mark.parametrize("seed", range(20))
def test_the_bound_holds_for_every_assignment_and_the_chosen_one_is_within_the_gap(tmp_path: Path, seed: int) -> None:
    given = loaded(tmp_path, random_fleet(seed))
    best = best_of_all(given)
    try:
        plan = plan_fleet(given, threads=1)
    except InfeasibleError:
        assert best == -np.inf
        return
    assert best <= plan.bound + 1e-9
    assert plan.objective >= best - plan.gap - 1e-9
    assert plan.objective <= best + 1e-9
