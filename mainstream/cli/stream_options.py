"""Options that are given once, or once for each stream, as NAME=VALUE; a stream may have them in its file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mainstream.description import shown
from mainstream.errors import ProblemError

if TYPE_CHECKING:
    from mainstream.formats.named_stream import NamedStream


def by_stream(
    key: str, given: Sequence[str] | None, default: str | None, streams: Sequence[NamedStream]
) -> dict[str | None, str]:
    """The value for each stream, by its name; by None for a single camera without a name.

    Parameters
    ----------
    key : str
        The key of a stream in the file, and the option's name after ``--``.
    given : sequence of str, optional
        What the command line says; it overrides the file.
    default : str, optional
        For a camera without a name.
    streams : sequence of NamedStream
        A name may occur several times; it has one value.

    Raises
    ------
    ProblemError
        A stream has no value, a value is for no stream, or two are for one.
    """
    option = f"--{key}"
    of_name = {stream.name: stream for stream in streams}
    if [*of_name] == [None]:
        given = given or []
        if len(given) > 1 or not (given or default):
            raise ProblemError(f"{option}: got {len(given)}; this problem is one camera, which needs one")
        return {None: given[0] if given else str(default)}
    said = named_values(key, given or [], streams)
    found: dict[str | None, str] = {}
    for stream in of_name.values():
        value = said.get(stream.name) or getattr(stream, key)
        if value is None:
            raise ProblemError(
                f"stream {stream.name} has no {key}; give it in the file, or as {option} {stream.name}=..."
            )
        if key == "streamer" and value in found.values():
            raise ProblemError(f"stream {stream.name}: streamer {value} is that of another; each needs its own")
        found[stream.name] = value
    return found


def named_values(key: str, given: Sequence[str], streams: Sequence[NamedStream]) -> dict[str | None, str]:
    """What the command line says about some streams, by name; by None if the problem is one camera without a name.

    Raises
    ------
    ProblemError
        A value is for no stream, or two are for one.
    """
    option, of_name = f"--{key}", {stream.name: stream for stream in streams}
    if [*of_name] == [None]:
        if len(given) > 1:
            raise ProblemError(f"{option}: got {len(given)}; this problem is one camera, which needs one")
        return {None: given[0]}
    names = [str(name) for name in of_name]
    said: dict[str | None, str] = {}
    for text in given:
        name, _, value = text.partition("=")
        if len(names) == 1 and name != names[0]:
            name, value = names[0], text
        if name not in names or not value:
            raise ProblemError(f"{option}: got {shown(text)}; it has to be NAME=..., NAME one of {', '.join(names)}")
        if name in said:
            raise ProblemError(f"{option}: {name} stands twice")
        said[name] = value
    return said
