"""An end that comes in good time, whatever hangs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import sleep
from typing import Final, NoReturn

from mainstream.cli.exit_codes import INTERRUPTED
from mainstream.errors import InterruptedSearch, MainstreamError

_PATIENCE_S: Final = 4.0
_SHORT_PATIENCE_S: Final = 1.0
_NOTICED_S: Final = 0.1
"""How long the thread that watches may take to notice Ctrl-C."""


def end_in_time() -> None:
    """From now on SIGTERM is as Ctrl-C, and 4 s after either the process ends with exit code 0, if it has not yet.

    What hangs outside of Python, such as a model, lets no handler run. So the signal is also noticed by a thread,
    through the descriptor to which Python writes each signal as it comes.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    noticed, written = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(written, False)
    signal.set_wakeup_fd(written, warn_on_full_buffer=False)

    def watch() -> None:
        while os.read(noticed, 1)[0] not in (signal.SIGINT, signal.SIGTERM):
            pass
        sleep(_PATIENCE_S)
        os._exit(0)

    Thread(target=watch, name="mainstream-ending", daemon=True).start()


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends what is done meanwhile after a second at the latest: the process then ends with 130 and one line.

    A search sees to Ctrl-C itself, and much sooner, with its best schedule. But a compiler does not, nor a kernel that
    goes through a million apps; and what is raised in a callback of the compiler's is lost.
    """
    noticed, written = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(written, False)
    before = signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    over, pressed = Event(), Event()

    def watch() -> None:
        while (seen := os.read(noticed, 1)) and seen[0] != signal.SIGINT:
            pass
        if seen:
            pressed.set()
        if seen and not over.wait(_SHORT_PATIENCE_S):
            _end_interrupted()

    def unraisable(lost: sys.UnraisableHookArgs) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            _end_interrupted()
        else:
            unraisable_before(lost)

    unraisable_before, sys.unraisablehook = sys.unraisablehook, unraisable
    watcher = Thread(target=watch, name="mainstream-interrupted", daemon=True)
    watcher.start()
    try:
        yield
    except (MainstreamError, InterruptedSearch):
        raise
    except (Exception, KeyboardInterrupt):
        if pressed.wait(_NOTICED_S):  # a compiler that was left raises anything, and may crash when Python ends
            _end_interrupted()
        raise
    finally:
        over.set()
        sys.unraisablehook = unraisable_before
        signal.set_wakeup_fd(before)
        os.close(written)
        watcher.join()
        os.close(noticed)


def _end_interrupted() -> NoReturn:
    # Off the line that shows the progress, whose cursor is hidden.
    os.write(2, (b"\n\x1b[?25h" if os.isatty(2) else b"") + b"mainstream: interrupted\n")
    os._exit(INTERRUPTED)


def leave() -> NoReturn:
    """End with exit code 0, when all is closed.

    The interpreter's own tidying up takes TensorFlow a second, and a thread in which a model hangs may not survive it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
