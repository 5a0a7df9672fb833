"""What the leading layers of a model in a file compute: its chokepoints, each with its print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mainstream.errors import ProblemError
from mainstream.files import naming, reason
from mainstream.graphs.cuts import single_tensor_cuts
from mainstream.graphs.folding import fold_batch_norms
from mainstream.graphs.frozen import frozen_graph
from mainstream.graphs.graph_steps import graph_steps
from mainstream.graphs.keras_file import load_keras_file
from mainstream.graphs.op_allow_list import check_ops
from mainstream.graphs.part import frozen_file
from mainstream.graphs.prints import Print, Step, prints
from mainstream.graphs.trace import trace

SUFFIXES: Final = (".keras", ".pb")
_LARGEST: Final = 2**30
"""Bytes of a file; as in the runtime."""
_END: Final = ":end"
_NO_RESULTS: Final = {"Const", "NoOp", "Placeholder"}


@dataclass(frozen=True)
class Chokepoint:
    """A place where a model can be cut.

    Attributes
    ----------
    num_frozen : int or None
        Layers before it; None where the file does not say how its layers are numbered.
    layer : str
        The tensor there, as a net plan names it.
    prints : frozenset of bytes
        Of that tensor: as it is in the file, and as it is with batch norms folded, where folding leaves it.
    """

    num_frozen: int | None
    layer: str
    prints: frozenset[bytes]


@dataclass(frozen=True, eq=False)
class Form:
    """A graph as it is in its file, or with its batch norms folded.

    Attributes
    ----------
    steps : tuple of Step
        Those that depend on the frame, itself first, in an order in which they can be run.
    prints : mapping of str to Print
        Of all tensors.
    """

    steps: tuple[Step, ...]
    prints: Mapping[str, Print]

    @classmethod
    def of(cls, definition: Any, frame: str) -> Form:
        """The form of a GraphDef that `frame` goes into."""
        steps = graph_steps(definition)
        alive = {frame}
        for step in steps:
            if not alive.isdisjoint(step.takes):
                alive.update(step.gives)
        return cls(tuple(step for step in steps if step.gives[0] in alive), prints(steps))


@dataclass(frozen=True, eq=False)
class LeadingLayers:
    """A model, as far as it is compared with others.

    Attributes
    ----------
    path : Path
    chokepoints : tuple of Chokepoint
        From the frame on; the result, where all is computed, is not among them.
    result : frozenset of bytes
        Prints of the result.
    plain, folded : Form
    """

    path: Path
    chokepoints: tuple[Chokepoint, ...]
    result: frozenset[bytes]
    plain: Form
    folded: Form


def leading_layers(path: Path, numbers: Mapping[str, int]) -> LeadingLayers:
    """What the leading layers of a model compute.

    Parameters
    ----------
    path : Path
        ``.keras``, or a frozen graph, ``.pb``.
    numbers : mapping of str to int
        Layer names of a profile -> their `num_frozen`, for files that do not number their layers.

    Raises
    ------
    MissingExtraError
        TensorFlow is not installed.
    ProblemError
        It is no such file, cannot be loaded, or is not one frame in.
    """
    if path.suffix not in SUFFIXES:
        raise ProblemError(f"{path}: is no model that can be compared; allowed: {', '.join(SUFFIXES)}")
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise ProblemError(f"{path}: {reason(error)}") from None
    if size > _LARGEST:
        raise ProblemError(f"{path}: has more than 1 GB; at most so much is read")
    if path.suffix == ".keras":
        network = trace(load_keras_file(path), path.stem)
        names = network.tensor_names
        definition = frozen_graph(network, names)
        *cuts, result = names.values()
        return _layers(path, definition, {name: k for k, name in names.items()}, cuts, [result])
    try:
        definition = frozen_file(path)
    except OSError as error:
        raise ProblemError(f"{path}: {reason(error)}") from None
    with naming(path):
        check_ops(definition)  # what reads files, or has variables, is not told by its graph
        return _layers(path, definition, numbers, *_cuts(definition))


def _cuts(definition: Any) -> tuple[list[str], list[str]]:
    """The chokepoints of a frozen graph, its frame the first, those with a name where it has such; and its results.

    A graph that was frozen here has an Identity for each layer whose output is a chokepoint.
    """
    steps = [(step.takes, step.gives) for step in graph_steps(definition)]
    kinds = {node.name: node.op for node in definition.node}
    frames = [name for name, kind in kinds.items() if kind == "Placeholder"]
    if len(frames) != 1:
        raise ProblemError(f"it has {len(frames)} inputs; models are compared that take one frame")
    used = {tensor for takes, _ in steps for tensor in takes}
    results = [gives[0] for _, gives in steps if used.isdisjoint(gives) and kinds[gives[0]] not in _NO_RESULTS]
    if not results:
        raise ProblemError("it computes nothing; freeze the model again")
    found = single_tensor_cuts([*steps, (results, (_END,))], frames[0], _END)
    if not found:
        raise ProblemError("its result does not depend on the frame")
    cuts = [name for name in dict.fromkeys(found.values()) if name not in (_END, *results)]
    named = [name for name in cuts if kinds.get(name) in ("Identity", "Placeholder")]
    return named if len(named) > 1 else cuts, results


def _layers(
    path: Path, definition: Any, numbers: Mapping[str, int], cuts: list[str], results: list[str]
) -> LeadingLayers:
    plain = Form.of(definition, cuts[0])
    folded = Form.of(fold_batch_norms(definition, results), cuts[0])

    def prints_of(name: str) -> frozenset[bytes]:
        return frozenset(form.prints[name].whole for form in (plain, folded) if name in form.prints)

    chokepoints = [Chokepoint(0 if name == cuts[0] else numbers.get(name), name, prints_of(name)) for name in cuts]
    return LeadingLayers(path, tuple(chokepoints), prints_of(results[0]), plain, folded)
