"""``mainstream demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mainstream.cli import options


def command(
    folder: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where all of it goes.")] = Path(
        "mainstream-demo"
    ),
    quiet: options.Quiet = False,
) -> None:
    """Make a clip, train three small apps, solve and run them.

    Shows whether what was predicted comes true. Takes a minute or two and downloads nothing. Everything is kept in the
    folder, with a report; a folder that an earlier demo made is made anew.
    """
    import time

    from mainstream.cli import console
    from mainstream.cli.ending import interruptible
    from mainstream.cli.evaluate import show_versions
    from mainstream.cli.rates import live_rates
    from mainstream.demo.demo import demo

    screen, errors = console.output(quiet=quiet), console.errors(quiet=quiet)
    began = time.monotonic()
    with interruptible():
        made = demo(
            folder,
            tell=screen.print,
            watching=lambda runner: live_rates({} if quiet else {None: runner}, errors),
        )
    show_versions(screen, made.found, made.budget)
    screen.print(f"report     {made.report}, after {time.monotonic() - began:.0f} s")
