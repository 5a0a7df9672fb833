"""All steps on clips that are made here: three apps watch a street, each for one kind of thing.

Three clips show the same street, and no cut-out is in two of them. Networks are trained on one, calibrated on another,
and the schedule is run and evaluated on the third. The files in the folder can be used with every other command.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
import yaml

from mainstream._optional import require
from mainstream.demo.folder import fresh_folder
from mainstream.errors import InfeasibleError
from mainstream.evaluation.calibrating import calibrate_packages, watched_packages
from mainstream.evaluation.evaluate import Evaluated, evaluate
from mainstream.evaluation.footage import Footage
from mainstream.evaluation.labels import NOTHING, read_events
from mainstream.evaluation.outputs import Outputs
from mainstream.evaluation.page import evaluation_page
from mainstream.evaluation.watched import Watched
from mainstream.executors.local import end_with_parent
from mainstream.experiments.versions import Version, Workbench
from mainstream.extensions import PART_LOADERS
from mainstream.files import write_text
from mainstream.formats.intervals import Interval, read_intervals, save_intervals
from mainstream.formats.named_stream import NamedStream
from mainstream.formats.problem import SolveOptions, load_problem
from mainstream.formats.profile import save_profile
from mainstream.graphs.backend import use_threads
from mainstream.labelling.frames import GROUPS, save_frames
from mainstream.problem import App, Model, Video
from mainstream.scenes.drawing import KINDS, drawn_cutouts, street
from mainstream.scenes.filming import film
from mainstream.scenes.script import visits
from mainstream.schedule import Result
from mainstream.solver import prepare
from mainstream.streamer import LocalRunner, net_plan
from mainstream.trainer import train
from mainstream.trainer.networks import network
from mainstream.trainer.profile import profile
from mainstream.trainer.small_network import save_small_network

VERSIONS: Final = ("mainstream", "max-sharing", "no-sharing")
_CHOKEPOINTS: Final = (0, 3, 5, 7)
_FPS: Final = 10.0
_FRAME: Final = (160, 120)
_ANYTHING: Final = "anything"
_SPARE: Final = 0.1
"""The budget, as a share of the way from the smallest that has a schedule to the largest that still gains."""


@dataclass(frozen=True)
class Size:
    """How large the demo is.

    Attributes
    ----------
    events : int
        Events in each clip; twice as many in the clip to train on.
    cutouts : int
        Cut-outs of each kind in each clip; twice as many in the clip to train on.
    event_s, gap_s : float
        Mean seconds of an event, and between two events.
    epochs : int
        The most epochs at each chokepoint.
    profile_s, window_s : float
        Seconds for which the network is timed at most, and for which the schedule runs live.
    """

    events: int = 120
    cutouts: int = 40
    event_s: float = 1.5
    gap_s: float = 1.5
    epochs: int = 10
    profile_s: float = 5.0
    window_s: float = 10.0


@dataclass(frozen=True)
class Made:
    """The result of a demo.

    Attributes
    ----------
    budget : float
        Milliseconds of compute a second.
    found : mapping of str to tuple of Evaluated
        Version -> its apps.
    report : Path
    """

    budget: float
    found: Mapping[str, tuple[Evaluated, ...]]
    report: Path


def demo(
    folder: Path,
    *,
    size: Size = Size(),  # it is immutable
    tell: Callable[[str], None] = lambda line: None,
    watching: Callable[[LocalRunner], AbstractContextManager[None]] = lambda runner: nullcontext(),
) -> Made:
    """Film, train, calibrate, solve, run and evaluate.

    Parameters
    ----------
    folder : Path
        A new folder, or that of an earlier demo.
    size : Size
    tell : callable
        Called with a line of text for each step, and for what came of it.
    watching : callable
        Gives a context manager that is open while the schedule runs live.

    Raises
    ------
    MissingExtraError
        The extras train and run are not installed.
    ProblemError
        The folder holds something else, or cannot be written; TensorFlow already runs with several threads.
    """
    for package, extra in (
        ("tensorflow", "train"), ("keras", "train"), ("PIL", "train"), ("scipy", "train"), ("av", "run"),
        ("zmq", "run"), ("prometheus_client", "run"),
    ):  # fmt: skip
        require(package, extra)
    use_threads(1)  # the profile is measured, and the runtime runs, with one thread
    fresh_folder(folder)
    clips = folder / "clips"
    clips.mkdir()
    compiling = get_context("spawn").Process(target=_compile_search, daemon=True)
    compiling.start()
    tell(f"film       a street with {', '.join(KINDS)}: three clips, {size.events} events, twice as many to train on")
    for place, name in enumerate(("train", "calibration", "test")):
        _film(clips / f"{name}.mkv", place, size, 2 if name == "train" else 1)
    tell("train      a small network from random weights, then from it an app for each kind, at 4 chokepoints each")
    base = _train(folder, size)
    tell("profile    how long each part of the network takes on this machine")
    measured = profile(network(base), seconds=size.profile_s)
    save_profile(measured.model, folder / "profile.json")
    tell("calibrate  each app on a clip that it was not trained on")
    compiling.join()
    clip = Footage.of(clips / "calibration.mkv")
    packages = [folder / "models" / kind for kind in KINDS]
    labels = read_events(clips / "calibration.intervals.csv", clip, watched_packages(packages), {}, 1)
    outputs = Outputs(clip, folder, PART_LOADERS.find("tensorflow"))
    calibrate_packages(packages, measured.model, clip, labels, outputs)
    parts, budget, schedules = _solve(folder)
    tell(f"solve      {budget:g} ms/s")
    tell(str(schedules[VERSIONS[0]]))
    tell(f"run        test.mkv as from a camera, for {size.window_s:g} s")
    plan = net_plan(schedules[VERSIONS[0]], parts.apps, parts.model)
    clip = Footage.of(clips / "test.mkv")
    with LocalRunner(clip.path, folder, window_s=size.window_s) as runner, watching(runner):
        observed = runner.deploy(plan)
    for number, rate in observed.items():
        app = parts.apps[number - 1]
        tell(f"           {app.name}: {plan.target_fps[number]:g} frames a second planned, {rate:.2f} observed")
    tell(f"evaluate   test.mkv, {clip.frames:,} frames")
    watched = [Watched.of(app, folder) for app in parts.apps]
    labels = read_events(clips / "test.intervals.csv", clip, watched, {}, 1)
    outputs = Outputs(clip, folder, PART_LOADERS.find("tensorflow"))
    found = evaluate(schedules, watched, parts.model, clip, labels, outputs, seed=0)
    report = folder / "report.html"
    title = f"mainstream demo: {len(KINDS)} apps on {clip.frames / clip.fps / 60:.0f} minutes of one street"
    write_text(report, evaluation_page(title, found, clip))
    return Made(budget, found, report)


def _compile_search() -> None:
    """Solve something similar, so that numba caches the compiled search, which takes 40 s the first time on a machine.

    This runs in a process of its own while networks are trained.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    end_with_parent()
    logging.disable()
    app = {
        "app_id": 1, "x_vote": "auto", "event_length_ms": 1000, "event_frequency": 0.3, "correlation": 0.5,
        "accuracies": {0: 0.9, 2: 0.8}, "false_positive_rates": {0: 0.02, 2: 0.1}, "correlation_fps": 10,
    }  # fmt: skip
    model = {"total_layers": 4, "layer_latencies": [1.0] * 4, "frozen_layer_names": {0: "a", 2: "b"}}
    apps = tuple(App.of({**app, "app_id": k}) for k in range(1, len(KINDS) + 1))
    stream = NamedStream(apps=apps, model=Model.of(model), video=Video(stream_fps=_FPS))
    bench = Workbench([stream], SolveOptions())
    _, most = bench.useful_range()
    for name in VERSIONS:
        bench.solve(Version.of(name), most)
    # As calibration solves it: without a correlation rate.
    plain = [app.model_copy(update={"pinned": (0, 1.0), "correlation_fps": None}) for app in apps]
    prepare(plain, stream.model, stream.video, objective="recall").smallest_budget()


