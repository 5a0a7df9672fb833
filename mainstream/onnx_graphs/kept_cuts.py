"""Which tensors of a frozen graph a conversion has to keep, so that the ONNX model can be cut where the graph can.

A converter may join several operations or leave one out, and keeps only the tensors that it is told to keep. These are
the tensors through which all ways from a placeholder to a result run. ``mainstream freeze`` names each of them by an
Identity. If there are such, a plan can name only these, and keeping the many between them would only cost time.

The converter keeps them as results, but may put them beside the way: from x, in ONNX's layout of images, it makes the
tensor in TensorFlow's layout, and goes on from x. So we put them back on the way: the next steps go on from the tensor.
In a part that is not cut there, ONNX Runtime sees that the two changes of layout cancel out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from mainstream.graphs.cuts import single_tensor_cuts
from mainstream.onnx_graphs.backend import onnx

_NO_RESULTS: Final = {"Const", "Placeholder", "NoOp"}
"""Operations that are not a result even if nothing uses them."""


def kept_cuts(graph: Any) -> tuple[list[str], list[str]]:
    """The tensors that can be ends of parts.

    Parameters
    ----------
    graph : tf.Graph
        Without variables.

    Returns
    -------
    list of str, list of str
        The inputs, and the tensors to keep with the results among them; all as NODE:0.
    """
    operations = graph.get_operations()
    inputs = [operation.outputs[0].name for operation in operations if operation.type == "Placeholder"]
    steps = [
        ([tensor.name for tensor in operation.inputs], [tensor.name for tensor in operation.outputs])
        for operation in operations
    ]
    used = {name for takes, _ in steps for name in takes}
    last = [operation for operation in operations if operation.type not in _NO_RESULTS]
    ends = [[tensor.name for tensor in operation.outputs] for operation in last]
    results = [name for names in ends if used.isdisjoint(names) for name in names]
    found: dict[str, None] = {}
    for source in inputs:
        for result in results:
            found.update(dict.fromkeys(single_tensor_cuts(steps, source, result).values()))
    names = [name for name in found if name not in inputs]
    named = [name for name in names if graph.get_tensor_by_name(name).op.type == "Identity"]
    return inputs, list(dict.fromkeys([*(named or names), *(name for name in results if name in found)]))


def put_on_the_way(proto: Any, kept: list[str]) -> None:
    """Make what follows a tensor of `kept` depend on it, if it is just another layout of what they depend on now.

    Parameters
    ----------
    proto : ModelProto
        Changed in place.
    kept : list of str
        In the order in which they are computed.
    """
    nodes = list(proto.graph.node)
    infos = {one.name: one for one in onnx().shape_inference.infer_shapes(proto).graph.value_info}
    for name in kept:
        maker = next((node for node in nodes if name in node.output), None)
        if maker is None or maker.op_type not in {"Transpose", "Identity", "Reshape"}:
            continue
        before = maker.input[0]
        others = [node for node in nodes if node is not maker and before in node.input]
        if not others:
            continue
        back = _inverse(proto, maker, f"{name}/back", infos)
        if back is None:
            continue
        for node in others:
            node.input[:] = [back.output[0] if source == before else source for source in node.input]
        nodes.remove(maker)
        first = next((place for place, node in enumerate(nodes) if before in node.output), -1) + 1
        nodes[first:first] = [maker, back]
    # Copies, since emptying the old list would empty nodes that are still part of it.
    ordered = [onnx().NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del proto.graph.node[:]
    proto.graph.node.extend(ordered)


def only_results(proto: Any) -> None:
    """Make a model give only what nothing in it uses, and no longer what was kept on the way."""
    used = {name for node in proto.graph.node for name in node.input}
    between = [one for one in proto.graph.output if one.name in used]
    results = [one for one in proto.graph.output if one.name not in used]
    proto.graph.value_info.extend(between)
    del proto.graph.output[:]
    proto.graph.output.extend(results)


def _inverse(proto: Any, node: Any, name: str, infos: Mapping[str, Any]) -> Any:
    """A node that undoes another one; None if there is none."""
    back = onnx().NodeProto()
    back.CopyFrom(node)
    back.name, back.input[0], back.output[0] = name, node.output[0], name
    if node.op_type == "Transpose":
        (order,) = back.attribute
        order.ints[:] = [int(place) for place in np.argsort(order.ints)]
    if node.op_type == "Reshape":  # of an image of one pixel: its two layouts have the same numbers in the same order
        dims = infos[node.input[0]].type.tensor_type.shape.dim if node.input[0] in infos else ()
        shape = [dim.dim_value or -1 for dim in dims]
        if len(shape) != 4 or shape.count(-1) > 1:
            return None
        back.input[1] = f"{name}/shape"
        proto.graph.initializer.append(onnx().numpy_helper.from_array(np.array(shape), back.input[1]))
    return back
