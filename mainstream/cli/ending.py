"""An end that comes in good time, whatever hangs."""

from __future__ import annotations

import os
import signal
import sys
from threading import Thread
from time import sleep
from typing import Final, NoReturn

_PATIENCE_S: Final = 4.0


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


def leave() -> NoReturn:
    """End with exit code 0, when all is closed.

    The interpreter's own tidying up takes TensorFlow a second, and a thread in which a model hangs may not survive it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
