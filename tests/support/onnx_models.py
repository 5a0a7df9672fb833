"""Small ONNX models as other programs export them: with channels first, like PyTorch, or with channels last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
SIDE = 16


def model_of(
    nodes: Sequence[Any],
    weights: dict[str, NDArray[Any]] | None = None,
    *,
    frame: Sequence[int | str] = ("batch", SIDE, SIDE, 3),
    ends: tuple[str, str] = ("frame", "softmax"),
    opset: int = OPSET,
    ir_version: int = 8,
) -> Any:
    """A ModelProto of nodes, with weights by name."""
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info(ends[0], TensorProto.FLOAT, frame)],
        [helper.make_tensor_value_info(ends[1], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


def small_network(*, channels_first: bool = True, batch: int | str = "batch") -> Any:
    """A convolution, a bypass around another, pooling, a dense layer: ``frame``, ``relu``, ``add``, ``softmax``.

    The weights are the same in both layouts.
    """
    rng = np.random.default_rng(3)
    weights = {
        "kernel1": (rng.normal(size=(8, 3, 3, 3)) / 100).astype(np.float32),
        "bias1": rng.normal(size=8).astype(np.float32),
        "kernel2": (rng.normal(size=(8, 8, 3, 3)) / 10).astype(np.float32),
        "dense": (rng.normal(size=(8, 4)) / 10).astype(np.float32),
        "axes": np.array([2, 3]),
    }
    pads = [1, 1, 1, 1]
    nodes = [
        helper.make_node("Conv", ["image", "kernel1", "bias1"], ["conv"], pads=pads, name="/features/conv1/Conv"),
        helper.make_node("Relu", ["conv"], ["relu"], name="/features/relu1/Relu"),
        helper.make_node("Conv", ["relu", "kernel2"], ["conv2"], pads=pads, name="/features/conv2/Conv"),
        helper.make_node("Add", ["conv2", "relu"], ["add"], name="/features/Add"),
        helper.make_node("MaxPool", ["add"], ["pool"], kernel_shape=[2, 2], strides=[2, 2], name="/pool/MaxPool"),
        helper.make_node("GlobalAveragePool", ["pool"], ["mean"], name="/gap/GlobalAveragePool"),
        helper.make_node("Squeeze", ["mean", "axes"], ["gap"], name="/gap/Squeeze"),
        helper.make_node("MatMul", ["gap", "dense"], ["scores"], name="/head/MatMul"),
        helper.make_node("Softmax", ["scores"], ["softmax"], axis=1, name="/head/Softmax"),
    ]
    if channels_first:
        nodes[0].input[0] = "frame"
        frame: Sequence[int | str] = (batch, 3, SIDE, SIDE)
    else:
        nodes.insert(0, helper.make_node("Transpose", ["frame"], ["image"], perm=[0, 3, 1, 2], name="/Transpose"))
        frame = (batch, SIDE, SIDE, 3)
    return model_of(nodes, weights, frame=frame)


def write_channels_first(path: Path) -> None:
    onnx.save(small_network(batch=1), path)


def write_channels_last(path: Path) -> None:
    onnx.save(small_network(channels_first=False), path)


def torch_network(*, head: int = 0) -> Any:
    """What PyTorch's older exporter writes: channels first, names by module, batch norms, a Gemm.

    From ``frame`` to 3 ``scores``. Models with another `head` have other weights in their last layer alone.
    """
    rng = np.random.default_rng(3)
    weights: dict[str, NDArray[Any]] = {}
    nodes: list[Any] = []

    def add(operation: str, takes: Sequence[str], module: str, **attributes: Any) -> str:
        name = f"/{module}/{operation}"
        nodes.append(helper.make_node(operation, takes, [f"{name}_output_0"], name=name, **attributes))
        return f"{name}_output_0"

    def block(place: int, tensor: str, channels: int) -> str:
        names = [
            f"features.{place}.0.weight",
            *(f"features.{place}.1.{what}" for what in ("scale", "b", "mean", "var")),
        ]
        weights[names[0]] = (rng.normal(size=(8, channels, 3, 3)) / (100 if place == 0 else 10)).astype(np.float32)
        weights.update({name: rng.uniform(0.5, 1, 8).astype(np.float32) for name in names[1:]})
        module = f"features/features.{place}/features.{place}"
        tensor = add("Conv", [tensor, names[0]], f"{module}.0", pads=[1, 1, 1, 1], kernel_shape=[3, 3])
        return add("Relu", [add("BatchNormalization", [tensor, *names[1:]], f"{module}.1")], f"{module}.2")

    first = block(0, "frame", 3)
    both = add("Add", [block(1, first, 8), first], "features")
    mean = add("GlobalAveragePool", [add("MaxPool", [both], "pool", kernel_shape=[2, 2], strides=[2, 2])], "gap")
    weights["head.weight"] = np.random.default_rng(head).normal(size=(3, 8)).astype(np.float32)
    weights["head.bias"] = np.zeros(3, np.float32)
    gemm = add("Gemm", [add("Flatten", [mean], "flatten", axis=1), "head.weight", "head.bias"], "head", transB=1)
    nodes.append(helper.make_node("Softmax", [gemm], ["scores"], axis=1, name="/Softmax"))
    return model_of(nodes, weights, frame=(1, 3, SIDE, SIDE), ends=("frame", "scores"))
