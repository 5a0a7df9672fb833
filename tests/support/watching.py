"""A problem of apps that each see a colour, with real graphs that share a stem, and a labelled clip of colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from support.colours import write_colours

SIZE = 16
CUTS = {0: "frame", 2: "mean", 4: "scores"}
COLOURS = ("red", "green", "blue")
SHOTS = [
    ("dim blue", 12), ("red", 10), ("dim blue", 15), ("green", 12), ("dim blue", 13), ("blue", 10), ("dim blue", 20),
    ("red", 10), ("green", 10), ("dim blue", 10), ("blue", 9), ("dim blue", 9),
]  # fmt: skip
"""140 frames; "dim blue" is nobody's event."""
EVENTS = {"red": [(12, 22), (92, 102)], "green": [(37, 49), (102, 112)], "blue": [(62, 72), (122, 131)]}
FRAMES = 140


def write_graphs(folder: Path) -> None:
    """``COLOUR-0.pb`` and ``COLOUR-2.pb``: mean colour, then whether one of its channels stands out by 100."""
    import tensorflow as tf

    for place, name in enumerate(COLOURS):
        weights = np.full((3, 2), -0.5, np.float32)
        weights[:, 0] = 0
        weights[place, 1] = 1
        with tf.Graph().as_default() as graph:
            frame = tf.compat.v1.placeholder(tf.float32, [None, SIZE, SIZE, 3], name="frame")
            mean = tf.reduce_mean(frame, [1, 2], name="mean")
            tf.identity(tf.matmul(mean, tf.constant(weights)) - [0.0, 100.0], name="scores")
        for cut in (0, 2):
            (folder / f"{name}-{cut}.pb").write_bytes(graph.as_graph_def().SerializeToString())


def problem(**changes: Any) -> dict[str, Any]:
    """The keys of its problem file."""
    app = {
        "accuracies": {0: 0.95, 2: 0.9},
        "false_positive_rates": {0: 0.01, 2: 0.02},
        "event_length_ms": 1000,
        "event_frequency": 0.2,
        "event_class": 1,
    }
    apps = [
        app | {"app_id": i, "name": name, "model_path": {cut: f"{name}-{cut}.pb" for cut in (0, 2)}} | changes
        for i, name in enumerate(COLOURS, start=1)
    ]
    model = {
        "total_layers": 4, "layer_latencies": [2.0, 3.0, 0.5, 0.5], "frozen_layer_names": CUTS,
        "height": SIZE, "width": SIZE, "unit": "ms",
    }  # fmt: skip
    return {"budget": 70, "video": {"stream_fps": 10}, "model": model, "apps": apps}


def write_watching(folder: Path) -> None:
    """``problem.yaml``, the graphs, ``clip.avi`` and ``labels.csv``."""
    write_graphs(folder)
    (folder / "problem.yaml").write_text(yaml.safe_dump(problem()))
    write_colours(folder / "clip.avi", SHOTS)
    rows = [f"{start},{end},{name}" for name, some in EVENTS.items() for start, end in some]
    (folder / "labels.csv").write_text("\n".join(["start,end,label", *rows]) + "\n")
