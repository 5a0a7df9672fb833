"""Calibrate packages on a labelled clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mainstream.evaluation.footage import Footage
from mainstream.evaluation.labels import Labels
from mainstream.evaluation.outputs import Outputs
from mainstream.evaluation.watched import Watched
from mainstream.formats.package import pareto, read_package, save_package
from mainstream.formats.package_app import load_package
from mainstream.problem import App, Model
from mainstream.solver import prepare
from mainstream.streamer.plan import NetPlan, net_plan
from mainstream.trainer.calibration import calibrate


def calibrate_packages(folders: Sequence[Path], model: Model, clip: Footage, labels: Labels, outputs: Outputs) -> None:
    """Let packages decide on all frames of a clip, and write into them what ``mainstream calibrate`` measures.

    The rates of each model that a problem can choose are kept (`seen`). Correlation and accuracy spread come from the
    most accurate model: one that misses nearly all events shows little of how they differ.

    Parameters
    ----------
    folders : sequence of Path
        Folders of packages that have an event class.
    model : Model
    clip : Footage
    labels : Labels
        Labels of the clip, read for :func:`watched_packages`.
    outputs : Outputs
        Outputs on the clip.

    Raises
    ------
    ProblemError
        A package cannot be read, run or calibrated.
    """
    read = [read_package(folder) for folder in folders]
    models = [[k for k in pareto(curve) if k in package.models] for package, curve in read]
    # Each plan runs one model of each package; a package with fewer models than others runs its last one again.
    turns = [[some[min(turn, len(some) - 1)] for some in models] for turn in range(max(map(len, models)))]
    plans = [_plan(folders, turn, model, clip.fps) for turn in turns]
    decided = outputs.decisions(plans)
    frames = np.arange(*labels.known)
    for number, (folder, (package, curve)) in enumerate(zip(folders, read, strict=True), start=1):
        event = np.zeros(clip.frames, bool)
        for start, end in labels.events[number]:
            event[start:end] = True
        found = {}
        for turn, decisions in zip(turns, decided, strict=True):
            some, k = decisions[number], turn[number - 1]
            found[k] = calibrate(frames, event[frames], clip.fps, some.frames, some.positive)
        best = max(found.values(), key=lambda one: one.accuracy.value if one.accuracy else 0.0)
        events = best.events.model_copy(update={"seen": tuple(one.seen(k) for k, one in found.items())})
        save_package(package.model_copy(update={"events": events}), curve, folder)


def watched_packages(folders: Sequence[Path]) -> list[Watched]:
    """What packages watch for, as apps 1, 2, ...; their event length is a placeholder, since it is not measured yet."""
    read = [read_package(folder)[0] for folder in folders]
    return [
        Watched(app, package.event_class or "", frozenset(package.classes))
        for package, app in zip(read, _apps(folders, [None] * len(folders)), strict=True)
    ]


def _apps(folders: Sequence[Path], pinned: Sequence[tuple[int, float] | None]) -> list[App]:
    return [
        load_package(folder, number, calibrated=False, pinned=pin, event_length_ms=1000)
        for number, (folder, pin) in enumerate(zip(folders, pinned, strict=True), start=1)
    ]


def _plan(folders: Sequence[Path], num_frozen: Sequence[int], model: Model, fps: float) -> NetPlan:
    """A plan in which each package's model of the given `num_frozen` analyses all frames."""
    apps = _apps(folders, [(k, fps) for k in num_frozen])
    prepared = prepare(apps, model, {"stream_fps": fps}, objective="recall")
    return net_plan(prepared.solve(prepared.smallest_budget()), apps, model)
