"""A command on a terminal of its own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("mainstream"))


def on_terminal(
    arguments: list[str],
    until: Callable[[str], bool],
    then: Callable[[subprocess.Popen[bytes]], None],
    cwd: Path | None = None,
) -> str:
    """What a command writes to its stderr, a terminal; `then` is done once the text is what `until` waits for."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "80", "TERM": "xterm"},
    )
    os.close(theirs)
    text, done = "", False
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        text += piece.decode()
        if not done and until(text):
            done = True
            then(process)
    os.close(ours)
    process.wait(timeout=60)
    assert done, text
    return f"{text}\nexit {process.returncode}"
