"""Batch norms folded into the convolutions before them.

In inference a batch norm is y = s x + b, with a factor and a summand for each channel:

    s = gamma / sqrt(variance + epsilon),  b = beta - s mean

Behind a convolution this equals a convolution with the kernel s W and the bias b. In that form TensorFlow computes
convolution, bias and ReLU in one pass over the output; with separate factors and summands it does not. Keras writes a
batch norm as arithmetic on constants, and older graphs have FusedBatchNorm. So any chain of steps behind a convolution
that multiply or add a constant for each channel is folded.

The result depends on the constants alone: stems with the same weights stay equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mainstream.graphs.backend import tensorflow
from mainstream.graphs.graph_def import node_name, sources

_Vector = NDArray[np.float64]
_Affine = tuple[_Vector, _Vector]

_CONVOLUTIONS: Final = {"Conv2D", "DepthwiseConv2dNative"}
_BATCH_NORMS: Final = {"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"}
_BINARY: Final[Mapping[str, Callable[..., _Vector]]] = {
    "Add": np.add,
    "AddV2": np.add,
    "BiasAdd": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "RealDiv": np.divide,
}
_UNARY: Final[Mapping[str, Callable[..., _Vector]]] = {
    "Identity": np.positive,
    "Neg": np.negative,
    "Sqrt": np.sqrt,
    "Rsqrt": lambda x: 1 / np.sqrt(x),
}

# A graph may be hostile: one number in it may stand for a constant of any size.
_MOST_CHANNELS: Final = 1 << 14
_MOST_NUMBERS: Final = 1 << 24


def fold_batch_norms(definition: Any, keep: Collection[str]) -> Any:
    """The graph with batch norms folded into the convolutions before them, as far as that leaves `keep` as it is.

    Parameters
    ----------
    definition : GraphDef
        Without variables.
    keep : collection of str
        Nodes, or tensors as NODE:0, whose values must not change: the places where the graph will be cut. A batch norm
        is not folded if one of them lies between it and its convolution.

    Returns
    -------
    GraphDef
        What `keep` needs, and no more. Batch norms behind anything but a convolution, behind kernels that several
        nodes use, and in other types than float32 stay as they were.
    """
    kept = {name.split(":")[0] for name in keep}
    nodes = _needed(definition.node, kept)
    graph = _Graph(nodes, kept)
    folded: dict[str, list[Any]] = {}
    for node in nodes:
        if node.op in _CONVOLUTIONS:
            graph.fold(node, folded)
    result = tensorflow("run").compat.v1.GraphDef(versions=definition.versions, library=definition.library)
    result.node.extend(_needed([new for node in nodes for new in folded.get(node.name, [node])], kept))
    for node in result.node:
        node.attr.pop("_class", None)  # it asks for the device of a node that may be gone
    return result


def _needed(nodes: Iterable[Any], kept: Collection[str]) -> list[Any]:
    needed = sources({node.name: node for node in nodes}, kept)
    return [node for node in nodes if node.name in needed]


class _Graph:
    """The nodes of a graph by name, their users, and the values of small constants."""

    def __init__(self, nodes: Iterable[Any], kept: Collection[str]) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._kept = kept
        self._users: dict[str, list[Any]] = {}
        for node in nodes:
            for source in node.input:
                self._users.setdefault(node_name(source), []).append(node)
        self._constants = _constants(self._nodes.values(), self._users)
        self._names = {*self._nodes}

    def fold(self, convolution: Any, folded: dict[str, list[Any]]) -> None:
        """Add to `folded` what replaces the last folded step behind a convolution, if there is anything to fold."""
        kernel = self._kernel(convolution)
        if kernel is None:
            return
        channels = prod(kernel.shape[2:]) if convolution.op == "DepthwiseConv2dNative" else kernel.shape[3]
        factor, summand = np.ones(channels), np.zeros(channels)
        steps: list[Any] = []
        last, end, ends = convolution, convolution, (factor, summand)
        while (step := self._only_user(last)) is not None:
            with np.errstate(all="ignore"):  # results that are not finite are not folded
                changed = self._after(step, last.name, *ends)
            if changed is None:
                break
            last, ends = step, changed
            if step.op != "Identity":
                steps.append(step)
                end, (factor, summand) = step, changed
        if not steps or [step.op for step in steps] == ["BiasAdd"]:
            return
        weights = (kernel * factor.reshape(kernel.shape[2:] if channels != kernel.shape[3] else -1)).astype(np.float32)
        bias = summand.astype(np.float32)
        if np.isfinite(weights).all() and np.isfinite(bias).all():
            folded[end.name] = self._folded(convolution, end.name, weights, bias)

    def _kernel(self, convolution: Any) -> NDArray[np.float32] | None:
        """The kernel of a convolution, if no other node uses it and its channels come last."""
        tf = tensorflow("run")
        if not _channels_last(convolution):
            return None
        if convolution.attr["padding"].s == b"EXPLICIT":  # with a bias behind it, TensorFlow 2.21 crashes
            return None
        if convolution.attr["T"].type != tf.float32.as_datatype_enum or len(convolution.input) < 2:
            return None
        node = self._nodes.get(convolution.input[1])
        while node is not None and node.op == "Identity" and len(self._users[node.name]) == 1:
            node = self._nodes.get(node.input[0])
        if node is None or node.op != "Const" or len(self._users[node.name]) != 1:
            return None
        proto = node.attr["value"].tensor
        shape = [dim.size for dim in proto.tensor_shape.dim]
        # It has to be stored in full, not as one number for all, so that the file's size bounds ours.
        if len(shape) != 4 or min(shape) < 1 or len(proto.tensor_content) != 4 * prod(shape):
            return None
        return np.frombuffer(proto.tensor_content, np.float32).reshape(shape)

    def _only_user(self, node: Any) -> Any:
        """The only user of a node, if there is just one and the node need not be kept."""
        users = self._users.get(node.name, [])
        if node.name in self._kept or len(users) != 1 or any(source.startswith("^") for source in users[0].input):
            return None
        return users[0]

    def _after(self, step: Any, before: str, factor: _Vector, summand: _Vector) -> _Affine | None:
        """Factor and summand of the channels after one more step; None if the step cannot be folded."""
        if before not in step.input or not _channels_last(step):
            return None
        if step.op == "Identity":
            return factor, summand
        if step.op in _BATCH_NORMS and step.input[0] == before:
            return self._after_batch_norm(step, factor, summand)
        if step.op in _BINARY and len(step.input) == 2:
            return self._after_arithmetic(step, before, factor, summand)
        return None

    def _after_batch_norm(self, step: Any, factor: _Vector, summand: _Vector) -> _Affine | None:
        found = [self._constants.get(source) for source in step.input[1:5]]
        parameters = [one for one in found if one is not None and one.shape == factor.shape]
        if len(parameters) != 4 or step.attr["is_training"].b:
            return None
        gamma, beta, mean, variance = parameters
        scale = gamma / np.sqrt(variance + step.attr["epsilon"].f)
        return factor * scale, (summand - mean) * scale + beta

    def _after_arithmetic(self, step: Any, before: str, factor: _Vector, summand: _Vector) -> _Affine | None:
        first = step.input[0] == before
        constant = self._constants.get(step.input[1 if first else 0])
        if constant is None or constant.size not in {1, len(factor)} or prod(constant.shape[:-1]) != 1:
            return None
        if constant.ndim > 4 or (step.op == "RealDiv" and not first):
            return None
        operation, constant = _BINARY[step.op], constant.reshape(-1)
        if step.op in {"Mul", "RealDiv"}:
            return operation(factor, constant), operation(summand, constant)
        if first:
            return factor, operation(summand, constant)
        return (-factor if step.op == "Sub" else factor), operation(constant, summand)

    def _folded(self, convolution: Any, end: str, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> list[Any]:
        """The nodes that replace the last step; the bias gets its name, so that its users find it."""
        tf = tensorflow("run")
        new = [tf.compat.v1.NodeDef(name=self._free(f"{end}/{what}"), op="Const") for what in ("kernel", "bias")]
        for node, value in zip(new, (weights, bias), strict=True):
            node.attr["dtype"].type = tf.float32.as_datatype_enum
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        same = tf.compat.v1.NodeDef()
        same.CopyFrom(convolution)
        same.name = self._free(f"{end}/convolution")
        same.input[1] = new[0].name
        same.attr.pop("_output_shapes", None)
        added = tf.compat.v1.NodeDef(name=end, op="BiasAdd", input=[same.name, new[1].name])
        added.attr["T"].type = tf.float32.as_datatype_enum
        return [*new, same, added]

    def _free(self, name: str) -> str:
        """A name that no node has, for a new one."""
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name


def _channels_last(node: Any) -> bool:
    return "data_format" not in node.attr or node.attr["data_format"].s == b"NHWC"


def _constants(nodes: Iterable[Any], users: Mapping[str, list[Any]]) -> dict[str, _Vector]:
    """The values of the nodes that are small constants, or arithmetic on them."""
    values: dict[str, _Vector] = {}
    room = _MOST_NUMBERS
    todo = [node for node in nodes if node.op == "Const"]
    while todo:
        node = todo.pop()
        with np.errstate(all="ignore"):  # results that are not finite are not folded
            value = _read(node) if node.op == "Const" else _computed(node, values)
        if value is None or node.name in values or value.size > room:
            continue
        room -= value.size
        values[node.name] = value
        todo += users.get(node.name, [])
    return values


def _read(node: Any) -> _Vector | None:
    tf = tensorflow("run")
    proto = node.attr["value"].tensor
    sizes = [dim.size for dim in proto.tensor_shape.dim]
    numbers = {tf.float32.as_datatype_enum, tf.int32.as_datatype_enum}
    if proto.dtype not in numbers or min([0, *sizes]) < 0 or prod(sizes) > _MOST_CHANNELS:
        return None
    try:
        return np.asarray(tf.make_ndarray(proto), np.float64)
    except (ValueError, TypeError):  # the numbers do not fill the shape
        return None


def _computed(node: Any, values: Mapping[str, _Vector]) -> _Vector | None:
    """What a node makes of constants; None if an operand is not constant, or the node is not arithmetic."""
    if any(source not in values for source in node.input):
        return None
    operands = [values[source] for source in node.input]
    try:
        if node.op in _UNARY:
            return np.asarray(_UNARY[node.op](*operands))
        if node.op in _BINARY and prod(np.broadcast_shapes(*(one.shape for one in operands))) <= _MOST_CHANNELS:
            return np.asarray(_BINARY[node.op](*operands))
        if node.op == "Reshape":
            return operands[0].reshape(operands[1].astype(int))
        if node.op == "Squeeze":
            return operands[0].squeeze(tuple(node.attr["squeeze_dims"].list.i) or None)
    except (ValueError, TypeError, IndexError):  # too many or too few operands, or some that do not fit each other
        pass
    return None
