"""Read the files that a problem file names: curves, packages and profiles take the place of their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from mainstream.description import nearest, shown
from mainstream.errors import ProblemError
from mainstream.files import naming
from mainstream.formats.curve import Curve, load_curve
from mainstream.formats.int8 import APP_KEY, MODEL_KEY, split
from mainstream.formats.named_stream import NamedStream
from mainstream.formats.package import PACKAGE, Package, check_fit, read_package
from mainstream.formats.package_app import app_of_package
from mainstream.formats.profile import load_profile
from mainstream.ids import check_unique, id_array
from mainstream.problem import App, Model, Video

STORE: Final = "store://"
"""The beginning of the name of a package in a store."""
Fetch = Callable[[str], Path]
"""Takes the name of a package in a store, ``store://NAME@VERSION``, and gives a folder here that holds it."""

_OF_ALL: Final = ("model", MODEL_KEY)
"""Keys of a problem that are defaults for its streams."""


class _Named(NamedTuple):
    """A package that a problem names, and the folder that holds it."""

    folder: Path
    package: Package
    curve: Curve


@dataclass
class ProblemReader:
    """Reads the apps, models and videos of one file.

    Parameters
    ----------
    folder : Path
        The folder that names are relative to.
    fetch : callable or None
        Finds packages in a store.
    calibrated : bool
        Whether the curves of packages are moved by what was seen on the camera.
    """

    folder: Path
    fetch: Fetch | None
    calibrated: bool
    _curves: dict[Path, Curve] = field(default_factory=dict)
    _packages: dict[str, _Named] = field(default_factory=dict)
    _profiles: dict[str, Model] = field(default_factory=dict)

    def streams(self, keys: Mapping[str, Any], more: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The file's keys, with its streams read. Apps of `more` have a key ``stream`` with the name of theirs.

        Raises
        ------
        ProblemError
            A stream, or a file that it names, is wrong; an app of `more` names a stream that does not exist.
        """
        given = keys["streams"]
        if not isinstance(given, list):
            raise ProblemError(f"streams: got {shown(given)}; it has to be a list of streams")
        of_all = {key: keys[key] for key in _OF_ALL if key in keys}
        known = [MODEL_KEY if key == APP_KEY else key for key in NamedStream.model_fields]
        found: list[NamedStream] = []
        for k, stream in enumerate(given):
            where = f"streams[{k}]"
            if not isinstance(stream, dict):
                raise ProblemError(f"{where}: got {shown(stream)}; it has to be a mapping of keys to values")
            for key in stream:
                if key not in known:
                    raise ProblemError(f"{where}: unknown key {shown(key)}; {nearest(str(key), known)}")
            own = [
                {key: app[key] for key in app if key != "stream"}
                for app in more
                if app.get("stream") == str(stream.get("name"))
            ]
            taken = sum(len(one.apps) for one in found)
            read = self.camera({**of_all, **stream}, own, f"{where}.", taken)
            found.append(NamedStream.of(self._with_source(read), where=where))
        names = [stream.name for stream in found]
        for app in more:
            if app.get("stream") not in names:
                raise ProblemError(f"app {shown(app['app_id'])}: there is no stream {shown(app.get('stream'))}")
        return {key: keys[key] for key in keys if key not in _OF_ALL} | {"streams": tuple(found)}

    def _with_source(self, keys: dict[str, Any]) -> dict[str, Any]:
        source = keys.get("source")
        if isinstance(source, str) and "://" not in source and source:
            keys["source"] = str(self.folder / source)
        return keys

    def camera(
        self, keys: Mapping[str, Any], more: Sequence[Mapping[str, Any]], place: str = "", taken: int = 0
    ) -> dict[str, Any]:
        """The keys of one camera, with its apps, `model` and `video` read.

        Parameters
        ----------
        keys : mapping
        more : sequence of mapping
            Apps to add to its own.
        place : str
            Prefix of its keys in messages.
        taken : int
            How many apps are before its own in the file; by default apps are numbered after them.
        """
        found = dict(keys)
        given, quantised_model = found.get("apps"), found.pop(MODEL_KEY, None)
        plain, quantised = split(given, f"{place}apps") if isinstance(given, list) else (given, [])
        if bool(quantised) != (quantised_model is not None):
            lacking, there = (MODEL_KEY, f"apps have {APP_KEY}") if quantised else (APP_KEY, f"there is {MODEL_KEY}")
            raise ProblemError(f"{place.replace('.', ': ')}{there}, but {lacking} is missing; give both or neither")
        found |= self._read(plain, found.get("model"), "model", more, place, taken)
        if quantised:
            for app in found["apps"][len(quantised) :]:
                raise ProblemError(
                    f"app {shown(app.app_id)} has no {APP_KEY}, but those of the file have; it cannot be added"
                )
            found[APP_KEY] = self._read(quantised, quantised_model, MODEL_KEY, (), place, taken, f": {APP_KEY}")
        if "video" in found:
            found["video"] = Video.of(found["video"], where=f"{place}video")
        return found

    def _read(
        self,
        apps: Any,
        model: Any,
        model_key: str,
        more: Sequence[Mapping[str, Any]],
        place: str,
        taken: int,
        variant: str = "",
    ) -> dict[str, Any]:
        """The apps (with `more` added) and the model, with the files that they name read; what is missing stays so."""
        found: dict[str, Any] = {}
        packages: dict[str, Package] = {}
        if apps is not None:
            found["apps"] = self._apps(apps, more, packages, place, taken, variant) if isinstance(apps, list) else apps
        if isinstance(model, str):
            if model not in self._profiles:
                profile = self.folder / model
                with _unquoted(profile, self.folder):
                    self._profiles[model] = load_profile(profile)
            found["model"] = self._profiles[model]
        elif model is not None:
            with naming(model_key) if variant else nullcontext():
                found["model"] = Model.of(model, where=f"{place}model")
        if packages and "model" in found:
            check_fit(packages, found["model"])
        return found

    def _apps(
        self,
        given: list[Any],
        more: Sequence[Mapping[str, Any]],
        packages: dict[str, Package],
        place: str,
        taken: int,
        variant: str,
    ) -> tuple[App, ...]:
        """The apps; fills `packages` with the packages that they name, by app."""
        apps: list[App] = []
        own_ids: set[int | str] = set()
        for i, app in enumerate([*given, *more]):
            if i == len(given):
                own_ids = {one.app_id for one in apps}
            if i >= len(given) and app["app_id"] in own_ids:
                continue
            where = f"{place}apps[{i}]{variant}" if i < len(given) else f"app {shown(app['app_id'])}"
            keys = self._with_curve(app, where)
            if not isinstance(keys, dict) or "package" not in keys:
                apps.append(App.of(keys, where=where))
                continue
            name = _text("package", keys.pop("package"), "a folder", where)
            with naming(f"{where}: package"):
                if name not in self._packages:
                    self._packages[name] = self._package(name)
            at, packages[where], curve = self._packages[name]
            called = name if name.startswith(STORE) else str(at)
            with naming(where):
                own = {"app_id": taken + i + 1, **keys}
                apps.append(app_of_package(at, packages[where], curve, own, called=called, calibrated=self.calibrated))
        if not place:  # with streams, ids have to be unique among all of them, which is checked later
            check_unique(id_array([app.app_id for app in apps]))
        return tuple(apps)

    def _package(self, name: str) -> _Named:
        if not name.startswith(STORE):
            with _unquoted(self.folder / name / PACKAGE, self.folder):
                return _Named(self.folder / name, *read_package(self.folder / name))
        if self.fetch is None:
            raise ProblemError(f"{shown(name)} is in a store; give load_problem() a fetch, such as open_store().fetch")
        fetched = self.fetch(name)
        return _Named(fetched, *read_package(fetched))

    def _with_curve(self, app: Any, where: str) -> Any:
        """A copy of the app's keys, with the rates of its curve instead of the curve's name."""
        if not isinstance(app, Mapping):
            return app
        keys = dict(app)
        if "curve" not in keys:
            return keys
        path = self.folder / _text("curve", keys.pop("curve"), "a CSV file", where)
        if path not in self._curves:
            with naming(f"{where}: curve"), _unquoted(path, self.folder):
                self._curves[path] = load_curve(path)
        filled = {key: rates for key, rates in self._curves[path]._asdict().items() if rates is not None}
        for key in keys:
            if App.other_names.get(key, key) in filled:
                raise ProblemError(f"{where}: curve has {key!r}, too; give only one of them")
        return keys | filled


@contextmanager
def _unquoted(file: Path, folder: Path) -> Iterator[None]:
    """Say nothing about the content of a file outside the problem's folder: who sent the problem may not read it."""
    try:
        yield
    except ProblemError:
        if file.resolve().is_relative_to(folder.resolve()) or not file.is_file():
            raise
        raise ProblemError(
            f"{file}: its content is wrong; details are given only for files inside the problem's own folder"
        ) from None


def _text(key: str, name: object, kind: str, where: str) -> str:
    if not isinstance(name, str):
        raise ProblemError(f"{where}: {key}: got {shown(name)}; it has to be the name of {kind}")
    return name
