"""Problem files for the box, on a small network that NumPy runs: no TensorFlow has to be started."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import yaml
from support.third_party import Matrices, write_matrices

SOURCE = "test://?fps=20&width=32&height=32"
MODEL = {
    "total_layers": 3,
    "layer_latencies": [1.0, 4.0, 5.0],
    "frozen_layer_names": {0: "frame", 2: "hidden", 3: "scores"},
    "height": 16,
    "width": 16,
    "unit": "ms",
}


def app(app_id: int | str, **keys: Any) -> dict[str, Any]:
    """An app's keys in a file; `keys` override those that all apps have."""
    paths = {0: "net.npz", 2: "net.npz"}
    curve = {"accuracies": {0: 0.6, 2: 0.5}, "event_length_ms": 500.0, "model_path": paths}
    return {"app_id": app_id, **curve, **keys}


def write_problem(folder: Path, *apps: dict[str, Any], budget: float = 150.0, **video: Any) -> Path:
    """The file ``problem.yaml``, whole at once, and the model beside it."""
    if not (folder / "net.npz").exists():
        write_matrices(folder / "net.npz")
    file = folder / "problem.yaml"
    keys = {"budget": budget, "video": {"stream_fps": 20.0, **video}, "model": MODEL, "apps": list(apps)}
    beside = folder / "beside"
    beside.write_text(yaml.safe_dump(keys))
    return beside.replace(file)


def write_cameras(
    folder: Path, cameras: dict[str, list[dict[str, Any]]], *, budget: float = 150.0, **keys: dict[str, Any]
) -> Path:
    """As :func:`write_problem`, for several cameras; `keys` has further keys of a stream, by its name."""
    if not (folder / "net.npz").exists():
        write_matrices(folder / "net.npz")
    streams = [
        {"name": name, "video": {"stream_fps": 20.0}, "source": SOURCE, "apps": apps, **keys.get(name, {})}
        for name, apps in cameras.items()
    ]
    beside = folder / "beside"
    beside.write_text(yaml.safe_dump({"budget": budget, "model": MODEL, "streams": streams}))
    return beside.replace(folder / "problem.yaml")


class Burning(Matrices):
    """Each part takes this many milliseconds of a core."""

    name = "burning"

    def __init__(self, ms: float) -> None:
        self.ms = ms

    def load(self, path: Path, input_layer: str, output_layer: str, *, trusted: bool) -> Any:
        part = super().load(path, input_layer, output_layer, trusted=trusted)
        product = type(part).__call__

        class Burner(type(part)):  # type: ignore[misc]
            def __call__(burner, batch: Any) -> Any:
                until = time.thread_time() + self.ms / 1000
                while time.thread_time() < until:
                    pass
                return product(burner, batch)

        part.__class__ = Burner
        return part
