"""Results made of chosen choices, without a search: for the tests of net plans and of what runs them."""

from __future__ import annotations

import numpy as np

from mainstream import App, Model, Result, Schedule
from mainstream.costs import stem_parts, tail_costs

Given = list[tuple[int, float]]
"""(`num_frozen`, `target_fps`) of app 1, 2, ...; a rate of 0 leaves an app out."""


def network(total: int = 10, cuts: tuple[int, ...] = (0, 2, 4, 6, 8, 10)) -> Model:
    return Model(
        total_layers=total,
        layer_latencies=[0.5 + 0.25 * (k % 4) for k in range(total)],
        frozen_layer_names={k: f"cut{k}" for k in cuts},
        height=32,
        width=48,
        unit="ms",
    )


def apps_for(given: Given, cuts: tuple[int, ...] = (0, 2, 4, 6, 8, 10)) -> list[App]:
    return [
        App(
            app_id=i,
            accuracies={k: 0.9 for k in cuts},
            event_length_ms=1000,
            model_path={k: f"app{i}-{k}.pb" for k in cuts},
        )
        for i in range(1, len(given) + 1)
    ]


def result_of(model: Model, given: Given, *, mode: str = "mainstream", x_vote: int = 0) -> Result:
    """The result in which each app has what is `given`."""
    frozen = np.array([f for f, _ in given])
    fps = np.array([r for _, r in given], dtype=float)
    sharing = mode != "no-sharing"
    nothing = np.zeros(len(given))
    schedule = Schedule(
        app_ids=np.arange(1, len(given) + 1),
        num_frozen=frozen,
        target_fps=fps,
        x_vote=np.full(len(given), x_vote),
        value=nothing,
        f1=np.full(len(given), np.nan),
        recall=nothing,
        precision=np.full(len(given), np.nan),
        accuracy=nothing,
        tail_cost=tail_costs(model, frozen, fps, sharing=sharing),
        stem=stem_parts(model, frozen, fps) if sharing else (),
    )
    return Result(
        schedules=(schedule,),
        status="optimal",
        objective=0.0,
        bound=0.0,
        budget=1.0,
        metric="recall",
        aggregate="mean",
        mode=mode,
        event_model="windowed",
        method="branch-and-bound",
        runtime_s=0.0,
        nodes=1,
    )
