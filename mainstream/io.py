"""Files <-> objects: problem YAML or JSON, M-Packages as apps, profile JSON, result JSON.

What is wrong with a file is one :class:`~mainstream.errors.ProblemError` that begins with the file's name. Files are
written beside their place and renamed, so that none is ever half written.
"""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import Field

from mainstream.apps import Apps
from mainstream.curve import Curve, load_curve, save_curve
from mainstream.errors import ProblemError
from mainstream.package import Package, check_fit, pareto, read_package
from mainstream.problem import Aggregate, App, EventModel, Method, Mode, Model, Objective, Video
from mainstream.schedule import Result
from mainstream.text import naming, parse, read_text, write_text
from mainstream.validation import Description, NonNegative, Positive, nearest, shown

__all__ = [
    "Curve",
    "Options",
    "Problem",
    "load_curve",
    "load_package",
    "load_problem",
    "load_profile",
    "load_result",
    "save_curve",
    "save_problem",
    "save_profile",
    "save_result",
]

_WIDTH: Final = 110

Name = str | PathLike[str]


class Options(Description):
    """How to solve, as a problem file or the command line may say it; None is :func:`mainstream.solve`'s default.

    Parameters
    ----------
    budget : float, optional
        Compute a second, in the unit of the model's latencies a second.
    objective, aggregate, mode, method, event_model, gap, time_limit : optional
        As in :func:`mainstream.solve`; `time_limit` in seconds.
    """

    budget: Positive | None = None
    objective: Objective | None = None
    aggregate: Aggregate | None = None
    mode: Mode | None = None
    method: Method | None = None
    event_model: EventModel | None = None
    gap: NonNegative | None = None
    time_limit: Positive | None = None

    def given(self) -> dict[str, Any]:
        """The options that were given, as keywords for :func:`mainstream.solve`."""
        return {key: getattr(self, key) for key in Options.model_fields if getattr(self, key) is not None}


class Problem(Options):
    """What a problem file holds.

    Parameters
    ----------
    apps : sequence of App
        At least one, with different `app_id`.
    model : Model
    video : Video
    budget, objective, ... : optional
        As in :class:`Options`.
    """

    apps: Annotated[tuple[App, ...], Field(min_length=1)]
    model: Model
    video: Video


def load_problem(path: Name) -> Problem:
    """The problem in a YAML file, or a JSON file when its name ends in .json.

    An app may give ``curve: FILE.csv`` in place of `accuracies` and `false_positive_rates`, or ``package: FOLDER``, an
    M-Package, with what :func:`load_package` takes beside it; its `app_id` is then by default its place in the list,
    counted from 1. `model` may be the name of a profile. All names are relative to the problem file.

    Raises
    ------
    ProblemError
        This file or one that it names is missing, of another form, or holds a wrong key or value; packages do not fit
        together or do not fit the model.
    """
    path = Path(path)
    keys = _mapping(path)
    with naming(path):
        for key in keys:
            if key not in Problem.model_fields:
                raise ProblemError(f"unknown key {shown(key)}; {nearest(str(key), Problem.model_fields)}")
        packages: dict[str, Package] = {}
        if isinstance(keys.get("apps"), list):
            keys["apps"] = _apps(keys["apps"], path.parent, packages)
        if isinstance(keys.get("model"), str):
            keys["model"] = load_profile(path.parent / keys["model"])
        elif "model" in keys:
            keys["model"] = Model.of(keys["model"])
        if packages and "model" in keys:
            check_fit(packages, keys["model"])
        if "video" in keys:
            keys["video"] = Video.of(keys["video"])
    return Problem.of(keys, where=str(path))


def save_problem(problem: Problem, path: Name, *, profile: str | None = None, comment: str = "") -> None:
    """Write a problem as YAML.

    Parameters
    ----------
    problem : Problem
    path : path
    profile : str, optional
        Name of a profile, relative to the file, to stand for the model in place of its values.
    comment : str
        Lines for the top of the file, without the ``#``.
    """
    keys = problem.model_dump(exclude_defaults=True)
    if profile is not None:
        keys["model"] = profile
    order = [*Options.model_fields, "video", "model", "apps"]
    body = yaml.safe_dump(
        {key: keys[key] for key in order if key in keys},
        sort_keys=False,
        default_flow_style=None,
        allow_unicode=True,
        width=_WIDTH,
    )
    write_text(Path(path), "".join(f"# {line}\n" for line in comment.splitlines()) + body)


