"""Ctrl-C: one line, exit code 130, and an end within seconds, whatever hangs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from select import select
from threading import Event, Thread, current_thread, main_thread
from time import monotonic
from types import FrameType
from typing import Final, NoReturn

from mainstream.cli.exit_codes import INTERRUPTED
from mainstream.errors import InterruptedSearch, MainstreamError

_PATIENCE_S: Final = 4.0
_SHORT_PATIENCE_S: Final = 1.0
_SAME_PRESS_S: Final = 0.5
"""Signals that come this soon after the first are the same Ctrl-C: some shells and wrappers pass it on twice."""
_NOTICED_S: Final = 0.1
"""How long the watching thread may take to notice Ctrl-C."""
_LOOK_S: Final = 0.05


@dataclass
class _Command:
    """What the running command wants to happen at Ctrl-C, and what has happened.

    Attributes
    ----------
    ends_it : tuple of int
        The signals that end it.
    patience_s : float
        How long it may go on after the first of them.
    kept : callable
        Gives the words for what the command keeps; empty if it keeps nothing.
    left : str
        What `kept` said when Ctrl-C came.
    said : bool
        Whether the line about Ctrl-C is written.
    pressed : Event
        Set when Ctrl-C has come.
    raised : bool
        Whether Python code knows of it.
    """

    ends_it: tuple[int, ...] = (signal.SIGINT,)
    patience_s: float = inf
    kept: Callable[[], str] = str
    left: str = ""
    said: bool = False
    pressed: Event = field(default_factory=Event)
    raised: bool = False


_command = _Command()


@contextmanager
def ctrl_c() -> Iterator[None]:
    """While a command runs, raise Ctrl-C once; a second Ctrl-C ends the process at once.

    If it were raised a second time, it would interrupt the code that handles the first one, and what that code closes,
    keeps and says would be lost. While something hangs outside of Python, such as a model, no handler can run. So a
    thread sees each signal as it comes, through the descriptor to which Python writes signals.
    """
    global _command  # noqa: PLW0603  one command runs at a time
    if current_thread() is not main_thread():  # no signal comes here
        yield
        return
    command = _command = _Command()
    noticed, written = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(written, False)
    written_before = signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    handler_before = signal.signal(signal.SIGINT, _raise_once)
    watcher = Thread(target=_watch, args=(command, noticed), name="mainstream-ctrl-c", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler_before)
        signal.set_wakeup_fd(written_before)
        os.close(written)
        watcher.join()
        os.close(noticed)


def _raise_once(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGINT:
        _command.pressed.set()
    if not _command.raised:
        _command.raised = True
        raise KeyboardInterrupt


def _watch(command: _Command, noticed: int) -> None:
    """Watch the signals; end the process when its time is over, or when Ctrl-C is pressed again."""
    first: float | None = None
    came: list[int] = []
    sent_on = False
    while True:
        ready, _, _ = select([noticed], [], [], None if first is None else _LOOK_S)
        numbers = os.read(noticed, 64) if ready else b""
        if ready and not numbers:
            return
        if signal.SIGINT in numbers:
            command.pressed.set()
        if first is None:
            came = [number for number in numbers if number in command.ends_it]
            first = monotonic() if came else None
            continue
        waited = monotonic() - first
        if waited > _NOTICED_S and not sent_on and not command.raised:
            # The signal came just before a system call, such as a wait of a minute, and so did not end that call.
            sent_on = True
            signal.pthread_kill(main_thread().ident or 0, came[0])
        if waited > command.patience_s or (waited > _SAME_PRESS_S and signal.SIGINT in numbers):
            _end_now(command)


def was_pressed() -> bool:
    """Whether Ctrl-C has come since the command began."""
    return _command.pressed.is_set()


def is_said() -> bool:
    """Whether the command has said that Ctrl-C has come."""
    return _command.said


@contextmanager
def keeping(kept: Callable[[], str]) -> Iterator[None]:
    """If Ctrl-C comes meanwhile, its line says what is kept, or how to go on.

    Parameters
    ----------
    kept : callable
        Gives the words; it may also do the keeping.
    """
    command = _command
    before, command.kept = command.kept, kept
    try:
        yield
    except KeyboardInterrupt:
        command.left = kept()
        raise
    finally:
        command.kept = before


def interrupted_line(left: str | None = None) -> str:
    """What to say about Ctrl-C, once in a command."""
    _command.said = True
    left = _command.left if left is None else left
    return f"mainstream: interrupted{'; ' if left else ''}{left}"


def end_in_time() -> None:
    """From now on SIGTERM acts as Ctrl-C, but with exit code 0. The process ends at most 4 s after either."""
    signal.signal(signal.SIGTERM, _raise_once)
    _command.ends_it = (signal.SIGINT, signal.SIGTERM)
    _command.patience_s = _PATIENCE_S


@contextmanager
def interruptible(*, patient: bool = False) -> Iterator[None]:
    """Meanwhile, Ctrl-C takes effect after a second at the latest: the process then ends with 130 and one line.

    A search handles Ctrl-C itself, much sooner, and keeps its best schedule. But a compiler does not, nor does a kernel
    that goes through a million apps, and what is raised in a callback of the compiler is lost.

    Parameters
    ----------
    patient : bool
        Wait 4 s, since there may be more to keep than what takes its time now.
    """

    def unraisable(lost: sys.UnraisableHookArgs) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            _end_now(command)
        else:
            unraisable_before(lost)

    command = _command
    patience_before, command.patience_s = command.patience_s, (_PATIENCE_S if patient else _SHORT_PATIENCE_S)
    unraisable_before, sys.unraisablehook = sys.unraisablehook, unraisable
    try:
        yield
    except (MainstreamError, InterruptedSearch):
        raise
    except (Exception, KeyboardInterrupt):
        if command.pressed.wait(_NOTICED_S):  # an interrupted compiler may raise anything
            raise KeyboardInterrupt from None
        raise
    finally:
        sys.unraisablehook = unraisable_before
        command.patience_s = patience_before


def _end_now(command: _Command) -> NoReturn:
    if not command.pressed.is_set():  # a SIGTERM
        os._exit(0)
    # Leave the line that shows the progress, and show the cursor, which that line hides.
    line = interrupted_line(command.left or command.kept())
    os.write(2, (b"\n\x1b[?25h" if os.isatty(2) else b"") + f"{line}\n".encode())
    os._exit(INTERRUPTED)


def leave() -> NoReturn:
    """End the process when all is closed, with exit code 130 after Ctrl-C, else 0.

    The interpreter's own clean-up takes a second with TensorFlow, and may crash a thread in which a model hangs.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED if was_pressed() else 0)
