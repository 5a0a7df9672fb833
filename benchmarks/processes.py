"""Measures in a separate process: its memory, its start, or a library that clashes with ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
"""Of the repository."""


class ChildFailedError(Exception):
    """A process failed; the error has the last lines that it wrote."""


def apart(function: Callable[..., dict[str, Any]], **arguments: Any) -> dict[str, Any]:
    """What a function of a module returns in a fresh process, with "peak_gb", its largest memory, added.

    Parameters
    ----------
    function : callable
        It is at the top level of its module, and takes keywords and returns a mapping; both can be JSON.
    """
    name = f"{function.__module__}:{function.__name__}"
    run = started([sys.executable, "-m", "benchmarks.child", name, json.dumps(arguments)])
    answer: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return answer


@dataclass(frozen=True)
class Process:
    """A process that has ended well: seconds elapsed, seconds it computed, and what it wrote to stderr."""

    wall: float
    cpu: float
    errors: str


def timed(command: list[str], environment: Mapping[str, str] | None = None) -> Process:
    """Run and time a whole process."""
    before, begin = os.times(), perf_counter()
    run = started(command, environment)
    wall, after = perf_counter() - begin, os.times()
    computed = after.children_user - before.children_user + after.children_system - before.children_system
    return Process(wall, computed, run.stderr)


def started(command: list[str], environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in the repository's root.

    Raises
    ------
    ChildFailedError
        Its exit code is not 0.
    """
    run = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
    )
    if run.returncode:
        last = " / ".join(run.stderr.strip().splitlines()[-2:])
        raise ChildFailedError(f"{' '.join(command)[:120]}: exit code {run.returncode}: {last}")
    return run


def peak_gb() -> float:
    """The largest memory of this process so far, 1e9 bytes."""
    try:
        # ru_maxrss also counts what the parent had at the fork; this does not.
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e9
    except OSError:
        pass
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
