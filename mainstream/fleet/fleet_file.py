"""Fleet files, YAML or JSON: boxes with their streams, and cameras that may go to any of several boxes.

A stream has the same keys as in a problem file, except two: its `model` is the name of a network, of which each box has
a profile, and instead of an address it has a `port`, the same on any box.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from mainstream.description import nearest, shown
from mainstream.errors import ProblemError
from mainstream.files import Name, mapping, naming
from mainstream.fleet.fleet import PORT, Box, Camera, Fleet
from mainstream.formats.int8 import APP_KEY, MODEL_KEY
from mainstream.formats.named_stream import NamedStream
from mainstream.formats.problem import SolveOptions
from mainstream.formats.problem_reader import Fetch, ProblemReader
from mainstream.problem import Model

_OF_BOXES: Final = ("budget", "memory_mb", "profiles")
"""Keys of the file that are defaults for its boxes."""
_OF_STREAMS: Final = ("model", MODEL_KEY)
_NOT_HERE: Final = {"streamer": "a runtime listens at its box's address; give 'port' if it has a port of its own"}
_OF_CAMERAS: Final = "boxes"


class _Given(NamedTuple):
    """A stream as it is written in the file."""

    keys: dict[str, Any]
    where: str
    boxes: Sequence[int]


def load_fleet(path: Name, *, fetch: Fetch | None = None) -> Fleet:
    """Read a fleet file: YAML, or JSON if its name ends in .json.

    Parameters
    ----------
    path : path
    fetch : callable, optional
        Finds packages in a store, as for :func:`mainstream.io.load_problem`.

    Raises
    ------
    ProblemError
        The file or one that it names is missing, in another form, or has a wrong key or value; two boxes have the same
        name or address; a camera names a box that does not exist; a box lacks a profile of a network that its streams
        use.
    """
    path = Path(path)
    keys = mapping(path)
    with naming(path):
        options = [key for key in SolveOptions.model_fields if key not in _OF_BOXES]
        known = [*options, *_OF_BOXES, *_OF_STREAMS, "boxes", "cameras"]
        for key in keys:
            if key not in known:
                raise ProblemError(f"unknown key {shown(key)}; {nearest(str(key), known)}")
        boxes, own = _boxes(keys)
        given = [*own, *_cameras(keys, boxes)]
        if not given:
            raise ProblemError("there is no stream; add 'streams' to a box, or 'cameras' to the file")
        reading = _Reading(ProblemReader(path.parent, fetch, True), boxes, keys)
        cameras = tuple(reading.camera(one) for one in given)
        _check_names(boxes, cameras)
        _check_ports(boxes, cameras)
        chosen = SolveOptions.of({key: keys[key] for key in options if key in keys}, where="fleet")
    return Fleet(boxes, cameras, chosen)


def _boxes(keys: Mapping[str, Any]) -> tuple[tuple[Box, ...], list[_Given]]:
    """The boxes, and the streams that are listed below them."""
    given = keys.get("boxes")
    if not isinstance(given, list) or not given:
        raise ProblemError(f"boxes: got {shown(given)}; it has to be a list of boxes, at least one")
    of_all = {key: keys[key] for key in _OF_BOXES if key in keys}
    boxes: list[Box] = []
    streams: list[_Given] = []
    for b, one in enumerate(given):
        where = f"boxes[{b}]"
        if not isinstance(one, dict):
            raise ProblemError(f"{where}: got {shown(one)}; it has to be a mapping of keys to values")
        known = [*Box.model_fields, "streams"]
        for key in one:
            if key not in known:
                raise ProblemError(f"{where}: unknown key {shown(key)}; {nearest(str(key), known)}")
        own = {**of_all, **{key: one[key] for key in one if key != "streams"}}
        boxes.append(Box.of(own, where=where))
        if boxes[-1].name is None:
            raise ProblemError(f"{where}: missing key 'name'")
        below = _list(one, "streams", f"{where}.")
        streams += [_Given(stream, f"{where}.streams[{k}]", [b]) for k, stream in enumerate(below)]
    of_name = _once(((box.name or "").casefold(), b) for b, box in enumerate(boxes))
    if of_name is not None:
        first, second = of_name
        raise ProblemError(
            f"boxes[{second}]: name {shown(boxes[second].name)} is taken by boxes[{first}] (case does not count); "
            "give each box its own name"
        )
    of_address = _once((box.address, b) for b, box in enumerate(boxes) if box.address is not None)
    if of_address is not None:
        first, second = of_address
        raise ProblemError(
            f"box {boxes[second].name}: address {boxes[second].address} is taken by box {boxes[first].name}; "
            "give each box its own address"
        )
    return tuple(boxes), streams


def _cameras(keys: Mapping[str, Any], boxes: Sequence[Box]) -> Iterator[_Given]:
    """The streams under `cameras`, which may be on the boxes that they name, or on all."""
    places = {box.name: b for b, box in enumerate(boxes)}
    for k, one in enumerate(_list(keys, "cameras", "")):
        where, named = f"cameras[{k}]", one.get(_OF_CAMERAS)
        if named is None:
            yield _Given(one, where, range(len(boxes)))
            continue
        if not isinstance(named, list) or not named:
            raise ProblemError(
                f"{where}: boxes: got {shown(named)}; it has to be a list of names; leave it out for all boxes"
            )
        for name in named:
            if not isinstance(name, str | int) or str(name) not in places:
                raise ProblemError(
                    f"{where}: camera {shown(one.get('name'))}: there is no box {shown(name)}; "
                    f"{nearest(str(name), [str(box) for box in places][:20])}"
                )
        yield _Given(one, where, sorted({places[str(name)] for name in named}))


def _list(keys: Mapping[str, Any], key: str, place: str) -> list[dict[str, Any]]:
    given = keys.get(key, [])
    if not isinstance(given, list):
        raise ProblemError(f"{place}{key}: got {shown(given)}; it has to be a list of streams")
    for k, one in enumerate(given):
        if not isinstance(one, dict):
            raise ProblemError(f"{place}{key}[{k}]: got {shown(one)}; it has to be a mapping of keys to values")
    return given


class _Reading:
    """Reads each stream once for each profile of its network.

    Parameters
    ----------
    reader : ProblemReader
    boxes : sequence of Box
    keys : mapping
        The keys of the file.
    """

    def __init__(self, reader: ProblemReader, boxes: Sequence[Box], keys: Mapping[str, Any]) -> None:
        self._reader, self._boxes = reader, boxes
        self._of_all = {key: keys[key] for key in _OF_STREAMS if key in keys}
        self._profiles: dict[int, Model] = {}

    def camera(self, given: _Given) -> Camera:
        """A stream of the file, with the profile of each box that it may be on."""
        keys = {**self._of_all, **{key: given.keys[key] for key in given.keys if key != _OF_CAMERAS}}
        named: dict[str, Any] = {key: keys.pop(key) for key in _OF_STREAMS if key in keys}
        port = keys.pop("port", None)
        known = [key for key in NamedStream.model_fields if key not in (*_NOT_HERE, APP_KEY)]
        known += [MODEL_KEY, "port", *([_OF_CAMERAS] if given.where.startswith("cameras") else [])]
        for key in given.keys:
            if key in _NOT_HERE:
                raise ProblemError(f"{given.where}: {key} is not allowed in a fleet: {_NOT_HERE[key]}")
            if key not in known:
                raise ProblemError(f"{given.where}: unknown key {shown(key)}; {nearest(str(key), known)}")
        if keys.get("name") is None:
            raise ProblemError(f"{given.where}: missing key 'name'")
        if port is not None and not PORT.holds(port):
            raise ProblemError(f"{given.where}: port: got {shown(port)}; it has to be {PORT.words()}")
        if "model" not in named:
            raise ProblemError(
                f"{given.where}: missing key 'model'; give the name of a network, here or at the top of the file"
            )
        read: dict[tuple[str | int, ...], NamedStream] = {}
        on: dict[int, NamedStream] = {}
        for b in given.boxes:
            profiles = {key: self._profile(name, key, self._boxes[b], given.where) for key, name in named.items()}
            of = tuple(one if isinstance(one, str) else id(one) for one in profiles.values())
            if of not in read:
                found = self._reader.camera({**keys, **profiles}, (), f"{given.where}.")
                read[of] = NamedStream.of(found, where=given.where)
            on[b] = read[of]
        return Camera(str(next(iter(on.values())).name), port, on, placed=not given.where.startswith("cameras"))

    def _profile(self, network: Any, key: str, box: Box, where: str) -> Any:
        """The box's profile of a network, which a problem file would have as its `model`."""
        if not isinstance(network, str):
            raise ProblemError(f"{where}: {key}: got {shown(network)}; it has to be the name of a network")
        if network not in box.profiles:
            known = ", ".join(map(str, box.profiles)) or "none"
            raise ProblemError(
                f"box {box.name}: profiles: add one for network {shown(network)}, which {where} uses; it has {known}"
            )
        profile = box.profiles[network]
        if isinstance(profile, str | Model):
            return profile
        if id(profile) not in self._profiles:
            self._profiles[id(profile)] = Model.of(profile, where=f"box {box.name}: profiles.{network}")
        return self._profiles[id(profile)]


