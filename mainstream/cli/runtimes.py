"""The runtimes that a command runs net plans on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from mainstream.files import naming

if TYPE_CHECKING:
    from mainstream.streamer import LocalRunner, StreamerClient
    from mainstream.streamer.together import Together


def opened(
    places: Mapping[str | None, str], here: Mapping[str, Any] | None, there: Mapping[str, Any]
) -> LocalRunner | StreamerClient | Together:
    """The runtime at the only place, or those of several streams: here, with these keywords, or elsewhere."""
    from mainstream.streamer import LocalRunner, StreamerClient

    def open_one(place: str) -> LocalRunner | StreamerClient:
        return StreamerClient(place, **there) if here is None else LocalRunner(place, **here)

    if None in places:
        return open_one(places[None])
    return several(places, lambda _, place: open_one(place))


def several(
    places: Mapping[str | None, str],
    open_one: Callable[[str, str], LocalRunner | StreamerClient],
    metrics: str | None = None,
) -> Together:
    """The runtimes of several streams together, each opened by its name and its place."""
    from mainstream.streamer.together import Together

    with ExitStack() as stack:
        runtimes: dict[str, LocalRunner | StreamerClient] = {}
        for name, place in places.items():
            with naming(f"stream {name}"):
                runtimes[str(name)] = one = open_one(str(name), place)
                stack.callback(one.close)
        together = Together(runtimes, metrics)
        stack.pop_all()
    return together
