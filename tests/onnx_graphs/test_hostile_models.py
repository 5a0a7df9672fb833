"""ONNX models that do more than compute, reach for other files, or are no models: each is refused in one line."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainstream import ProblemError

onnx = pytest.importorskip("onnx", reason="needs the extra onnx", exc_type=ImportError)
pytest.importorskip("onnxruntime", reason="needs the extra onnx", exc_type=ImportError)

from onnx import TensorProto, helper  # noqa: E402
from support.onnx_models import SIDE, model_of, small_network  # noqa: E402

from mainstream.onnx_graphs.op_allow_list import ALLOWED  # noqa: E402
from mainstream.onnx_graphs.part import OnnxPart  # noqa: E402


def _mean(*more: Any, **options: Any) -> Any:
    """The mean colour of a frame, and what `more` makes of it."""
    pooled = helper.make_node("ReduceMean", ["frame"], ["mean"], axes=[1, 2], keepdims=0)
    return model_of([pooled, *more], ends=("frame", "scores"), **options)


def _loop() -> Any:
    """Adds 1 for ever."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Add", ["before", "one"], ["after"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("count", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, None),
        ],
    )
    loop = helper.make_node("Loop", ["", "true", "mean"], ["scores"], body=body)
    return _mean(loop, weights={"true": np.array(True), "one": np.float32(1)})


def _external(path: str) -> Any:
    model = _mean(helper.make_node("Add", ["mean", "weight"], ["scores"]), weights={"weight": np.zeros(3, np.float32)})
    (weight,) = model.graph.initializer
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=path)
    return model


def _external_constant() -> Any:
    value = helper.make_tensor("value", TensorProto.FLOAT, [3], [0.0, 0, 0])
    value.data_location = TensorProto.EXTERNAL
    value.external_data.add(key="location", value="/etc/passwd")
    constant = helper.make_node("Constant", [], ["weight"], value=value)
    return _mean(constant, helper.make_node("Add", ["mean", "weight"], ["scores"]))


def _function() -> Any:
    model = _mean(helper.make_node("Same", ["mean"], ["scores"], domain="theirs"))
    same = helper.make_node("Identity", ["x"], ["y"])
    model.functions.append(helper.make_function("theirs", "Same", ["x"], ["y"], [same], [helper.make_opsetid("", 17)]))
    model.opset_import.append(helper.make_opsetid("theirs", 1))
    return model


def _twice() -> Any:
    return _mean(*[helper.make_node("Relu", ["mean"], ["scores"])] * 2)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a loop": (_loop, r"it holds the operation 'Loop', which may do more than compute; trust it \(--trust-models\)"),
    "a custom domain": (
        lambda: _mean(helper.make_node("Run", ["mean"], ["scores"], domain="theirs")),
        "it holds the operation 'theirs.Run', which may do more",
    ),
    "no such operation": (
        lambda: _mean(helper.make_node("Frobnicate", ["mean"], ["x"]), helper.make_node("Nonsense", ["x"], ["scores"])),
        "it holds the operation 'Frobnicate' and 1 more, which the installed ONNX lacks",
    ),
    "a function": (_function, "it holds the function 'Same'"),
    "weights in any file": (lambda: _external("/etc/passwd"), r"its weights lie in another file \('weight'\)"),
    "weights in a file above": (lambda: _external("../../secret"), "its weights lie in another file"),
    "weights in a constant elsewhere": (_external_constant, r"its weights lie in another file \('value'\)"),
    "an opset of the future": (
        lambda: _mean(helper.make_node("Relu", ["mean"], ["scores"]), opset=99),
        "it has opset 99, newer than what is installed, which has [0-9]+; export the model with an older opset",
    ),
    "a form of the future": (
        lambda: _mean(helper.make_node("Relu", ["mean"], ["scores"]), ir_version=99),
        "it has IR version 99, newer than",
    ),
    "no node": (lambda: model_of([], ends=("frame", "scores")), "it is an empty graph"),
    "a name for two": (_twice, "two of its tensors have the same name"),
    "a damaged weight": (
        lambda: _mean(
            helper.make_node("Add", ["mean", "weight"], ["scores"]), weights={"weight": np.zeros(3, np.float32)}
        ),
        r"its weights 'weight' are of shape \(1000000000000,\), which they do not fill",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    make, message = REFUSED[name]
    model = make()
    if name == "a damaged weight":
        model.graph.initializer[0].dims[0] = 10**12
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ProblemError, match=f"^model_path: .*net.onnx: .*({message})") as caught:
        OnnxPart(tmp_path / "net.onnx", "frame", "scores")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_model_that_is_trusted_may_hold_more(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(_function().SerializeToString())
    part = OnnxPart(tmp_path / "net.onnx", "frame", "scores", trusted=True)
    np.testing.assert_allclose(part(np.full((1, SIDE, SIDE, 3), 7.0)), np.full((1, 3), 7.0))


def test_a_damaged_file_is_refused_or_runs(tmp_path: Path) -> None:
    whole = small_network().SerializeToString()
    refused = 0
    for seed in range(60):
        rng = random.Random(seed)
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole) // 4 if seed % 2 else len(whole))] = rng.randrange(256)
        (tmp_path / "net.onnx").write_bytes(damaged)
        try:
            OnnxPart(tmp_path / "net.onnx", "frame", "softmax")(np.zeros((1, SIDE, SIDE, 3)))
        except ProblemError as error:
            refused += 1
            assert "\n" not in str(error), seed
    assert refused > 5


def test_allowed_operations_are_of_onnx_and_give_arrays_of_numbers_without_graphs_or_chance() -> None:
    kinds = onnx.defs.OpSchema.AttrType
    for name in ALLOWED:
        schema = onnx.defs.get_schema(name)
        for attribute in schema.attributes.values():
            assert attribute.type not in (kinds.GRAPH, kinds.GRAPHS), name
        assert "seed" not in schema.attributes or name == "Dropout", name
        given = {kind for one in schema.outputs for kind in one.types}
        assert given & {"tensor(float)", "tensor(int64)", "tensor(int32)", "tensor(bool)", "tensor(uint8)"}, name
