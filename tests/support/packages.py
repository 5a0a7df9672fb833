"""A small M-Package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainstream.formats.curve import Curve
from mainstream.formats.package import Package, save_package

EVENTS = {
    "event_length_ms": {"value": 2100.0, "low": 1800.0, "high": 2400.0},
    "min_event_length_ms": {"value": 300.0, "low": 0.0, "high": 400.0},
    "event_frequency": {"value": 0.2, "low": 0.1, "high": 0.3},
    "correlation": {"value": 0.5, "low": 0.4, "high": 0.6},
    "correlation_fps": 5.0,
    "confidence": 0.95,
    "labelled_frames": 795,
    "events": 12,
}
KEYS: dict[str, Any] = {
    "name": "dogs in straße #7",
    "network": "mobilenetv2",
    "weights_digest": "sha256:" + "0123456789abcdef" * 4,
    "height": 96,
    "width": 128,
    "total_layers": 6,
    "classes": ["other", "dog"],
    "event_class": "dog",
    "chokepoints": {0: "in", 2: "a", 4: "b", 6: "out"},
    "models": {0: "models/0.pb", 4: "models/4.pb"},
    "events": EVENTS,
    "training": {"net": "mobilenetv2", "learning_rate": 1e-4, "chokepoints": [0, 2, 4], "n": None},
    "versions": {"python": "3.11.2"},
}
CURVE = Curve({0: 0.95, 2: 0.8, 4: 0.1 + 0.2 + 0.55}, {0: 0.01, 2: 0.001, 4: 0.04})


def keys(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**KEYS, **changes}.items() if value is not ...}


def make(folder: Path, curve: Curve = CURVE, **changes: Any) -> Path:
    folder.mkdir(parents=True)
    save_package(Package(**keys(**changes)), curve, folder)
    return folder
