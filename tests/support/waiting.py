"""Waits for things that have to come true, for as long as a slow and busy machine may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 60.0
_Found = TypeVar("_Found")


def becomes(read: Callable[[], object], wanted: object) -> None:
    """Read until the value is `wanted`, or a ``pytest.approx`` of it; the test fails if that takes over a minute."""
    until = time.monotonic() + PATIENCE_S
    while (found := read()) != wanted and time.monotonic() < until:
        time.sleep(0.05)
    assert found == wanted


def comes_true(holds: Callable[[], bool]) -> None:
    """Ask until it is true; the test fails if that takes over a minute."""
    becomes(holds, True)


def found(find: Callable[[], _Found | None]) -> _Found:
    """What `find` finds, once it finds something; the test fails if that takes over a minute."""
    until = time.monotonic() + PATIENCE_S
    while not (it := find()) and time.monotonic() < until:
        time.sleep(0.02)
    assert it, "it was not found in time"
    return it
