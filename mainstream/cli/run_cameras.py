"""The cameras of ``mainstream run``: where each is, and its runtime, here or elsewhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mainstream.cli.runtimes import several
from mainstream.errors import ProblemError
from mainstream.files import json_values, naming, read_text, reason, write_secret
from mainstream.formats.named_stream import STREAM_NAME

if TYPE_CHECKING:
    from mainstream.box.changes import AddedApp
    from mainstream.box.deploying import Runtime
    from mainstream.box.wanted import Wanted
    from mainstream.io import Problem
    from mainstream.streamer.events.settings import EventSettings
    from mainstream.streamer.together import Together

HERE_OR_THERE: Final = "give either --source and -m, to run here, or --streamer"
_PLACES: Final = "cameras.json"
_USUAL_FPS: Final = 10.0
"""The rate of a camera whose rate is not given, until it is measured."""


_log = logging.getLogger(__name__)


def places_of(key: str, given: Sequence[str] | None, problem: Problem | None) -> dict[str | None, str]:
    """Where each camera is, by the name of its stream; by None for a single camera without a name.

    Parameters
    ----------
    key : {"source", "streamer"}
    given : sequence of str, optional
        What the command line says.
    problem : Problem or None
        None if the file cannot be read: then the command line has to say where the cameras are.

    Raises
    ------
    ProblemError
        A camera has no place, or a place no camera.
    """
    from mainstream.cli.stream_options import by_stream

    if problem is not None and not (problem.streams or given):
        raise ProblemError(HERE_OR_THERE)
    if problem is not None:
        return by_stream(key, given, None, problem.each)
    named = [(name, place) for name, _, place in (text.partition("=") for text in given or ())]
    if named and all(place and STREAM_NAME.fullmatch(name) for name, place in named):
        return dict(named)
    return {None: given[0]} if given is not None and len(given) == 1 else {}


def described_and_places(
    read: Callable[[Sequence[AddedApp]], Wanted], state: Path | None, key: str, given: Sequence[str] | None
) -> tuple[Problem | None, dict[str | None, str]]:
    """The problem, and where its cameras are.

    If the problem cannot be read, but plans may have been kept, the problem is None, and the cameras are where the
    flags say, or where they were at the last start.

    Raises
    ------
    ProblemError
        As for :func:`places_of`; also, there is no problem and no place for a plan that was kept.
    """
    try:
        problem = read(()).problem
    except ProblemError:
        found = {} if state is None else _kept(state) | places_of(key, given, None)
        if not found:
            raise
        return None, {None: found[None]} if None in found else found
    with naming("command line"):
        places = places_of(key, given, problem)
    if state is not None and None not in places:
        _keep(state, places)
    return problem, places


def _keep(state: Path, places: Mapping[str | None, str]) -> None:
    """Keep where the cameras are, perhaps with passwords. If the disk is full, the log says so."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        write_secret(state / _PLACES, json.dumps(places))
    except (OSError, ValueError) as error:
        _log.warning("where the cameras are is not kept: %s: %s", state / _PLACES, reason(error))


def _kept(state: Path) -> dict[str | None, str]:
    """Where the cameras were; empty if that was not kept or is damaged."""
    with suppress(ProblemError):
        found = json_values(read_text(state / _PLACES))
        if isinstance(found, dict) and all(STREAM_NAME.fullmatch(name) for name in found):
            return {name: str(place) for name, place in found.items()}
    return {}


def check_same_places(
    places: Mapping[str | None, str], key: str, given: Sequence[str] | None, problem: Problem
) -> None:
    """Raise :class:`ProblemError` if the place of a running camera has changed, since none is opened again."""
    if not places:
        return
    for name, place in places_of(key, given, problem).items():
        if name in places and place != places[name]:
            raise ProblemError(f"stream {name}: its {key} has changed; start it again for that")


def open_here(
    places: Mapping[str | None, str],
    model_dir: Path,
    problem: Problem | None,
    *,
    loop: bool,
    events: EventSettings | None,
    metrics: str | None,
    state: Path | None,
    **options: Any,
) -> Runtime | Together:
    """The runtimes in this process, of one source or of several together.

    Raises
    ------
    ProblemError
        A source cannot be opened that is no camera or is the only one; or an option is wrong.
    """
    from mainstream.streamer import LocalRunner
    from mainstream.streamer.sources import open_among_others

    if None in places:
        return LocalRunner(places[None], model_dir, loop=loop, events=events, metrics=metrics, state=state, **options)
    fps = {} if problem is None else {one.name: one.video.stream_fps for one in problem.each}

    def open_one(name: str, place: str) -> Runtime:
        return LocalRunner(
            open_among_others(place, fps.get(name, _USUAL_FPS), loop=loop),
            model_dir,
            events=None if events is None else events.of_stream(name, len(places)),
            state=None if state is None else state / "streams" / name,
            stream=name,
            **options,
        )

    return several(places, open_one, metrics)


def open_there(places: Mapping[str | None, str], **options: Any) -> Runtime | Together:
    """The objects that drive a runtime elsewhere, for one camera or several."""
    from mainstream.streamer import StreamerClient

    if None in places:
        return StreamerClient(places[None], **options)
    return several(places, lambda _, place: StreamerClient(place, **options))
