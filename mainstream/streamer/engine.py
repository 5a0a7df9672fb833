"""A net plan, loaded: it decides on which frames each part runs, and runs them.

A part runs on an evenly spaced subset of its parent's frames. With q = its rate over its parent's, at most 1, it runs
on the parent's frame j when floor(j q + phase) is not floor((j - 1) q + phase). This is computed in integers, so that
4 of 10 frames stay 4 of 10 for ever. The next frame that comes makes up for one that was dropped. Parts with the same
parent have different phases, by the golden ratio. Otherwise all tails would come due on the same frames, and a box
that can do the work of a second in a second could not do it within those frames.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from time import thread_time
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mainstream.description import nearest, shown
from mainstream.errors import ProblemError
from mainstream.extensions import Part, PartLoader
from mainstream.files import LARGEST_MODEL, naming
from mainstream.formats.package import PACKAGE, read_package
from mainstream.graphs.shapes import fits
from mainstream.ids import id_list
from mainstream.region import Region
from mainstream.registry import check_has
from mainstream.streamer.plan import NOBODY, NetPlan, Subnet, View
from mainstream.streamer.requests import one_line

Tensor = NDArray[Any]
Pixels = Callable[[int, int, int, Region | None], NDArray[np.uint8]]
"""Height, width, channels, region -> that region of the frame at that size, shape (height, width, channels)."""

_GOLDEN: Final = (5**0.5 - 1) / 2
LARGEST_SIDE: Final = 8192
OUT_OF_MEMORY: Final = "MemoryError: "
"""Part of the reason of a failure for want of memory."""
_NUMBERS: Final = "fiub"
"""Kinds of dtype whose values can be compared: no text, no complex numbers."""
_FINEST: Final = 10**6
"""Largest denominator of a rate: 29.97 is 30000/1001."""


class PartKey(NamedTuple):
    """Identifies a loaded part from one plan to the next: its file as it was read, and its two ends."""

    path: Path
    modified: int
    size: int
    input_layer: str
    output_layer: str


@dataclass(frozen=True)
class Branch:
    """One part of a plan, loaded.

    Attributes
    ----------
    subnet : Subnet
    part : Part
    key : PartKey
    step, period, phase : int
        It runs on `step` of every `period` frames of its parent, shifted by `phase`.
    event_class : int or None
        Number of the output that is the app's event.
    classes : int or None
        How many scores an app's own part gives for a frame; None for a shared part.
    """

    subnet: Subnet
    part: Part
    key: PartKey
    step: int
    period: int
    phase: int
    event_class: int | None = None
    classes: int | None = None

    def reached(self, frames: int) -> int:
        """On how many of its parent's first `frames` frames it runs."""
        return ((frames - 1) * self.step + self.phase) // self.period - (self.phase - self.step) // self.period


class Due(NamedTuple):
    """A part that has to run on a frame, and how many of its frames were dropped since it last ran."""

    branch: Branch
    dropped: int


