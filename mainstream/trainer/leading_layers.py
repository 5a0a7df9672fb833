"""What the leading layers of a model file compute: its chokepoints, each with a print of the tensor there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mainstream.errors import ProblemError
from mainstream.files import LARGEST_MODEL, naming, reason
from mainstream.graphs.cuts import single_tensor_cuts
from mainstream.graphs.folding import fold_batch_norms
from mainstream.graphs.frozen import frozen_graph
from mainstream.graphs.graph_steps import graph_steps
from mainstream.graphs.keras_file import load_keras_file
from mainstream.graphs.op_allow_list import check_ops
from mainstream.graphs.part import frozen_file
from mainstream.graphs.prints import Print, Step, prints
from mainstream.graphs.trace import trace
from mainstream.onnx_graphs.model_file import read_model
from mainstream.onnx_graphs.steps import onnx_steps

ONNX: Final = ".onnx"
SUFFIXES: Final = (".keras", ".pb", ONNX)
_END: Final = ":end"
_NO_RESULTS: Final = {"Const", "NoOp", "Placeholder"}


@dataclass(frozen=True)
class Chokepoint:
    """A place where a model can be cut.

    Attributes
    ----------
    num_frozen : int or None
        Layers before it; None if the file does not say how its layers are numbered.
    layer : str
        The tensor there, as a net plan names it.
    prints : frozenset of bytes
        Prints of that tensor: as in the file and, if the tensor still exists then, with batch norms folded.
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
        The frame, and all steps that depend on it, in an order in which they can run.
    prints : mapping of str to Print
        Tensor -> its print, for all tensors.
    """

    steps: tuple[Step, ...]
    prints: Mapping[str, Print]

    @classmethod
    def of(cls, steps: Sequence[Step], frame: str) -> Form:
        """The form of a graph whose input is `frame`."""
        alive = {frame}
        for step in steps:
            if not alive.isdisjoint(step.takes):
                alive.update(step.gives)
        return cls(tuple(step for step in steps if step.gives[0] in alive), prints(steps))


@dataclass(frozen=True, eq=False)
class LeadingLayers:
    """The parts of a model that are compared with other models.

    Attributes
    ----------
    path : Path
    chokepoints : tuple of Chokepoint
        From the frame on, without the result.
    result : frozenset of bytes
        Prints of the result.
    plain, folded : Form
    """

    path: Path
    chokepoints: tuple[Chokepoint, ...]
    result: frozenset[bytes]
    plain: Form
    folded: Form

    @classmethod
    def of(
        cls, path: Path, points: Mapping[str, tuple[int | None, str]], result: str, plain: Form, folded: Form
    ) -> LeadingLayers:
        """The model with the chokepoints `points`: tensor -> `num_frozen` and name."""

        def prints_of(tensor: str) -> frozenset[bytes]:
            return frozenset(form.prints[tensor].whole for form in (plain, folded) if tensor in form.prints)

        places = [Chokepoint(number, name, prints_of(tensor)) for tensor, (number, name) in points.items()]
        return cls(path, tuple(places), prints_of(result), plain, folded)


def leading_layers(path: Path, numbers: Mapping[str, int], *, as_onnx: bool) -> LeadingLayers:
    """Read what the leading layers of a model compute.

    Parameters
    ----------
    path : Path
        ``.keras``; a frozen graph, ``.pb``; or ``.onnx``.
    numbers : mapping of str to int
        Layer names of a profile -> their `num_frozen`, for frozen graphs, which do not number their layers.
    as_onnx : bool
        Convert the model to ONNX first, to compare it with ONNX models.

    Raises
    ------
    MissingExtraError
        The package that reads such a file is not installed.
    ProblemError
        It is no such file, cannot be loaded, or does not take exactly one frame.
    """
    if path.suffix not in SUFFIXES:
        raise ProblemError(f"{path}: this kind of file cannot be compared; allowed: {', '.join(SUFFIXES)}")
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise ProblemError(f"{path}: {reason(error)}") from None
    if size > LARGEST_MODEL:
        raise ProblemError(f"{path}: has more than 1 GB, which is the most that is read")
    if path.suffix == ONNX:
        return _of_onnx(path)
    if path.suffix == ".keras":
        network = trace(load_keras_file(path), path.stem)
        names = network.tensor_names
        definition, numbers = frozen_graph(network, names), {name: k for k, name in names.items()}
        *cuts, result = names.values()
        results = [result]
    else:
        try:
            definition = frozen_file(path)
        except OSError as error:
            raise ProblemError(f"{path}: {reason(error)}") from None
        with naming(path):
            check_ops(definition)  # the results of operations that read files or variables are not in the graph
            cuts, results = _cuts(definition)
    points = {name: 0 if name == cuts[0] else numbers.get(name) for name in cuts}
    if as_onnx:
        model = read_model(path, trusted=False)
        with naming(path):
            form = Form.of(onnx_steps(model), model.tensor(cuts[0]))
            named = {model.tensor(name): (number, name) for name, number in points.items()}
            return LeadingLayers.of(path, named, model.tensor(results[0]), form, form)
    plain = Form.of(graph_steps(definition), cuts[0])
    folded = Form.of(graph_steps(fold_batch_norms(definition, results)), cuts[0])
    return LeadingLayers.of(path, {name: (number, name) for name, number in points.items()}, results[0], plain, folded)


def _of_onnx(path: Path) -> LeadingLayers:
    """An ONNX model: its layers are the frame and the nodes on the way to the result."""
    model = read_model(path, trusted=False)
    with naming(path):
        if len(model.inputs) != 1:
            raise ProblemError(f"it has {len(model.inputs)} inputs; only models with one input can be compared")
        (frame,) = model.inputs
        form = Form.of(onnx_steps(model), frame)
        nodes = [(step.takes, step.gives) for step in form.steps if step.takes]
        used = {tensor for takes, _ in nodes for tensor in takes}
        results = [name for name in model.outputs if name not in used] or model.outputs
        needed = {*results}
        for takes, gives in reversed(nodes):
            if not needed.isdisjoint(gives):
                needed.update(takes)
        nodes = [(takes, gives) for takes, gives in nodes if not needed.isdisjoint(gives)]
        found = single_tensor_cuts([*nodes, (results, (_END,))], frame, _END)
        if not found:
            raise ProblemError("its result does not depend on the frame")
        places = {tensor: k + 1 if k else 0 for k, tensor in found.items() if tensor not in (_END, *results)}
        points = {tensor: (number, tensor.removesuffix(":0")) for tensor, number in places.items()}
        return LeadingLayers.of(path, points, results[0], form, form)


def _cuts(definition: Any) -> tuple[list[str], list[str]]:
    """The chokepoints of a frozen graph, from the frame on, and its results.

    A graph that was frozen here has an Identity operation for each layer whose output is a chokepoint. If there are
    any, only these chokepoints are given.
    """
    steps = [(step.takes, step.gives) for step in graph_steps(definition)]
    kinds = {node.name: node.op for node in definition.node}
    frames = [name for name, kind in kinds.items() if kind == "Placeholder"]
    if len(frames) != 1:
        raise ProblemError(f"it has {len(frames)} inputs; only models with one input can be compared")
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
