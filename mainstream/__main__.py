"""The command ``mainstream``; ``python -m mainstream`` is the same."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Final, NoReturn

_INTERRUPTED: Final = 130


def main() -> None:
    """Run the command; Ctrl-C while it is imported ends it at once, since nothing has been done yet."""
    signal.signal(signal.SIGINT, _end)
    from mainstream.cli import main as command

    code: object = None
    try:
        command()
    except SystemExit as ended:
        code = ended.code
        raise
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done and said
        # A compiler that was left, or a thread in which something hangs, may crash Python's own end.
        if code == _INTERRUPTED:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
            sys.stderr.flush()
            os._exit(_INTERRUPTED)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    os.write(2, b"mainstream: interrupted\n")
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
