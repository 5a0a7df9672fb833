"""A time limit for library calls that may hang."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import TypeVar

_T = TypeVar("_T")


class NoAnswerError(Exception):
    """There was no answer in time."""


def within(seconds: float, call: Callable[[], _T]) -> _T:
    """Run `call` in a thread of its own; give what it returns, raise what it raises.

    Raises
    ------
    NoAnswerError
        It takes longer than `seconds`; its thread is left behind and does not keep the process from ending.
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
