"""The folder of a demo: new, or that of an earlier demo, which is overwritten."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.files import reason

MARK: Final = ".mainstream-demo"
OWN: Final = ("clips", "images", "logs", "models", "problem.yaml", "profile.json", "report.html")
"""The files and folders that a demo writes; only these are ever removed."""


def fresh_folder(folder: Path) -> None:
    """Create a folder with the mark of a demo; files of an earlier demo in it are removed.

    Raises
    ------
    ProblemError
        It holds something else, or cannot be created.
    """
    try:
        if folder.exists():
            held = {path.name for path in folder.iterdir()}
            foreign = sorted(held - {MARK, *OWN}) or sorted(held if MARK not in held else ())
            if foreign:
                raise ProblemError(
                    f"{folder}: holds {shown(foreign[0])}, which is not from a demo; give a new folder with -o"
                )
        folder.mkdir(exist_ok=True)
        (folder / MARK).touch()
        for path in (folder / name for name in OWN):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise ProblemError(f"{folder}: cannot be used as the demo's folder: {reason(error)}") from None
