"""The files of an experiment: rows that are flushed one by one, and the settings that they were made with.

``OUT_PREFIX.csv`` holds the result. ``OUT_PREFIX.settings.json`` holds the settings; rows with other settings are never
added. After an interruption a last line that is cut off is dropped, and the files in the published form,
``OUT_PREFIX-mainstream`` and so on, are made again from the complete rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from mainstream._system import require_linux
from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.experiments.versions import Version
from mainstream.files import check_target, mapping, reason, write_text
from mainstream.formats.sweep import HEADER, SweepRow, load_sweep

FORMAT: Final = "mainstream-experiment-1"


class SweepFiles:
    """The files of one experiment; use it in a ``with`` block.

    Parameters
    ----------
    prefix : Path
        The beginning of all their names.
    versions : sequence of Version
    asked : sequence of str
        The budgets. If there are several, each has its own published files, ``OUT_PREFIX-BUDGET-mainstream``.
    settings : mapping
        Everything that the rows depend on, as plain values.

    Attributes
    ----------
    done : dict
        `key` -> row, for the rows that exist.

    Raises
    ------
    ProblemError
        The files were made with other settings, are damaged, are in use by another run, or cannot be written.
    """

    def __init__(
        self, prefix: Path, versions: Sequence[Version], asked: Sequence[str], settings: Mapping[str, Any]
    ) -> None:
        require_linux("an experiment")
        self.tidy = prefix.with_name(f"{prefix.name}.csv")
        self._settings = prefix.with_name(f"{prefix.name}.settings.json")
        self._published: dict[tuple[str, str], Path] = {}
        for version in versions:
            for budget in asked:
                part = f"-{budget.replace('%', 'pct')}" if len(asked) > 1 else ""
                place = prefix.with_name(f"{prefix.name}{part}-{version.published}")
                self._published[version.name, budget] = place
        check_target(self.tidy)
        self._plain = json.loads(json.dumps({"format": FORMAT, **settings}))
        self._check()
        self.done: dict[tuple[str, int, str, str], SweepRow] = {}
        if self.tidy.exists():
            self.done = {row.key: row for row in load_sweep(self.tidy)}
        self._opened = ExitStack()
        self._files: dict[Path, IO[str]] = {}

    def _check(self) -> None:
        """Refuse files that were made with other settings."""
        if not self._settings.exists():
            for place in (self.tidy, *self._published.values()):
                if place.exists():
                    raise ProblemError(
                        f"{place}: exists, but {self._settings.name}, which says how it was made, does not; "
                        "use another OUT_PREFIX"
                    )
            return
        before = mapping(self._settings)
        for key in {**self._plain, **before}:
            if before.get(key) != self._plain.get(key):
                raise ProblemError(
                    f"{self._settings}: the existing rows were made with {key} {shown(before.get(key))}, "
                    f"now it is {shown(self._plain.get(key))}; use another OUT_PREFIX"
                )

    def __enter__(self) -> Self:
        if not self._settings.exists():
            write_text(self._settings, json.dumps(self._plain, indent=1) + "\n")
        self._lock()
        self._write()
        return self

    def in_order(self, keys: Iterable[tuple[str, int, str, str]]) -> None:
        """Put the rows in the order of these keys; all of them have to exist."""
        ordered = {key: self.done[key] for key in keys}
        if list(ordered) != list(self.done):
            self.done = ordered | self.done
            self._write()

    def _write(self) -> None:
        # The complete rows are written beside each file and renamed; then the file stays open for more rows.
        lines: dict[Path, list[str]] = {self.tidy: [HEADER], **{place: [] for place in self._published.values()}}
        for row in self.done.values():
            lines[self.tidy].append(row.line())
            if row.fits:
                lines[self._place(row)].append(row.published_line())
        for place, texts in lines.items():
            write_text(place, "".join(texts))
            try:
                self._files[place] = self._opened.enter_context(place.open("a", encoding="utf-8", newline=""))
            except OSError as error:
                raise ProblemError(f"{place}: cannot be written: {reason(error)}") from None

    def _lock(self) -> None:
        """Keep other runs away until this one ends, even if it is killed."""
        import fcntl  # not on Windows

        held = self._opened.enter_context(self._settings.open(encoding="utf-8"))
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ProblemError(f"{self.tidy}: another run uses it; wait for it, or use another OUT_PREFIX") from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def add(self, row: SweepRow) -> None:
        """Write a row; the tidy file gets it last, so that a row which is there is in all files."""
        if row.fits:
            self._append(self._place(row), row.published_line())
        self._append(self.tidy, row.line())
        self.done[row.key] = row

    def kept(self) -> str:
        """The message after an interruption."""
        return f"{len(self.done):,} rows are done and kept; the same command continues from there"

    def _place(self, row: SweepRow) -> Path:
        return self._published[row.version, row.asked]

    def _append(self, place: Path, line: str) -> None:
        try:
            self._files[place].write(line)
            self._files[place].flush()
        except OSError as error:
            raise ProblemError(f"{place}: cannot be written: {reason(error)}") from None
