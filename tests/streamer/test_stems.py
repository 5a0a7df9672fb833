"""A stem that is not what a tail was trained behind: refused with layer, apps and files, by every engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)
onnx = pytest.importorskip("onnx", reason="needs the extra onnx", exc_type=ImportError)
pytest.importorskip("onnxruntime", reason="needs the extra onnx", exc_type=ImportError)

from support.failing_models import write_graph  # noqa: E402
from support.keras_models import plain  # noqa: E402
from support.onnx_models import SIDE, small_network, write_channels_first  # noqa: E402

from mainstream import ProblemError  # noqa: E402
from mainstream.extensions import PART_LOADERS  # noqa: E402
from mainstream.graphs.backend import keras  # noqa: E402
from mainstream.graphs.part import check_stem  # noqa: E402
from mainstream.onnx_graphs.quantising import quantised  # noqa: E402
from mainstream.streamer.engine import Engine  # noqa: E402
from mainstream.streamer.plan import NetPlan  # noqa: E402
from mainstream.trainer.freeze import freeze  # noqa: E402

CUT = "add"


class Case(NamedTuple):
    """An engine, a kind of file, and the layer before the cut and the one behind it that are trained."""

    engine: str
    suffix: str
    before: str
    behind: str


CASES = [
    Case("onnx", ".onnx", "kernel2", "dense"),
    Case("auto", ".onnx", "kernel2", "dense"),
    Case("tensorflow", ".pb", "second", "softmax"),
    Case("tensorflow", ".keras", "second", "softmax"),
]


def write(path: Path, other: str | None = None) -> None:
    """A model, the weights of one layer others than usual."""
    if path.suffix == ".onnx":
        model = small_network(batch=1)
        for tensor in model.graph.initializer:
            if tensor.name == other:
                tensor.raw_data = tensor.raw_data[::-1]
        onnx.save(model, path)
        return
    keras().utils.set_random_seed(3)
    net = plain(SIDE)
    if other is not None:
        layer = net.get_layer(other)
        layer.set_weights([2 * array for array in layer.get_weights()])
    if path.suffix == ".keras":
        net.save(path)
    else:
        freeze(net, path)


def engine(folder: Path, name: str, suffix: str) -> Engine:
    """The plan of two apps behind one stem up to CUT, which is from the file of app 1, cats."""
    size: dict[str, Any] = {"channels": 3, "height": SIDE, "width": SIDE, "target_fps": 10}
    parts: list[dict[str, Any]] = [
        {"net_id": 0, "app_id": -1, "parent_id": -1, "input_layer": "frame", "output_layer": CUT, "shared": True},
        {"net_id": 1, "app_id": 1, "parent_id": 0, "input_layer": CUT, "output_layer": "softmax", "shared": False},
        {"net_id": 2, "app_id": 2, "parent_id": 0, "input_layer": CUT, "output_layer": "softmax", "shared": False},
    ]
    parts[2]["name"] = "rex"
    paths = [f"{file}{suffix}" for file in ("cats", "cats", "dogs")]
    text = json.dumps([part | size | {"model_path": path} for part, path in zip(parts, paths, strict=True)])
    loader = PART_LOADERS[name]
    loader.start()
    return Engine(NetPlan.from_json(text), loader, folder, 10.0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.engine}, {case.suffix}")
def test_other_weights_before_the_cut_are_refused_and_behind_it_are_not(tmp_path: Path, case: Case) -> None:
    write(tmp_path / f"cats{case.suffix}")
    write(tmp_path / f"dogs{case.suffix}", case.behind)
    engine(tmp_path, case.engine, case.suffix)
    write(tmp_path / f"dogs{case.suffix}", case.before)
    layer = "/features/conv2/Conv" if case.suffix == ".onnx" else "second"
    message = (
        f"^net 2 of app rex, behind a stem of app 1: layer '[^']*{layer}[^']*' has other weights in dogs{case.suffix} "
        f"than in cats{case.suffix}, which gives the stem up to 'add'; mainstream share says how far models are "
        "the same$"
    )
    with pytest.raises(ProblemError, match=message):
        engine(tmp_path, case.engine, case.suffix)


def test_a_quantised_tail_behind_a_float_stem_is_refused(tmp_path: Path) -> None:
    write_channels_first(tmp_path / "cats.onnx")
    frames = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), np.uint8)
    (tmp_path / "dogs.onnx").write_bytes(quantised(tmp_path / "cats.onnx", frames))
    message = (
        "^net 2 of app rex, behind a stem of app 1: dogs.onnx computes in int8 and the stem up to 'add', from "
        "cats.onnx, in float32; give models of one precision$"
    )
    with pytest.raises(ProblemError, match=message):
        engine(tmp_path, "onnx", ".onnx")


def _counts(most: float) -> Callable[[Any, Any], Any]:
    """Scores that a loop makes."""
    return lambda tf, mean: tf.compat.v1.while_loop(
        lambda x: tf.reduce_max(x) < most, lambda x: x + 1, [mean], return_same_structure=True
    )[0]


def test_a_loop_cannot_be_compared_and_so_is_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorflow.python.ops import control_flow_util

    monkeypatch.setattr(control_flow_util, "ENABLE_CONTROL_FLOW_V2", False)
    for most in (1.0, 2.0):
        write_graph(tmp_path / f"{most:g}.pb", _counts(most))
    assert b"NextIteration" in (tmp_path / "1.pb").read_bytes()
    check_stem(tmp_path / "1.pb", tmp_path / "2.pb", "scores", trusted=True)
