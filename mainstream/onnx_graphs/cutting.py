"""The layers between two tensors of an ONNX model, as a model of their own.

The result is what ``onnx.utils.Extractor`` gives, except that two ends with no part between them are refused by name,
and that an input with its channels first gets a transposition before it, since frames have them last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mainstream.errors import ProblemError
from mainstream.files import naming
from mainstream.graphs.shapes import Shape
from mainstream.onnx_graphs.backend import onnx
from mainstream.onnx_graphs.model_file import OnnxModel, reads

_TO_CHANNELS_FIRST: Final = (0, 3, 1, 2)
_TO_CHANNELS_LAST: Final = (0, 2, 3, 1)


@dataclass(frozen=True, eq=False)
class Cut:
    """A part of a model.

    Attributes
    ----------
    proto : ModelProto
    feed, fetch : str
        Its one input and its one output.
    dtype : numpy.dtype
        Type of the input.
    input_shape, output_shape : tuple of (int or None), or None
    """

    proto: Any
    feed: str
    fetch: str
    dtype: np.dtype[Any]
    input_shape: Shape | None
    output_shape: Shape | None


def cut(model: OnnxModel, input_layer: str, output_layer: str) -> Cut:
    """The layers between two tensors.

    Parameters
    ----------
    model : OnnxModel
    input_layer, output_layer : str
        The tensors, as a plan names them.

    Raises
    ------
    ProblemError
        There is no such tensor, or no part between them; the message begins with the key that is wrong.
    """
    with naming("input_layer"):
        feed = model.tensor(input_layer)
        dtype = model.dtype(feed)
    with naming("output_layer"):
        fetch = model.tensor(output_layer)
        model.dtype(fetch)
        places = _between(model, feed, fetch, f"{model.path}: from {input_layer!r} to {output_layer!r}")
    helper, whole = onnx().helper, model.proto.graph
    proto = onnx().ModelProto(ir_version=model.proto.ir_version, opset_import=model.proto.opset_import)
    proto.functions.extend(model.proto.functions)
    graph = proto.graph
    graph.name = "part"
    given, shape = model.infos[feed], model.shape(feed)
    taken, gives = feed, fetch
    if model.channels_first(feed):
        taken = _free(model, f"{feed}/frame")
        graph.node.append(helper.make_node("Transpose", [taken], [feed], perm=_TO_CHANNELS_FIRST))
        dims = [model.infos[feed].type.tensor_type.shape.dim[place] for place in _TO_CHANNELS_LAST]
        given = onnx().ValueInfoProto(name=taken, type=model.infos[feed].type)
        del given.type.tensor_type.shape.dim[:]
        given.type.tensor_type.shape.dim.extend(dims)
        shape = shape and tuple(shape[place] for place in _TO_CHANNELS_LAST)
    if feed == fetch:
        gives = _free(model, f"{feed}/same")
        graph.node.append(helper.make_node("Identity", [feed], [gives]))
    graph.node.extend(whole.node[place] for place in places)
    used = {name for node in graph.node for name in reads(node)}
    graph.input.append(given)
    graph.output.append(onnx().ValueInfoProto(name=gives, type=model.infos[fetch].type))
    graph.initializer.extend(model.weights[name] for name in model.weights if name in used)
    return Cut(proto, taken, gives, dtype, shape, model.shape(fetch))


def _between(model: OnnxModel, feed: str, fetch: str, where: str) -> list[int]:
    """The places of the nodes that lead from one tensor to another, in order."""
    places: set[int] = set()
    seen: set[str] = set()
    todo = [fetch]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if name == feed:
            continue
        maker = model.makers.get(name)
        if name in model.inputs or (maker is not None and maker == model.makers.get(feed)):
            raise ProblemError(f"{where} is not a part by itself: {name!r} is needed, too")
        if maker is not None and maker not in places:  # else it is a weight, or lies inside a node
            places.add(maker)
            todo += reads(model.proto.graph.node[maker])
    if feed not in seen:
        raise ProblemError(f"{where} there is no way; give the tensors in the order in which the model computes them")
    return sorted(places)


def _free(model: OnnxModel, name: str) -> str:
    """A name that no tensor has, for a new one."""
    while name in model.makers or name in model.inputs or name in model.weights:
        name += "_"
    return name
