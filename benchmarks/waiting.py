"""Waiting for what a runtime does, and reading the lines that it has written so far."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

PATIENCE_S: Final = 120.0


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The whole JSON lines of a file; none where there is no file yet."""
    whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
    return [json.loads(line) for line in whole.splitlines()]


def wait_until(holds: Callable[[], Any]) -> None:
    """Wait until something holds, for two minutes at most."""
    give_up = time.monotonic() + PATIENCE_S
    while not holds() and time.monotonic() < give_up:
        time.sleep(0.01)
