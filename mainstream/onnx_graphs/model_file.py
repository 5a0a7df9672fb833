"""ONNX models in files, ``.onnx`` or converted to it; they are checked before anything else sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from mainstream.description import nearest
from mainstream.errors import ProblemError
from mainstream.files import LARGEST_MODEL, naming, reason
from mainstream.graphs.shapes import Shape
from mainstream.onnx_graphs.backend import onnx
from mainstream.onnx_graphs.conversion import CONVERTED, converted
from mainstream.onnx_graphs.op_allow_list import ONNX_DOMAINS, check_ops
from mainstream.problem import INT8, Precision

SUFFIX: Final = ".onnx"
_NUMBERS: Final = "fiub"
_WHOLE_BYTES: Final = frozenset({*range(1, 8), *range(9, 14)})
"""TensorProto's types of numbers that take whole bytes, from float to uint64; text is left out."""
_COLOURS: Final = (1, 3)
"""Channels that a frame may have: grey, RGB."""


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """An ONNX model that was checked, with the shapes of its tensors.

    Attributes
    ----------
    path : Path
        The file that it comes from.
    proto : ModelProto
    """

    path: Path
    proto: Any

    @classmethod
    def of(cls, path: Path, content: bytes, *, trusted: bool) -> Self:
        """The model in a file's bytes.

        Raises
        ------
        ProblemError
            It is not an ONNX model, is newer than the installed packages, is not complete, or needs trust.
        """
        try:
            proto = onnx().ModelProto.FromString(content)
        except Exception:  # protobuf's errors have no public class
            raise _damaged() from None
        if not proto.graph.node:
            raise ProblemError("it is an empty graph; export the model again")
        _check_version(proto)
        _check_whole(proto)
        _check_names(proto)
        if not trusted:
            check_ops(proto)
        try:
            return cls(path, onnx().shape_inference.infer_shapes(proto))
        except Exception:  # an InferenceError, or whatever else its C++ raises
            raise _damaged() from None

    @cached_property
    def weights(self) -> dict[str, Any]:
        """Name -> TensorProto."""
        return {one.name: one for one in self.proto.graph.initializer}

    @cached_property
    def inputs(self) -> list[str]:
        """The tensors that have to be given; old models have the weights among their inputs."""
        return [one.name for one in self.proto.graph.input if one.name not in self.weights]

    @cached_property
    def outputs(self) -> list[str]:
        """The tensors that the model gives."""
        return [one.name for one in self.proto.graph.output]

    @cached_property
    def precision(self) -> Precision | None:
        """The precision: "int8" if it computes in 8 bits, at least in part, else None."""
        return INT8 if any(node.op_type == "QuantizeLinear" for node in self.proto.graph.node) else None

    @cached_property
    def makers(self) -> dict[str, int]:
        """Tensor -> place of the node that gives it."""
        return {name: place for place, node in enumerate(self.proto.graph.node) for name in node.output if name}

    @cached_property
    def infos(self) -> dict[str, Any]:
        """Tensor -> ValueInfoProto, if type and shape are known."""
        graph = self.proto.graph
        return {one.name: one for infos in (graph.value_info, graph.output, graph.input) for one in infos}

    def tensor(self, name: str) -> str:
        """The name in this model of the tensor that a plan calls `name`: TensorFlow's graphs add ``:0``.

        Raises
        ------
        ProblemError
            There is no such tensor.
        """
        for one in (name, f"{name}:0", name.removesuffix(":0")):
            if one in self.makers or one in self.inputs:
                return one
        known = [one.removesuffix(":0") for one in (*self.inputs, *self.makers)]
        raise ProblemError(f"{self.path} has no tensor {name!r}; {nearest(name, known)}")

    def shape(self, name: str) -> Shape | None:
        """The shape of a tensor; a side that is unknown is None, and so is the whole if nothing is known."""
        info = self.infos.get(name)
        if info is None or not info.type.tensor_type.HasField("shape"):
            return None
        dims = info.type.tensor_type.shape.dim
        return tuple(dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in dims)

    def dtype(self, name: str) -> np.dtype[Any]:
        """The numpy type of a tensor.

        Raises
        ------
        ProblemError
            It is not an array of numbers, or its type is unknown.
        """
        kind = self.infos[name].type.tensor_type.elem_type if name in self.infos else 0
        try:
            dtype: np.dtype[Any] = np.dtype(onnx().helper.tensor_dtype_to_np_dtype(kind))
        except KeyError:
            raise ProblemError(f"{name!r} is not an array, or its type is unknown; cut the graph elsewhere") from None
        if dtype.kind not in _NUMBERS:
            raise ProblemError(f"{name!r} is an array of {dtype.name}, not of numbers; cut the graph elsewhere")
        return dtype

    def channels_first(self, name: str) -> bool:
        """Whether a tensor is an input that takes frames as (batch, channels, height, width), as PyTorch has them."""
        shape = self.shape(name)
        if name not in self.inputs or shape is None or len(shape) != 4:
            return False
        return shape[1] in _COLOURS and shape[3] not in _COLOURS


