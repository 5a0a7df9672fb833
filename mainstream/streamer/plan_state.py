"""Keeps the last good plan in a file, so that it runs again after the runtime was killed."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Final

from mainstream.errors import ProblemError
from mainstream.files import read_text, write_text
from mainstream.streamer.plan import NetPlan

_NAME: Final = "plan.json"
_LARGEST: Final = 2**27

_log = logging.getLogger(__name__)


class PlanState:
    """A folder that holds the last good plan.

    Parameters
    ----------
    folder : Path
        Created if it is missing.

    Raises
    ------
    ProblemError
        It cannot be created.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise ProblemError(f"state: {folder} cannot be made: {error}") from None
        self._file = folder / _NAME

    def save(self, plan: NetPlan) -> None:
        """Keep a plan in place of the one before; if it cannot be written, the log says so."""
        try:
            write_text(self._file, plan.to_json() + "\n")
        except ProblemError as error:
            _log.warning("the plan is not kept: %s", error)

    def clear(self) -> None:
        """Keep no plan any more."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)

    def load(self) -> NetPlan | None:
        """The plan that was kept; None if there is none or it is damaged, which the log says."""
        if not self._file.exists():
            return None
        try:
            return NetPlan.from_json(read_text(self._file, largest=_LARGEST))
        except ProblemError as error:
            _log.warning("the plan that was kept cannot be read: %s", error)
            return None
