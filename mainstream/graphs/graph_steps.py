"""The steps of a GraphDef, for comparing it with others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from hashlib import sha256
from math import prod
from typing import Any, Final

from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.graphs.backend import tensorflow
from mainstream.graphs.graph_def import node_name
from mainstream.graphs.prints import Step, layer_of

_HANDS_ON: Final = {"Identity", "PreventGradient", "Snapshot", "StopGradient"}
_MOST_NODES: Final = 200_000
"""The largest networks for images have a few thousand."""
_MOST_OUTPUTS: Final = 1000
"""Most outputs of one node."""
_MOST_EQUAL: Final = 1 << 20
"""Most numbers of a constant that is stored as one number for all; larger ones are not written out."""


def graph_steps(definition: Any) -> list[Step]:
    """The steps of a graph without variables, in an order in which they can run.

    Raises
    ------
    ProblemError
        It has a loop, more nodes than any network, two nodes of one name, or a node that takes a missing tensor.
    """
    nodes = {node.name: node for node in definition.node}
    if len(definition.node) > _MOST_NODES:
        raise ProblemError(f"it has {len(definition.node):,} nodes, more than any network; at most {_MOST_NODES:,}")
    if len(nodes) < len(definition.node):
        raise ProblemError("two of its nodes have the same name; freeze the model again")
    outputs = dict.fromkeys(nodes, 1)
    for node in nodes.values():
        for source in _takes(node):
            name, place = node_name(source), _place(source)
            if name not in nodes or place >= _MOST_OUTPUTS:
                raise ProblemError(f"it takes {shown(source)}, which is not in it; freeze the model again")
            outputs[name] = max(outputs[name], place + 1)
    try:
        needs = {name: [node_name(source) for source in _takes(node)] for name, node in nodes.items()}
        order = list(TopologicalSorter(needs).static_order())
    except CycleError:
        raise ProblemError("its operations go round in a loop; only models without loops can be compared") from None
    functions = sha256(definition.library.SerializeToString(deterministic=True)).digest()
    return [_step(nodes[name], _gives(name, outputs[name]), functions) for name in order]


def _takes(node: Any) -> Iterator[str]:
    """The tensors that a node takes, a node's first output as NODE; nodes that it only waits for are left out."""
    return (source.removesuffix(":0") for source in node.input if not source.startswith("^"))


def _place(tensor: str) -> int:
    """Which output of its node a tensor is."""
    _, _, place = tensor.partition(":")
    return 0 if not place else int(place) if re.fullmatch("[0-9]{1,9}", place) else _MOST_OUTPUTS


def _gives(name: str, count: int) -> tuple[str, ...]:
    return name, *(f"{name}:{place}" for place in range(1, count))


def _step(node: Any, gives: tuple[str, ...], functions: bytes) -> Step:
    name, takes = layer_of(node.name), tuple(_takes(node))
    if node.op in _HANDS_ON and len(takes) == 1 and len(gives) == 1:
        return Step(name, b"", takes, gives)
    if node.op == "Const":
        kind, numbers = _constant(node.attr["value"].tensor)
        return Step(name, kind, takes, gives, numbers)
    said = [node.op.encode()]
    for key in sorted(node.attr):
        value = node.attr[key]
        if key.startswith("_"):  # such as where it runs, or what is known of its shapes
            continue
        if key == "shape" and node.op == "Placeholder":
            said.append(_frame(value.shape))
            continue
        said += [key.encode(), value.SerializeToString(deterministic=True)]
        if value.HasField("func") or value.list.func:
            said.append(functions)
    return Step(name, b"".join(len(one).to_bytes(8, "big") + one for one in said), takes, gives)


def _frame(shape: Any) -> bytes:
    """A frame's size without the batch, which some graphs leave open and others set to 1."""
    return repr([dim.size for dim in shape.dim][1:]).encode()


def _constant(proto: Any) -> tuple[bytes, bytes]:
    """Type and shape of a constant, and a digest of its numbers, however they are stored."""
    sizes = [dim.size for dim in proto.tensor_shape.dim]
    kind = repr(("Const", proto.dtype, sizes)).encode()
    content = proto.tensor_content
    if not content and min([0, *sizes]) >= 0 and prod(sizes) <= _MOST_EQUAL:
        try:
            numbers = tensorflow("run").make_ndarray(proto)
            content = b"" if numbers.dtype == object else numbers.tobytes()  # object: text
        except (ValueError, TypeError):  # the numbers do not fill the shape
            content = b""
    if content:
        return kind, sha256(content).digest()
    return kind, sha256(b"as stored" + proto.SerializeToString(deterministic=True)).digest()
