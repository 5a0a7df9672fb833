"""What apps decide on the frames of a clip under any number of schedules; each part runs once on each frame.

The runtime's own engine says on which frames a part is due, and no frame is dropped. The decisions of each app's own
part are kept in memory, so another schedule runs only what no schedule has run before on that frame. A decision does
not depend on which app's model file the stem comes from, since apps that share layers have the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mainstream.apps import BoolArray, IntArray
from mainstream.errors import ProblemError
from mainstream.evaluation.footage import Footage
from mainstream.extensions import Part, PartLoader
from mainstream.files import naming
from mainstream.streamer.engine import Branch, Engine, PartKey, run
from mainstream.streamer.frames import Frame
from mainstream.streamer.plan import NOBODY, NetPlan
from mainstream.streamer.results import Votes


class Decisions(NamedTuple):
    """What an app decided.

    Attributes
    ----------
    frames : (n,) int array
        Numbers of the frames that it analysed, increasing.
    positive : (n,) bool array
        Whether it decided that the frame shows its event.
    """

    frames: IntArray
    positive: BoolArray


class _Tail(NamedTuple):
    """An app's own part, with everything else that a decision on a frame depends on."""

    part: PartKey
    seen: tuple[tuple[str, Any], ...]
    event_class: int


class Outputs:
    """The decisions on a clip, which are kept as they are made.

    Parameters
    ----------
    clip : Footage
    model_dir : Path
        Folder that contains all model files.
    loader : PartLoader
    trusted : bool
        Whether models may have operations that do more than compute.

    Attributes
    ----------
    clip, model_dir, loader, trusted
        As given.
    computed : int
        How many decisions were computed, not found among earlier ones.
    """

    def __init__(self, clip: Footage, model_dir: Path, loader: PartLoader, *, trusted: bool = False) -> None:
        if not model_dir.is_dir():
            raise ProblemError(f"{model_dir}: is not a folder; give the one with the model files")
        self.clip, self.model_dir, self.loader, self.trusted = clip, model_dir, loader, trusted
        self._parts: dict[PartKey, Part] = {}
        self._known: dict[_Tail, dict[int, bool]] = {}
        self.computed = 0
        loader.start()

    def decisions(self, plans: Sequence[NetPlan]) -> list[dict[int, Decisions]]:
        """What each app decides under each of the plans, by the app's number on the wire.

        The clip is played once for all plans, and not at all if everything is known.

        Raises
        ------
        ProblemError
            A plan cannot be loaded, an app has no event class, or a part fails on a frame.
        """
        played = [self._played(plan) for plan in plans]
        everything = all(self._lacking(one, number) == [] for one in played for number in one.due)
        for frame in () if everything else self.clip:
            for one in played:
                self._run(one, frame)
        return [self._of_apps(one) for one in played]

    def _played(self, plan: NetPlan) -> _Played:
        engine = Engine(plan, self.loader, self.model_dir, self.clip.fps, self._parts, trusted=self.trusted)
        self._parts |= engine.loaded
        tails = {}
        for branch in engine.branches:
            if not branch.subnet.shared:
                tails[branch.subnet.net_id] = self._tail(branch, plan)
        due: dict[int, list[int]] = {}
        for number in range(self.clip.frames):
            own = [one.branch.subnet.net_id for one in engine.due(number) if not one.branch.subnet.shared]
            if own:
                due[number] = own
        return _Played(engine.branches, tails, due)

    def _tail(self, branch: Branch, plan: NetPlan) -> _Tail:
        root = branch.subnet
        while root.parent_id != NOBODY:
            root = plan.subnets[root.parent_id]
        if branch.event_class is None:
            app = plan.app_id_of(branch.subnet.app_id)
            raise ProblemError(f"app {app}: it has no event_class; give the class that is its event")
        seen = root.model_dump(include={"channels", "height", "width", "region"})
        tail = _Tail(branch.key, tuple(seen.items()), branch.event_class)
        self._known.setdefault(tail, {})
        return tail

    def _lacking(self, one: _Played, number: int) -> list[int]:
        """The apps' parts that are due on a frame and have no decision on it yet."""
        return [net_id for net_id in one.due.get(number, ()) if number not in self._known[one.tails[net_id]]]

    def _run(self, one: _Played, frame: Frame) -> None:
        lacking = self._lacking(one, frame.number)
        needed = set(lacking)
        for branch in reversed(one.branches):
            if branch.subnet.net_id in needed:
                needed.add(branch.subnet.parent_id)
        with naming(f"{self.clip.path}: frame {frame.number}"):
            outputs, _ = run((branch for branch in one.branches if branch.subnet.net_id in needed), frame.pixels)
        for net_id in lacking:
            tail = one.tails[net_id]
            positive, _ = Votes(tail.event_class, None).decide(outputs[net_id][0])
            self._known[tail][frame.number] = bool(positive)
            self.computed += 1

    def _of_apps(self, one: _Played) -> dict[int, Decisions]:
        frames: dict[int, list[int]] = {net_id: [] for net_id in one.tails}
        for number, due in one.due.items():
            for net_id in due:
                frames[net_id].append(number)
        return {
            one.branches[net_id].subnet.app_id: Decisions(
                np.array(frames[net_id], np.int64),
                np.array([self._known[tail][number] for number in frames[net_id]], bool),
            )
            for net_id, tail in one.tails.items()
        }


class _Played(NamedTuple):
    """A plan on the clip: all its parts, the apps' own parts, and which of the latter are due on each frame."""

    branches: list[Branch]
    tails: dict[int, _Tail]
    due: dict[int, list[int]]
