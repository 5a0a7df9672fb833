"""The base network of a training: its weights, where it can be cut, and a digest that identifies it."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from numpy.typing import NDArray

from mainstream.errors import ProblemError
from mainstream.graphs.backend import keras
from mainstream.graphs.trace import Network
from mainstream.trainer.chokepoints import chokepoints
from mainstream.trainer.networks import KNOWN, network_name, with_model
from mainstream.trainer.settings import Settings


class BaseNetwork:
    """A base network with every layer trainable, and a copy of its weights.

    Parameters
    ----------
    settings : Settings
    classes : int
        How many outputs it must have.

    Attributes
    ----------
    model : keras.Model
    network : Network
        Traced from `model`.
    classes : int
    chokepoints : dict of int to str
        Chokepoint -> name of its tensor, both ends included. A tail can be trained at each of them but the last.
    digest : str
        SHA-256 of the weights before the last chokepoint. Apps can share layers only if their digests are equal; the
        head behind it is each app's own.

    Raises
    ------
    ProblemError
        There is no such network, it has another number of outputs, or it cannot be cut at the chokepoints.
    """

    def __init__(self, settings: Settings, classes: int) -> None:
        keras().utils.set_random_seed(settings.seed)
        named = network_name(settings.net) in KNOWN
        weights = settings.weights if named else "none"
        self.model, self.network = with_model(
            settings.net, size=settings.n, weights=weights, classes=classes, dense=settings.dense
        )
        shape = tuple(self.model.outputs[0].shape)
        if shape != (None, classes):
            raise ProblemError(
                f"{settings.net} gives outputs of shape {shape}; "
                f"for the {classes} classes of these images it has to be (None, {classes})"
            )
        self.classes = classes
        self._settings = settings
        self.model.trainable = True
        self.chokepoints = _chosen(self.network, settings)
        self.digest = _digest(self.network)
        self._values = [variable.value.numpy() for variable in self.model.variables]

    def restore(self, weights: list[NDArray[Any]] | None = None) -> None:
        """Set the base network's weights, or those given, and put all random generators back to their start."""
        for variable, value in zip(self.model.variables, self._values, strict=True):
            variable.assign(value)
        if weights is not None:
            self.model.set_weights(weights)

    def packed(self) -> Packed:
        """Everything another process needs to make the same base network."""
        with TemporaryDirectory() as folder:
            path = Path(folder, f"{self.network.name}.keras")
            self.model.save(path)
            return Packed(uuid4().hex, path.name, path.read_bytes(), self._values, self.classes, self._settings)


@dataclass(frozen=True)
class Packed:
    """A base network on its way to another process."""

    key: str
    name: str = field(compare=False)
    model: bytes = field(compare=False)
    values: list[NDArray[Any]] = field(compare=False)
    classes: int = field(compare=False)
    settings: Settings = field(compare=False)

    def unpacked(self) -> BaseNetwork:
        """The base network, with the weights and random generators of the one that was packed."""
        with TemporaryDirectory() as folder:
            path = Path(folder, self.name)
            path.write_bytes(self.model)
            named = {"net": str(path), "weights": "none", "dense": False}  # the Keras file has its own
            base = BaseNetwork(self.settings.model_copy(update=named), self.classes)
        base._values = self.values
        return base


def trained_variables(network: Network, num_frozen: int) -> list[Any]:
    """The variables to train behind a chokepoint; a layer that the frozen part also calls stays frozen."""
    return [variable for layer in unfrozen(network, num_frozen) for variable in layer.trainable_variables]


def unfrozen(network: Network, num_frozen: int) -> list[Any]:
    """The Keras layers that are called only behind a chokepoint."""
    frozen = {id(layer.layer) for layer in network.layers[:num_frozen]}
    behind = {id(layer.layer): layer.layer for layer in network.layers[num_frozen:]}
    return [layer for key, layer in behind.items() if key not in frozen]


def _chosen(network: Network, settings: Settings) -> dict[int, str]:
    which = settings.chokepoints
    if isinstance(which, str):
        names = chokepoints(network, "block" if which == "auto" else which)
    else:
        strange = sorted({*which} - {1, *network.cuts})
        if strange:
            near = [*[k for k in network.cuts if k < strange[0]][-1:], *[k for k in network.cuts if k > strange[0]][:1]]
            size = [] if settings.n is None else ["--size", str(settings.n)]
            raise ProblemError(
                f"{network.name} cannot be cut after {strange[0]} layers; nearest: {' and '.join(map(str, near))}; "
                f"`{shlex.join(['mainstream', 'layers', settings.net, *size])}` lists all"
            )
        ends = {0, network.total_layers}
        names = {k: network.tensor_names[k] for k in sorted(ends | ({*which} - {1}))}
    trained = [k for k in names if trained_variables(network, k)]
    if not trained:
        raise ProblemError(f"{network.name} has no weights to train")
    return {k: name for k, name in names.items() if k in trained or k == network.total_layers}


def _digest(network: Network) -> str:
    last = max(k for k in network.cuts if k < network.total_layers)
    digest = hashlib.sha256()
    for layer in {id(layer.layer): layer.layer for layer in network.layers[:last]}.values():
        for variable in layer.weights:
            digest.update(variable.value.numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"
