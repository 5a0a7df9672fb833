"""Waiting for what has to come true, for as long as a slow and busy machine may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 60.0
_Found = TypeVar("_Found")


def becomes(read: Callable[[], object], wanted: object) -> None:
    """Read until it is `wanted`, a value or ``pytest.approx`` of one; the test fails when it is not after a minute."""
    until = time.monotonic() + PATIENCE_S
    while (found := read()) != wanted and time.monotonic() < until:
        time.sleep(0.05)
    assert found == wanted


def comes_true(holds: Callable[[], bool]) -> None:
    """Ask until it is so; what is not after a minute fails the test."""
    becomes(holds, True)


def found(find: Callable[[], _Found | None]) -> _Found:
    """What `find` finds, once it is something; the test fails when it is nothing after a minute."""
    until = time.monotonic() + PATIENCE_S
    while not (it := find()) and time.monotonic() < until:
        time.sleep(0.02)
    assert it, "it was not found in time"
    return it
