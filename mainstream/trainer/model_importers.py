"""Models that are not Keras files: JSON with weights, SavedModel folders, TensorFlow 1 checkpoints."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from mainstream.errors import ProblemError
from mainstream.graphs.backend import brief, keras, tensorflow
from mainstream.graphs.graph_def import node_name, sources
from mainstream.graphs.keras_file import load_keras_file

_VARIABLES: Final = {"Variable", "VariableV2", "VarHandleOp"}
_NO_RESULTS: Final = {"NoOp", "Assign", "AssignVariableOp", "SaveV2", "RestoreV2", "Assert", "Placeholder", "Const"}


def from_json(prefix: str) -> Any:
    """The model of ``PREFIX.json`` with the weights of ``PREFIX.h5`` or ``PREFIX.weights.h5``.

    Returns
    -------
    keras.Model

    Raises
    ------
    ProblemError
        There are no weights, or the two do not fit each other or this Keras.
    """
    found = [path for path in (Path(f"{prefix}.h5"), Path(f"{prefix}.weights.h5")) if path.is_file()]
    if not found:
        raise ProblemError(f"{prefix}.json has no weights beside it; put them in {prefix}.h5")
    try:
        described = json.loads(Path(f"{prefix}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProblemError(f"{prefix}.json cannot be read: {brief(error)}") from None
    if "keras_version" in described and described["keras_version"].startswith(("1.", "2.")):
        return _from_old_json(described, found[0])
    try:
        model = keras().models.model_from_json(json.dumps(described))
        model.load_weights(found[0])
    except Exception as error:  # Keras raises almost anything here
        raise ProblemError(f"{prefix}.json with {found[0].name}: {brief(error)}") from None
    return model


def _from_old_json(described: dict[str, Any], weights: Path) -> Any:
    # Keras 3 reads descriptions from Keras 1 and 2 only in whole-model files, so make one.
    import h5py

    with TemporaryDirectory() as folder:
        whole = Path(folder) / weights.name
        shutil.copyfile(weights, whole)
        with h5py.File(whole, "a") as file:
            if "model_weights" not in file:
                group = file.create_group("model_weights")
                for name in [name for name in file if name != "model_weights"]:
                    file.move(name, f"model_weights/{name}")
                for name, value in file.attrs.items():
                    group.attrs[name] = value
            file.attrs["model_config"] = json.dumps(described)
            file.attrs["keras_version"] = described["keras_version"]
            file.attrs["backend"] = described.get("backend", "tensorflow")
        try:
            return load_keras_file(whole)
        except ProblemError as error:
            raise ProblemError(str(error).replace(str(whole), str(weights))) from None


def from_saved_model(folder: Path) -> tuple[Any, str, str]:
    """The serving function of a SavedModel, with variables as constants.

    Returns
    -------
    GraphDef, str, str
        The graph; names of the tensors at its two ends.

    Raises
    ------
    ProblemError
        It cannot be loaded, or does not have one input and one output.
    """
    tf = tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    try:
        kept = tf.saved_model.load(str(folder))  # the variables live only as long as this object
        signatures = dict(kept.signatures)
        name = "serving_default" if "serving_default" in signatures else next(iter(signatures), None)
        if name is None:
            raise ProblemError(f"{folder} has no serving function; export the model with model.export()")
        frozen = convert_variables_to_constants_v2(signatures[name])
    except (OSError, ValueError, tf.errors.OpError) as error:
        if isinstance(error, ProblemError):
            raise
        raise ProblemError(f"{folder} cannot be loaded: {brief(error)}") from None
    _one_each(folder, len(frozen.inputs), len(frozen.outputs))
    return frozen.graph.as_graph_def(), frozen.inputs[0].op.name, frozen.outputs[0].op.name


def from_checkpoint(prefix: str, output: str | None = None) -> tuple[Any, str, str]:
    """The graph of ``PREFIX.ckpt.meta`` or ``PREFIX.pb`` with the variables of ``PREFIX.ckpt`` as constants.

    Parameters
    ----------
    prefix : str
    output : str, optional
        Name of the output tensor; needed if the graph has more than one.

    Returns
    -------
    GraphDef, str, str
        The graph; names of the tensors at its two ends.

    Raises
    ------
    ProblemError
        A file is missing or damaged, a variable has no value, or it is not clear which tensor is input or output.
    """
    tf = tensorflow()
    graph = _old_graph(prefix)
    nodes = {node.name: node for node in graph.node}
    ends = [output.split(":")[0]] if output is not None else _results(graph)
    if output is not None and ends[0] not in nodes:
        raise ProblemError(f"{prefix}: the graph has no node {output!r}")
    if len(ends) != 1:
        raise ProblemError(
            f"{prefix}: the graph has {len(ends)} outputs; choose one with --output: {', '.join(ends[:9])}"
        )
    try:
        values = tf.train.load_checkpoint(f"{prefix}.ckpt")
    except (ValueError, tf.errors.OpError) as error:
        raise ProblemError(f"{prefix}.ckpt cannot be read: {brief(error)}") from None
    frozen = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    for name in sorted(sources(nodes, ends)):
        node = nodes[name]
        if node.op in _VARIABLES:
            variable = node.attr["shared_name"].s.decode() or name
            if not values.has_tensor(variable):
                raise ProblemError(f"{prefix}.ckpt has no value for variable {variable!r}")
            frozen.node.append(_constant(name, values.get_tensor(variable)))
        elif node.op == "Placeholder" and node.attr["dtype"].type == tf.bool.as_datatype_enum:
            frozen.node.append(_constant(name, np.array(False)))  # Keras's learning phase; False is inference
        else:
            kept = frozen.node.add()
            kept.CopyFrom(node)
            kept.device = ""
            if node.op == "ReadVariableOp":
                kept.op = "Identity"
                kept.attr["T"].CopyFrom(kept.attr.pop("dtype"))
    inputs = [node.name for node in frozen.node if node.op == "Placeholder"]
    _one_each(prefix, len(inputs), 1)
    return frozen, inputs[0], ends[0]


def _old_graph(prefix: str) -> Any:
    v1 = tensorflow().compat.v1
    meta, plain = Path(f"{prefix}.ckpt.meta"), Path(f"{prefix}.pb")
    path = meta if meta.is_file() else plain
    holder = v1.MetaGraphDef() if path == meta else v1.GraphDef()
    try:
        holder.ParseFromString(path.read_bytes())
    except OSError:
        raise ProblemError(f"{prefix}.ckpt has no graph beside it; put it in {meta} or {plain}") from None
    except Exception:  # protobuf's errors have no public class
        raise ProblemError(f"{path} is no TensorFlow graph, or an incomplete one") from None
    return holder.graph_def if path == meta else holder


def _constant(name: str, value: Any) -> Any:
    tf = tensorflow()
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return node


def _results(graph: Any) -> list[str]:
    """The nodes that depend on an input and that no other node uses."""
    nodes = {node.name: node for node in graph.node}
    used = {node_name(source) for node in graph.node for source in node.input}
    last = [node.name for node in graph.node if node.name not in used and node.op not in _NO_RESULTS]
    return [name for name in last if any(nodes[one].op == "Placeholder" for one in sources(nodes, [name]))]


def _one_each(what: str | Path, inputs: int, outputs: int) -> None:
    if inputs != 1 or outputs != 1:
        raise ProblemError(f"{what} has {inputs} inputs and {outputs} outputs; there has to be one of each")
