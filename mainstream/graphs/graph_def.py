"""The nodes of a GraphDef: their names, and which need which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def node_name(source: str) -> str:
    """The node that another node's input names, as ``^NODE``, ``NODE:1`` or ``NODE``."""
    return source.removeprefix("^").split(":")[0]


def sources(nodes: Mapping[str, Any], ends: Iterable[str]) -> set[str]:
    """The nodes that `ends` need, themselves included."""
    needed: set[str] = set()
    todo = list(ends)
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo += [node_name(source) for source in nodes[name].input]
    return needed
