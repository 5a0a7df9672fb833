"""The arrays that the kernels work in."""

from __future__ import annotations

from typing import Final

import numpy as np

from mainstream.solver import kernels

_TILTS: Final = np.array([0.5, 0.75, 0.9, 1.1, 1.35, 2.0])


def new_scratch(packed: kernels.Packed) -> kernels.Scratch:
    """Memory for a search, without room for states of a core; all apps of a group have the same share."""
    n = len(packed.start) - 1
    weight = np.empty(packed.own.size)
    most = int(np.diff(packed.start).max())
    return kernels.Scratch(
        weight=weight,
        price=np.empty(packed.own.size),
        choice=np.empty(n, np.int64),
        spare=np.empty(n, np.int64),
        order=np.empty(n, np.int64),
        top=np.empty(n),
        near=np.empty(n + 1),
        doubt=np.empty(n + 1, np.int64),
        states=np.empty((2, 0)),
        links=np.empty((2, 0), np.int64),
        needed=np.zeros(len(packed.own), np.int64),
        trial=np.zeros(n, np.int32),
        cell=packed.cell,
        plain=weight,
        even=1 / np.diff(packed.apps),
        ahead=np.empty((2, n + 1)),
        moves=np.empty((3, most)),
        move_links=np.empty((3, most), np.int64),
        tilt=_TILTS,
        rise=np.empty((len(_TILTS) + 1, n + 1)),
        stop=np.zeros(1, np.int64),
        memory=np.empty(0),
        front=np.empty((2, 0)),
        next_states=np.empty((3, 0)),
        next_links=np.empty((3, 0), np.int64),
        less=np.empty((2, 0)),
        x=np.empty(0),
        share=np.empty(0),
        hull=np.empty((3, 0)),
        corner=np.empty((3, 0), np.int64),
    )


def with_states(scratch: kernels.Scratch, states: int, *, memory: bool) -> kernels.Scratch:
    """The same memory, with room for this many states of a core, which has two weights where memory counts."""
    second = states if memory else 0
    return scratch._replace(
        states=np.empty((2, states)),
        links=np.empty((2, states), np.int64),
        memory=np.empty(second),
        front=np.empty((2, second)),
        next_states=np.empty((3, second)),
        next_links=np.empty((3, second), np.int64),
        less=np.empty_like(scratch.ahead) if memory else scratch.less,
    )


def with_shares(scratch: kernels.Scratch, packed: kernels.Packed) -> kernels.Scratch:
    """The same memory, with arrays for a separate share of each app."""
    options = len(packed.value)
    return scratch._replace(
        x=np.zeros(packed.own.size),
        share=np.zeros(len(packed.start) - 1),
        hull=np.empty((3, options)),
        corner=np.empty((3, options), np.int64),
    )


def new_tree(packed: kernels.Packed, slots: int, visited: int, relaxed: int) -> kernels.Tree:
    """An empty tree.

    Parameters
    ----------
    packed : Packed
    slots : int
        How many boxes there is room for.
    visited : int
        Twice the number of staircases that are remembered; a power of 2.
    relaxed : int
        How many states the core of a relaxation begins with.
    """
    depths = len(packed.own)
    return kernels.Tree(
        best=np.zeros(len(packed.start) - 1, np.int32),
        floats=np.full(2, -np.inf),
        counts=np.array([0, 0, 0, 0, relaxed]),
        heap=np.arange(slots),
        bound=np.empty(slots),
        lam=np.zeros(slots),
        lo=np.zeros((slots, depths), np.int64),
        hi=np.zeros((slots, depths), np.int64),
        cut=np.zeros((slots, 2), np.int64),
        boxes=np.empty((2, 2, depths), np.int64),
        visited=np.zeros(visited, np.uint64),
    )
