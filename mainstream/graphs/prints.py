"""Which tensors of graphs are equal, without running them: a digest of all that a tensor is computed from.

With H a hash function, the print of a tensor is

    print = H(what its step does, which of the step's outputs it is, the prints of what the step takes),

and that of a weight is H(type, shape, numbers). Names do not count. Equal prints mean the same operations on the same
numbers all the way from the frame; so tensors with equal prints are equal, to the last bit, on one engine. The converse
does not hold: other operations may compute the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple


class Step(NamedTuple):
    """One operation of a graph, one of its weights, or its frame.

    Attributes
    ----------
    name : str
        The layer that it belongs to, for messages.
    form : bytes
        All that it does, except names and the numbers of weights; empty for a step that passes on what it takes.
    takes, gives : tuple of str
        Tensors.
    weights : bytes
        Digest of the numbers, for weights.
    """

    name: str
    form: bytes
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    weights: bytes = b""


class Print(NamedTuple):
    """Digests of what a tensor is computed from: `whole` of all of it, `form` without the numbers of weights."""

    whole: bytes
    form: bytes


def layer_of(name: str) -> str:
    """The layer that a node belongs to, by its name; our frozen graphs have ``mainstream_3/first_1/convolution``."""
    frozen = re.fullmatch(r"mainstream(?:_\d+)?/(.+?)(?:_1)?(?:/.*)?", name)
    return frozen[1] if frozen else name


def prints(steps: Iterable[Step]) -> dict[str, Print]:
    """Tensor -> its print, of steps in an order in which they can run."""
    found: dict[str, Print] = {}
    for step in steps:
        taken = [found[tensor] for tensor in step.takes]
        if not step.form:
            found[step.gives[0]] = taken[0]
            continue
        for place, tensor in enumerate(step.gives):
            head = len(step.form).to_bytes(8, "big") + step.form + place.to_bytes(8, "big")
            found[tensor] = Print(
                sha256(b"".join((head, step.weights, *(one.whole for one in taken)))).digest(),
                sha256(b"".join((head, *(one.form for one in taken)))).digest(),
            )
    return found