def _film(path: Path, place: int, size: Size, times: int) -> None:
    random = np.random.default_rng([0, place])
    cutouts = drawn_cutouts(times * size.cutouts, random)
    plan = visits(times * size.events, [one.label for one in cutouts], _FPS, size.event_s, size.gap_s, random)
    film(path, street(_FRAME, _FPS, np.random.default_rng(0)), plan, cutouts, _FPS, _FRAME, random)


def _train(folder: Path, size: Size) -> Path:
    """Make an M-Package for each kind; give the file of their base network, which learned to see any event at all."""
    clip = folder / "clips" / "train.mkv"
    marked = read_intervals(clip.with_suffix(".intervals.csv"))
    models = folder / "models"
    models.mkdir()
    start = models / "small.keras"
    save_small_network(start)
    settings = {"max_nb_epoch": size.epochs, "patience": 3, "learning_rate": 1e-3}

    def app(name: str, events: Sequence[Interval], **more: object) -> None:
        labels, images = clip.with_suffix(f".{name}.csv"), folder / "images" / name
        save_intervals(events, labels)
        save_frames(clip, labels, images, every=6, nothing=NOTHING)
        train(
            name,
            images,
            model_dir=models,
            log_dir=folder / "logs",
            groups=images / GROUPS,
            settings={**settings, "event_class": name, **more},
        )

    (folder / "images").mkdir()
    anything = [one.model_copy(update={"label": _ANYTHING}) for one in marked]
    app(_ANYTHING, anything, net=str(start), chokepoints=(0,), max_nb_epoch=2 * size.epochs)
    base = models / _ANYTHING / "models" / "0.keras"
    for kind in KINDS:
        app(kind, [one for one in marked if one.label == kind], net=str(base), chokepoints=_CHOKEPOINTS)
    return base


def _solve(folder: Path) -> tuple[NamedStream, float, dict[str, Result]]:
    """The problem, its budget, and the schedule of each version that has one within the budget."""
    file = folder / "problem.yaml"
    apps = [{"app_id": k, "package": f"models/{kind}", "x_vote": "auto"} for k, kind in enumerate(KINDS, start=1)]
    keys = {"video": {"stream_fps": _FPS}, "model": "profile.json", "apps": apps}
    write_text(file, yaml.safe_dump(keys, sort_keys=False))
    parts = load_problem(file).camera
    bench = Workbench([parts], SolveOptions())
    least, most = bench.useful_range()
    budget = float(f"{least + _SPARE * (most - least):.3g}")
    write_text(file, yaml.safe_dump({"budget": budget, **keys}, sort_keys=False))
    schedules = {}
    for name in VERSIONS:
        with suppress(InfeasibleError):
            schedules[name] = bench.solve(Version.of(name), budget).result
    return parts, budget, schedules
