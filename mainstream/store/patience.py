"""Calls of libraries that may hang, bounded in time."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import TypeVar

_T = TypeVar("_T")


class NoAnswerError(Exception):
    """There was no answer in time."""


def within(seconds: float, call: Callable[[], _T]) -> _T:
    """What `call` gives back, or raises, when it takes no longer than that; it runs in a thread of its own.

    Raises
    ------
    NoAnswerError
        It takes longer; the thread is left behind and does not keep the process from ending.
    """
    found: list[_T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(call())
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=run, name="mainstream-store", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not found:
        raise NoAnswerError(f"no answer within {seconds:g} s")
    return found[0]
