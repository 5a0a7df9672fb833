"""The process that converts: it takes a line of JSON for each model file, and answers with what went wrong, or null.

TensorFlow is loaded here and stays here: it takes seconds and a gigabyte, and the runtime that asks does not need it.
The process ends with the one that started it.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
from pathlib import Path
from threading import Thread
from typing import Any, Final

from mainstream._optional import require
from mainstream.errors import MainstreamError, ProblemError
from mainstream.files import naming
from mainstream.graphs.backend import brief
from mainstream.graphs.part import read_graph
from mainstream.onnx_graphs.backend import EXTRA, onnx
from mainstream.onnx_graphs.kept_cuts import kept_cuts, only_results, put_on_the_way

OPSET: Final = 17
"""Old enough for any runtime of today, new enough for all of Keras's layers."""


def convert(path: Path, *, trusted: bool) -> Any:
    """A frozen graph or a Keras model as an ONNX model that can be cut at the same tensors.

    Parameters
    ----------
    path : Path
    trusted : bool
        As for :func:`mainstream.graphs.part.read_graph`.

    Returns
    -------
    ModelProto

    Raises
    ------
    MissingExtraError
        TensorFlow or tf2onnx is not installed.
    ProblemError
        The file is not such a model, or holds operations that ONNX lacks.
    """
    require("tf2onnx", EXTRA)
    graph, definition = read_graph(path, trusted=trusted)
    from tf2onnx.convert import from_graph_def

    inputs, kept = kept_cuts(graph)
    if not kept:
        raise ProblemError(f"{path} leads from no placeholder to a result; freeze the model again")
    try:
        proto, _ = from_graph_def(definition, input_names=inputs, output_names=kept, opset=OPSET)
    except Exception as error:  # tf2onnx raises almost anything here
        raise ProblemError(f"{path} cannot be converted: {brief(error)}; run it with --engine tensorflow") from None
    with naming(path):
        _check_known(proto)
    put_on_the_way(proto, kept)
    only_results(proto)
    return proto


def _check_known(proto: Any) -> None:
    """Refuse operations that the converter left as TensorFlow's: it only logs those that it does not know."""
    strange = sorted(
        {node.op_type for node in proto.graph.node if not onnx().defs.has(node.op_type, OPSET, node.domain)}
    )
    if strange:
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        raise ProblemError(
            f"ONNX has nothing for TensorFlow's operation {strange[0]!r}{more}; run it with --engine tensorflow"
        )


def main() -> None:
    """Convert what is asked for on standard input."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what TensorFlow prints must not look like an answer
    logging.disable()
    asked: queue.Queue[dict[str, Any]] = queue.Queue()
    Thread(target=_read, args=(asked,), daemon=True).start()
    while True:
        one = asked.get()
        error: str | None = None
        try:
            Path(one["to"]).write_bytes(convert(Path(one["model"]), trusted=one["trusted"]).SerializeToString())
        except MainstreamError as refused:
            error = str(refused)
        except Exception as other:  # a model may make TensorFlow raise anything
            error = f"{one['model']} cannot be converted: {type(other).__name__}: {brief(other)}"
        out.write(json.dumps(error) + "\n")
        out.flush()


def _read(asked: queue.Queue[dict[str, Any]]) -> None:
    """Take requests as they come; at the end of input, end: the process that started this one has ended."""
    for line in sys.stdin:
        asked.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main()
