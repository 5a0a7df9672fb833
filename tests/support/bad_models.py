"""Files that are no models, or models that cannot run; the name of each says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from support.failing_models import write_graph
from support.onnx_models import small_network

LARGE = 2**30 + 1


def write_bad_onnx(folder: Path) -> dict[str, str]:
    """Write all of them into a folder; returns file name -> what the message says."""
    whole = small_network(batch=1).SerializeToString()
    (folder / "damaged.onnx").write_bytes(whole[: len(whole) // 3])
    new = small_network(batch=1)
    new.opset_import[0].version = 99
    strange = small_network(batch=1)
    strange.graph.node[4].op_type = "Frobnicate"
    short = small_network(batch=1)
    dense = next(one for one in short.graph.initializer if one.name == "dense")
    dense.raw_data = dense.raw_data[:-8]
    for name, model in (("new", new), ("strange", strange), ("short", short)):
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    with (folder / "large.onnx").open("wb") as file:
        file.truncate(LARGE)
    return {
        "damaged.onnx": "it is not an ONNX model, or only a piece of one; export the model again",
        "new.onnx": "it has opset 99, newer than what is installed, which has",
        "strange.onnx": "it holds the operation 'Frobnicate', which the installed ONNX lacks",
        "short.onnx": "its weights 'dense' are of shape (8, 4), which they do not fill; export the model again",
        "large.onnx": "has more than 1 GB, which is the most that is",
        "missing.onnx": "no ",  # "no such file", or "there is no file"
    }


def write_bad_graphs(folder: Path) -> dict[str, str]:
    """The same of frozen graphs, and an ONNX model, which TensorFlow does not run."""
    import tensorflow as tf

    write_graph(folder / "whole.pb", lambda tf, mean: mean @ tf.constant([[1.0, 2, 3, 4]] * 3))
    whole = (folder / "whole.pb").read_bytes()
    (folder / "damaged.pb").write_bytes(whole[: len(whole) // 3])
    for name in ("new", "strange", "short"):
        graph = tf.compat.v1.GraphDef.FromString(whole)
        if name == "new":
            graph.versions.min_consumer = 10**6
        for node in graph.node:
            if name == "strange" and node.op == "MatMul":
                node.op = "Frobnicate"
            if name == "short" and node.op == "Const" and len(node.attr["value"].tensor.tensor_content) == 48:
                node.attr["value"].tensor.tensor_content = node.attr["value"].tensor.tensor_content[:-8]
        (folder / f"{name}.pb").write_bytes(graph.SerializeToString())
    for name in ("large.pb", "other.onnx"):
        with (folder / name).open("wb") as file:
            file.truncate(LARGE if name == "large.pb" else 1000)
    return {
        "damaged.pb": "is not a frozen graph, or only a piece of one; freeze the model again",
        "new.pb": "needs graphs of version 1000000, newer than what is installed, which has",
        "strange.pb": "it holds the operation 'Frobnicate', which the installed TensorFlow lacks",
        "short.pb": "its weights 'Const' are of shape (3, 4), which they do not fill; freeze the model again",
        "large.pb": "has more than 1 GB, which is the most that is",
        "missing.pb": "there is no file 'missing.pb'",
        "other.onnx": "is an ONNX model; run it with --engine onnx",
    }
