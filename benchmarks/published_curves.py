"""The published curves and latencies as files: ``python -m benchmarks.published_curves FOLDER``; see study.md."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mainstream.io import Curve, save_curve, save_profile
from mainstream.problem import Model

FIGURES = Path(__file__).parents[1] / "tests" / "data" / "published_problems.json"


def main(folder: Path) -> None:
    """Write a CSV for each curve, and ``profile.json``."""
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    for name, points in figures["curves"].items():
        save_curve(Curve({f: p for f, p, _ in points}, {f: q for f, _, q in points}), folder / f"{name}.csv")
    latencies = figures["layer_latencies"]
    chokepoints = {point[0]: f"layer {point[0]}" for point in figures["curves"]["flowers"]}
    model = Model(
        name="mobilenet-published",
        total_layers=len(latencies),
        layer_latencies=latencies,
        frozen_layer_names=chokepoints,
        height=224,
        width=224,
    )
    save_profile(model, folder / "profile.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
