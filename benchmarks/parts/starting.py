"""Whole processes: the first solve ever, a solve from the command line, its help, the import."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.processes import Process, timed
from benchmarks.row import Row, duration

_PROBLEM: Final = "data/problems/crossing.yaml"


def rows(quick: bool) -> Iterator[Row]:
    """First solve with nothing compiled, then solves and imports in turns."""
    command = _installed()
    yield _first(command, times=1 if quick else 3)
    commands = {
        "solve": [*command, "solve", _PROBLEM],
        "help": [*command, "--help"],
        "import": [sys.executable, "-c", "import mainstream"],
        "use": [sys.executable, "-c", "from mainstream import solve"],
        "python": [sys.executable, "-c", "pass"],
    }
    runs: dict[str, list[Process]] = {key: [] for key in commands}
    for count in range(6):  # the first does not count
        for key, words in commands.items():
            run = timed(words)
            if count:
                runs[key].append(run)
    alone = f"median and largest of 5; Python alone {duration(median(run.wall for run in runs['python']))}"
    yield _whole(f"mainstream solve {_PROBLEM}", runs["solve"], 2.0, alone)
    yield _whole("mainstream --help", runs["help"], 0.3, alone)
    yield _whole("import mainstream", runs["import"], 0.25, alone)
    later = f"{alone}; a name loads what it needs when it is used"
    yield _whole("from mainstream import solve", runs["use"], None, later)


def _first(command: list[str], times: int) -> Row:
    runs = []
    for _ in range(times):
        with TemporaryDirectory() as empty:
            runs.append(timed([*command, "solve", _PROBLEM], {"NUMBA_CACHE_DIR": empty}))
    said = all("compiling" in run.errors for run in runs)
    words = "says that it compiles" if said else "DOES NOT SAY that it compiles"
    notes = f"mainstream solve {_PROBLEM} with an empty NUMBA_CACHE_DIR, runs: {times}; {words}"
    row = _whole("first solve ever, compilation included", runs, 15.0, notes)
    return row if said else replace(row, verdict="missed: silent")


def _whole(what: str, runs: list[Process], figure: float | None, notes: str) -> Row:
    wall, cpu = [run.wall for run in runs], median(run.cpu for run in runs)
    return Row(what, median(wall), "s", worst=max(wall), cpu=cpu, figure=figure, notes=notes)


def _installed() -> list[str]:
    """The command that pip installed beside this Python, else the module."""
    beside = shutil.which("mainstream", path=str(Path(sys.executable).parent))
    return [beside] if beside else [sys.executable, "-m", "mainstream"]
