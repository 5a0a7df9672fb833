"""Net plans: a schedule as a tree of sub-networks, in the form that Streamer takes.

The request is one JSON array with an object for each sub-network, parents before children; ``docs/deploy.md`` lists its
keys. The stem is a chain: at each chokepoint where an app branches off, one part ends and the next begins. The form is
that of the scheduler and Streamer released with Jiang et al., "Mainstream", USENIX ATC 2018.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, Final, NamedTuple, Self, TypeVar

from pydantic import AfterValidator, StrictBool, model_validator

from mainstream.description import Description, refuse, shown
from mainstream.errors import ProblemError
from mainstream.files import naming
from mainstream.problem import App, EventClass, Model
from mainstream.ranges import WHOLE, Count, TargetFps, Whole
from mainstream.region import OfFrame, Region, written
from mainstream.schedule import Choice, Result
from mainstream.stream import Stream, only_camera
from mainstream.streamer.requests import nets

NOBODY: Final = -1
"""`app_id` of a shared part, and `parent_id` of a part that the camera feeds."""

_OrNobody = Annotated[int, replace(WHOLE, low=NOBODY)]
_Known = TypeVar("_Known")

_LONGEST: Final = 4_096
"""Characters of a name."""


def _of_good_length(given: Any) -> Any:
    if isinstance(given, str) and (len(given) > _LONGEST or (not given.isascii() and _LONE.search(given))):
        raise refuse(f"it has to be text of up to {_LONGEST:,} characters that UTF-8 can write")
    return given


_Name = Annotated[str, AfterValidator(_of_good_length)]
_LONE: Final = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair, which JSON can hold but UTF-8 cannot."""


class View(NamedTuple):
    """A frame, or a region of it, at a size."""

    height: int
    width: int
    channels: int
    region: Region | None = None


class Subnet(Description):
    """One sub-network of a net plan.

    Parameters
    ----------
    net_id : int
        Its place in the plan, from 0.
    app_id : int
        The app whose own part this is; -1 for a shared part.
    parent_id : int
        `net_id` of the part that feeds it; -1 for the camera.
    input_layer, output_layer : str
        Tensors at its two ends.
    channels, height, width : int
        Input size of the base network.
    target_fps : float
        Frames a second.
    shared : bool
        True for a part of the stem, False for an app's own.
    model_path : str
        Model file that holds these layers.
    x_vote : int, optional
        Consecutive positives that the app needs; never on a shared part.
    event_class : int or str, optional
        The output that is the app's event; never on a shared part.
    name : str, optional
        The app's name for people; never on a shared part.
    region : (float, float, float, float), optional
        The part of the frame that it gets: x, y, width, height, as shares of the frame's width and height; only on a
        part that the camera feeds. Default: the whole frame.

    Raises
    ------
    ProblemError
        A key is unknown or missing, or a value is out of its range.
    """

    net_id: Whole
    app_id: _OrNobody
    parent_id: _OrNobody
    input_layer: _Name
    output_layer: _Name
    channels: Count
    height: Count
    width: Count
    target_fps: TargetFps
    shared: StrictBool
    model_path: _Name
    x_vote: Count | None = None
    event_class: Annotated[EventClass, AfterValidator(_of_good_length)] = None
    name: _Name | None = None
    region: OfFrame = None

    @classmethod
    def _label(cls, keys: Mapping[str, Any], where: str | None = None) -> str:
        return where or f"net {shown(keys.get('net_id'))}"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.shared != (self.app_id == NOBODY):
            raise refuse(
                f"app_id {self.app_id} with shared {self.shared}; a shared part has app_id -1, an app's own part not"
            )
        if self.shared and not (self.x_vote is None and self.event_class is None and self.name is None):
            raise refuse("x_vote, event_class and name are an app's; a shared part has none of them")
        if self.region is not None and self.parent_id != NOBODY:
            raise refuse("region is for a part that the camera feeds; other parts see what their parent sees")
        return self

    @property
    def view(self) -> View:
        """What it gets of a frame, if the camera feeds it."""
        return View(self.height, self.width, self.channels, self.region)

    def wire(self) -> dict[str, Any]:
        """The object to send: a whole rate as an integer, optional keys only when set."""
        keys = self.model_dump(exclude_none=True)
        if self.target_fps.is_integer():
            keys["target_fps"] = int(self.target_fps)
        return keys


