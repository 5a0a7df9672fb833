"""Graphs that do more than compute are refused by the name of the operation; those that the project makes are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.failing_models import write_graph
from support.keras_models import SIZES
from support.runtime import SIZE

from mainstream import ProblemError
from mainstream.graphs.op_allow_list import ALLOWED
from mainstream.graphs.part import GraphPart

tf = pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)


def _loop(tf: Any, mean: Any) -> Any:
    from tensorflow.python.ops.while_v2 import while_loop

    return while_loop(lambda x: tf.constant(True), lambda x: x + 1, [mean], return_same_structure=True)[0]


def _in_a_function(tf: Any, mean: Any) -> Any:
    return tf.function(lambda x: _length_of(tf.raw_ops.ReadFile(filename="/etc/passwd"), x))(mean)


def _in_a_branch(tf: Any, mean: Any) -> Any:
    read = tf.function(lambda x: _length_of(tf.raw_ops.ReadFile(filename="/etc/passwd"), x))
    branches = [read.get_concrete_function(mean), tf.function(lambda x: x).get_concrete_function(mean)]
    condition = tf.reduce_all(mean > 0)
    return tf.raw_ops.StatelessIf(
        cond=condition, input=[mean], Tout=[tf.float32], then_branch=branches[0], else_branch=branches[1]
    )[0]


def _length_of(contents: Any, mean: Any) -> Any:
    return mean * tf.cast(tf.strings.length(contents), tf.float32)


HOSTILE: dict[str, Callable[[Any, Any], Any]] = {
    "ReadFile": lambda tf, mean: _length_of(tf.raw_ops.ReadFile(filename="/etc/passwd"), mean),
    "MatchingFiles": lambda tf, mean: mean * tf.cast(tf.size(tf.raw_ops.MatchingFiles(pattern="/*")), tf.float32),
    "While": _loop,
    "PyFunc": lambda tf, mean: tf.compat.v1.py_func(lambda x: x, [mean], tf.float32),
    "VarHandleOp": lambda tf, mean: tf.raw_ops.ReadVariableOp(
        resource=tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[]), dtype=tf.float32
    ),
    "ReadFile, in a function": _in_a_function,
    "ReadFile, in a branch": _in_a_branch,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_operation_that_does_more_than_compute_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    write_graph(tmp_path / "net.pb", HOSTILE[name])
    with pytest.raises(ProblemError, match=r"net.pb: it holds the operation '") as caught:
        GraphPart(tmp_path / "net.pb", "frame", "scores")
    message = str(caught.value)
    assert message.endswith("freeze the model with `mainstream freeze`, or trust it (--trust-models)")
    definition = tf.compat.v1.GraphDef.FromString((tmp_path / "net.pb").read_bytes())
    bodies = [definition.node, *(function.node_def for function in definition.library.function)]
    (named,) = [op for op in {node.op for body in bodies for node in body} if f"'{op}'" in message]
    assert named not in ALLOWED


def test_a_file_is_written_only_by_a_model_that_is_trusted(tmp_path: Path) -> None:
    target = tmp_path / "outside.txt"

    def writes(tf: Any, mean: Any) -> Any:
        done = tf.raw_ops.WriteFile(filename=str(target), contents="written")
        with tf.control_dependencies([done]):
            return tf.identity(mean)

    write_graph(tmp_path / "net.pb", writes)
    frame = np.zeros((1, SIZE, SIZE, 3), np.float32)
    with pytest.raises(ProblemError, match="it holds the operation 'WriteFile', which may do more than compute"):
        GraphPart(tmp_path / "net.pb", "frame", "scores")(frame)
    assert not target.exists()
    GraphPart(tmp_path / "net.pb", "frame", "scores", trusted=True)(frame)
    assert target.read_text() == "written"


@pytest.mark.parametrize("name", SIZES)
def test_the_networks_of_the_project_hold_allowed_operations_only(name: str) -> None:
    from mainstream.graphs.frozen import frozen_graph
    from mainstream.trainer.networks import network

    made = network(name, size=SIZES[name])
    assert {node.op for node in frozen_graph(made, made.tensor_names).node} <= ALLOWED


def test_no_allowed_operation_keeps_state_but_calls_of_functions() -> None:
    """TensorFlow says of each operation whether it has effects: of all that are allowed it has to say no."""
    from tensorflow.python.framework import op_def_registry

    found = {name: op_def_registry.get(name) for name in ALLOWED}
    assert not [name for name, definition in found.items() if definition is None]
    stateful = {name for name, definition in found.items() if definition.is_stateful}
    assert stateful == {"StatefulPartitionedCall", "CheckNumerics"}  # the effect of CheckNumerics is its error
    for name, definition in found.items():
        types = {argument.type for argument in [*definition.input_arg, *definition.output_arg]}
        assert tf.string.as_datatype_enum not in types, name
