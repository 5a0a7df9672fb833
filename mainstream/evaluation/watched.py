"""What each app of a problem watches for, as files of labels call it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mainstream.description import printable
from mainstream.errors import ProblemError
from mainstream.formats.package import PACKAGE, read_package
from mainstream.problem import App


@dataclass(frozen=True)
class Watched:
    """What the labels call an app's event.

    Attributes
    ----------
    app : App
    label : str
        The event.
    classes : frozenset of str
        All classes of the app's model, where they are known.
    """

    app: App
    label: str
    classes: frozenset[str]

    @property
    def called(self) -> str:
        """What to call the app where people read it."""
        return printable(str(self.app.app_id if isinstance(self.app.app_id, str) else self.app.name or self.app.app_id))

    @classmethod
    def of(cls, app: App, model_dir: Path) -> Watched:
        """The class of the app's M-Package that is its event; without a package its class or else the app's name.

        Raises
        ------
        ProblemError
            The app has no event class.
        """
        if app.event_class is None:
            raise ProblemError(f"app {app.app_id}: it has no event_class, so nothing says which class is the event")
        for file in app.model_path.values():
            folder = (model_dir / file).parent.parent
            if (folder / PACKAGE).is_file():
                package, _ = read_package(folder)
                number = app.event_class
                if isinstance(number, int) and number >= len(package.classes):
                    raise ProblemError(f"app {app.app_id}: event_class {number}; {folder} has fewer classes")
                return cls(
                    app, package.classes[number] if isinstance(number, int) else number, frozenset(package.classes)
                )
        named = app.event_class if isinstance(app.event_class, str) else str(app.name or app.app_id)
        return cls(app, named, frozenset((named,)))
