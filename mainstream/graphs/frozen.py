"""The frozen graph of a network: its variables are constants, and the tensors where it can be cut have names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainstream.errors import ProblemError
from mainstream.graphs.backend import brief, tensorflow
from mainstream.graphs.folding import fold_batch_norms
from mainstream.graphs.trace import Network


def frozen_graph(network: Network, names: Mapping[int, str]) -> Any:
    """The graph of a network without variables, with batch norms folded as far as the named tensors allow.

    Parameters
    ----------
    network : Network
    names : mapping of int to str
        Chokepoint -> name of its tensor, the two ends included.

    Returns
    -------
    GraphDef
        From the placeholder ``names[0]``, (batch, height, width, channels) float32, to ``names[total_layers]``.

    Raises
    ------
    ProblemError
        The network does not take frames of its size.
    """
    tf = tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    spec = tf.TensorSpec((None, network.height, network.width, network.channels), tf.float32, name=names[0])
    function = tf.function(lambda frame: network.run(frame, names=names), autograph=False)
    try:
        traced = function.get_concrete_function(spec)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise ProblemError(
            f"{network.name} does not take frames of {network.height} x {network.width}: {brief(error)}"
        ) from None
    return fold_batch_norms(convert_variables_to_constants_v2(traced).graph.as_graph_def(), names.values())
