"""An ONNX model as a numbered list of layers, and where it can be cut.

A layer is a node through which the frame goes; the frame itself is layer 0, as in Keras's networks. A node that only
prepares weights is not a layer. A layer has the name of the tensor that it gives, since a plan names that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Final

from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.graphs.cuts import single_tensor_cuts
from mainstream.graphs.shapes import Shape
from mainstream.onnx_graphs.model_file import OnnxModel, read_model, reads
from mainstream.problem import Precision
from mainstream.ranges import SIDE

_NO_BLOCK: Final = frozenset({"Pad", "Transpose", "Cast", "Identity"})
"""Operations that prepare a tensor for the next layer, and so do not end a block."""
_AFFINE: Final = frozenset({"Add", "Sub", "Mul", "Div", "BatchNormalization", "PRelu", "Clip"})
"""Operations that belong to the layer with the kernel before them, although they may have weights of their own."""
_WHOLE: Final = frozenset({6, 7})
"""TensorProto's int32 and int64, which are shapes and axes, not weights."""
_STEP: Final = 5


@dataclass(frozen=True)
class OnnxLayer:
    """One layer.

    Attributes
    ----------
    name : str
        Name of the tensor that it gives.
    operation : str
        The node's type.
    shape : tuple
        Shape of its output; a side that is unknown is None, and the tuple is empty if nothing is known.
    parameters : int
        Numbers in its weights.
    """

    name: str
    operation: str
    shape: Shape
    parameters: int


@dataclass(frozen=True, eq=False)
class OnnxNetwork:
    """An ONNX model that takes one image and gives one tensor.

    Attributes
    ----------
    name : str
    path : Path
    height, width, channels : int
        Input size.
    channels_first : bool
        Whether the model itself takes (batch, channels, height, width); its parts still take frames.
    """

    name: str
    path: Path
    height: int
    width: int
    channels: int
    channels_first: bool
    _model: OnnxModel

    @property
    def total_layers(self) -> int:
        """Number of layers."""
        return len(self.layers)

    @property
    def precision(self) -> Precision | None:
        """The precision: "int8" if it computes in 8 bits, else None."""
        return self._model.precision

    @cached_property
    def _places(self) -> list[int]:
        """The nodes through which the frame goes."""
        nodes = self._model.proto.graph.node
        needed = set(self._model.outputs)
        for node in reversed(nodes):
            if not needed.isdisjoint(node.output):
                needed.update(reads(node))
        reached, places = {*self._model.inputs}, []
        for place, node in enumerate(nodes):
            if not reached.isdisjoint(reads(node)) and not needed.isdisjoint(node.output):
                reached.update(node.output)
                places.append(place)
        return places

    @cached_property
    def layers(self) -> tuple[OnnxLayer, ...]:
        """The layers, numbered from 0, which is the frame."""
        model = self._model
        counted: set[str] = set()
        found = [OnnxLayer(_called(model.inputs[0]), "", model.shape(model.inputs[0]) or (), 0)]
        for place in self._places:
            node = model.proto.graph.node[place]
            weights = {name for name in reads(node) if name in model.weights} - counted
            counted |= weights
            size = sum(
                prod(model.weights[name].dims) for name in weights if model.weights[name].data_type not in _WHOLE
            )
            shape = model.shape(node.output[0]) or ()
            found.append(OnnxLayer(_called(node.output[0]), node.op_type, shape, size))
        return tuple(found)

    @cached_property
    def cuts(self) -> Mapping[int, str]:
        """Chokepoint -> the one tensor there; key k cuts between the first k layers and the rest, 0 is the frame."""
        nodes = [self._model.proto.graph.node[place] for place in self._places]
        steps = [(list(reads(node)), list(node.output)) for node in nodes]
        found = single_tensor_cuts(steps, self._model.inputs[0], self._model.outputs[0])
        return {k + 1 if k else 0: _called(tensor) for k, tensor in found.items()}

    def chokepoints(self, which: str | int = "block") -> dict[int, str]:
        """The chokepoints to use and the names of the tensors there.

        Parameters
        ----------
        which : str or int
            "block": where the next layer has weights or another shape, or several layers read the tensor; "every": all
            that the graph has; an integer N: every 5th layer up to N.

        Raises
        ------
        ProblemError
            The model has no chokepoint between its ends, or lacks one of those asked for.
        """
        total = self.total_layers
        every = [k for k in self.cuts if 0 < k < total]
        if not every:
            raise ProblemError(f"{self.path} has no chokepoint between input and output: no tensor is on every path")
        if isinstance(which, int) or re.fullmatch(r"\d{1,9}", which):
            inner = list(range(_STEP, min(int(which) + 1, total), _STEP))
            none = [k for k in inner if k not in self.cuts]
            if none:
                raise ProblemError(f"{self.path} has no chokepoint after {none[0]} layers; several tensors cross there")
        elif which == "block":
            inner = [k for k in every if self._ends_block(k)]
        elif which == "every":
            inner = every
        else:
            raise ProblemError(f"chokepoints {shown(which)}: an ONNX model has block, every, or a number")
        return {k: self.cuts[k] for k in (0, *inner, total)}

    def _ends_block(self, k: int) -> bool:
        """Whether new computation begins behind the first k layers."""
        before, after = self.layers[k - 1], self.layers[k]
        tensor = self._model.tensor(self.cuts[k])
        readers = sum(tensor in reads(self._model.proto.graph.node[place]) for place in self._places)
        computes = after.parameters > 0 and after.operation not in _AFFINE
        return (computes or after.shape != before.shape or readers > 1) and before.operation not in _NO_BLOCK


def read_network(path: str | Path, size: int | None = None) -> OnnxNetwork:
    """The network in an ``.onnx`` file.

    Parameters
    ----------
    path : str or Path
    size : int, optional
        Height and width of the frame; needed if the model leaves them open.

    Raises
    ------
    MissingExtraError
        onnx is not installed.
    ProblemError
        It is not such a file, takes or gives several tensors, or does not take an image.
    """
    path = Path(path)
    model = read_model(path, trusted=False)
    for what, tensors in (("inputs", model.inputs), ("outputs", model.outputs)):
        if len(tensors) != 1:
            raise ProblemError(f"{path} has {len(tensors)} {what}; it has to have one image in and one tensor out")
    (frame,) = model.inputs
    first = model.channels_first(frame)
    shape = model.shape(frame)
    if shape is None or len(shape) != 4:
        raise ProblemError(f"{path} takes {shape}; it has to take images, with their channels last or first")
    height, width, channels = shape[2:] + shape[1:2] if first else shape[1:]
    if channels not in {1, 3}:
        raise ProblemError(f"{path} takes {shape}; frames have 3 channels (RGB) or 1 (grey), last or first")
    if size is not None:
        SIDE.check("size", size)
    sides = [size if side is None else side for side in (height, width)]
    if None in sides:
        raise ProblemError(f"{path} takes frames of any size; give one with --size")
    if size is not None and sides != [size, size]:
        raise ProblemError(f"{path} takes frames of {height} x {width}, not {size} x {size}")
    return OnnxNetwork(path.stem, path, int(sides[0] or 0), int(sides[1] or 0), int(channels or 0), first, model)


def _called(tensor: str) -> str:
    """The tensor's name in a plan."""
    return tensor.removesuffix(":0")