class Engine:
    """A net plan, loaded and warm.

    Parameters
    ----------
    plan : NetPlan
    loader : PartLoader
        Loads the parts; it has to be started.
    model_dir : Path
        Folder that all model files have to lie in.
    stream_fps : float
        Frames a second that the camera gives; a part with a higher rate runs on every frame.
    loaded : mapping of PartKey to Part, optional
        Parts of the plan before; they are not loaded again.
    trusted : bool
        Whether models may do more than compute.

    Attributes
    ----------
    took : dict of int to float
        `net_id` -> seconds of a core that its part took for a black frame.
    stream_fps : float
    fps : dict of int to float
        `net_id` -> frames a second that its part runs.
    live : frozenset of int
        `net_id` of each part that is needed by an app that was not stopped.

    Raises
    ------
    ProblemError
        A model file is missing, damaged or outside `model_dir`; it lacks a layer; shapes do not fit; an event class is
        unknown. The message names net and key.
    """

    def __init__(
        self,
        plan: NetPlan,
        loader: PartLoader,
        model_dir: Path,
        stream_fps: float,
        loaded: Mapping[PartKey, Part] | None = None,
        *,
        trusted: bool = False,
    ) -> None:
        self.plan = plan
        parts = _load(plan, loader, model_dir, loaded or {}, trusted=trusted)
        _check_shapes(plan, [part for _, part in parts])
        _check_stems(plan, loader, [key.path for key, _ in parts], trusted=trusted)
        phased = zip(plan.subnets, parts, _phases(plan, stream_fps), strict=True)
        branches = [Branch(subnet, part, key, *phase) for subnet, (key, part), phase in phased]
        self.branches = _warm(branches)
        self.took = _took(self.branches)
        self.live = frozenset(range(len(self.branches)))
        self.start(stream_fps)

    def start(self, stream_fps: float) -> None:
        """Begin again, for a stream of this rate: the next frame is the plan's first."""
        phases = zip(self.branches, _phases(self.plan, stream_fps), strict=True)
        self.branches = [replace(branch, step=step, period=per, phase=phase) for branch, (step, per, phase) in phases]
        self.stream_fps = stream_fps
        fps = {NOBODY: stream_fps}
        for branch in self.branches:
            fps[branch.subnet.net_id] = fps[branch.subnet.parent_id] * branch.step / branch.period
        del fps[NOBODY]
        self.fps = fps
        self._first: int | None = None
        self._reached = [0] * len(self.branches)

    def stop(self, app_ids: Collection[int]) -> None:
        """Stop running the parts that only these apps need."""
        needed: set[int] = set()
        for branch in reversed(self.branches):  # children first, as they say whether their parent is needed
            subnet = branch.subnet
            if subnet.net_id in needed or not (subnet.shared or subnet.app_id in app_ids):
                needed |= {subnet.net_id, subnet.parent_id}
        self.live = frozenset(needed)

    @property
    def loaded(self) -> dict[PartKey, Part]:
        """The parts, for the next plan."""
        return {branch.key: branch.part for branch in self.branches}

    def due(self, number: int) -> list[Due]:
        """The parts that have to run on the stream's frame `number`, parents first.

        Numbers have to rise from call to call; those left out were dropped. The first call has the plan's first frame.
        """
        if self._first is None:
            self._first = number
        due = []
        before, self._reached = self._reached, []
        for branch, done in zip(self.branches, before, strict=True):
            parent = branch.subnet.parent_id
            reached = branch.reached(number - self._first + 1 if parent == NOBODY else self._reached[parent])
            self._reached.append(reached)
            if reached > done and branch.subnet.net_id in self.live:
                due.append(Due(branch, reached - done - 1))
        return due


def run(
    branches: Iterable[Branch], pixels: Pixels, failures: dict[int, str] | None = None
) -> tuple[dict[int, Tensor], dict[int, float]]:
    """Run parts on one frame.

    Parameters
    ----------
    branches : iterable of Branch
        Parents first; each part needs its parent among them.
    pixels : callable
        Gives the frame or a region of it at a size; called once for each.
    failures : dict of int to str, optional
        Gets `net_id` -> the reason for each part that fails, and for those that it feeds; the others run. Without it
        the first failure is raised.

    Returns
    -------
    dict of int to array
        `net_id` -> output of the part, shape (1, ...).
    dict of int to float
        `net_id` -> seconds of a core that it took.

    Raises
    ------
    ProblemError
        A part fails, and there is no `failures`; the message names the net.
    """
    frames: dict[View, Tensor] = {}
    outputs: dict[int, Tensor] = {}
    seconds: dict[int, float] = {}
    for branch in branches:
        subnet = branch.subnet
        if subnet.parent_id == NOBODY:
            view = subnet.view
            if view not in frames:
                frames[view] = pixels(*view)[None].astype(np.float32)
            tensor = frames[view]
        elif subnet.parent_id in outputs:
            tensor = outputs[subnet.parent_id]
        elif failures is not None:
            failures[subnet.net_id] = failures[subnet.parent_id]
            continue
        begun = thread_time()
        try:
            outputs[subnet.net_id] = _checked(branch, branch.part(tensor))
        except Exception as error:  # whatever a model does on a frame
            known = isinstance(error, ProblemError)
            reason = one_line(f"net {subnet.net_id}: {error if known else f'{type(error).__name__}: {error}'}")
            if failures is None:
                raise ProblemError(reason) from None
            failures[subnet.net_id] = reason
        seconds[subnet.net_id] = thread_time() - begun
    return outputs, seconds


