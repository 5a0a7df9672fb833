"""Leading layers that ONNX models have in common, with each other and with what is converted to such."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra onnx")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")

import onnx
from onnx import helper, numpy_helper
from support.onnx_models import model_of, small_network

from mainstream import ProblemError
from mainstream.onnx_graphs.layers import read_network
from mainstream.onnx_graphs.part import OnnxPart
from mainstream.trainer.sharing import shared_layers


def with_weights(name: str, factor: float) -> Any:
    """The small network with a weight multiplied."""
    model = small_network(batch=1)
    for weights in model.graph.initializer:
        if weights.name == name:
            weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(factor), name))
    return model


def saved(folder: Path, **models: Any) -> list[Path]:
    for name, model in models.items():
        onnx.save(model, folder / f"{name}.onnx")
    return [folder / f"{name}.onnx" for name in models]


def stem(paths: list[Path]) -> list[tuple[int | None, str]]:
    return list(shared_layers(paths).stem.values())


def test_models_share_what_is_the_same_to_the_last_bit_and_no_more(tmp_path: Path) -> None:
    base, head, middle = saved(
        tmp_path, base=small_network(batch=1), head=with_weights("dense", 2), middle=with_weights("kernel2", 1 + 1e-6)
    )
    assert stem([base, head]) == [(8, "gap"), (8, "gap")]
    assert stem([base, middle, head]) == [(8, "gap"), (3, "relu"), (8, "gap")]
    found = shared_layers([base, middle, head])
    assert [fork for group in found.groups for fork in group.forks] == [
        f"/features/conv2/Conv: other weights in {middle} than in {base}, {head}",
        f"/head/MatMul: other weights in {head} than in {base}",
    ]
    frames = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3)).astype(np.float32)
    relu, add, gap = (
        [OnnxPart(path, "frame", name)(frames) for path in (base, middle, head)] for name in ("relu", "add", "gap")
    )
    assert np.array_equal(relu[0], relu[1]) and not np.array_equal(add[0], add[1]) and np.array_equal(gap[0], gap[2])


def test_neither_names_nor_how_numbers_are_stored_count(tmp_path: Path) -> None:
    other = small_network(batch=1)
    renamed = {name: f"other_{name}" for node in other.graph.node for name in (*node.input, *node.output)}
    for node in other.graph.node:
        node.name, node.doc_string = "", "by someone else"
        for names in (node.input, node.output):
            names[:] = [renamed[name] for name in names]
    for one in (*other.graph.input, *other.graph.output, *other.graph.initializer):
        one.name = renamed[one.name]
    for weights in other.graph.initializer:
        if weights.name == "other_bias1":
            values = numpy_helper.to_array(weights).tolist()
            weights.CopyFrom(helper.make_tensor(weights.name, onnx.TensorProto.FLOAT, [8], values))
            assert not weights.raw_data
    base, other_path = saved(tmp_path, base=small_network(batch=1), other=other)
    found = shared_layers([base, other_path])
    assert found.same == ((str(base), str(other_path)),)
    assert list(found.stem.values()) == [(9, "scores"), (9, "other_scores")]


@pytest.mark.parametrize(
    "change",
    ["attribute", "operation", "opset", "order", "size"],
)
def test_models_that_compute_something_else_are_not_the_same(tmp_path: Path, change: str) -> None:
    def made(changed: bool) -> Any:
        names = ["frame", "two"] if not (changed and change == "order") else ["two", "frame"]
        return model_of(
            [
                helper.make_node("Sub" if not (changed and change == "operation") else "Mul", names, ["less"]),
                helper.make_node("Softmax", ["less"], ["softmax"], axis=1 + (changed and change == "attribute")),
            ],
            {"two": np.float32(2)},
            frame=(1, 16, 16 + (changed and change == "size"), 3),
            opset=17 if not (changed and change == "opset") else 13,
        )

    paths = saved(tmp_path, one=made(False), other=made(True))
    assert not shared_layers(paths).same
    assert shared_layers([paths[0], *saved(tmp_path, again=made(False))]).same


def test_a_network_of_keras_and_an_onnx_model_are_compared_as_onnx_models(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)
    from support.runtime import write_models

    from mainstream.onnx_graphs.conversion import convert

    write_models(tmp_path, [1, 2], cuts=(4,))
    converted = tmp_path / "converted.onnx"
    converted.write_bytes(convert(tmp_path / "app2-4.pb", trusted=False))
    found = shared_layers([tmp_path / "app1-4.keras", converted])
    number = next(k for k, name in read_network(converted).cuts.items() if name == "first_relu")
    assert list(found.stem.values()) == [(4, "first_relu"), (number, "first_relu")]
    assert found.groups[0].forks == (f"second: other weights in {converted} than in {tmp_path / 'app1-4.keras'}",)


def test_models_of_onnx_are_compared_where_there_is_no_tensorflow(tmp_path: Path) -> None:
    paths = saved(tmp_path, base=small_network(), head=with_weights("dense", 2))
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        f"from mainstream.trainer.sharing import shared_layers; print(*shared_layers({list(map(str, paths))}).stem)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr


def test_bad_models_are_one_line(tmp_path: Path) -> None:
    relu = helper.make_node("Relu", ["frame"], ["softmax"])
    (good,) = saved(tmp_path, good=model_of([relu]))
    two = model_of([helper.make_node("Add", ["frame", "other"], ["softmax"])])
    two.graph.input.append(helper.make_tensor_value_info("other", onnx.TensorProto.FLOAT, (1, 16, 16, 3)))
    outside = model_of([relu], {"far": np.ones(4, np.float32)})
    outside.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    outside.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")
    still = model_of([helper.make_node("Relu", ["two"], ["softmax"])], {"two": np.ones(4, np.float32)})
    later = model_of([helper.make_node("Relu", ["next"], ["softmax"]), helper.make_node("Relu", ["frame"], ["next"])])
    missing = model_of([helper.make_node("Add", ["frame", "nothing"], ["softmax"])])
    for bad, reason in (
        (two, "it has 2 inputs"),
        (outside, "its weights lie in another file"),
        (still, "does not depend on the frame"),
        (later, "'next', which is not in it or comes later|no ONNX model"),
        (missing, "'nothing', which is not in it or comes later|no ONNX model"),
        (model_of([helper.make_node("Loop", ["frame"], ["softmax"])]), "operation 'Loop'"),
    ):
        (tmp_path / "bad.onnx").write_bytes(bad.SerializeToString())
        with pytest.raises(ProblemError, match=reason) as caught:
            shared_layers([good, tmp_path / "bad.onnx"])
        assert "\n" not in str(caught.value) and str(tmp_path / "bad.onnx") in str(caught.value)
