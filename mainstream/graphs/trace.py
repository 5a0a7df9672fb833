"""A Keras model as a numbered list of layers that can be run from one cut to another.

Layers are numbered in Keras's own order (`model.layers`, with the input layer). Two things differ: a model inside the
model is opened, so that its layers count one by one (its input layer does not count again), and operations that are not
layers (arithmetic on tensors, such as preprocessing) belong to the layer before them. A layer that the model calls
twice counts twice.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mainstream.errors import ProblemError
from mainstream.graphs.backend import keras, tensorflow
from mainstream.graphs.cuts import single_tensor_cuts
from mainstream.ranges import SIDE

TensorKey = tuple[Any, ...]
"""Identifies one symbolic tensor: where its model is nested (one id a level), then its own id."""


@dataclass(frozen=True)
class Call:
    """One call of one Keras operation on tensors of the network.

    Attributes
    ----------
    operation : keras.Operation
    arguments : keras SymbolicArguments
        How it was called; it can fill tensors in.
    inputs : mapping of int to TensorKey
        Id of the symbolic tensor in `arguments` -> the tensor.
    outputs : tuple of TensorKey
    """

    operation: Any
    arguments: Any
    inputs: Mapping[int, TensorKey]
    outputs: tuple[TensorKey, ...]

    def run(self, values: dict[TensorKey, Any], *, training: bool = False) -> None:
        """Call it on the `values` so far, in inference or training mode, and add its outputs to them."""
        arguments, keywords = self.arguments.fill_in({one: values[key] for one, key in self.inputs.items()})
        if "training" in inspect.signature(self.operation.call).parameters:
            keywords = {**keywords, "training": training}
        results = keras().tree.flatten(self.operation(*arguments, **keywords))
        values.update(zip(self.outputs, results, strict=True))


@dataclass(frozen=True)
class Layer:
    """One layer of a network.

    Attributes
    ----------
    name : str
        Name of its output tensor in frozen graphs: Keras's name, made unique.
    layer : keras.layers.Layer
    shape : tuple
        Shape of its output, the batch first (None).
    parameters : int
    calls : tuple of Call
        The layer's own call and those of the operations behind it; empty for the input layer.
    """

    name: str
    layer: Any
    shape: tuple[int | None, ...]
    parameters: int
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class Network:
    """A traced network: one frame in (RGB float32 0-255, NHWC), one tensor out.

    Attributes
    ----------
    name : str
    height, width, channels : int
        Input size.
    layers : tuple of Layer
        Numbered from 0, the input layer.
    frame, result : TensorKey
        The tensors at the two ends.
    """

    name: str
    height: int
    width: int
    channels: int
    layers: tuple[Layer, ...]
    frame: TensorKey
    result: TensorKey

    @property
    def total_layers(self) -> int:
        """Number of layers."""
        return len(self.layers)

    @cached_property
    def cuts(self) -> Mapping[int, TensorKey]:
        """Chokepoint -> the one tensor there; key k cuts between the first k layers and the rest, 0 is the frame."""
        steps = [
            ([key for call in layer.calls for key in call.inputs.values()], [k for c in layer.calls for k in c.outputs])
            for layer in self.layers
        ]
        return {k: key for k, key in single_tensor_cuts(steps, self.frame, self.result).items() if k != 1}

    @cached_property
    def tensor_names(self) -> Mapping[int, str]:
        """Chokepoint -> name of the tensor there in frozen graphs, the two ends included; 1 counts as 0."""
        ends = sorted({0, *self.cuts, self.total_layers} - {1})
        return {k: self.layers[max(k - 1, 0)].name for k in ends}

    def run(
        self, tensor: Any, start: int = 0, stop: int | None = None, *, names: Mapping[int, str] | None = None
    ) -> Any:
        """Layers start..stop-1 on a tensor, in inference mode.

        Parameters
        ----------
        tensor : tf.Tensor, shape (batch, ...)
            The tensor at cut `start`.
        start, stop : int
            Chokepoints; `stop` None means the end.
        names : mapping of int to str, optional
            Chokepoint -> name that its tensor gets in the graph that is being traced.

        Returns
        -------
        tf.Tensor
            The tensor at cut `stop`.

        Raises
        ------
        ProblemError
            `start` or `stop` is not a chokepoint.
        """
        stop = self.total_layers if stop is None else stop
        for k in (start, stop):
            if k not in self.cuts:
                raise ProblemError(f"{self.name} cannot be cut after {k} layers; see `mainstream layers`")
        tf = tensorflow()
        values = {self.cuts[start]: tensor}
        for k in range(start, stop):
            with tf.name_scope("mainstream"):
                for call in self.layers[k].calls:
                    call.run(values)
            if names and k + 1 in names:
                key = self.cuts[k + 1]
                values[key] = tf.identity(values[key], name=names[k + 1])
        return values[self.cuts[stop]]


def trace(model: Any, name: str, size: int | None = None) -> Network:
    """The network of a Keras model.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential, one image in, one tensor out.
    name : str
        What to call it.
    size : int, optional
        Height and width of the frame; needed if the model leaves them open.

    Raises
    ------
    ProblemError
        The model has another form, or does not take frames of that size.
    """
    if not isinstance(model, keras().Model):
        raise ProblemError(f"{name}: got {type(model).__name__}; it has to be a Keras model")
    if not _is_graph(model):
        raise ProblemError(f"{name} is not a graph of layers; build it with keras.Sequential or the functional API")
    for what, tensors in (("inputs", model.inputs), ("outputs", model.outputs)):
        if len(tensors) != 1:
            raise ProblemError(f"{name} has {len(tensors)} {what}; it has to have one image in and one tensor out")
    height, width, channels = _frame(model.inputs[0].shape, name, size)
    aliases: dict[TensorKey, TensorKey] = {}
    layers: list[Layer] = []
    taken: set[str] = set()
    counted: set[int] = set()
    for node, call in _calls(model, (), aliases):
        operation = node.operation
        if isinstance(operation, keras().Layer):
            layers.append(
                Layer(
                    name=_unique(operation.name, taken),
                    layer=operation,
                    shape=tuple(node.output_tensors[0].shape),
                    parameters=0 if id(operation) in counted else operation.count_params(),
                    calls=() if node.is_input else (call,),
                )
            )
            counted.add(id(operation))
        else:
            layers[-1] = replace(layers[-1], calls=(*layers[-1].calls, call))
    result = _key(model.outputs[0], (), aliases)
    return Network(name, height, width, channels, tuple(layers), _key(model.inputs[0], (), aliases), result)


def _is_graph(model: Any) -> bool:
    if isinstance(model, keras().Sequential):
        return bool(model.built)
    return bool(getattr(model, "inputs", None)) and bool(getattr(model, "outputs", None))


def _key(tensor: Any, path: TensorKey, aliases: Mapping[TensorKey, TensorKey]) -> TensorKey:
    own = (*path, id(tensor))
    return aliases.get(own, own)


def _calls(model: Any, path: TensorKey, aliases: dict[TensorKey, TensorKey]) -> Iterator[tuple[Any, Call]]:
    """The model's nodes in Keras's order of layers, with nested models opened, whose tensors are added to `aliases`."""
    function = keras().Function(model.inputs, model.outputs)
    order = {id(operation): index for index, operation in enumerate(function.operations)}
    nodes = [
        (-depth, order[id(node.operation)], node)
        for depth in function._nodes_by_depth
        for node in function._nodes_by_depth[depth]
    ]
    for _, _, node in sorted(nodes, key=lambda item: item[:2]):
        operation = node.operation
        inputs = {id(tensor): _key(tensor, path, aliases) for tensor in node.input_tensors}
        if isinstance(operation, keras().Model) and _is_graph(operation):
            inner = (*path, id(node))
            for tensor, key in zip(operation.inputs, inputs.values(), strict=True):
                aliases[(*inner, id(tensor))] = key
            yield from ((n, call) for n, call in _calls(operation, inner, aliases) if not n.is_input)
            for outer, tensor in zip(node.output_tensors, operation.outputs, strict=True):
                aliases[(*path, id(outer))] = _key(tensor, inner, aliases)
        else:
            outputs = tuple(_key(tensor, path, aliases) for tensor in node.output_tensors)
            yield node, Call(operation, node.arguments, inputs, outputs)


def _frame(shape: tuple[int | None, ...], name: str, size: int | None) -> tuple[int, int, int]:
    if len(shape) != 4 or shape[3] is None:
        raise ProblemError(f"{name} takes {shape}; it has to take images (batch, height, width, channels)")
    if size is not None:
        SIDE.check("size", size)
    if size is None and None in shape[1:3]:
        raise ProblemError(f"{name} takes frames of any size; give one with --size, or build it with one")
    height, width = (size if own is None else own for own in shape[1:3])
    if size is not None and (height, width) != (size, size):
        raise ProblemError(f"{name} takes frames of {height} x {width}, not {size} x {size}")
    return int(height or 0), int(width or 0), shape[3]


def _unique(name: str, taken: set[str]) -> str:
    """`name` made fit for a node of a TensorFlow graph, which does not tell upper from lower case."""
    clean = re.sub(r"[^A-Za-z0-9_.\\/-]", "_", name).lstrip("_-/\\") or "layer"
    unique, again = clean, 0
    while unique.lower() in taken:
        again += 1
        unique = f"{clean}_{again}"
    taken.add(unique.lower())
    return unique
