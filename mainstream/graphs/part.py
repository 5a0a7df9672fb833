"""TensorFlow's parts: the layers between two tensors of a model file, as one function."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mainstream.description import nearest
from mainstream.errors import ProblemError
from mainstream.extensions import PartLoader
from mainstream.files import LARGEST_MODEL, naming
from mainstream.graphs.backend import brief, tensorflow, use_threads
from mainstream.graphs.folding import fold_batch_norms
from mainstream.graphs.frozen import frozen_graph
from mainstream.graphs.graph_def import node_name
from mainstream.graphs.graph_steps import graph_steps
from mainstream.graphs.keras_file import load_keras_file
from mainstream.graphs.op_allow_list import check_ops
from mainstream.graphs.shapes import fits
from mainstream.graphs.stems import Layers, check_same_stem
from mainstream.graphs.trace import trace

_NUMBERS: Final = "fiub"


class GraphPart:
    """The layers between two tensors of a model.

    A call runs in the thread that makes it; several threads may call.

    Parameters
    ----------
    path : str or Path
        A frozen graph, ``.pb``, or a Keras model, ``.keras``; it is read only here.
    input_layer, output_layer : str
        Names of the tensors at its two ends, as in the profile's ``frozen_layer_names``.
    trusted : bool
        Whether the model may hold any operation, not only those of :mod:`mainstream.graphs.op_allow_list`.

    Attributes
    ----------
    input_shape, output_shape : tuple of (int or None), or None
        The shapes that it takes and gives; a side is None if any number will do, such as the batch, and the whole is
        None if the graph does not say.

    Raises
    ------
    MissingExtraError
        TensorFlow is not installed.
    ProblemError
        The file is not such a model, lacks a tensor, or has no way from the one to the other.
    """

    def __init__(self, path: str | Path, input_layer: str, output_layer: str, *, trusted: bool = False) -> None:
        tf = tensorflow("run")
        with naming("model_path"):
            graph, definition = read_graph(path, trusted=trusted)
        with naming("input_layer"):
            feed = _tensor(graph, input_layer, path)
        with naming("output_layer"):
            fetch = _tensor(graph, output_layer, path)
        for key, layer, tensor in (("input_layer", input_layer, feed), ("output_layer", output_layer, fetch)):
            if not tensor.dtype.is_numpy_compatible:
                kind = tensor.dtype.name
                raise ProblemError(f"{key}: {path}: {layer!r} is a {kind}, not an array; cut the graph elsewhere")
        with naming("output_layer"):
            between = _between(tf, definition, feed, fetch, f"{path}: from {input_layer!r} to {output_layer!r}")
        with tf.Graph().as_default() as own:
            tf.import_graph_def(fold_batch_norms(between, (feed.name, fetch.name)), name="")
        threads = tf.config.threading.get_intra_op_parallelism_threads()
        # -1: compute in the calling thread. Handing each call to another thread and back costs more than small layers.
        config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=-1)
        session = tf.compat.v1.Session(graph=own, config=config)
        self._run = session.make_callable(fetch.name, feed_list=[feed.name])
        self.input_shape, self.output_shape = _shape(feed), _shape(fetch)
        self._dtype = feed.dtype.as_numpy_dtype

    def __call__(self, batch: ArrayLike) -> NDArray[Any]:
        """Run it.

        Parameters
        ----------
        batch : array, shape `input_shape`

        Returns
        -------
        array, shape (batch, ...)

        Raises
        ------
        ProblemError
            The batch has another shape, or TensorFlow cannot run the layers on it.
        MemoryError
            There is too little memory for it.
        """
        tensor = np.asarray(batch, self._dtype)
        if not fits(tensor.shape, self.input_shape):
            raise ProblemError(f"a batch of shape {tensor.shape}; this part takes {self.input_shape}")
        try:
            result: NDArray[Any] = self._run(tensor)
        except tensorflow("run").errors.ResourceExhaustedError as error:
            raise MemoryError(brief(error)) from None
        except tensorflow("run").errors.OpError as error:
            raise ProblemError(f"it cannot be run: {brief(error)}") from None
        return result


class _TensorFlow:
    """The engine that runs frozen graphs and Keras models; see :class:`mainstream.extensions.PartLoader`."""

    name = "tensorflow"

    @property
    def own_threads(self) -> bool:
        """Whether TensorFlow was already started with more than one thread."""
        return bool(tensorflow("run").config.threading.get_intra_op_parallelism_threads() != 1)

    def start(self) -> None:
        """Use one thread for a frame, unless TensorFlow already runs with another number."""
        with suppress(ProblemError):
            use_threads(1)

    def load(self, path: Path, input_layer: str, output_layer: str, *, trusted: bool) -> GraphPart:
        """The layers between two tensors of a frozen graph or a Keras model."""
        part = GraphPart(path, input_layer, output_layer, trusted=trusted)
        _layers_of(path, trusted=trusted)  # now, since reading a Keras model again takes seconds
        return part

    def check_stem(self, stem: Path, own: Path, layer: str, *, trusted: bool) -> None:
        """As :func:`check_stem`."""
        check_stem(stem, own, layer, trusted=trusted)


TENSORFLOW: Final[PartLoader] = _TensorFlow()


def _shape(tensor: Any) -> tuple[int | None, ...] | None:
    return None if tensor.shape.rank is None else tuple(tensor.shape)


def read_graph(path: str | Path, *, trusted: bool) -> tuple[Any, Any]:
    """The tf.Graph and the GraphDef of a model file; the file that was read last is kept in memory.

    Raises
    ------
    MissingExtraError
        TensorFlow is not installed.
    ProblemError
        The file cannot be read, is not a model, or holds operations that need trust.
    """
    path = Path(path)
    try:
        state = path.stat()
        return _read(path, state.st_mtime_ns, state.st_size, trusted)
    except OSError as error:
        raise ProblemError(f"{path} cannot be read: {error.strerror}") from None


@lru_cache(maxsize=1)  # one is enough, since the parts of one file are made one after the other
def _read(path: Path, modified: int, size: int, trusted: bool) -> tuple[Any, Any]:
    """A file's graph and definition; `modified` and `size` tell one version of the file from the next."""
    tf = tensorflow("run")
    if size > LARGEST_MODEL:
        raise ProblemError(f"{path} has more than 1 GB, which is the most that is read")
    if path.suffix == ".keras":
        network = trace(load_keras_file(path), path.stem)
        definition = frozen_graph(network, network.tensor_names)
    elif path.suffix == ".onnx":
        raise ProblemError(f"{path} is an ONNX model; run it with --engine onnx")
    else:
        definition = frozen_file(path)
    with naming(path):  # before TensorFlow sees the graph: it may run some of it to find out a shape
        _check_whole(definition)
        if not trusted:
            check_ops(definition)
    try:
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(definition, name="")
    except Exception:  # TensorFlow's errors on a damaged graph have no common class
        raise _no_graph(path) from None
    return graph, definition


