"""The search, compiled into Numba's cache by a process of its own, which ends with the one that began it.

``python -m mainstream.solver.compile_apart PARENT``
"""

from __future__ import annotations

import os
import sys
from threading import Thread
from time import sleep

import numpy as np

from mainstream.solver.arrays import new_scratch, new_tree, with_states
from mainstream.solver.kernels import Calls, Packed, Terms
from mainstream.solver.kernels.tree import cheapest, search


def main() -> None:
    """Search a tree without a box, over one option of one app: the types are those of every search.

    What the parent process needs first is compiled first; the parent compiles a part of the tree meanwhile.
    """
    nothing = np.zeros(1)
    packed = Packed(
        start=np.array([0, 1]),
        value=np.array([1.0]),
        cell=np.array([1], np.int32),
        own=np.array([[0.0, 1.0]]),
        stem=np.zeros((1, 2)),
        rows=np.array([0, 1]),
        apps=np.array([0, 1]),
        own_mb=nothing,
        stem_mb=nothing,
        memory_mb=np.inf,
    )
    scratch, tree = with_states(new_scratch(packed), 1, memory=False), new_tree(packed, 1, 2, 1)
    cheapest(packed, scratch, tree, 0.0, 0.0, 0)
    search(packed, scratch, tree, Terms(0.0, 0.0, 0.0, 0, 0, 0), Calls(0, 0, 0), 0)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        sleep(1.0)
    os._exit(0)


if __name__ == "__main__":
    Thread(target=_end_with, args=[int(sys.argv[1])], daemon=True).start()
    main()