def load_package(folder: Name, app_id: int = 1, **keys: Any) -> App:
    """The app of an M-Package.

    Its curve is what :func:`~mainstream.package.pareto` keeps, its event parameters are the calibrated ones, its event
    class the number of an output, and its model files absolute, so that a runtime on this machine finds them.

    Parameters
    ----------
    folder : path
    app_id : int
    **keys
        Any other key of :class:`~mainstream.problem.App`; wins over what the package says. `accuracies` win over both
        halves of the package's curve.

    Raises
    ------
    ProblemError
        There is no such package, it is not calibrated and no `event_length_ms` is given, or a key or value is wrong.
    """
    folder = Path(folder)
    package, curve = read_package(folder)
    with naming(folder):
        return _app(folder, package, curve, {"app_id": app_id, **keys})


def load_profile(path: Name) -> Model:
    """A base network measured on a device, from JSON (or YAML).

    Raises
    ------
    ProblemError
        The file cannot be read, or a key or a value is not what it has to be.
    """
    path = Path(path)
    return Model.of(_mapping(path), where=str(path))


def save_profile(model: Model, path: Name) -> None:
    """Write a base network as JSON; :func:`load_profile` reads it back, equal."""
    write_text(Path(path), json.dumps(model.model_dump(mode="json", exclude_defaults=True), indent=1) + "\n")


def load_result(path: Name) -> Result:
    """A result from the JSON file that :func:`save_result` wrote.

    Raises
    ------
    ProblemError
        The file cannot be read or is no such result.
    """
    path = Path(path)
    text = read_text(path)
    with naming(path):
        return Result.from_json(text)


def save_result(result: Result, path: Name) -> None:
    """Write a result as JSON."""
    write_text(Path(path), result.to_json() + "\n")


def _mapping(path: Path) -> dict[Any, Any]:
    values = parse(path)
    if not isinstance(values, dict):
        raise ProblemError(f"{path}: holds {shown(values)}; it has to be a mapping of keys to values")
    return values


def _apps(given: list[Any], folder: Path, packages: dict[str, Package]) -> tuple[App, ...]:
    """The apps, with the files that they name; `packages` gets those of them, by app."""
    curves: dict[Path, Curve] = {}
    read: dict[Path, tuple[Package, Curve]] = {}
    apps = []
    for i, app in enumerate(given):
        where = f"apps[{i}]"
        keys = _with_curve(app, folder, curves, where)
        if not isinstance(keys, dict) or "package" not in keys:
            apps.append(App.of(keys, where=where))
            continue
        path = _named("package", keys.pop("package"), "a folder", folder, where)
        with naming(f"{where}: package"):
            if path not in read:
                read[path] = read_package(path)
            packages[where], curve = read[path]
        with naming(where):
            apps.append(_app(path, packages[where], curve, {"app_id": i + 1, **keys}))
    if apps:
        Apps.of(apps)
    return tuple(apps)


def _named(key: str, name: object, kind: str, folder: Path, where: str) -> Path:
    if not isinstance(name, str):
        raise ProblemError(f"{where}: {key}: got {shown(name)}; it has to be the name of {kind}")
    return folder / name


def _with_curve(app: Any, folder: Path, curves: dict[Path, Curve], where: str) -> Any:
    """A copy of the app's keys, the rates of its curve in place of the name."""
    if not isinstance(app, dict):
        return app
    keys = dict(app)
    if "curve" not in keys:
        return keys
    path = _named("curve", keys.pop("curve"), "a CSV file", folder, where)
    if path not in curves:
        with naming(f"{where}: curve"):
            curves[path] = load_curve(path)
    filled = {key: rates for key, rates in curves[path]._asdict().items() if rates is not None}
    for key in keys:
        if App.other_names.get(key, key) in filled:
            raise ProblemError(f"{where}: curve brings {key!r} along; give one of them")
    return keys | filled


def _app(folder: Path, package: Package, curve: Curve, keys: dict[str, Any]) -> App:
    given = {App.other_names.get(key, key) for key in keys}
    kept = pareto(curve)
    rates = curve.false_positive_rates
    own: dict[str, Any] = {
        "name": package.name,
        "accuracies": {f: curve.accuracies[f] for f in kept},
        "model_path": {f: str((folder / file).absolute()) for f, file in package.models.items()},
        "event_class": package.event_output,
    }
    if rates is not None and "accuracies" not in given:
        own["false_positive_rates"] = {f: rates[f] for f in kept}
    for key in ("event_length_ms", "event_frequency", "correlation"):
        estimate = getattr(package.events, key, None)
        if estimate is not None:
            own[key] = estimate.value
    if "event_length_ms" not in given | own.keys():
        raise ProblemError(
            f"{package.name} has no event length; give event_length_ms, or measure it: mainstream calibrate {folder}"
        )
    return App.of({key: value for key, value in own.items() if key not in given} | keys)
