"""Runtimes on loopback that run small ONNX models, and the fleet files that name them; no TensorFlow."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.onnx_models import SIDE, write_channels_last

from mainstream.streamer import LocalRunner, Server

CUTS = (0, 2, 4)
NETWORK: dict[str, Any] = {
    "total_layers": 6,
    "layer_latencies": [0.5, 0.5, 1.0, 1.0, 0.5, 0.5],
    "layer_memory_mb": [1.0, 1.0, 2.0, 2.0, 1.0, 1.0],
    "frozen_layer_names": {0: "frame", 2: "relu", 4: "add", 6: "softmax"},
    "height": SIDE,
    "width": SIDE,
    "unit": "ms",
}
CAMERA = "test://?fps=10&width=64&height=48"


def app(app_id: int | str, **keys: Any) -> dict[str, Any]:
    """An app, as in a fleet file, that the runtimes here can run."""
    return {
        "app_id": app_id,
        "accuracies": {k: 0.95 - k / 50 for k in CUTS},
        "event_length_ms": 1000,
        "model_path": {k: "small.onnx" for k in CUTS},
        "event_class": 1,
        **keys,
    }


def stream(name: str, *apps: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"name": name, "video": {"stream_fps": 10, "fps_options": [2, 5]}, "apps": list(apps), **keys}


def fleet(*boxes: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """A fleet of boxes on one network."""
    return {"model": "small", "profiles": {"small": NETWORK}, "boxes": list(boxes), **keys}


def write_models(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    write_channels_last(folder / "small.onnx")
    return folder


class Runtime:
    """A runtime in this process, on a random port or a given one, until the block ends or it is killed."""

    def __init__(self, models: Path, *, port: str = "*", window_s: float = 0.3) -> None:
        self._runner = LocalRunner(CAMERA, models, window_s=window_s, engine="onnx", threads=1)
        self._server = Server(self._runner, f"tcp://127.0.0.1:{port}")
        self.address = self._server.address
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with self._server:
            self._server.serve()

    @property
    def port(self) -> str:
        return self.address.rpartition(":")[2]

    @property
    def runner(self) -> LocalRunner:
        return self._runner

    def kill(self) -> None:
        """End it; connected clients are cut off."""
        self._runner.close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
