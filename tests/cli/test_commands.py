"""What all commands have in common: their table, their flags, shell completion."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import run_here

from mainstream.cli.commands import LINES

CLI = Path(__file__).parents[2] / "mainstream" / "cli"
HEAVY = {"numba", "ortools", "tensorflow", "keras", "zmq", "av", "starlette", "uvicorn", "ray", "onnx", "onnxruntime"}


def test_the_table_names_every_module_with_a_command() -> None:
    def is_command(file: Path) -> bool:
        body = ast.parse(file.read_text(encoding="utf-8")).body
        functions = [node.name for node in body if isinstance(node, ast.FunctionDef)]
        return "command" in functions or "app = typer.Typer(" in file.read_text(encoding="utf-8")

    files = {file.stem.replace("_", "-") for file in CLI.glob("[a-z]*.py") if is_command(file)}
    assert files == set(LINES)


def test_help_shows_every_command_in_whole_lines_and_imports_none() -> None:
    code = (
        "import sys; from mainstream.cli import main; sys.argv[1:] = ['--help']\ntry: main()\nexcept SystemExit: pass\n"
    )
    code += "print(*[name for name in sys.modules if name.startswith('mainstream.cli.')], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name, line in LINES.items():
        assert f"  {name} " in done.stdout and f" {line}\n" in done.stdout
    assert set(done.stderr.split()) == {"mainstream.cli.commands", "mainstream.cli.exit_codes"}


def test_help_of_a_command_loads_nothing_heavy() -> None:
    code = (
        "import sys; from mainstream.cli.commands import LINES, Commands; found = [Commands()[name] for name in LINES]"
    )
    code += "\nprint(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not HEAVY & set(loaded.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("mainstream strea", ["streamer", "streamer-keys"]),
        ("mainstream packages pu", ["push", "pull"]),
        ("mainstream solve --budg", ["--budget"]),
    ],
)
def test_the_shell_completes(words: str, expected: list[str]) -> None:
    where = len(words.split()) - 1
    done = run_here(_MAINSTREAM_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(where))
    assert done.stdout.split() == expected


def test_a_command_that_is_not_there_names_the_next() -> None:
    done = run_here("solv")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "mainstream: No such command 'solv'. Did you mean 'solve'?\n"
