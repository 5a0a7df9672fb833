"""What apps need and how many more fit: against what is found by asking the solver about real copies, one by one."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle, islice
from typing import Any

import numpy as np
import pytest

from mainstream import App, Apps, InfeasibleError, ProblemError, Stream, prepare
from mainstream.solver import capacity as module
from mainstream.solver.capacity import capacity

CHOKEPOINTS = (0, 2, 4, 5)


def model(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "total_layers": 6,
        "layer_latencies": rng.uniform(0.2, 3, 6).round(3).tolist(),
        "layer_memory_mb": rng.uniform(1, 5, 6).round(2).tolist(),
        "frozen_layer_names": {k: f"t{k}" for k in CHOKEPOINTS},
        "unit": "ms",
        "cores": 2,
    }


def app(rng: np.random.Generator, app_id: int, **more: Any) -> dict[str, Any]:
    """One whose models get worse with what they share."""
    accuracies = np.sort(rng.uniform(0.6, 1, len(CHOKEPOINTS)))[::-1].round(3)
    return {
        "app_id": app_id,
        "accuracies": dict(zip(CHOKEPOINTS, accuracies.tolist(), strict=True)),
        "false_positive_rates": dict.fromkeys(CHOKEPOINTS, 0.02),
        "event_length_ms": float(rng.integers(500, 3000)),
        "event_frequency": 0.2,
        "x_vote": "auto",
        **more,
    }


def asked(one: dict[str, Any], fps: float, value: float | None, app_id: int) -> dict[str, Any]:
    return {**one, "app_id": app_id, "min_fps": fps, "min_value": value, "optional": False}


def needs(streams: list[tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]], **how: Any) -> float:
    return prepare([Stream(*one) for one in streams], **how).smallest_budget()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("memory_mb", [None, 60.0])
def test_it_says_what_the_solver_says_of_real_copies(seed: int, memory_mb: float | None) -> None:
    rng = np.random.default_rng(seed)
    cameras = [(model(rng), {"stream_fps": fps}) for fps in (6, 5)[: 1 + seed % 2]]
    apps = [app(rng, k, optional=bool(k % 2)) for k in range(3)]
    of_camera = [k % len(cameras) for k in range(3)]
    streams = [
        Stream([one for one, camera in zip(apps, of_camera, strict=True) if camera == k], *cameras[k])
        for k in range(len(cameras))
    ]
    fps = 3.0
    best = prepare(streams, budget=1e6).solve()
    value = None if seed < 2 else 0.97 * min(choice.value for choice in best.choices)
    budget = float(rng.uniform(40, 120))
    found = capacity(streams, budget=budget, min_fps=fps, min_value=value, memory_mb=memory_mb)
    in_turn = [k for stream in streams for k in stream.apps.app_ids.tolist()]  # the apps in the streams' order

    def of(copies: int) -> float:
        everyone = [*range(3), *islice(cycle(in_turn), copies)]
        return needs(
            [
                ([asked(apps[k], fps, value, i) for i, k in enumerate(everyone) if of_camera[k] == c], *cameras[c])
                for c in range(len(cameras))
            ],
            memory_mb=memory_mb,
        )

    assert found.needs == pytest.approx(of(0), rel=1e-8)
    assert found.fits == (of(0) <= budget)
    assert found.proven
    if found.fits:
        assert of(found.more) <= budget * (1 + 1e-9)
        assert of(found.more + 1) > budget
    else:
        assert found.more == 0


@pytest.mark.parametrize("seed", range(4))
def test_the_dearest_is_the_one_without_which_least_is_left(seed: int) -> None:
    """With one rate and one chokepoint there is one schedule, so that leaving an app out needs no new one."""
    rng = np.random.default_rng(seed)
    apps = [
        {**app(rng, k), "pinned": (int(rng.choice(CHOKEPOINTS)), float(rng.integers(1, 7))), "name": f"app {k}"}
        for k in range(4)
    ]
    base, video = model(rng), {"stream_fps": 6}
    found = capacity(apps, base, video, 1000)
    saved = {k: found.needs - needs([([one for one in apps if one["app_id"] != k], base, video)]) for k in range(4)}
    assert found.dearest_saves == pytest.approx(max(saved.values()))
    assert saved[int(found.dearest)] == pytest.approx(found.dearest_saves)
    assert found.dearest_name == f"app {found.dearest}"


def test_columns_are_taken_too_and_the_budget_is_that_of_the_cores() -> None:
    rng = np.random.default_rng(3)
    apps, base = [app(rng, k) for k in range(3)], model(rng)
    columns = Apps.of(App.each(apps))
    assert capacity(columns, base, {"stream_fps": 6}) == capacity(apps, base, {"stream_fps": 6}, 2000)
    with pytest.raises(ProblemError, match="budget: there is none, and the models do not say the same cores"):
        capacity(columns, {**base, "cores": None}, {"stream_fps": 6})


def test_what_cannot_be_at_any_budget_says_why() -> None:
    rng = np.random.default_rng(4)
    apps, base, video = [app(rng, k) for k in range(2)], model(rng), {"stream_fps": 6}
    with pytest.raises(InfeasibleError, match=r"app \d reaches F1 0\.\d{4} at most, 1 is asked, at any budget \(and 1"):
        capacity(apps, base, video, min_value=1.0)
    named = [{**one, "name": "cars"} for one in apps]
    with pytest.raises(InfeasibleError, match=r"app \d \(cars\) reaches F1 0"):
        capacity(named, base, video, min_value=1.0)
    with pytest.raises(ProblemError, match="7 frames a second for each app: the camera offers 6 at most"):
        capacity(apps, base, video, min_fps=7)
    with pytest.raises(InfeasibleError, match="app 0: no option satisfies min_fps, max_fps, min_value and pin, at any"):
        capacity([{**apps[0], "max_fps": 2}, apps[1]], base, video, min_fps=3)
    with pytest.raises(InfeasibleError, match="no schedule fits memory_mb 1; the smallest that would do is"):
        capacity(apps, base, video, memory_mb=1.0)
    for wrong in ({"min_fps": 0}, {"min_value": 1.5}, {"budget": -1}, {"time_limit": 0}):
        with pytest.raises(ProblemError, match=f"{next(iter(wrong))}: got"):
            capacity(apps, base, video, **wrong)


def test_a_limit_bounds_the_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    apps, base, video = [app(rng, k) for k in range(2)], model(rng), {"stream_fps": 6}
    exact = capacity(apps, base, video)
    monkeypatch.setattr(module, "MOST_MORE", exact.more - 1)
    most = capacity(apps, base, video)
    assert (most.more, most.more_at_most, most.proven) == (exact.more - 1, None, False)
    assert most.room == f"room for {exact.more - 1} more like them at least"
    part = replace(exact, more=3, more_at_most=9)
    assert not part.proven and part.room == "room for 3 more like them at least, 9 at most"
    hasty = capacity(apps, base, video, time_limit=1e-9)
    assert (hasty.needs, hasty.more, hasty.more_at_most) == (exact.needs, 0, None)
