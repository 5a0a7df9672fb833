"""Where and when a run was made, which you need to know to read its figures."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from benchmarks.processes import ROOT
from mainstream.graphs.onednn import processor

_PACKAGES: Final = ("numpy", "numba", "ortools", "highspy")


def description() -> dict[str, str]:
    """Command, date, machine, versions and load, in the order to show them."""
    packages = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    return {
        "command": f"python -m benchmarks {shlex.join(sys.argv[1:])}".strip(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "machine": f"{processor()}, {os.cpu_count()} cores, {_memory_gb():.0f} GB, {platform.system()}",
        "versions": f"Python {platform.python_version()}, {packages}",
        "load at the start": load(),
    }


def load() -> str:
    """How many processes wanted to run in the last minute, including those of this run."""
    return f"{os.getloadavg()[0]:.1f}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _commit() -> str:
    def git(*words: str) -> str:
        run = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
        return run.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "mainstream", "benchmarks")
        return git("rev-parse", "--short", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "not in git"
