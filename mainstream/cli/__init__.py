"""The command ``mainstream``. Each command has a file; this file turns each error into one line."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from mainstream.cli.commands import LINES, PANELS, Commands
from mainstream.cli.ending import ctrl_c, interrupted_line, is_said, was_pressed
from mainstream.cli.exit_codes import BAD_INPUT, CANNOT_PRINT, INFEASIBLE, INTERRUPTED
from mainstream.cli.terminal import clean_output
from mainstream.errors import InfeasibleError, MainstreamError

_HELP: Final = "Choose layer sharing and frame rates for many DNN applications on one camera."


class _Group(TyperGroup):
    """The commands in panels, from their table. By itself typer says nothing when Ctrl-C ends a command."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes | {"commands": Commands()})

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # typer does not export its own kind
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None

    def list_commands(self, ctx: Any) -> list[str]:
        return [*self.commands]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, self.commands))
        for panel, commands in PANELS.items():
            with formatter.section(panel):
                formatter.write_dl([(f"{name:<{width}}", line) for name, line in commands.items()])

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        self.commands = {name: TyperCommand(name, short_help=line) for name, line in LINES.items()}  # none is imported
        return super().shell_complete(ctx, incomplete)


app = typer.Typer(
    name="mainstream",
    cls=_Group,
    help=_HELP,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"color": False},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"mainstream {version('mainstream')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; every expected error is one line on stderr and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # escape a name that the terminal cannot show instead of failing
            stream.reconfigure(errors="backslashreplace")
    clean_output()
    with ctrl_c():
        code = _run()
    sys.exit(code)


def _run() -> int:
    try:
        code = app(args=sys.argv[1:] or ["--help"], prog_name="mainstream", standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except Exception as error:  # code that Ctrl-C interrupts may raise anything
        if was_pressed():
            return _interrupted()
        return _failed(error)
    # Some libraries lose what is raised inside them, and typer turns it into a silent end.
    return _interrupted() if was_pressed() else code


def _interrupted() -> int:
    if not is_said():
        print(interrupted_line(), file=sys.stderr)
    return INTERRUPTED


def _failed(error: Exception) -> int:
    """Say what is wrong in one line; raise an error that is Mainstream's own fault."""
    if isinstance(error, InfeasibleError):
        return _fail(error, INFEASIBLE)
    if isinstance(error, MainstreamError | typer.TyperException):
        return _fail(error, BAD_INPUT)
    if isinstance(error, BrokenPipeError):  # as in `mainstream solve ... | head`
        return _cannot_print()
    if isinstance(error, OSError):
        return _fail(error, _cannot_print())
    raise error


def _fail(error: Exception, code: int) -> int:
    text = error.format_message() if isinstance(error, typer.TyperException) else str(error)
    print(f"mainstream: {' '.join(text.split())}", file=sys.stderr)
    return code


def _cannot_print() -> int:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter's own flush must not fail again
    return CANNOT_PRINT
