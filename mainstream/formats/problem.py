"""Problem files, YAML or JSON, with the curves, packages and profile that they name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, Self

import yaml
from pydantic import BeforeValidator, Field, model_validator

from mainstream.description import Description, nearest, refuse, shown
from mainstream.errors import ProblemError
from mainstream.extensions import EVENT_MODELS, METHODS
from mainstream.files import Name, mapping, naming, write_text
from mainstream.formats.curve import Curve, load_curve
from mainstream.formats.int8 import APP_KEY, MODEL_KEY, Int8, joined, split
from mainstream.formats.package import PACKAGE, Package, check_fit, read_package
from mainstream.formats.package_app import app_of_package
from mainstream.formats.profile import load_profile
from mainstream.ids import check_unique, id_array
from mainstream.problem import FLOAT32, INT8, Aggregate, App, Mode, Model, Objective, Video
from mainstream.ranges import NonNegative, Positive
from mainstream.registry import Registry

STORE: Final = "store://"
"""What the name of a package in a store begins with."""
Fetch = Callable[[str], Path]
"""Gives the folder of this machine that holds a package of a store, by its name, ``store://NAME@VERSION``."""

_WIDTH: Final = 110


def _registered(registry: Registry[Any]) -> BeforeValidator:
    """For a key that takes the name of a part."""

    def check(given: Any) -> Any:
        if given is None or (isinstance(given, str) and given in registry):
            return given
        raise refuse(f"it is not known; {registry.advice(given)}")

    return BeforeValidator(check)


class SolveOptions(Description):
    """How to solve, as a problem file or the command line may say it; None is :func:`mainstream.solve`'s default.

    Parameters
    ----------
    budget : float, optional
        Compute a second, in the unit of the model's latencies a second.
    objective, aggregate, mode, method, event_model, gap, time_limit, memory_limit : optional
        As in :func:`mainstream.solve`; `time_limit` in seconds, `memory_limit` in bytes.
    """

    budget: Positive | None = None
    objective: Objective | None = None
    aggregate: Aggregate | None = None
    mode: Mode | None = None
    method: Annotated[str, _registered(METHODS)] | None = None
    event_model: Annotated[str, _registered(EVENT_MODELS)] | None = None
    gap: NonNegative | None = None
    time_limit: Positive | None = None
    memory_limit: Positive | None = None

    def given(self) -> dict[str, Any]:
        """The options that were given, as keywords for :func:`mainstream.solve`."""
        return {key: getattr(self, key) for key in SolveOptions.model_fields if getattr(self, key) is not None}


class Problem(SolveOptions):
    """What a problem file holds.

    Parameters
    ----------
    apps : sequence of App
        At least one, with different `app_id`.
    model : Model
    video : Video
    budget, objective, ... : optional
        As in :class:`SolveOptions`.
    int8 : Int8, optional
        The same apps, and their model, in 8 bits; a file has them at each app, see :mod:`mainstream.formats.int8`.
    id : str, optional
        What a workload file calls it; has no effect.
    """

    id: str | None = None
    apps: Annotated[tuple[App, ...], Field(min_length=1)]
    model: Model
    video: Video
    int8: Int8 | None = None

    @model_validator(mode="after")
    def _in_8_bits_the_same(self) -> Self:
        if self.int8 is None:
            return self
        if self.model.precision is not None:
            raise refuse(f"model was measured in {self.model.precision}, as {MODEL_KEY}; one of them has to be float32")
        if self.model.unit != self.int8.model.unit:
            raise refuse(
                f"model has unit {shown(self.model.unit)}, {MODEL_KEY} {shown(self.int8.model.unit)}; "
                "they share one budget and have to have the same"
            )
        if [app.app_id for app in self.apps] != [app.app_id for app in self.int8.apps]:
            raise refuse("int8 has to have the apps of the problem, in their order")
        return self

    @property
    def by_precision(self) -> Mapping[str, Problem]:
        """What can be chosen from: the name of a precision -> the problem in it alone; one or two."""
        own = self.model_copy(update={"int8": None})
        if self.int8 is None:
            return {self.model.precision or FLOAT32: own}
        return {FLOAT32: own, INT8: own.model_copy(update={"apps": self.int8.apps, "model": self.int8.model})}


def load_problem(
    path: Name, *, fetch: Fetch | None = None, calibrated: bool = True, more: Sequence[Mapping[str, Any]] = ()
) -> Problem:
    """The problem in a YAML file, or a JSON file when its name ends in .json.

    An app may give ``curve: FILE.csv`` in place of `accuracies` and `false_positive_rates`, or ``package: FOLDER``, an
    M-Package, with what :func:`load_package` takes beside it; its `app_id` is then by default its place in the list,
    counted from 1. `model` may be the name of a profile. All names are relative to the problem file. Where apps have
    ``int8``, as :mod:`mainstream.formats.int8` tells, ``int8_model`` is the model in 8 bits.

    Parameters
    ----------
    path : path
    fetch : callable, optional
        What finds the packages that are named as ``store://NAME@VERSION``: ``mainstream.store.open_store(url).fetch``.
    calibrated : bool
        False: the curves of packages as they were measured, whatever was seen on the camera.
    more : sequence of mapping
        Apps beside those of the file, with the keys that they would have there and an `app_id`; one that the file has
        counts in their place.

    Raises
    ------
    ProblemError
        This file or one that it names is missing, of another form, or holds a wrong key or value; packages do not fit
        together or do not fit the model.
    """
    path = Path(path)
    keys = mapping(path)
    with naming(path):
        known = [key for key in (*Problem.model_fields, MODEL_KEY) if key != APP_KEY]
        for key in keys:
            if key not in known:
                raise ProblemError(f"unknown key {shown(key)}; {nearest(str(key), known)}")
        given = keys.get("apps")
        plain, quantised = split(given) if isinstance(given, list) else (given, [])
        if bool(quantised) != (MODEL_KEY in keys):
            lacking, there = (MODEL_KEY, f"apps have {APP_KEY}") if quantised else (APP_KEY, f"there is {MODEL_KEY}")
            raise ProblemError(f"{there}, and {lacking} is missing; they go together")
        reader = _Reader(path.parent, fetch, calibrated)
        keys |= reader.read(plain, keys.get("model"), "model", more)
        if quantised:
            for app in keys["apps"][len(quantised) :]:
                raise ProblemError(
                    f"app {shown(app.app_id)} has no {APP_KEY}, as those of the file have; it cannot be added"
                )
            keys[APP_KEY] = reader.read(quantised, keys.pop(MODEL_KEY), MODEL_KEY, (), f": {APP_KEY}")
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
    if problem.int8 is not None:
        keys["apps"] = joined(keys["apps"], keys[APP_KEY]["apps"])
        keys[MODEL_KEY] = keys[APP_KEY]["model"]
    order = [*SolveOptions.model_fields, "video", "model", MODEL_KEY, "apps"]
    body = yaml.safe_dump(
        {key: keys[key] for key in order if key in keys},
        sort_keys=False,
        default_flow_style=None,
        allow_unicode=True,
        width=_WIDTH,
    )
    write_text(Path(path), "".join(f"# {line}\n" for line in comment.splitlines()) + body)


