"""The command ``mainstream``: one file a command; this one joins them and turns errors into one line each.

Exit codes: 0 done, 2 bad input, 3 infeasible, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Final

import typer

from mainstream.cli import solve
from mainstream.errors import InfeasibleError, MainstreamError

BAD_INPUT: Final = 2
INFEASIBLE: Final = 3
INTERRUPTED: Final = 130

app = typer.Typer(
    name="mainstream",
    help="Choose layer sharing and frame rates for many DNN applications on one camera.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("solve")(solve.command)


@app.callback()
def _many_commands() -> None:
    """Choose layer sharing and frame rates for many DNN applications on one camera."""


def main() -> None:
    """Run the command line; every error on purpose is one line on stderr and an exit code."""
    try:
        code = app(standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except InfeasibleError as error:
        code = _fail(error, INFEASIBLE)
    except (MainstreamError, typer.TyperException) as error:
        code = _fail(error, BAD_INPUT)
    except BrokenPipeError:  # as in `mainstream solve ... | head`; the interpreter's own flush must not fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _fail(error: Exception, code: int) -> int:
    text = error.format_message() if isinstance(error, typer.TyperException) else str(error)
    print(f"mainstream: {' '.join(text.split())}", file=sys.stderr)
    return code
