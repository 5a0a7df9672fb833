"""Where a graph can be cut in two at one tensor."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import TypeVar

Tensor = TypeVar("Tensor", bound=Hashable)


def single_tensor_cuts(
    steps: Sequence[tuple[Collection[Tensor], Collection[Tensor]]], source: Tensor, result: Tensor
) -> dict[int, Tensor]:
    """The places where the later steps need just one tensor of the earlier ones.

    Tensors that do not depend on `source`, such as weights, and tensors that `result` does not need are ignored.

    Parameters
    ----------
    steps : sequence of (collection, collection)
        The tensors that each step takes and gives, in an order in which the steps can run.
    source, result : hashable
        The tensors at the two ends.

    Returns
    -------
    dict of int to hashable
        Number of steps before the cut, from 0 on -> the tensor there; several numbers have the same tensor if the
        steps between them are ignored. Empty if no way leads from `source` to `result`.
    """
    needed = {result}
    for takes, gives in reversed(steps):
        if not needed.isdisjoint(gives):
            needed.update(takes)
    reached = {source}
    last_use = {result: len(steps)}
    for number, (takes, gives) in enumerate(steps):
        used = [tensor for tensor in takes if tensor in reached]
        if used and not needed.isdisjoint(gives):
            reached.update(tensor for tensor in gives if tensor in needed)
            last_use.update(dict.fromkeys(used, number))
    last_use[result] = len(steps)
    if result not in reached:
        return {}
    found = {0: source}
    alive = {source}
    for k, (_, gives) in enumerate(steps, start=1):
        alive |= reached.intersection(gives)
        alive = {tensor for tensor in alive if last_use.get(tensor, -1) >= k}
        if len(alive) == 1:
            found[k] = next(iter(alive))
    return found
