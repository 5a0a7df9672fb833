"""What a shell can offer after a flag: names and files, looked up when the user presses tab."""

from __future__ import annotations

from collections.abc import Callable
from glob import escape, glob
from pathlib import Path


def words(*allowed: str) -> Callable[[str], list[str]]:
    """Complete to one of these words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in allowed if word.startswith(incomplete)]

    return complete


def files(*suffixes: str) -> Callable[[str], list[str]]:
    """Complete to files with these endings, and to folders; if there is no such file, the shell does it its own way."""

    def complete(incomplete: str) -> list[str]:
        found = sorted(glob(f"{escape(incomplete)}*"))
        of_kind = [one for one in found if one.endswith(suffixes) and Path(one).is_file()]
        return of_kind and of_kind + [f"{one}/" for one in found if Path(one).is_dir()]

    return complete


def methods(incomplete: str) -> list[str]:
    """Methods, including those of installed packages."""
    from mainstream.extensions import METHODS

    return words(*METHODS)(incomplete)


def event_models(incomplete: str) -> list[str]:
    """Event models, including those of installed packages."""
    from mainstream.extensions import EVENT_MODELS

    return words(*EVENT_MODELS)(incomplete)


def engines(incomplete: str) -> list[str]:
    """Engines, including those of installed packages."""
    from mainstream.extensions import PART_LOADERS

    return words(*PART_LOADERS)(incomplete)