class _Named(NamedTuple):
    """A package that a problem names, and the folder that holds it."""

    folder: Path
    package: Package
    curve: Curve


class _Reader(NamedTuple):
    """What apps and models of one file are read with."""

    folder: Path
    fetch: Fetch | None
    calibrated: bool

    def read(
        self, apps: Any, model: Any, model_key: str, more: Sequence[Mapping[str, Any]], variant: str = ""
    ) -> dict[str, Any]:
        """Those of `apps`, with `more` beside them, and `model` that there are, with the files that they name."""
        found: dict[str, Any] = {}
        packages: dict[str, Package] = {}
        if apps is not None:
            found["apps"] = self._apps(apps, more, packages, variant) if isinstance(apps, list) else apps
        if isinstance(model, str):
            profile = self.folder / model
            with _unquoted(profile, self.folder):
                found["model"] = load_profile(profile)
        elif model is not None:
            with naming(model_key) if variant else nullcontext():
                found["model"] = Model.of(model)
        if packages and "model" in found:
            check_fit(packages, found["model"])
        return found

    def _apps(
        self, given: list[Any], more: Sequence[Mapping[str, Any]], packages: dict[str, Package], variant: str
    ) -> tuple[App, ...]:
        """The apps; `packages` gets those that they name, by app."""
        curves: dict[Path, Curve] = {}
        read: dict[str, _Named] = {}
        apps: list[App] = []
        own_ids: set[int | str] = set()
        for i, app in enumerate([*given, *more]):
            if i == len(given):
                own_ids = {one.app_id for one in apps}
            if i >= len(given) and app["app_id"] in own_ids:
                continue
            where = f"apps[{i}]{variant}" if i < len(given) else f"app {shown(app['app_id'])}"
            keys = _with_curve(app, self.folder, curves, where)
            if not isinstance(keys, dict) or "package" not in keys:
                apps.append(App.of(keys, where=where))
                continue
            name = _text("package", keys.pop("package"), "a folder", where)
            with naming(f"{where}: package"):
                if name not in read:
                    read[name] = _read_package(name, self.folder, self.fetch)
            at, packages[where], curve = read[name]
            called = name if name.startswith(STORE) else str(at)
            with naming(where):
                own = {"app_id": i + 1, **keys}
                apps.append(app_of_package(at, packages[where], curve, own, called=called, calibrated=self.calibrated))
        check_unique(id_array([app.app_id for app in apps]))
        return tuple(apps)


def _read_package(name: str, folder: Path, fetch: Fetch | None) -> _Named:
    if not name.startswith(STORE):
        with _unquoted(folder / name / PACKAGE, folder):
            return _Named(folder / name, *read_package(folder / name))
    if fetch is None:
        raise ProblemError(f"{shown(name)} is in a store; give load_problem() its fetch, as in open_store().fetch")
    fetched = fetch(name)
    return _Named(fetched, *read_package(fetched))


@contextmanager
def _unquoted(file: Path, folder: Path) -> Iterator[None]:
    """Tell nothing of what a file outside the problem's folder holds: who sent the problem may not be let read it."""
    try:
        yield
    except ProblemError:
        if file.resolve().is_relative_to(folder.resolve()) or not file.is_file():
            raise
        raise ProblemError(
            f"{file}: it is not what it has to be; what is wrong is told of files in the problem's own folder only"
        ) from None


def _text(key: str, name: object, kind: str, where: str) -> str:
    if not isinstance(name, str):
        raise ProblemError(f"{where}: {key}: got {shown(name)}; it has to be the name of {kind}")
    return name


def _with_curve(app: Any, folder: Path, curves: dict[Path, Curve], where: str) -> Any:
    """A copy of the app's keys, the rates of its curve in place of the name."""
    if not isinstance(app, Mapping):
        return app
    keys = dict(app)
    if "curve" not in keys:
        return keys
    path = folder / _text("curve", keys.pop("curve"), "a CSV file", where)
    if path not in curves:
        with naming(f"{where}: curve"), _unquoted(path, folder):
            curves[path] = load_curve(path)
    filled = {key: rates for key, rates in curves[path]._asdict().items() if rates is not None}
    for key in keys:
        if App.other_names.get(key, key) in filled:
            raise ProblemError(f"{where}: curve brings {key!r} along; give one of them")
    return keys | filled