def read_model(path: str | Path, *, trusted: bool) -> OnnxModel:
    """The model in a file: ``.onnx``, or ``.pb`` and ``.keras``, which are converted. The last one is kept in memory.

    Raises
    ------
    MissingExtraError
        onnx, or what a conversion needs, is not installed.
    ProblemError
        The file cannot be read, is not a model that ONNX Runtime could run, or needs trust.
    """
    path = Path(path)
    try:
        state = path.stat()
        return _read(path, state.st_mtime_ns, state.st_size, trusted)
    except OSError as error:
        raise ProblemError(f"{path} cannot be read: {reason(error)}") from None


@lru_cache(maxsize=1)  # one is enough, since the parts of one file are made one after the other
def _read(path: Path, modified: int, size: int, trusted: bool) -> OnnxModel:
    """A file's model; `modified` and `size` tell one version of the file from the next."""
    if path.suffix not in {SUFFIX, *CONVERTED}:
        raise ProblemError(f"{path} is not a model for this engine; it takes {', '.join((SUFFIX, *CONVERTED))}")
    if size > LARGEST_MODEL:
        raise ProblemError(f"{path} has more than 1 GB, which is the most that is read")
    content = converted(path, trusted=trusted) if path.suffix in CONVERTED else path.read_bytes()
    with naming(path):
        return OnnxModel.of(path, content, trusted=trusted)


def _damaged() -> ProblemError:
    return ProblemError("it is not an ONNX model, or only a piece of one; export the model again")


def _check_version(proto: Any) -> None:
    for what, given, known in (
        ("opset", max((one.version for one in proto.opset_import if one.domain in ONNX_DOMAINS), default=1), _opset()),
        ("IR version", proto.ir_version, onnx().IR_VERSION),
    ):
        if given > known:
            raise ProblemError(
                f"it has {what} {given}, newer than what is installed, which has {known}; "
                "export the model with an older opset, such as 17, or update onnx and onnxruntime"
            )


def _opset() -> int:
    return int(onnx().defs.onnx_opset_version())


def _check_whole(proto: Any) -> None:
    """Refuse weights in other files, which the model's author could choose, and weights that are not complete."""
    graphs = [proto.graph, *proto.functions]
    while graphs:
        graph = graphs.pop()
        held = list(getattr(graph, "initializer", ()))
        sparse = list(getattr(graph, "sparse_initializer", ()))
        for node in graph.node:
            for attribute in node.attribute:
                held += [attribute.t, *attribute.tensors]
                sparse += attribute.sparse_tensors
                if attribute.HasField("sparse_tensor"):
                    sparse.append(attribute.sparse_tensor)
                graphs += _inside(attribute)
        if sparse:
            raise ProblemError("it has sparse weights; export the model with dense ones")
        for tensor in held:
            if tensor.external_data or tensor.data_location == tensor.EXTERNAL:
                raise ProblemError(
                    f"its weights lie in another file ({tensor.name!r}); save it as one: onnx.save(onnx.load(...), "
                    "...), or torch.onnx.export(..., external_data=False)"
                )
            if not _fills(tensor):
                raise ProblemError(
                    f"its weights {tensor.name!r} are of shape {tuple(tensor.dims)}, which they do not fill; "
                    "export the model again"
                )


def _fills(tensor: Any) -> bool:
    """Whether a tensor that is given as bytes has as many numbers as its shape says."""
    if not tensor.HasField("raw_data") or tensor.data_type not in _WHOLE_BYTES:
        return True
    size = np.dtype(onnx().helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
    return bool(len(tensor.raw_data) == prod(tensor.dims) * size)


def _check_names(proto: Any) -> None:
    given = [name for node in proto.graph.node for name in node.output if name]
    given += [one.name for one in proto.graph.initializer]
    if len(set(given)) < len(given):
        raise ProblemError("two of its tensors have the same name; export the model again")


def reads(node: Any) -> Iterator[str]:
    """The tensors that a node takes, including those that graphs inside it take from outside."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        for graph in _inside(attribute):
            for inner in graph.node:
                yield from reads(inner)
            yield from (one.name for one in graph.output)


def _inside(attribute: Any) -> list[Any]:
    """The graphs that an attribute holds, such as a loop's or a branch's."""
    return [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
