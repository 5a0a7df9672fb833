"""Ctrl-C at a chosen moment of a command: when it first opens a file, imports a module, connects, starts a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

_MOMENTS = ("open", "import", "os.mkdir", "socket.connect", "subprocess.Popen")
_wanted: list[str] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _wanted and event in _MOMENTS and any(_wanted[0] in str(argument) for argument in arguments[:2]):
        _wanted.clear()
        signal.raise_signal(signal.SIGINT)


def run_pressed(moment: str, *arguments: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command, Ctrl-C pressed when it first does something with what has `moment` in its name.

    For a process of its own: the hook stays for ever.
    """
    from support.commands import run_here  # imports what main() is to see imported

    if not getattr(sys, "_pressing", False):
        sys._pressing = True  # type: ignore[attr-defined]  # a mark of ours: the hook is there
        sys.addaudithook(_hook)
    _wanted[:] = [moment]
    done = run_here(*arguments, cwd=cwd, **variables)
    pressed = not _wanted
    _wanted.clear()
    assert pressed, f"nothing had {moment!r} in its name: {done}"
    return done


def main() -> None:
    """``python -m support.pressing MOMENT ARGUMENT...``: the installed command so; also while it is imported."""
    import runpy

    _, moment, *sys.argv[1:] = sys.argv
    sys.argv[0] = os.fspath(Path(sys.executable).with_name("mainstream"))
    sys.addaudithook(_hook)
    _wanted[:] = [moment]
    runpy.run_module("mainstream", run_name="__main__")


if __name__ == "__main__":
    main()
