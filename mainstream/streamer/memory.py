"""How much memory this process may take: a larger request fails where it is made, and does not end the process.

The limit is on the memory that it may write to (``RLIMIT_DATA``), since TensorFlow reserves more than it uses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mainstream.ranges import Range

GIGABYTES: Final = Range(0, 1e6, low_open=True, unit="gigabytes")


def limit_memory(more: int) -> None:
    """Let this process take `more` bytes beyond what it has."""
    import resource  # not on Windows, where no runtime comes as far as here

    limit = _kilobytes("/proc/self/status", "VmData") * 1024 + more
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most != resource.RLIM_INFINITY:
        limit = min(limit, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def free_memory() -> int:
    """Bytes that the machine could give to this process now."""
    return _kilobytes("/proc/meminfo", "MemAvailable") * 1024


def _kilobytes(file: str, key: str) -> int:
    lines = dict(line.split(":", 1) for line in Path(file).read_text(encoding="ascii").splitlines())
    return int(lines[key].split()[0])
