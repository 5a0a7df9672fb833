"""The steps of an ONNX model, for comparing it with others."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from mainstream.errors import ProblemError
from mainstream.graphs.prints import Step, layer_of
from mainstream.onnx_graphs.backend import onnx
from mainstream.onnx_graphs.model_file import OnnxModel
from mainstream.onnx_graphs.op_allow_list import ONNX_DOMAINS

_LEFT_OUT: Final = ""
"""The name of an optional input that a node does not get."""


def onnx_steps(model: OnnxModel) -> list[Step]:
    """The steps of a model, in the order of its nodes.

    What an operation does depends on the opset, which is part of each step's form.

    Raises
    ------
    ProblemError
        A node takes a tensor that is not in the model, or comes later.
    """
    opsets = {"" if one.domain in ONNX_DOMAINS else one.domain: one.version for one in model.proto.opset_import}
    steps = [Step(_LEFT_OUT, b"left out", (), (_LEFT_OUT,))]
    steps += [Step(name, _form(b"frame", _frame(model, name)), (), (name,)) for name in model.inputs]
    steps += [_weights(name, tensor) for name, tensor in model.weights.items()]
    known = {tensor for step in steps for tensor in step.gives}
    for place, node in enumerate(model.proto.graph.node):
        missing = next((name for name in node.input if name not in known), None)
        if missing is not None:
            raise ProblemError(f"it takes {missing!r}, which is not in it or comes later; export the model again")
        steps.append(_step(node, place, opsets))
        known.update(steps[-1].gives)
    return steps


def _step(node: Any, place: int, opsets: dict[str, int]) -> Step:
    gives = tuple(name or f"{place}/{number}" for number, name in enumerate(node.output)) or (f"{place}/0",)
    called = layer_of(node.name or gives[0])
    attributes = {one.name: one for one in node.attribute}
    if node.op_type == "Constant" and attributes.keys() == {"value"}:
        return _weights(gives[0], attributes["value"].t)._replace(name=called)
    if node.op_type == "Identity" and len(gives) == 1:
        return Step(called, b"", tuple(node.input), gives)
    domain = "" if node.domain in ONNX_DOMAINS else node.domain
    said = [domain.encode(), node.op_type.encode(), str(opsets.get(domain)).encode(), *_said(attributes)]
    return Step(called, _form(*said), tuple(node.input), gives)


def _said(attributes: dict[str, Any]) -> Iterator[bytes]:
    for name in sorted(attributes):
        attribute = onnx().AttributeProto.FromString(attributes[name].SerializeToString())
        attribute.ClearField("doc_string")
        if attribute.HasField("t"):
            attribute.t.ClearField("name")
        yield attribute.SerializeToString(deterministic=True)


def _weights(name: str, tensor: Any) -> Step:
    """A constant's step: type, shape and a digest of its numbers, however they are stored."""
    form = _form(b"weights", repr((tensor.data_type, list(tensor.dims))).encode())
    try:
        numbers = onnx().numpy_helper.to_array(tensor).tobytes()
    except Exception:  # numbers that do not fill the shape raise almost anything
        numbers = tensor.SerializeToString(deterministic=True)
    return Step(name, form, (), (name,), sha256(numbers).digest())


def _frame(model: OnnxModel, name: str) -> bytes:
    """The frame's type and size, whatever the batch."""
    shape = model.shape(name)
    return repr((str(model.dtype(name)), shape and shape[1:])).encode()


def _form(*said: bytes) -> bytes:
    return b"".join(len(one).to_bytes(8, "big") + one for one in said)