def _checked(branch: Branch, output: Tensor) -> Tensor:
    """The output of a part, if it has as many scores as when it was tried."""
    if branch.classes is not None and output.shape != (1, branch.classes):
        raise ProblemError(f"it gave scores of shape {output.shape}; in its trial they had shape {(1, branch.classes)}")
    return output


def part_keys(plan: NetPlan, model_dir: Path) -> dict[int, PartKey]:
    """`net_id` -> the key of its part; the parts of one file follow one another.

    Raises
    ------
    ProblemError
        A file is missing or outside `model_dir`; the message names net and key.
    """
    folder = model_dir.resolve()
    found = {}
    for subnet in sorted(plan.subnets, key=lambda subnet: subnet.model_path):
        with naming(f"net {subnet.net_id}"):
            path, state = _inside(folder, subnet.model_path)
        key = PartKey(path, state.st_mtime_ns, state.st_size, subnet.input_layer, subnet.output_layer)
        found[subnet.net_id] = key
    return found


def _load(
    plan: NetPlan, loader: PartLoader, model_dir: Path, loaded: Mapping[PartKey, Part], *, trusted: bool
) -> list[tuple[PartKey, Part]]:
    """Load the parts of a plan file by file, so that each file is read once."""
    keys = part_keys(plan, model_dir)
    known = dict(loaded)
    for net_id, key in keys.items():
        if key not in known:
            with naming(f"net {net_id}"):
                known[key] = loader.load(key.path, key.input_layer, key.output_layer, trusted=trusted)
                check_has(f"a part of engine {loader.name}", known[key], Part)
    return [(keys[subnet.net_id], known[keys[subnet.net_id]]) for subnet in plan.subnets]


def _inside(model_dir: Path, model_path: str) -> tuple[Path, os.stat_result]:
    """A model file, and its state."""
    try:
        path = (model_dir / model_path).resolve()
        state = path.stat() if path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # a NUL, a loop of links, a name that is too long
        raise ProblemError(f"model_path: {shown(model_path)} is not a path") from None
    if not path.is_relative_to(model_dir):
        raise ProblemError(f"model_path: {shown(model_path)} lies outside the folder of the models; copy it there")
    if state is None:
        raise ProblemError(f"model_path: there is no file {shown(model_path)} in the folder of the models")
    if state.st_size > LARGEST_MODEL:
        raise ProblemError(f"model_path: {shown(model_path)} has more than 1 GB, which is the most that is loaded")
    return path, state


def _check_shapes(plan: NetPlan, parts: list[Part]) -> None:
    for subnet, part in zip(plan.subnets, parts, strict=True):
        size = subnet.height, subnet.width, subnet.channels
        where = f"net {subnet.net_id}"
        if subnet.channels not in (1, 3):
            raise ProblemError(f"{where}: channels: got {subnet.channels}; it has to be 3 (RGB) or 1 (grey)")
        for side in ("height", "width"):
            if getattr(subnet, side) > LARGEST_SIDE:
                raise ProblemError(f"{where}: {side}: got {getattr(subnet, side)}; at most {LARGEST_SIDE} is allowed")
        if subnet.parent_id == NOBODY:
            given: tuple[int | None, ...] | None = (1, *size)
            source = f"height, width, channels {size} make"
        else:
            parent = plan.subnets[subnet.parent_id]
            if size != (parent.height, parent.width, parent.channels):
                raise ProblemError(f"{where}: height, width, channels {size} are not those of its parent_id's net")
            given = parts[subnet.parent_id].output_shape
            source = f"net {parent.net_id}, its parent_id, gives"
        if not fits(given, part.input_shape):
            raise ProblemError(
                f"{where}: input_layer {shown(subnet.input_layer)} of {shown(subnet.model_path)} takes "
                f"{part.input_shape}; {source} {given}"
            )


