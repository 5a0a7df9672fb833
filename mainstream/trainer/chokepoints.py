"""Which chokepoints of a network to use: all of them, one for each block, or a published list.

The published lists (Jiang et al., USENIX ATC 2018, released code) number layers as the Keras of 2017 did. They are kept
here by the name of the layer before each cut, so that they also work with today's numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from mainstream.description import nearest, shown
from mainstream.errors import ProblemError
from mainstream.graphs.backend import keras
from mainstream.graphs.trace import Layer, Network
from mainstream.onnx_graphs.layers import OnnxNetwork

_RESNET_BLOCKS = tuple(
    f"conv{stage}_block{block}_out"
    for stage, blocks in ((2, 3), (3, 4), (4, 6), (5, 3))
    for block in range(1, blocks + 1)
)
_INCEPTION_STEM = ("activation", "activation_1", "activation_2", "max_pooling2d", "activation_3", "activation_4")

PUBLISHED: Final[Mapping[str, Mapping[int, str]]] = {
    "inception": dict(
        zip(
            (4, 7, 10, 11, 14, 17, 18, 41, 64, 87, 101, 133, 165, 197, 229, 249, 280, 311),
            (*_INCEPTION_STEM, "max_pooling2d_1", *(f"mixed{n}" for n in range(11))),
            strict=True,
        )
    ),
    "resnet": dict(
        zip(
            (2, 3, 4, 5, 17, 27, 37, 49, 59, 69, 79, 91, 101, 111, 121, 131, 141, 153, 163, 173),
            ("conv1_conv", "conv1_bn", "conv1_relu", "pool1_pool", *_RESNET_BLOCKS),
            strict=True,
        )
    ),
    "mobilenets": {3 + 6 * n: f"conv_pw_{n}_bn" if n else "conv1_bn" for n in range(14)},
}
"""Name of a list -> published number -> the layer before the cut. The two ends are left out."""

_BLOCK = re.compile(r"(.*?block_?\d+[a-z]?|expanded_conv|conv_(?:dw|pw|pad)(?=_\d))(_\d+)?(?=_|$)")
STEP: Final = 5


def chokepoints(network: Network | OnnxNetwork, which: str | int = "block") -> dict[int, str]:
    """The chokepoints to use and the names of the tensors there.

    Parameters
    ----------
    network : Network or OnnxNetwork
        For an OnnxNetwork see :meth:`mainstream.onnx_graphs.layers.OnnxNetwork.chokepoints`.
    which : str or int
        "block": the end of each block; "every": all chokepoints of the graph; "inception", "resnet", "mobilenets": a
        published list; an integer N: every 5th layer up to N.

    Returns
    -------
    dict of int to str
        Chokepoint, increasing from 0 to `total_layers` -> the ``frozen_layer_names`` of a profile.

    Raises
    ------
    ProblemError
        The network has no chokepoint between its ends, or it cannot be cut at one of the list.
    """
    if isinstance(network, OnnxNetwork):
        return network.chokepoints(which)
    total = network.total_layers
    every = [k for k in network.cuts if 0 < k < total]
    if not every:
        raise ProblemError(
            f"{network.name} has no chokepoint between input and output: no single tensor lies on every path"
        )
    if isinstance(which, int) or re.fullmatch(r"\d{1,9}", which):
        inner = _steps(network, int(which))
    elif which in PUBLISHED:
        inner = _published(network, which)
    elif which == "block":
        inner = [k for k in every if _ends_block(network, k)]
    elif which == "every":
        inner = every
    else:
        raise ProblemError(
            f"chokepoints {shown(which)} are not known; {nearest(which, ['block', 'every', *PUBLISHED])}"
        )
    return {k: network.tensor_names[k] for k in (0, *inner, total)}


def _steps(network: Network, last: int) -> list[int]:
    steps = range(STEP, min(last + 1, network.total_layers), STEP)
    none = [k for k in steps if k not in network.cuts]
    if none:
        raise ProblemError(
            f"{network.name} has no chokepoint after {none[0]} layers ({network.layers[none[0] - 1].name}); "
            "several tensors cross there"
        )
    return list(steps)


def _published(network: Network, which: str) -> list[int]:
    numbers = {layer.name: number for number, layer in enumerate(network.layers, start=1)}
    for published, name in PUBLISHED[which].items():
        if numbers.get(name) not in network.cuts:
            why = "is not a chokepoint of" if name in numbers else "is not in"
            raise ProblemError(f"chokepoints {which!r}: {published} ({name}) {why} {network.name}")
    return [numbers[name] for name in PUBLISHED[which].values()]


def _ends_block(network: Network, k: int) -> bool:
    """Whether layer k - 1 ends a block: the next layer starts new computation and is not in the same block."""
    before, after = network.layers[k - 1], network.layers[k]
    if _block(before) is not None and _block(before) == _block(after):
        return False
    readers = {
        n for n, layer in enumerate(network.layers) for call in layer.calls if network.cuts[k] in call.inputs.values()
    }
    computes = after.shape != before.shape or any(len(weight.shape) > 1 for weight in after.layer.weights)
    pads = isinstance(before.layer, keras().layers.ZeroPadding2D)
    return (computes or len(readers) > 1) and not pads


def _block(layer: Layer) -> str | None:
    """The block that a layer belongs to by its name, if that follows a convention of ``keras.applications``."""
    found = _BLOCK.match(layer.name)
    return re.sub(r"_(?:dw|pw|pad)_", "_", found[0]) if found else None
