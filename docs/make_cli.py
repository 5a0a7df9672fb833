"""Print the reference of the command line, from every command's --help: ``python docs/make_cli.py > docs/cli.md``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from mainstream.cli import app

WIDTH = 100
HEAD = """\
# The command line

Exit codes of every command: 0 done, 2 bad input, 3 infeasible, 4 a runtime that failed, 130
interrupted. What is wrong is one line on stderr.

A flag means the same in every command. `--json FILE` saves what is printed, `--json -` prints
nothing else on stdout, `-q` prints no table, progress or warnings, and `-o` is the file or folder
that a command is there to make. `mainstream --install-completion` teaches your shell the commands,
flags, methods and problem files. Characters that a terminal would obey are printed as escapes.

Written by `python docs/make_cli.py > docs/cli.md`; a test compares the two.
"""


def reference() -> str:
    """The reference as Markdown."""
    return "\n".join([HEAD, *sections(typer.main.get_command(app), "mainstream", None)])


def sections(command: Any, name: str, parent: Any) -> Iterator[str]:
    """A command's part, then those of the commands below it."""
    context = command.context_class(
        command, info_name=name, parent=parent, terminal_width=WIDTH, max_content_width=WIDTH
    )
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
    for below, inner in getattr(command, "commands", {}).items():
        yield from sections(inner, below, context)


if __name__ == "__main__":
    print(reference(), end="")
