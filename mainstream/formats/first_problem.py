"""A first problem file for M-Packages: every key that it takes to run them, each with what it means."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Final

import yaml

from mainstream.description import printable, shown
from mainstream.errors import ProblemError
from mainstream.files import Name, naming, yaml_values
from mainstream.formats.curve import Curve
from mainstream.formats.package import Package, check_fit, read_package
from mainstream.formats.problem import Problem
from mainstream.formats.problem_reader import STORE, Fetch, ProblemReader
from mainstream.formats.profile import load_profile
from mainstream.problem import Model
from mainstream.ranges import PARAMETERS, POSITIVE, SHARE
from mainstream.stream import check_together, objective_of

USUAL_FPS: Final = 10.0
"""Frames a second of a camera of which nobody says it."""
UTILISATION: Final = 0.8
"""Share of a device's cores that is left to the apps: some of them is for decoding and for whatever else runs."""
_ALIKE: Final = 1.2
"""Proportions that differ by a larger factor are not those of one camera."""

GUESSES: Final = {
    "event_length_ms": (2000, "an event lasts 2 s"),
    "event_frequency": (0.1, "a tenth of all windows of 2 s hold one"),
    "correlation": (0.5, "between successive analysed frames"),
}
"""Event parameters of a package that nobody calibrated, and what they say."""

_COLUMN: Final = 32
"""Where comments begin."""
_log = logging.getLogger("mainstream")


@dataclass(frozen=True)
class FirstProblem:
    """A problem file that is not written yet.

    Attributes
    ----------
    text : str
        YAML.
    problem : Problem
        What it says.
    """

    text: str
    problem: Problem


def first_problem(
    packages: Mapping[str, Path],
    profile: Name,
    file: Name,
    *,
    budget: float | None = None,
    utilisation: float | None = None,
    stream_fps: float | None = None,
    frame_size: tuple[int, int] | None = None,
    camera: str | None = None,
) -> FirstProblem:
    """The text of a problem file in which each package is an app.

    An app whose package was not calibrated gets guesses of its event parameters, and a warning says so.

    Parameters
    ----------
    packages : mapping of str to Path
        What to call each in the file's comments and in messages: a folder, or a name in a store, which stays as it is
        in the file -> the folder that holds it.
    profile : path
        The base network, measured.
    file : path
        Where the text will stand: what it names is named from there.
    budget : float, optional
        Compute a second, in the unit of the profile's latencies a second.
    utilisation : float, optional
        In place of a budget: share of the profile's cores. Default: 0.8.
    stream_fps : float, optional
        Frames a second of the camera. Default: 10, with a warning.
    frame_size : (int, int), optional
        Width and height of the camera's frames. An app whose pictures had other proportions gets a warning.
    camera : str, optional
        What to call it in a comment and in that warning.

    Raises
    ------
    ProblemError
        There is no package, or one is not what it has to be, stands twice, or does not fit the others or the profile;
        the profile says no cores and there is no budget; a number is out of its range.
    """
    file, profile = Path(file), Path(profile)
    if not packages:
        raise ProblemError("packages: there is none; at least one is needed")
    model = load_profile(profile)
    read = {name: read_package(folder) for name, folder in packages.items()}
    _check_once(packages)
    check_fit({name: package for name, (package, _) in read.items()}, model)
    lines = [
        "# A problem of Mainstream: apps that share a camera and a budget. Written by mainstream init, to be changed.",
        "",
        _line(*_budget(model, budget, utilisation)),
        "video:",
        _line("  stream_fps", *_stream_fps(stream_fps, camera)),
        _line("model", _from(file, profile), f"{model.name or 'the base network'}, measured on {model.measured_on}"),
        *_objective(read),
        "apps:",
    ]
    for app_id, (name, (package, _)) in enumerate(read.items(), start=1):
        lines += ["", *_app(app_id, name, package, name if name.startswith(STORE) else _from(file, packages[name]))]
    text = "\n".join(lines) + "\n"
    with naming(file):
        made = FirstProblem(text, _checked(text, file, packages))
    _warn(read, stream_fps)
    if frame_size is not None:
        _warn_of_pictures(read, frame_size, camera or "the camera")
    return made


def _checked(text: str, file: Path, packages: Mapping[str, Path]) -> Problem:
    """What the text says, as :func:`~mainstream.formats.problem.load_problem` reads it and a solve checks it."""
    fetch: Fetch = packages.__getitem__
    keys = ProblemReader(file.parent, fetch, calibrated=True).camera(yaml_values(text), [])
    problem = Problem.of(keys, where="problem")
    streams = problem.to_solve()
    check_together(streams, "mainstream")
    objective_of([stream.apps for stream in streams], problem.objective)
    return problem


def _check_once(packages: Mapping[str, Path]) -> None:
    first: dict[Path, str] = {}
    for name, folder in packages.items():
        other = first.setdefault(folder.resolve(), name)
        if other != name:
            raise ProblemError(f"{name}: is the same package as {other}; give each once")