def _check_stems(plan: NetPlan, loader: PartLoader, paths: list[Path], *, trusted: bool) -> None:
    """Refuse parts whose own leading layers differ from the stem that feeds them, if the engine can tell."""
    check = getattr(loader, "check_stem", None)
    checked: set[tuple[Path, Path, str]] = set()
    apps: dict[Path, list[int | str]] = {path: [] for path in paths}
    for subnet, path in zip(plan.subnets, paths, strict=True):
        if not subnet.shared:
            apps[path].append(subnet.name or subnet.app_id)
    for subnet, path in zip(plan.subnets, paths, strict=True):
        pair = (paths[subnet.parent_id], path, subnet.input_layer)
        if check is None or subnet.parent_id == NOBODY or pair[0] == path or pair in checked:
            continue
        checked.add(pair)
        of_app, behind = (f" of app {id_list(those)}" if (those := apps[one]) else "" for one in (path, pair[0]))
        with naming(f"net {subnet.net_id}{of_app}, behind a stem{behind}"):
            check(*pair, trusted=trusted)


def _phases(plan: NetPlan, stream_fps: float) -> list[tuple[int, int, int]]:
    """Step, period and phase of each part."""
    found = []
    rates: list[Fraction] = []
    thinned: dict[int, int] = {}
    for subnet in plan.subnets:
        fed_at = _fraction(stream_fps) if subnet.parent_id == NOBODY else rates[subnet.parent_id]
        rates.append(min(_fraction(subnet.target_fps), fed_at))
        share = rates[-1] / fed_at
        place = thinned.get(subnet.parent_id, 0)
        thinned[subnet.parent_id] = place + (share < 1)
        found.append((share.numerator, share.denominator, int(place * _GOLDEN % 1 * share.denominator)))
    return found


def _fraction(fps: float) -> Fraction:
    return max(Fraction(fps).limit_denominator(_FINEST), Fraction(1, _FINEST))


def _warm(branches: list[Branch]) -> list[Branch]:
    """Run the branches once on a black frame, and give each the number of its event class.

    TensorFlow prepares a graph when it first runs, and some errors appear only then.
    """
    outputs, _ = _black(branches)
    warm = []
    for branch in branches:
        subnet, event_class, classes = branch.subnet, None, None
        if not subnet.shared:
            scores = np.asarray(outputs[subnet.net_id])
            with naming(f"net {subnet.net_id}"):
                if scores.ndim != 2 or len(scores) != 1 or not scores.size or scores.dtype.kind not in _NUMBERS:
                    raise ProblemError(
                        f"output_layer {shown(subnet.output_layer)} gives {scores.shape} for one frame, of type "
                        f"{scores.dtype}; an app's own part has to end in class scores, (1, classes) numbers"
                    )
                classes = scores.size
                event_class = _event_class(subnet.event_class, scores.size, branch.key.path)
        warm.append(replace(branch, event_class=event_class, classes=classes))
    return warm


def _black(branches: list[Branch]) -> tuple[dict[int, Tensor], dict[int, float]]:
    """Run all parts on a black frame."""
    return run(branches, lambda height, width, channels, region: np.zeros((height, width, channels), np.uint8))


def _took(branches: list[Branch]) -> dict[int, float]:
    """`net_id` -> seconds of a core for a black frame; a part that occurs several times runs once."""
    needed: set[int] = set()
    known: set[PartKey] = set()
    for branch in reversed(branches):
        if branch.key not in known or branch.subnet.net_id in needed:
            known.add(branch.key)
            needed |= {branch.subnet.net_id, branch.subnet.parent_id}
    _, seconds = _black([branch for branch in branches if branch.subnet.net_id in needed])
    by_key = {branches[net_id].key: spent for net_id, spent in seconds.items()}
    return {branch.subnet.net_id: by_key[branch.key] for branch in branches}


def _event_class(given: int | str | None, classes: int, model: Path) -> int | None:
    """The number of the output that is the event; a name is looked up in the M-Package that the model lies in."""
    if isinstance(given, str):
        folder = model.parent.parent
        if not (folder / PACKAGE).is_file():
            raise ProblemError(
                f"event_class: got {shown(given)}; {model.name} lies in no M-Package, so its classes have no names; "
                f"give a number, 0 to {classes - 1}"
            )
        package, _ = read_package(folder)
        if given not in package.classes:
            raise ProblemError(f"event_class: {shown(given)} is no class; {nearest(given, package.classes)}")
        given = package.classes.index(given)
    if given is not None and given >= classes:
        raise ProblemError(f"event_class: got {given}; the model has classes 0 to {classes - 1}")
    return given
