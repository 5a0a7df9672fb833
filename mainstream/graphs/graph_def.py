"""What a GraphDef's nodes are called and which of them need which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def node_name(source: str) -> str:
    """The node that an input of another node names: of ``^NODE``, ``NODE:1`` or ``NODE``."""
    return source.removeprefix("^").split(":")[0]


def sources(nodes: Mapping[str, Any], ends: Iterable[str]) -> set[str]:
    """The nodes that some of `ends` need, themselves included."""
    needed: set[str] = set()
    todo = list(ends)
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo += [node_name(source) for source in nodes[name].input]
    return needed
