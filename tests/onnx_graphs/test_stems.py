"""A stem that is not what a tail was trained behind: refused with the layer, the app and the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainstream import ProblemError

onnx = pytest.importorskip("onnx", reason="needs the extra onnx", exc_type=ImportError)
pytest.importorskip("onnxruntime", reason="needs the extra onnx", exc_type=ImportError)

from support.onnx_models import SIDE, small_network, write_channels_first  # noqa: E402

from mainstream.extensions import PART_LOADERS  # noqa: E402
from mainstream.onnx_graphs.quantising import quantised  # noqa: E402
from mainstream.streamer.engine import Engine  # noqa: E402
from mainstream.streamer.plan import NetPlan  # noqa: E402

CUT = "add"


def engine(folder: Path, name: str) -> Engine:
    """The plan of two apps behind one stem up to CUT, which is from cats.onnx."""
    size: dict[str, Any] = {"channels": 3, "height": SIDE, "width": SIDE, "target_fps": 10}
    parts: list[dict[str, Any]] = [
        {"net_id": 0, "app_id": -1, "parent_id": -1, "input_layer": "frame", "output_layer": CUT, "shared": True},
        {"net_id": 1, "app_id": 1, "parent_id": 0, "input_layer": CUT, "output_layer": "softmax", "shared": False},
        {"net_id": 2, "app_id": 2, "parent_id": 0, "input_layer": CUT, "output_layer": "softmax", "shared": False},
    ]
    paths = ["cats.onnx", "cats.onnx", "dogs.onnx"]
    text = json.dumps([part | size | {"model_path": path} for part, path in zip(parts, paths, strict=True)])
    loader = PART_LOADERS[name]
    loader.start()
    return Engine(NetPlan.from_json(text), loader, folder, 10.0)


def write_with_other(folder: Path, weights: str) -> None:
    model = small_network(batch=1)
    tensor = next(one for one in model.graph.initializer if one.name == weights)
    tensor.raw_data = tensor.raw_data[::-1]
    onnx.save(model, folder / "dogs.onnx")


@pytest.mark.parametrize("name", ["onnx", "auto"])
def test_other_weights_before_the_cut_are_refused_and_behind_it_are_not(tmp_path: Path, name: str) -> None:
    write_channels_first(tmp_path / "cats.onnx")
    write_with_other(tmp_path, "dense")
    engine(tmp_path, name)
    write_with_other(tmp_path, "kernel2")
    message = (
        "^net 2, app 2: layer '/features/conv2/Conv' has other weights in dogs.onnx than in cats.onnx, "
        "from which the stem up to 'add' is; mainstream share says how far models are the same$"
    )
    with pytest.raises(ProblemError, match=message):
        engine(tmp_path, name)


def test_a_quantised_tail_behind_a_float_stem_is_refused(tmp_path: Path) -> None:
    write_channels_first(tmp_path / "cats.onnx")
    frames = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), np.uint8)
    (tmp_path / "dogs.onnx").write_bytes(quantised(tmp_path / "cats.onnx", frames))
    message = "^net 2, app 2: dogs.onnx computes in int8 and the stem up to 'add', from cats.onnx, in float32; give"
    with pytest.raises(ProblemError, match=message):
        engine(tmp_path, "onnx")
