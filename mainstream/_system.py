"""What differs between operating systems: how many cores there are to use, and which parts run on Linux only."""

from __future__ import annotations

import os
import platform

from mainstream.errors import MainstreamError


def usable_cores() -> int:
    """Cores that this process may use; where the system does not tell, those of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def require_linux(what: str) -> None:
    """Raise :class:`MainstreamError` on any other system.

    Parameters
    ----------
    what : str
        What needs Linux, as the first words of the error.
    """
    if platform.system() != "Linux":
        raise MainstreamError(f"{what} runs on Linux only, and this is {platform.system()}; solving needs no Linux")
