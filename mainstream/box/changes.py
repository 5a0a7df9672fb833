"""Changes that were made while the box runs: they override the problem file, key by key, until they are taken back.

A change names an app by its id. If the file has no such app, the change waits for one. An app that was added counts
until the file has an app of that id, which then takes its place.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, StrictBool

from mainstream.box.wanted import Wanted
from mainstream.description import Description, refuse, shown
from mainstream.errors import NotKeptError, ProblemError
from mainstream.files import json_values, read_text, write_text
from mainstream.formats.named_stream import StreamName
from mainstream.problem import App, AppId
from mainstream.ranges import PARAMETERS, Positive

MOST: Final = 1000
"""Most apps that may be added, and most that may be changed."""
_NAME: Final = "changes.json"
_LONGEST: Final = 200

_log = logging.getLogger(__name__)


def _package(name: str) -> str:
    if not 0 < len(name) <= _LONGEST or not name.isprintable() or "/" in name or "\\" in name or name[0] in ". ":
        raise refuse("it has to be the name of a package's folder in the model folder")
    return name


class AppChange(Description):
    """The changes of one app; None stands for what the file says.

    Parameters
    ----------
    paused, removed : bool
        The app does not run: for now, or until it is brought back.
    weight, min_value, min_fps : float, optional
        As in :class:`mainstream.problem.App`.
    """

    paused: StrictBool = False
    removed: StrictBool = False
    weight: Annotated[float, PARAMETERS["weight"]] | None = None
    min_value: Annotated[float, PARAMETERS["min_value"]] | None = None
    min_fps: Annotated[float, PARAMETERS["min_fps"]] | None = None

    @property
    def runs(self) -> bool:
        """Whether the app is to run."""
        return not (self.paused or self.removed)

    def keys(self) -> dict[str, float]:
        """The app's keys that are changed, with their values."""
        return self.model_dump(include={"weight", "min_value", "min_fps"}, exclude_none=True)


class AddedApp(Description):
    """An app that the file does not have.

    Parameters
    ----------
    package : str
        A folder in the model folder.
    app_id : int or str
    stream : str, optional
        Name of its camera, if there are several.
    event_length_ms, event_frequency : float, optional
        Needed if the package does not say it; otherwise it overrides the package.
    """

    package: Annotated[str, AfterValidator(_package)]
    app_id: AppId
    stream: StreamName = None
    event_length_ms: Annotated[float, PARAMETERS["event_length_ms"]] | None = None
    event_frequency: Annotated[float, PARAMETERS["event_frequency"]] | None = None

    def in_folder(self, model_dir: Path) -> dict[str, Any]:
        """Its keys in a problem file, with the package's absolute path.

        Raises
        ------
        ProblemError
            The package is not in the model folder, or a link leads out of it.
        """
        folder = (model_dir / self.package).resolve()
        if not folder.is_relative_to(model_dir.resolve()):
            raise ProblemError(f"package {shown(self.package)} lies outside the model folder")
        if not folder.is_dir():
            raise ProblemError(f"package {shown(self.package)} is not in the model folder")
        return self.model_dump(exclude_none=True) | {"package": str(folder)}


class Changes(Description):
    """All changes.

    Parameters
    ----------
    budget : float, optional
        It replaces the file's.
    apps : mapping of int or str to AppChange
        By `app_id`.
    added : sequence of AddedApp
    """

    budget: Positive | None = None
    apps: Annotated[Mapping[AppId, AppChange], Field(max_length=MOST)] = Field(default_factory=dict)
    added: Annotated[tuple[AddedApp, ...], Field(max_length=MOST)] = ()

    def change_of(self, app_id: int | str) -> AppChange:
        """The changes of one app."""
        return self.apps.get(app_id, AppChange())

    def with_budget(self, budget: float | None) -> Changes:
        """With another budget; None stands for the file's."""
        return Changes(budget=budget, apps=self.apps, added=self.added)

    def with_app(self, app_id: int | str, change: AppChange) -> Changes:
        """With another change of one app."""
        apps = {**self.apps, app_id: change}
        if change == AppChange():
            del apps[app_id]
        return Changes(budget=self.budget, apps=apps, added=self.added)

    def with_added(self, app: AddedApp) -> Changes:
        """With one more app."""
        return Changes(budget=self.budget, apps=self.apps, added=(*self.added, app))

    def without_added(self, app_id: int | str) -> Changes:
        """Without an app that was added, and without its changes."""
        apps = {key: change for key, change in self.apps.items() if key != app_id}
        return Changes(budget=self.budget, apps=apps, added=tuple(one for one in self.added if one.app_id != app_id))

    def on(self, wanted: Wanted) -> Wanted:
        """What is wanted, with these changes.

        Raises
        ------
        ProblemError
            No app is left, or a change makes an app that contradicts itself.
        """

        def changed(app: App) -> App | None:
            change = self.change_of(app.app_id)
            if not change.runs:
                return None
            return App(**dict(app) | keys) if (keys := change.keys()) else app

        return wanted.with_apps(changed, self.budget)

    def to_json(self) -> str:
        """The text of the file that keeps them."""
        return json.dumps(self.model_dump(mode="json", exclude_defaults=True), indent=1) + "\n"


class ChangesFile:
    """The changes in ``changes.json`` of a folder.

    Parameters
    ----------
    folder : Path
        Has to exist.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME

    def load(self) -> Changes:
        """The changes that were kept; a damaged file is put aside, which the log says."""
        if not self._path.exists():
            return Changes()
        try:
            return Changes.of(json_values(read_text(self._path)), where=str(self._path))
        except ProblemError as error:
            aside = self._path.with_name(f"{_NAME}.damaged")
            _log.warning("the changes that were kept cannot be read, and are now %s: %s", aside, error)
            self._path.replace(aside)
            return Changes()

    def save(self, changes: Changes) -> None:
        """Keep these changes in place of those before.

        Raises
        ------
        NotKeptError
            The disk is full or broken.
        """
        try:
            write_text(self._path, changes.to_json())
        except ProblemError as error:
            raise NotKeptError(str(error)) from None