def _check_names(boxes: Sequence[Box], cameras: Sequence[Camera]) -> None:
    """Raise :class:`ProblemError` if two streams that may be on the same box have the same name."""
    for b, those in enumerate(_on_each(boxes, cameras)):
        names = _once((cameras[k].name, k) for k in those)
        if names is not None:
            raise ProblemError(
                f"box {boxes[b].name}: two streams that may be on it are called {shown(cameras[names[1]].name)}; "
                "give each its own name"
            )


def _check_ports(boxes: Sequence[Box], cameras: Sequence[Camera]) -> None:
    """Raise :class:`ProblemError` if two streams would have the same runtime."""
    at: dict[str, tuple[int, int]] = {}
    for b, those in enumerate(_on_each(boxes, cameras)):
        for k in those:
            endpoint = boxes[b].endpoint(cameras[k].port)
            if endpoint is None:
                continue
            first = at.setdefault(endpoint, (b, k))
            if first != (b, k):
                raise ProblemError(
                    f"stream {cameras[k].name} on box {boxes[b].name} and stream {cameras[first[1]].name} on box "
                    f"{boxes[first[0]].name} would share the runtime at {endpoint}; give each its own 'port'"
                )


def _on_each(boxes: Sequence[Box], cameras: Sequence[Camera]) -> list[list[int]]:
    """For each box, the indices of the streams that may be on it."""
    those: list[list[int]] = [[] for _ in boxes]
    for k, camera in enumerate(cameras):
        for b in camera.on:
            those[b].append(k)
    return those


def _once(pairs: Iterator[tuple[Any, int]]) -> tuple[int, int] | None:
    """The indices of the first two equal things, if there are any."""
    seen: dict[Any, int] = {}
    for what, place in pairs:
        if what in seen:
            return seen[what], place
        seen[what] = place
    return None
