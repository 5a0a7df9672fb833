"""Calls in a thread, for Ctrl-C: those that let no signal handler run, and those that it must not break off.

A process that is started has to be known to whoever ends it before Ctrl-C can come.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable
from threading import Event
from typing import Final, TypeVar

_Returned = TypeVar("_Returned")

_LOOK_S: Final = 0.05


def unbroken(call: Callable[[], None]) -> None:
    """Run `call` to its end; Ctrl-C meanwhile is raised after it."""
    in_thread(call, stop=lambda: None, enough=lambda: False)


def in_thread(call: Callable[[], _Returned], stop: Callable[[], None], enough: Callable[[], bool]) -> _Returned:
    """What `call` returns.

    Parameters
    ----------
    call : callable
        It runs without the GIL most of the time.
    stop : callable
        Makes it return soon; called once it is `enough`, or Ctrl-C is pressed. KeyboardInterrupt then waits for it.
    enough : callable
    """
    returned: list[_Returned] = []
    failed: list[BaseException] = []
    over = Event()

    def work() -> None:
        try:
            returned.append(call())
        except BaseException as error:
            failed.append(error)
        finally:
            over.set()

    # Not a Thread: interrupted, its start() does not tell whether it runs, and its join() takes it for ended when it is
    # not (Python 3.11). Here Ctrl-C is raised before the thread there is, or when it runs.
    try:
        _thread.start_new_thread(work, ())
        while not over.wait(_LOOK_S):
            if enough():
                stop()
    except KeyboardInterrupt:
        stop()
        over.wait()
        raise
    if failed:
        raise failed[0]
    return returned[0]
