"""Whether a tail fits the stem before it: the tail's own model has to begin with the same layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from mainstream.errors import ProblemError
from mainstream.graphs.prints import Print, Step, prints
from mainstream.problem import FLOAT32, Precision


@dataclass(frozen=True, eq=False)
class Layers:
    """What is kept of a model to compare it with others; it is small, so that many can be kept.

    Attributes
    ----------
    steps : tuple of Step
        In an order in which they can run.
    prints : mapping of str to Print
        The print of each tensor.
    precision : str or None
        As in a profile; None means float32.
    """

    steps: tuple[Step, ...]
    prints: Mapping[str, Print]
    precision: Precision | None

    @classmethod
    def of(cls, steps: Iterable[Step], precision: Precision | None = None) -> Self:
        """The layers of a model with these steps."""
        steps = tuple(steps)
        return cls(steps, prints(steps), precision)


def check_same_stem(stem: tuple[str, Layers], own: tuple[str, Layers], layer: str) -> None:
    """Refuse a tail whose own leading layers have other weights, or another precision, than the stem's.

    Layers with other operations are not refused: the same computation may be written in two ways.

    Parameters
    ----------
    stem, own : (str, Layers)
        File name and layers of the model that the stem is taken from, and of the tail's own.
    layer : str
        The tensor between the two.

    Raises
    ------
    ProblemError
        The tail is such a one; the message names the layer and both files.
    """
    (stem_file, first), (own_file, second) = stem, own
    if second.precision != first.precision:
        raise ProblemError(
            f"{own_file} computes in {second.precision or FLOAT32} and the stem up to {layer!r}, from {stem_file}, in "
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
                f"layer {step.name!r} has other weights in {own_file} than in {stem_file}, which gives the stem up to "
                f"{layer!r}; mainstream share says how far models are the same"
            )
