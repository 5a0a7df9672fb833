"""A fleet: boxes, and the streams that are fixed on a box or may go to several."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from mainstream.description import Description, refuse
from mainstream.formats.named_stream import NamedStream, StreamName
from mainstream.formats.problem import SolveOptions
from mainstream.problem import Model
from mainstream.ranges import Positive, Range

PORT: Final = Range(1, 65535, whole=True)
_ADDRESS: Final = re.compile(r"tcp://(?P<host>[^\s:/\[\]]+|\[[0-9A-Fa-f:]+\]):(?P<port>\d{1,5})")


def _address(given: Any) -> Any:
    found = _ADDRESS.fullmatch(given) if isinstance(given, str) else None
    if given is None or (found and PORT.holds(int(found["port"]))):
        return given
    raise refuse("it has to be 'tcp://HOST:PORT'")


def _profiles(given: Any) -> Any:
    if isinstance(given, Mapping) and all(isinstance(key, str) for key in given):
        for name, profile in given.items():
            if not isinstance(profile, str | Mapping | Model):
                raise refuse(f"{name}: it has to be the name of a profile, or a mapping")
        return given
    raise refuse("it has to be a mapping: the name of a network -> its profile on this box")


class Box(Description):
    """One box of a fleet.

    Parameters
    ----------
    name : str
        1 to 50 letters, digits, ``_``, ``-`` or ``.``; its plan is kept in a file of that name.
    address : str, optional
        ``tcp://HOST:PORT`` of the runtime of its streams, unless a stream has a port of its own.
    budget : float
        Compute a second.
    memory_mb : float, optional
        Megabytes that the models may use.
    profiles : mapping
        Network -> its profile on this box: a file's name, or the profile itself.
    """

    name: StreamName
    address: Annotated[str | None, BeforeValidator(_address)] = None
    budget: Positive
    memory_mb: Positive | None = None
    profiles: Annotated[dict[str, Any], BeforeValidator(_profiles)] = Field(default_factory=dict)

    @property
    def host(self) -> str | None:
        """The host of its address; None if it has no address."""
        found = _ADDRESS.fullmatch(self.address or "")
        return None if found is None else found["host"]

    def endpoint(self, port: int | None) -> str | None:
        """Address of the runtime of a stream with this port; None if the box has no address."""
        return self.address if port is None or self.host is None else f"tcp://{self.host}:{port}"


@dataclass(frozen=True, eq=False)
class Camera:
    """A stream, and the boxes that it may be on.

    Attributes
    ----------
    name : str
    port : int or None
        Port of its runtime, on any box; None for the port of the box's address.
    on : mapping of int to NamedStream
        Index of a box -> the stream with that box's profile of its network; at least one.
    placed : bool
        Whether it is listed below its box in the file.
    """

    name: str
    port: int | None
    on: Mapping[int, NamedStream]
    placed: bool

    @property
    def weight(self) -> float:
        """The sum of its apps' weights."""
        return sum(app.weight for app in next(iter(self.on.values())).apps)


@dataclass(frozen=True, eq=False)
class Fleet:
    """The content of a fleet file.

    Attributes
    ----------
    boxes : tuple of Box
    cameras : tuple of Camera
        All streams: first those listed below boxes, in their order, then those listed under `cameras`.
    options : SolveOptions
        How to solve each box; without a budget and `memory_mb`, which each box has.
    """

    boxes: tuple[Box, ...]
    cameras: tuple[Camera, ...]
    options: SolveOptions

    def called(self, box: int) -> str:
        """A box's name in messages."""
        return f"box {self.boxes[box].name}"
