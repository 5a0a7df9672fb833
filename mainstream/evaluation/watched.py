"""What each app of a problem watches for, by the name that files of labels use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mainstream.description import printable
from mainstream.errors import ProblemError
from mainstream.formats.package import PACKAGE, read_package
from mainstream.problem import App


@dataclass(frozen=True)
class Watched:
    """An app and the label of its event.

    Attributes
    ----------
    app : App
    label : str
        Label of the event.
    classes : frozenset of str
        All classes of the app's model; only the label if they are not known.
    """

    app: App
    label: str
    classes: frozenset[str]

    @property
    def called(self) -> str:
        """The app's name for people."""
        return printable(str(self.app.app_id if isinstance(self.app.app_id, str) else self.app.name or self.app.app_id))

    @classmethod
    def of(cls, app: App, model_dir: Path) -> Watched:
        """Find the label of an app's event.

        It is the event class in the app's M-Package. Without a package it is the app's own event class if that is a
        name, or else the app's name.

        Raises
        ------
        ProblemError
            The app has no event class, or its package has no such class.
        """
        if app.event_class is None:
            raise ProblemError(f"app {app.app_id}: it has no event_class; give the class that is its event")
        for file in app.model_path.values():
            folder = (model_dir / file).parent.parent
            if (folder / PACKAGE).is_file():
                package, _ = read_package(folder)
                number = app.event_class
                if isinstance(number, int) and number >= len(package.classes):
                    raise ProblemError(
                        f"app {app.app_id}: event_class {number}; {folder} has only classes 0 to "
                        f"{len(package.classes) - 1}"
                    )
                return cls(
                    app, package.classes[number] if isinstance(number, int) else number, frozenset(package.classes)
                )
        named = app.event_class if isinstance(app.event_class, str) else str(app.name or app.app_id)
        return cls(app, named, frozenset((named,)))
