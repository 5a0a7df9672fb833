"""What the tests of the runtime run: small models that share a stem, and plans on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from support.keras_models import PLAIN_CHOKEPOINTS, plain, shaken
from support.plans import Given, result_of

from mainstream import App, Model
from mainstream.streamer import NetPlan, net_plan

CUTS = (0, 4, 6, 7)
SIZE = 16
CLASSES = 4
MODEL = Model(
    total_layers=9,
    layer_latencies=[0.0, 0.3, 0.1, 0.1, 0.3, 0.1, 0.1, 0.05, 0.05],
    frozen_layer_names=PLAIN_CHOKEPOINTS,
    height=SIZE,
    width=SIZE,
    unit="ms",
)


def write_models(folder: Path, apps: Sequence[int], cuts: Sequence[int] = CUTS) -> None:
    """``app{i}-{k}.keras`` and ``.pb``: one base, fine-tuned from layer k on in each app's own way."""
    from mainstream.trainer.freeze import freeze

    base = plain(SIZE)
    for app in apps:
        tuned = shaken(plain(SIZE), seed=app)
        for cut in cuts:
            model = plain(SIZE)
            model.set_weights(base.get_weights())
            for layer, other in list(zip(model.layers, tuned.layers, strict=True))[cut:]:
                layer.set_weights(other.get_weights())
            model.save(folder / f"app{app}-{cut}.keras")
            freeze(folder / f"app{app}-{cut}.keras")


def apps_of(count: int, form: str = "pb", event_class: int | str | None = None) -> list[App]:
    """Apps 1, 2, ... with those models."""
    return [
        App(
            app_id=i,
            accuracies={k: 0.95 - k / 100 for k in CUTS},
            event_length_ms=1000,
            model_path={k: f"app{i}-{k}.{form}" for k in CUTS},
            event_class=event_class,
        )
        for i in range(1, count + 1)
    ]


def plan_of(
    given: Given, *, form: str = "pb", mode: str = "mainstream", x_vote: int = 0, event_class: int | str | None = None
) -> NetPlan:
    """The plan in which app 1, 2, ... has what is `given`."""
    apps = apps_of(len(given), form, event_class)
    return net_plan(result_of(MODEL, given, mode=mode, x_vote=x_vote), apps, MODEL)


def pictures(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Frames (count, SIZE, SIZE, 3) of independent pixels."""
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)