@dataclass(frozen=True)
class NetPlan:
    """A schedule as a tree of sub-networks.

    Attributes
    ----------
    subnets : tuple of Subnet
        Parents before children; number k has `net_id` k.
    names : mapping of int to str
        Number on the wire -> `app_id`, for ids that are text. The wire has only numbers, so a plan that was read from a
        request has no names.
    layers : tuple of (int, int)
        First layer of each part, and the layer behind its last; empty for a plan that was read from a request.

    Raises
    ------
    ProblemError
        The parts are not a tree in that order, a part does not start where its parent ends, a shared part feeds no app,
        or an app has two parts.
    """

    subnets: tuple[Subnet, ...]
    names: Mapping[int, str] = field(default_factory=dict, compare=False)
    layers: tuple[tuple[int, int], ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not self.subnets:
            raise ProblemError("net plan: it has no part; there has to be at least one")
        apps = set()
        for place, part in enumerate(self.subnets):
            if part.net_id != place:
                raise ProblemError(f"net plan: net_id {part.net_id} in place {place}; they have to be 0, 1, 2, ...")
            if part.parent_id >= place:
                raise ProblemError(f"net {place}: parent_id {part.parent_id}; parents have to come before children")
            if part.parent_id != NOBODY:
                parent = self.subnets[part.parent_id]
                if not parent.shared:
                    raise ProblemError(f"net {place}: parent_id {part.parent_id} is app {parent.app_id}'s own part")
                if parent.output_layer != part.input_layer:
                    raise ProblemError(
                        f"net {place}: input_layer {shown(part.input_layer)}; net {part.parent_id}, which feeds it, "
                        f"ends at {shown(parent.output_layer)}"
                    )
            if not part.shared and part.app_id in apps:
                raise ProblemError(f"net {place}: app {part.app_id} has a part already; each app has one of its own")
            apps.add(part.app_id)
        feeding = {part.parent_id for part in self.subnets}
        for part in self.subnets:
            if part.shared and part.net_id not in feeding:
                raise ProblemError(f"net {part.net_id}: it feeds no app; leave it out")

    def __str__(self) -> str:
        return self.tree()

    def app_id_of(self, number: int) -> int | str:
        """The `app_id` that a number on the wire stands for."""
        return self.names.get(number, number)

    @property
    def tails(self) -> tuple[Subnet, ...]:
        """The apps' own parts, in the order of the rates in an answer."""
        return tuple(part for part in self.subnets if not part.shared)

    @property
    def target_fps(self) -> dict[int, float]:
        """Number on the wire -> frames a second that will run, in the order of the rates in an answer."""
        return {part.app_id: part.target_fps for part in self.tails}

    def with_integer_fps(self) -> NetPlan:
        """The same plan with whole rates, max(1, floor(r)), for a Streamer that reads `target_fps` as an integer."""
        whole = ({"target_fps": float(max(1, math.floor(part.target_fps)))} for part in self.subnets)
        parts = tuple(part.model_copy(update=new) for part, new in zip(self.subnets, whole, strict=True))
        return replace(self, subnets=parts)

    def to_json(self) -> str:
        """The request to send, with an object on each line; :meth:`from_json` reads it back, equal."""
        return "[" + ",\n ".join(json.dumps(part.wire()) for part in self.subnets) + "]"

    @cached_property
    def digest(self) -> str:
        """Identifies the plan: the sha256 of its request, in hexadecimal digits."""
        return sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A plan from a request.

        Raises
        ------
        ProblemError
            The text is not a JSON array of sub-networks, there are more than 10,000, or they do not make a plan.
        """
        parts = (Subnet.of(keys, where=f"net plan, place {place}") for place, keys in enumerate(nets(text)))
        return cls(tuple(parts))

    def tree(self) -> str:
        """The plan as text: a line for each part, below the part that feeds it."""
        return "\n".join(["camera", *self._lines()])

    def _lines(self) -> Iterator[str]:
        children: dict[int, list[Subnet]] = {}
        for part in self.subnets:
            children.setdefault(part.parent_id, []).append(part)
        # A stack, not recursion: a chain may be longer than Python lets calls nest.
        todo = [(part, "") for part in reversed(children[NOBODY])]
        while todo:
            part, indent = todo.pop()
            last = part is children[part.parent_id][-1]
            yield f"{indent}{'└─' if last else '├─'} {_described(part, self.app_id_of(part.app_id))}"
            below = indent + ("   " if last else "│  ")
            todo += [(child, below) for child in reversed(children.get(part.net_id, []))]


def net_plan(result: Result, apps: Iterable[App | Mapping[str, Any]], model: Model | Mapping[str, Any]) -> NetPlan:
    """The net plan of a result.

    Parameters
    ----------
    result : Result
        Apps that it left out are not in the plan.
    apps : list of App or mapping
        The apps that were solved for, with their model files, event classes and regions; each region has its own stem.
        An `app_id` that is text gets a number, the same one for the same list of apps.
    model : Model or mapping
        The base network that was solved for, with the names of its tensors and its input size.

    Returns
    -------
    NetPlan

    Raises
    ------
    ProblemError
        An app has no model file for its `num_frozen`, or no layer of its own; the model lacks the name of a tensor or
        its input size; no app runs.
    """
    if isinstance(apps, Mapping | str) or not isinstance(apps, Iterable):
        raise ProblemError(f"apps: got {shown(apps)}; a net plan needs a list of App objects or mappings")
    described = [App.of(app, where=f"apps[{i}]") for i, app in enumerate(apps)]
    if not result.choices:
        raise ProblemError("net plan: the result runs no app, all were left out; solve with a larger budget")
    return _net_plan(result.choices, described, Model.of(model), sharing=result.mode != "no-sharing")


def net_plans(result: Result, streams: Iterable[Stream]) -> dict[str | None, NetPlan]:
    """The net plan of each stream of a result, by the stream's name; one plan covers all regions of a camera.

    Parameters
    ----------
    result : Result
    streams : iterable of Stream
        The streams that were solved for, with apps that were given as objects.

    Returns
    -------
    dict of str to NetPlan
        Without the streams of which no app runs; a stream without a name has None for a name.

    Raises
    ------
    ProblemError
        As :func:`net_plan`, with the stream's name before it.
    """
    of_name: dict[str | None, list[Stream]] = {}
    for stream in streams:
        of_name.setdefault(stream.name, []).append(stream)
    for those in of_name.values():
        only_camera(those)
    owner = {app.app_id: name for name, those in of_name.items() for stream in those for app in stream.described}
    chosen: dict[str | None, list[Choice]] = {name: [] for name in of_name}
    for choice in result.choices:
        chosen[_of(owner, choice)].append(choice)
    plans = {}
    for name, choices in chosen.items():
        apps = [app for stream in of_name[name] for app in stream.described]
        with nullcontext() if name is None else naming(f"stream {name}"):
            if choices:
                plans[name] = _net_plan(choices, apps, of_name[name][0].model, sharing=result.mode != "no-sharing")
    if not plans:
        raise ProblemError("net plan: the result runs no app, all were left out; solve with a larger budget")
    return plans


def _net_plan(all_choices: Sequence[Choice], apps: Sequence[App], model: Model, *, sharing: bool) -> NetPlan:
    described = {app.app_id: app for app in apps}
    numbers = _numbers_on_the_wire(described)
    size = {"channels": model.channels, **_frame(model)}
    parts: list[Subnet] = []
    layers: list[tuple[int, int]] = []

    def add(start: int, stop: int, parent_id: int, fps: float, choice: Choice, *, shared: bool) -> None:
        app = described[choice.app_id]
        layers.append((start, stop))
        called = app.app_id if isinstance(app.app_id, str) else app.name
        own = {} if shared else {"x_vote": choice.x_vote, "event_class": app.event_class, "name": called or None}
        parts.append(
            Subnet(
                net_id=len(parts),
                app_id=NOBODY if shared else numbers[choice.app_id],
                parent_id=parent_id,
                input_layer=_layer(model, start, choice),
                output_layer=_layer(model, stop, choice),
                target_fps=fps,
                shared=shared,
                model_path=_model_path(app, choice),
                region=app.region if parent_id == NOBODY else None,
                **size,
                **own,
            )
        )

    of_region: dict[Region | None, list[Choice]] = {}
    for choice in all_choices:
        of_region.setdefault(_of(described, choice).region, []).append(choice)
    for choices in of_region.values():
        for choice in choices:
            if not sharing or choice.num_frozen <= 1:
                add(0, model.total_layers, NOBODY, choice.target_fps, choice, shared=False)
        behind = [choice for choice in choices if sharing and choice.num_frozen > 1]
        start, parent_id = 0, NOBODY
        for stop in sorted({choice.num_frozen for choice in behind}):
            add(start, stop, parent_id, max(choice.target_fps for choice in behind), behind[0], shared=True)
            start, parent_id = stop, len(parts) - 1
            for choice in behind:
                if choice.num_frozen == stop:
                    _has_own_layers(choice, model)
                    add(stop, model.total_layers, parent_id, choice.target_fps, choice, shared=False)
            behind = [choice for choice in behind if choice.num_frozen > stop]
    names = {number: name for name, number in numbers.items() if isinstance(name, str)}
    return NetPlan(tuple(parts), names, tuple(layers))


def _numbers_on_the_wire(app_ids: Iterable[int | str]) -> dict[int | str, int]:
    """A number for each app: its id, or, if that is text, the next number from 1 on that no app has."""
    app_ids = list(app_ids)
    taken = {app_id for app_id in app_ids if isinstance(app_id, int)}
    free = (number for number in itertools.count(1) if number not in taken)
    return {app_id: app_id if isinstance(app_id, int) else next(free) for app_id in app_ids}


def _at(num_frozen: int, names: Mapping[int, str]) -> str | None:
    """What `names` has for `num_frozen`; 0 and 1 mean the same."""
    keys = (num_frozen,) if num_frozen > 1 else (0, 1)
    return next((names[key] for key in keys if key in names), None)


def _layer(model: Model, cut: int, choice: Choice) -> str:
    """The name of the tensor behind the first `cut` layers, which the `choice` needs."""
    name = _at(cut, model.frozen_layer_names)
    if name is not None:
        return name
    if cut == model.total_layers:
        lacking = f"{cut}, the network's output"
    else:
        lacking = "0 or 1, the network's input" if cut == 0 else f"{cut}, where app {choice.app_id} branches off"
    raise ProblemError(f"model: frozen_layer_names has no {lacking}; it has {shown(sorted(model.frozen_layer_names))}")


def _frame(model: Model) -> dict[str, int]:
    if model.height is None or model.width is None:
        missing = "height" if model.height is None else "width"
        raise ProblemError(f"model: it has no {missing}; a net plan needs the input size of the network")
    return {"height": model.height, "width": model.width}


def _of(known: Mapping[int | str, _Known], choice: Choice) -> _Known:
    if choice.app_id not in known:
        raise ProblemError(f"app {choice.app_id} of the result is not among the apps; give those that were solved for")
    return known[choice.app_id]


def _model_path(app: App, choice: Choice) -> str:
    path = _at(choice.num_frozen, app.model_path)
    if path is not None:
        return path
    known = f"it has those for {shown(sorted(app.model_path))}" if app.model_path else "it has none"
    raise ProblemError(f"app {app.app_id}: no model_path for num_frozen {choice.num_frozen}; {known}; add that file")


def _has_own_layers(choice: Choice, model: Model) -> None:
    if choice.num_frozen == model.total_layers:
        raise ProblemError(
            f"app {choice.app_id}: num_frozen {choice.num_frozen} is the whole network, which leaves the app no layers "
            "of its own to run; take that num_frozen out of its accuracies"
        )


def _described(part: Subnet, app_id: int | str) -> str:
    notes = [f"{part.target_fps:g} fps"]
    if part.x_vote is not None:
        notes.append(f"votes {part.x_vote}")
    if part.event_class is not None:
        notes.append(f"event {part.event_class}")
    if part.region is not None:
        notes.append(f"region {written(part.region)}")
    owner = "shared" if part.shared else f"app {app_id}"
    return f"{owner}: {part.input_layer} -> {part.output_layer}, {', '.join(notes)}, {part.model_path}"