def check_stem(stem: Path, own: Path, layer: str, *, trusted: bool) -> None:
    """Refuse a tail whose own leading layers have other weights than the stem's; see :class:`PartLoader`.

    Raises
    ------
    ProblemError
        As :func:`mainstream.graphs.stems.check_same_stem`.
    """
    first, second = (_layers_of(path, trusted=trusted) for path in (stem, own))
    if first is not None and second is not None:
        check_same_stem((stem.name, first), (own.name, second), layer)


def _layers_of(path: Path, *, trusted: bool) -> Layers | None:
    state = path.stat()
    return _layers(path, state.st_mtime_ns, state.st_size, trusted)


@lru_cache(maxsize=128)
def _layers(path: Path, modified: int, size: int, trusted: bool) -> Layers | None:
    """The layers of a loaded model; None if it has a loop, as only trusted models may, and cannot be compared."""
    _, definition = _read(path, modified, size, trusted)
    try:
        return Layers.of(graph_steps(definition))
    except ProblemError:
        return None


def frozen_file(path: Path) -> Any:
    """The GraphDef in a file, not checked yet.

    Raises
    ------
    MissingExtraError
        TensorFlow is not installed.
    ProblemError
        The file is not a GraphDef, or an empty one.
    """
    definition = tensorflow("run").compat.v1.GraphDef()
    content = path.read_bytes()
    try:
        definition.ParseFromString(content)
    except Exception:  # protobuf's errors have no public class
        raise _no_graph(path) from None
    if not definition.node:
        raise ProblemError(f"{path} is an empty graph; freeze the model again")
    needed, known = definition.versions.min_consumer, tensorflow("run").version.GRAPH_DEF_VERSION
    if needed > known:
        raise ProblemError(
            f"{path} needs graphs of version {needed}, newer than what is installed, which has {known}; "
            "freeze the model with an older TensorFlow, or update tensorflow"
        )
    return definition


def _check_whole(definition: Any) -> None:
    """Refuse weights that are not complete; TensorFlow notices that only when it runs them."""
    for node in definition.node:
        tensor = node.attr["value"].tensor if node.op == "Const" else None
        if tensor is None or not tensor.tensor_content:
            continue
        try:
            kind = np.dtype(tensorflow("run").as_dtype(tensor.dtype).as_numpy_dtype)
        except TypeError:  # there is no such type, which TensorFlow will say
            continue
        shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
        if kind.kind in _NUMBERS and len(tensor.tensor_content) != prod(shape) * kind.itemsize:
            raise ProblemError(
                f"its weights {node.name!r} are of shape {shape}, which they do not fill; freeze the model again"
            )


def _no_graph(path: Path) -> ProblemError:
    return ProblemError(f"{path} is not a frozen graph, or only a piece of one; freeze the model again")


def _tensor(graph: Any, name: str, path: str | Path) -> Any:
    try:
        return graph.get_tensor_by_name(name if ":" in name else f"{name}:0")
    except (KeyError, ValueError):
        heads = {operation.name for operation in graph.get_operations() if "/" not in operation.name}
        raise ProblemError(f"{path} has no tensor {name!r}; {nearest(name, sorted(heads)[:20])}") from None


def _between(tf: Any, definition: Any, feed: Any, fetch: Any, where: str) -> Any:
    """The nodes of a graph that lead from one tensor to another; the first tensor becomes a placeholder."""
    nodes = {node.name: node for node in definition.node}
    needed, todo = {feed.op.name}, [fetch.op.name]
    reached = False
    while todo:
        name = todo.pop()
        reached = reached or name == feed.op.name
        if name in needed:
            continue
        needed.add(name)
        if nodes[name].op == "Placeholder":
            raise ProblemError(f"{where} is not a part by itself: {name!r} is needed, too")
        todo += [node_name(source) for source in nodes[name].input]
    if not reached:
        raise ProblemError(f"{where} there is no way; give the tensors in the order in which the model computes them")
    part = tf.compat.v1.GraphDef(versions=definition.versions, library=definition.library)
    part.node.extend(node for node in definition.node if node.name in needed)
    stub = next(node for node in part.node if node.name == feed.op.name)
    del stub.input[:]
    stub.op = "Placeholder"
    stub.attr.clear()
    stub.attr["dtype"].type = feed.dtype.as_datatype_enum
    stub.attr["shape"].shape.CopyFrom(feed.shape.as_proto())
    return part
