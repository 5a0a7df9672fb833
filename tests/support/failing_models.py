"""Models that a runtime has to survive, and an engine that a test holds up."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from support.runtime import SIZE, plan_of
from support.third_party import Matrices

from mainstream.extensions import Part
from mainstream.streamer import NetPlan


def write_graph(path: Path, scores: Callable[[Any, Any], Any]) -> None:
    """A frozen graph from ``frame`` to ``scores``, which `scores` makes of TensorFlow and the frame's mean colour."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        frame = tf.compat.v1.placeholder(tf.float32, [None, SIZE, SIZE, 3], name="frame")
        tf.identity(scores(tf, tf.reduce_mean(frame, [1, 2])), name="scores")
    path.write_bytes(graph.as_graph_def().SerializeToString())


def checks_numbers(tf: Any, mean: Any) -> Any:
    """Scores of a dark frame; of a bright one an error of CheckNumerics, as a NaN is found."""
    return tf.debugging.check_numerics(tf.math.log(60.0 - mean), "no number")


def counts_classes(tf: Any, mean: Any) -> Any:
    """Three scores of a dark frame, two of a bright one."""
    return mean[:, : 3 - tf.cast(tf.reduce_mean(mean) > 60, tf.int32)]


def drops_batch(tf: Any, mean: Any) -> Any:
    """One row of a dark frame, none of a bright one."""
    return tf.boolean_mask(mean, tf.reduce_mean(mean, 1) <= 60)


def alone(*nets: tuple[int, str], fps: float = 20) -> NetPlan:
    """A plan in which each app, given with its model, runs the whole of ``frame`` to ``scores``."""
    (part,) = json.loads(plan_of([(0, fps)]).to_json())
    return NetPlan.from_json(
        json.dumps(
            [
                part | {"net_id": place, "app_id": app_id, "model_path": model, "output_layer": "scores"}
                for place, (app_id, model) in enumerate(nets)
            ]
        )
    )


class HeldUp(Matrices):
    """Loads a part only once it is allowed to."""

    name = "held up"

    def __init__(self) -> None:
        self.allowed = threading.Event()
        self.began = threading.Event()

    def load(self, path: Path, input_layer: str, output_layer: str, *, trusted: bool) -> Part:
        self.began.set()
        assert self.allowed.wait(20)
        return super().load(path, input_layer, output_layer, trusted=trusted)


class Raising(Matrices):
    """Raises an error of another library's while it loads a model whose name says so, and what it is told otherwise."""

    name = "raising"

    def load(self, path: Path, input_layer: str, output_layer: str, *, trusted: bool) -> Part:
        if path.name.startswith("raising"):
            raise TypeError("bad argument type\n\0\x1b[31m for built-in operation" + "!" * 2000)
        return super().load(path, input_layer, output_layer, trusted=trusted)


def write_matrix(path: Path) -> None:
    """A model for the engine of the third party: ``frame``, ``mean``, ``scores``."""
    with path.open("wb") as file:
        np.savez(file, scores=np.eye(3))
