"""Named parts of one kind: built-in ones, those of installed packages, and those that a program adds.

Wherever a name is accepted, an object of that kind is accepted, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final, Generic, Protocol, TypeVar

from mainstream.description import nearest, shown
from mainstream.errors import ProblemError


class Named(Protocol):
    """What every part has."""

    name: str


Kind = TypeVar("Kind", bound=Named)

_HIDDEN: Final = {"__iter__", "__call__"}
"""Names with underscores that a Protocol may still ask for."""


def lacking(given: object, protocol: type) -> list[str]:
    """The attributes and methods of a Protocol that an object lacks."""
    wanted = [*getattr(protocol, "__annotations__", {}), *vars(protocol)]
    return [name for name in wanted if (not name.startswith("_") or name in _HIDDEN) and not hasattr(given, name)]


def check_has(what: str, given: object, protocol: type) -> None:
    """Raise :class:`ProblemError` unless an object has what a Protocol asks for; the message says what it lacks."""
    missing = lacking(given, protocol)
    if missing:
        raise ProblemError(
            f"{what}: got {shown(given)}, which lacks {', '.join(missing)}; "
            f"it has to have what {protocol.__module__}.{protocol.__name__} asks for"
        )


class Registry(Mapping[str, Kind], Generic[Kind]):
    """Name -> part, for one kind of part; iterates over the names.

    Parameters
    ----------
    what : str
        What messages and parameters call such a part, for example "method".
    protocol : type
        What each part has to have, including a `name`.
    built_in : mapping of str to str
        Name -> where the part is, as ``module:attribute``. It is imported at its first use.
    group : str
        The group of entry points by which installed packages add parts of this kind.
    """

    def __init__(self, what: str, protocol: type, built_in: Mapping[str, str], group: str) -> None:
        self.what = what
        self.protocol = protocol
        self.built_in = tuple(built_in)
        self.group = group
        self._places: dict[str, str] = dict(built_in)
        self._parts: dict[str, Kind] = {}
        self._scanned = False

    def register(self, part: Kind) -> Kind:
        """Register a part under its name; returns the part.

        Raises
        ------
        ProblemError
            It lacks something, or the name is taken by another part.
        """
        check_has(self.what, part, self.protocol)
        name = part.name
        if not isinstance(name, str) or not name:
            raise ProblemError(f"{self.what}: its name is {shown(name)}; it has to be a word")
        if name in self and self._parts.get(name) is not part:
            raise ProblemError(f"{self.what}: the name {shown(name)} is taken; give the part another one")
        self._parts[name] = part
        return part

    def unregister(self, name: str) -> None:
        """Forget a part that :meth:`register` made known.

        Raises
        ------
        ProblemError
            There is none of that name.
        """
        if name in self._places or name not in self._parts:
            raise ProblemError(f"{self.what}: {shown(name)} was not registered by this program")
        del self._parts[name]

    def find(self, given: str | Kind) -> Kind:
        """The part with a name; `given` itself when it is a part.

        Raises
        ------
        ProblemError
            The name is not known, or the object lacks something.
        """
        if isinstance(given, str):
            self.check_name(given)
            return self[given]
        check_has(self.what, given, self.protocol)
        return given

    def is_known_everywhere(self, part: Kind) -> bool:
        """Whether other processes find this part by its name, since it is built in or from an installed package."""
        return part.name in self and part.name in self._places and self[part.name] is part

    def check_name(self, name: Any) -> str:
        """Return `name` if a part has it.

        Raises
        ------
        ProblemError
            No part has it; the message lists the known names.
        """
        if not isinstance(name, str) or name not in self:
            raise ProblemError(f"{self.what}: {shown(name)} is not known; {self.advice(name)}")
        return name

    def advice(self, name: object) -> str:
        """Advice for an unknown name: the nearest known one, and all of them."""
        advice = nearest(str(name), self)
        return f"{advice} known: {', '.join(self)}" if advice.startswith("did you mean") else advice

    def __getitem__(self, name: str) -> Kind:
        if name not in self:
            raise KeyError(name)
        if name not in self._parts:
            module, _, attribute = self._places[name].partition(":")
            part = getattr(import_module(module), attribute)
            check_has(f"{self.what} {name}", part, self.protocol)
            self._parts[name] = part
        return self._parts[name]

    def __contains__(self, name: object) -> bool:
        if name in self._parts or name in self._places:
            return True
        self._scan()
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        self._scan()
        return iter([*self._places, *(name for name in self._parts if name not in self._places)])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _scan(self) -> None:
        """Find the parts that installed packages add; done once."""
        if self._scanned:
            return
        for point in entry_points(group=self.group):
            if self._places.get(point.name, point.value) != point.value:
                raise ProblemError(
                    f"{self.what}: the installed {_package(point)} brings {shown(point.name)}, a name that is taken; "
                    "uninstall it, or have it renamed"
                )
            self._places[point.name] = point.value
        self._scanned = True


def _package(point: Any) -> str:
    return f"package {point.dist.name}" if point.dist is not None else f"entry point {point.value}"
