"""Problem files, YAML or JSON, with the curves, packages and profile that they name."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, model_validator

from mainstream.description import Description, counted, nearest, refuse, shown
from mainstream.errors import ProblemError
from mainstream.extensions import EVENT_MODELS, METHODS
from mainstream.files import Name, naming, write_text
from mainstream.formats.app_lines import problem_keys, problem_text
from mainstream.formats.int8 import APP_KEY, MODEL_KEY, Int8, joined
from mainstream.formats.named_stream import NamedStream, check_int8
from mainstream.formats.problem_reader import Fetch, ProblemReader
from mainstream.problem import FLOAT32, INT8, Aggregate, App, Mode, Model, Objective, Video
from mainstream.ranges import NonNegative, Positive, Share
from mainstream.registry import Registry
from mainstream.stream import Stream, capacity_of

_OF_A_CAMERA: Final = ("apps", "model", "video")


def _registered(registry: Registry[Any]) -> BeforeValidator:
    """A validator for a key whose value is a name in a registry."""

    def check(given: Any) -> Any:
        if given is None or (isinstance(given, str) and given in registry):
            return given
        raise refuse(f"it is not known; {registry.advice(given)}")

    return BeforeValidator(check)


class SolveOptions(Description):
    """How to solve, from a problem file or the command line; None stands for :func:`mainstream.solve`'s default.

    Parameters
    ----------
    budget : float, optional
        Compute a second, in the unit of the model's latencies a second.
    utilisation : float, optional
        In place of a budget: a share of the cores that the model was measured on, up to 1; its unit has to be ms.
    memory_mb : float, optional
        Megabytes that the models may use.
    objective, aggregate, mode, method, event_model, gap, time_limit, memory_limit : optional
        As in :func:`mainstream.solve`; `time_limit` in seconds, `memory_limit` in bytes.

    Examples
    --------
    >>> from mainstream.io import SolveOptions
    >>> SolveOptions(budget=20, method="greedy")
    <SolveOptions: budget 20, method greedy>
    """

    budget: Positive | None = None
    utilisation: Share | None = None
    memory_mb: Positive | None = None
    objective: Objective | None = None
    aggregate: Aggregate | None = None
    mode: Mode | None = None
    method: Annotated[str, _registered(METHODS)] | None = None
    event_model: Annotated[str, _registered(EVENT_MODELS)] | None = None
    gap: NonNegative | None = None
    time_limit: Positive | None = None
    memory_limit: Positive | None = None

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.budget is not None and self.utilisation is not None:
            raise refuse("budget and utilisation say the same; give one of them")
        return self

    def __repr__(self) -> str:
        return f"<SolveOptions: {', '.join(self._written()) or 'all as usual'}>"

    def _written(self) -> list[str]:
        return [
            f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in self.given().items()
        ]

    def given(self) -> dict[str, Any]:
        """The options that were given.

        >>> SolveOptions(budget=20).given()
        {'budget': 20.0}
        """
        return {key: getattr(self, key) for key in SolveOptions.model_fields if getattr(self, key) is not None}


class Problem(SolveOptions):
    """The content of a problem file.

    Parameters
    ----------
    apps : sequence of App
        At least one, with different `app_id`.
    model : Model
    video : Video
    streams : sequence of NamedStream
        Instead of the three above: several cameras or base networks on one budget. Each `app_id` is in one stream only.
    budget, objective, ... : optional
        As in :class:`SolveOptions`.
    int8 : Int8, optional
        The same apps and their model in 8 bits; in a file they are given at each app, see
        :mod:`mainstream.formats.int8`.
    id : str, optional
        Its name in a workload file; has no effect.

    Examples
    --------
    >>> from mainstream.io import Problem, SolveOptions, load_problem, load_profile
    >>> problem = load_problem("data/problems/tiny.yaml")
    >>> problem
    <Problem: 3 apps, budget 20>
    >>> problem.camera, len(problem.each), len(problem.all_apps), [*problem.by_precision]
    (<NamedStream: 3 apps, 10 fps>, 1, 3, ['float32'])
    >>> problem.models
    (<Model 'mobilenetv2-96': 156 layers, 4.026 ms a frame, 22 chokepoints>,)
    """

    id: str | None = None
    apps: Annotated[tuple[App, ...], Field(min_length=1)] = ()
    model: Model | None = None
    video: Video | None = None
    int8: Int8 | None = None
    streams: Annotated[tuple[NamedStream, ...], Field(min_length=1)] = ()

    @model_validator(mode="after")
    def _one_camera_or_streams(self) -> Self:
        own = [key for key in (*_OF_A_CAMERA, APP_KEY) if getattr(self, key)]
        if self.streams:
            if own:
                raise refuse(f"{own[0]} is not allowed beside streams; move it into each stream")
            _check_streams(self.streams)
            return self
        missing = [key for key in _OF_A_CAMERA if key not in own]
        if missing:
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise refuse(f"missing key {missing[0]!r}{more}")
        assert self.model is not None
        check_int8(self.apps, self.model, self.int8)
        return self

    @model_validator(mode="after")
    def _cores_are_known(self) -> Self:
        if self.utilisation is not None:
            try:
                self.share_of_cores(self.utilisation)
            except ProblemError as error:
                raise refuse(str(error)) from None
        return self

    def __repr__(self) -> str:
        where = f" in {counted(len(self.streams), 'stream')}" if self.streams else ""
        return f"<Problem: {', '.join([counted(len(self.all_apps), 'app') + where, *self._written()])}>"

    @property
    def each(self) -> tuple[NamedStream, ...]:
        """The streams; without `streams`, a single stream of apps, model and video that has no name."""
        if self.streams:
            return self.streams
        return (NamedStream(apps=self.apps, model=self.model, video=self.video, int8=self.int8),)

    @property
    def camera(self) -> NamedStream:
        """The only stream; raises :class:`ProblemError` if there are several."""
        if len(self.each) > 1:
            names = ", ".join(str(one.name) for one in self.streams)
            raise ProblemError(f"streams: there are {len(self.streams)} ({names}), but only one is possible here")
        return self.each[0]

    @property
    def all_apps(self) -> tuple[App, ...]:
        """The apps of all streams."""
        return tuple(app for one in self.each for app in one.apps)

    @property
    def models(self) -> tuple[Model, ...]:
        """The base network of each stream."""
        return tuple(one.model for one in self.each)

    def given(self) -> dict[str, Any]:
        """The options that were given, as keywords for :func:`mainstream.solve`: a utilisation is a budget.

        >>> problem.given()
        {'budget': 20.0}
        """
        options = super().given()
        if self.utilisation is not None:
            options["budget"] = self.share_of_cores(options.pop("utilisation"))
        return options

    def share_of_cores(self, utilisation: float) -> float:
        """Milliseconds of compute a second that a share of the box's cores has.

        Raises
        ------
        ProblemError
            A profile does not say its cores, its unit is not ms, or two profiles say different cores.

        Examples
        --------
        >>> problem.model_copy(update={"model": load_profile("data/profiles/resnet50-224.json")}).share_of_cores(0.5)
        1000.0
        """
        capacity = capacity_of(self.models)
        if capacity is None:
            has_to = "all profiles have to say the same cores" if self.streams else "the profile has to say its cores"
            raise ProblemError(f"utilisation: {has_to} and unit 'ms'; give a budget instead")
        return capacity * utilisation

    def to_solve(self) -> tuple[Stream, ...]:
        """The streams as :func:`mainstream.solve` takes them: one for each region of each stream.

        >>> problem.to_solve()
        (<Stream: 3 apps, 10 fps, 156 layers>,)
        """
        return tuple(stream for one in self.each for stream in one.to_solve())

    @property
    def by_precision(self) -> Mapping[str, Problem]:
        """Name of each possible precision (one or two) -> the problem in that precision alone."""
        each = self.each
        plain = {one.name: one.model_copy(update={APP_KEY: None}) for one in each}
        if each[0].int8 is None:
            return {each[0].model.precision or FLOAT32: self._with(plain)}
        return {FLOAT32: self._with(plain), INT8: self._with({one.name: one.in_8_bits() for one in each})}

    def _with(self, streams: Mapping[str | None, NamedStream]) -> Problem:
        """The problem with other streams that have the same names."""
        if self.streams:
            return self.model_copy(update={"streams": tuple(streams.values())})
        (one,) = streams.values()
        return self.model_copy(update={key: getattr(one, key) for key in (*_OF_A_CAMERA, APP_KEY)})


def load_problem(
    path: Name, *, fetch: Fetch | None = None, calibrated: bool = True, more: Sequence[Mapping[str, Any]] = ()
) -> Problem:
    """Read a problem from a YAML file, or a JSON file if its name ends in .json.

    An app may have ``curve: FILE.csv`` instead of `accuracies` and `false_positive_rates`. Or it may have
    ``package: FOLDER``, an M-Package, with other keys that :func:`load_package` takes; its `app_id` is then by default
    its place in the list, counted from 1. `model` may be the name of a profile. All names are relative to the problem
    file. If apps have ``int8`` (see :mod:`mainstream.formats.int8`), ``int8_model`` is the model in 8 bits. Instead of
    apps and video the file may have ``streams``, a list in which each has a name, apps and video of its own; `model`
    and ``int8_model`` of the file are then the defaults for streams.

    Parameters
    ----------
    path : path
    fetch : callable, optional
        Finds packages that are named as ``store://NAME@VERSION``: ``mainstream.store.open_store(url).fetch``.
    calibrated : bool
        If false, use the curves of packages as they were measured, without what was seen on the camera.
    more : sequence of mapping
        Apps to add to those of the file, with the same keys and an `app_id`. If the file has an app with that
        `app_id`, the file's app is used. If the file has streams, ``stream`` is the name of the app's stream.

    Raises
    ------
    ProblemError
        This file or one that it names is missing, in another form, or has a wrong key or value; packages do not fit
        together or do not fit the model.

    Examples
    --------
    >>> from mainstream import load_problem
    >>> problem = load_problem("data/problems/tiny.yaml")
    >>> problem.apps[0]
    <App 1 'person': accuracy 0.992 to 0.979 at 11 chokepoints, events of 2000 ms>
    """
    path = Path(path)
    with _uncollected():
        keys = problem_keys(path)
        with naming(path):
            known = [key for key in (*Problem.model_fields, MODEL_KEY) if key != APP_KEY]
            for key in keys:
                if key not in known:
                    raise ProblemError(f"unknown key {shown(key)}; {nearest(str(key), known)}")
            reader = ProblemReader(path.parent, fetch, calibrated)
            for key in (one for one in ("apps", "video") if one in keys and "streams" in keys):
                raise ProblemError(f"{key} is not allowed beside streams; move it into each stream")
            keys = reader.streams(keys, more) if "streams" in keys else reader.camera(keys, more)
        return Problem.of(keys, where=str(path))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without looks for garbage: there is none, and each look goes through all that was read so far."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def save_problem(problem: Problem, path: Name, *, profile: str | None = None, comment: str = "") -> None:
    """Write a problem as YAML; from 1,000 apps on each is a line of JSON, which is YAML, too, and read much sooner.

    Parameters
    ----------
    problem : Problem
    path : path
    profile : str, optional
        Name of a profile, relative to the file, to write instead of the model's values.
    comment : str
        Lines for the top of the file, without the ``#``.

    Examples
    --------
    >>> from mainstream.io import load_problem, save_problem
    >>> problem = load_problem("data/problems/tiny.yaml")
    >>> save_problem(problem.model_copy(update={"budget": 40.0}), "mine.yaml")
    >>> load_problem("mine.yaml")
    <Problem: 3 apps, budget 40>
    """
    keys = problem.model_dump(exclude_defaults=True)
    if "streams" in keys:
        keys["streams"] = [_in_file(stream, profile) for stream in keys["streams"]]
    else:
        keys = _in_file(keys, profile)
    order = [*SolveOptions.model_fields, "video", "model", MODEL_KEY, "apps", "streams"]
    body = problem_text({key: keys[key] for key in order if key in keys})
    write_text(Path(path), "".join(f"# {line}\n" for line in comment.splitlines()) + body)


def _in_file(keys: dict[str, Any], profile: str | None) -> dict[str, Any]:
    """The keys of a camera in the form of a file."""
    if APP_KEY in keys:
        quantised = keys.pop(APP_KEY)
        keys |= {"apps": joined(keys["apps"], quantised["apps"]), MODEL_KEY: quantised["model"]}
    return keys if profile is None else {**keys, "model": profile}


def _check_streams(streams: Sequence[NamedStream]) -> None:
    """Raise a validator's error if streams do not fit together."""
    for k, stream in enumerate(streams):
        if stream.name is None:
            raise refuse(f"streams[{k}]: missing key 'name'")
        if (stream.int8 is None) != (streams[0].int8 is None):
            raise refuse(f"streams[{k}]: give {APP_KEY} for all apps of all streams, or for none")
    name, count = Counter(stream.name for stream in streams).most_common(1)[0]
    if count > 1:
        places = [k for k, stream in enumerate(streams) if stream.name == name]
        raise refuse(f"streams[{places[1]}]: name {shown(name)} is taken by streams[{places[0]}]; give each its own")
    owners: dict[int | str, str] = {}
    for k, stream in enumerate(streams):
        for i, app in enumerate(stream.apps):
            where = f"streams[{k}].apps[{i}]"
            if app.app_id in owners:
                raise refuse(f"{where}: app_id {shown(app.app_id)} is taken by {owners[app.app_id]}; give each its own")
            owners[app.app_id] = where