def _budget(model: Model, budget: float | None, utilisation: float | None) -> tuple[str, float, str]:
    """The key and value that say the budget, and what it is of the device."""
    if budget is not None and utilisation is not None:
        raise ProblemError("budget and utilisation say the same; give one of them")
    if budget is not None:
        POSITIVE.check("budget", budget)
        of_all = "" if model.capacity is None else f", of {model.capacity:,.0f} that its {model.cores} cores have"
        return "budget", budget, f"{model.unit or 'the unit of the latencies,'} of compute a second{of_all}"
    share = UTILISATION if utilisation is None else utilisation
    SHARE.check("utilisation", share)
    if model.capacity is None:
        raise ProblemError("utilisation: the profile has to say its cores, and unit 'ms'; give a budget instead")
    compute = f"{share * model.capacity:,.10g} of {model.capacity:,.0f} ms/s"
    return "utilisation", share, f"of the {model.cores} cores: the budget is {compute}"


def _stream_fps(stream_fps: float | None, camera: str | None) -> tuple[float, str]:
    if stream_fps is None:
        return USUAL_FPS, "a guess; mainstream run goes by what the camera has"
    PARAMETERS["stream_fps"].check("stream_fps", stream_fps)
    return float(f"{stream_fps:.6g}"), "frames a second of the camera" if camera is None else f"as {camera} has them"


def _objective(read: Mapping[str, tuple[Package, Curve]]) -> list[str]:
    """What to maximise, where it has to be said: where only some apps have false positive rates."""
    without = [name for name, (_, curve) in read.items() if curve.false_positive_rates is None]
    if not 0 < len(without) < len(read):
        return []
    return [_line("objective", "recall", f"{without[0]} has no false positive rates, so no F1")]


def _app(app_id: int, name: str, package: Package, place: str) -> list[str]:
    lines = [
        f"  - app_id: {app_id}",
        _line("    package", place, f"{package.event_class or 'no event class: it is in no events'}"),
        _line("    x_vote", "auto", "frames in a row that make a detection: whatever is best"),
    ]
    if package.event_class is None:
        lines.append(f"    # event_class: {_scalar(package.classes[0])}  {_comment(', '.join(package.classes))}")
    if package.events is not None:
        length, frequency = package.events.event_length_ms.value, package.events.event_frequency.value
        seen = f"{length:,.0f} ms long, in {frequency:.0%} of such windows"
        return [*lines, f"    # Calibrated on {package.events.events} events: {seen}."]
    return [
        *lines,
        f"    {_comment(f'Not calibrated: these are guesses. `mainstream calibrate {name} --labels FILE` measures')}",
        "    # them, with a file of mainstream label; then take them out here: what stands here wins over the package.",
        *(_line(f"    {key}", value, meaning) for key, (value, meaning) in GUESSES.items()),
    ]


def _warn(read: Mapping[str, tuple[Package, Curve]], stream_fps: float | None) -> None:
    plain = [name for name, (package, _) in read.items() if package.events is None]
    if plain:
        package = plain[0] if len(plain) == 1 else "PACKAGE"
        measures = f"mainstream calibrate {package} --labels FILE measures them; mainstream label makes the file"
        are = "is" if len(plain) == 1 else "are"
        _log.warning(
            "%s %s not calibrated: event length, frequency and correlation are guesses; %s",
            printable(", ".join(plain)), are, printable(measures),
        )  # fmt: skip
    silent = [name for name, (package, _) in read.items() if package.event_class is None]
    if silent:
        _log.warning(
            "%s: no event class, so nothing is said of its events; train with --event-class, or name it in the file",
            printable(", ".join(silent)),
        )
    if stream_fps is None:
        _log.warning("the camera is taken to have %g frames a second; --source or --stream-fps says it", USUAL_FPS)


def _from(file: Path, path: Path) -> str:
    """A path as a file names it: from its own folder."""
    name = os.path.relpath(path.parent.resolve() / path.name, file.parent.resolve())
    if not name.isprintable() and name != name.encode(errors="replace").decode():
        raise ProblemError(f"{shown(name)}: is no UTF-8, so that no problem file can name it; rename it")
    return name


def _line(key: str, value: Any, comment: str) -> str:
    given = f"{key}: {_scalar(value)}"
    return f"{given:<{_COLUMN - 2}}  {_comment(comment)}"


def _scalar(value: Any) -> str:
    """A value as YAML writes it on one line, whatever characters it has."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    style = None if str(value).isprintable() else '"'
    return yaml.safe_dump([value], default_flow_style=True, default_style=style, allow_unicode=True, width=inf).strip()[
        1:-1
    ]


def _comment(text: str) -> str:
    return f"# {printable(text)}"


def _warn_of_pictures(read: Mapping[str, tuple[Package, Curve]], frame: tuple[int, int], camera: str) -> None:
    for name, (package, _) in read.items():
        if package.picture_size is None:
            continue
        width, height = package.picture_size
        shape = width / height * frame[1] / frame[0]
        if max(shape, 1 / shape) > _ALIKE:
            _log.warning(
                "%s was trained on pictures of %d x %d, and %s has frames of %d x %d: were they cut out? An app sees "
                "the whole frame, or its region: train it on whole frames (mainstream images), for one place with "
                "--region",
                printable(name), width, height, printable(camera), *frame,
            )  # fmt: skip
