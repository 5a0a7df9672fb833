"""``mainstream demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where all of it goes.")] = Path(
        "mainstream-demo"
    ),
) -> None:
    """Make a clip, train three small apps, solve, run them live, and see whether what was predicted comes true.

    Takes a minute or two and downloads nothing. Everything is kept in the folder, with a report; a folder that an
    earlier demo made is made anew.
    """
    import time

    from mainstream.cli.ending import interruptible
    from mainstream.cli.evaluate import show_versions
    from mainstream.cli.rates import live_rates
    from mainstream.demo.demo import demo
    from mainstream.result_text import plain_console

    screen, errors = plain_console(), plain_console(stderr=True)
    began = time.monotonic()
    with interruptible():
        made = demo(
            folder,
            tell=lambda line: screen.print(line, markup=False),
            watching=lambda runner: live_rates({None: runner}, errors),
        )
    show_versions(screen, made.found, made.budget)
    screen.print(f"report     {made.report}, after {time.monotonic() - began:.0f} s", markup=False)
