"""Runs a command in the tests' own process if a new interpreter, which costs a second or two, would prove nothing more.

Commands that hear signals, have a terminal or a closed stdout, or must not load TensorFlow are run as installed. A
command that changes what signals do, such as `streamer` or `run`, runs in a process that several of them share.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

from mainstream.cli import main

Run = Callable[..., subprocess.CompletedProcess[str]]


def run_here(*arguments: object, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """The output and exit code of the installed command, 80 columns wide unless `variables` say otherwise."""
    given = ["mainstream", *map(str, arguments)]
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        contextlib.chdir(cwd or Path.cwd()),
        patch.dict(os.environ, {"COLUMNS": "80", **variables}),
        patch.object(sys, "argv", given),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    texts = []
    for stream in (stdout, stderr):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    assert isinstance(code, int)
    return subprocess.CompletedProcess(given, code, *texts)


def but_progress(stderr: str) -> str:
    """What a command said, without the progress that it reports on a slow machine."""
    return "".join(line for line in stderr.splitlines(keepends=True) if not re.match(r" *\d+ s: ", line))


@contextmanager
def one_process() -> Iterator[Run]:
    """:func:`run_here` in another process, the same one for each command."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield lambda *arguments, **options: pool.submit(run_here, *arguments, **options).result(timeout=120)
