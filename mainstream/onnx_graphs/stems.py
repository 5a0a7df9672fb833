"""Whether a tail fits the stem before it: the stem has to be the leading layers of the tail's own model, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mainstream.errors import ProblemError
from mainstream.files import naming
from mainstream.graphs.prints import Print, Step, prints
from mainstream.onnx_graphs.model_file import read_model
from mainstream.onnx_graphs.steps import onnx_steps
from mainstream.problem import FLOAT32, Precision


def check_stem(stem: Path, own: Path, layer: str, *, trusted: bool) -> None:
    """Refuse a tail whose own leading layers have other weights, or another precision, than the stem's.

    Layers that are others altogether are not refused: what computes the same may be written in two ways.

    Parameters
    ----------
    stem, own : Path
        The model that the stem is taken from, and the tail's own.
    layer : str
        The tensor between the two.
    trusted : bool
        As for :func:`mainstream.onnx_graphs.model_file.read_model`.

    Raises
    ------
    ProblemError
        It is such a tail; the message names the layer and both files.
    """
    first, second = (_read(path, trusted=trusted) for path in (stem, own))
    if second.precision != first.precision:
        raise ProblemError(
            f"{own.name} computes in {second.precision or FLOAT32} and the stem up to {layer!r}, from {stem.name}, in "
            f"{first.precision or FLOAT32}; give models of one precision"
        )
    wholes, forms = ({getattr(one, what) for one in first.prints.values()} for what in ("whole", "form"))
    known = second.prints
    end = next(name for name in (layer, f"{layer}:0", layer.removesuffix(":0")) if name in known)
    if known[end].whole in wholes or known[end].form not in forms:
        return
    needed = {end}
    for step in reversed(second.steps):
        if not needed.isdisjoint(step.gives):
            needed.update(step.takes)
    for step in second.steps:
        if step.takes and step.gives[0] in needed and known[step.gives[0]].whole not in wholes:
            raise ProblemError(
                f"layer {step.name!r} has other weights in {own.name} than in {stem.name}, from which the stem up to "
                f"{layer!r} is; mainstream share says how far models are the same"
            )


@dataclass(frozen=True, eq=False)
class _Layers:
    """What is kept of a model, small enough for many."""

    precision: Precision | None
    steps: list[Step]
    prints: Mapping[str, Print]


def _read(path: Path, *, trusted: bool) -> _Layers:
    state = path.stat()
    return _layers(path, state.st_mtime_ns, state.st_size, trusted)


@lru_cache(maxsize=128)
def _layers(path: Path, modified: int, size: int, trusted: bool) -> _Layers:
    """Of a file; `modified` and `size` tell one version of it from the next."""
    model = read_model(path, trusted=trusted)
    with naming(path):
        steps = onnx_steps(model)
    return _Layers(model.precision, steps, prints(steps))
