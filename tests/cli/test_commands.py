"""What all commands have in common: their table, their flags, shell completion."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from support.commands import run_here

from mainstream.cli import app
from mainstream.cli.commands import LINES, Commands
from mainstream.extensions import EVENT_MODELS, METHODS
from mainstream.problem import Aggregate, Mode, Objective

OWN = {
    "--budget": {"experiment"},  # several budgets, and shares of what is of use
    "--chokepoints": {"train"},  # also a list of num_frozen
    "--config": {"train"},  # settings; of workloads it is the grid of events: both are the published clients' files
    "--fps": {"capacity"},  # that apps analyse, not those of a clip
    "--labels": {"run", "calibrate"},  # a file for each camera; frames only
    "--model-dir": {"train"},  # the published client's: where the package goes
    "--region": {"train", "images"},  # one region for all
    "--source": {"streamer", "init"},  # they have one camera
    "--utilisation": {"experiment"},  # several, as of budgets
    "-n": {"streamer"},  # the published server's, for a model
}
"""What has a type or a help text of its own, and why."""

CLI = Path(__file__).parents[2] / "mainstream" / "cli"
TINY = Path(__file__).parents[2] / "data" / "problems" / "tiny.yaml"
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
    assert set(done.stderr.split()) == {
        f"mainstream.cli.{name}" for name in ("commands", "ending", "exit_codes", "terminal")
    }


def test_a_command_begins_its_help_with_its_line_and_groups_cut_no_line() -> None:
    for name, command in Commands().items():
        assert (command.help or "").splitlines()[0] == LINES[name]
        inner = getattr(command, "commands", {}).values()
        assert "..." not in "".join(one.get_short_help_str(80 - 6 - 8) for one in inner)


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
        ("mainstream solve --method g", ["greedy", "greedy-released"]),
        ("mainstream solve --event-model m", ["measured"]),
        ("mainstream solve --aggregate m", ["mean", "min"]),
        ("mainstream solve data/problems/ti", ["data/problems/tiny.yaml"]),
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


def flags() -> Iterator[tuple[str, str, Any]]:
    def walk(command: Any, name: str) -> Iterator[tuple[str, str, Any]]:
        for below, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, f"{name} {below}".strip())
        for parameter in command.params:
            for flag in (*parameter.opts, *parameter.secondary_opts) if parameter.param_type_name == "option" else ():
                yield flag, name, parameter

    return walk(typer.main.get_command(app), "")


def test_a_flag_has_one_type_and_one_help_wherever_it_stands() -> None:
    seen: dict[str, dict[tuple[object, ...], list[str]]] = {}
    for flag, command, parameter in flags():
        if command in OWN.get(flag, ()):
            continue
        # What a command is there to make is named by its own help.
        words = () if "--output" in parameter.opts else (parameter.metavar, parameter.help)
        kind = (parameter.type_descriptor.annotation, *sorted(parameter.opts), *words)
        seen.setdefault(flag, {}).setdefault(kind, []).append(command)
    assert {flag: kinds for flag, kinds in seen.items() if len(kinds) > 1} == {}
    assert OWN.keys() <= seen.keys()


def test_a_budget_may_be_a_utilisation_and_results_may_be_json() -> None:
    of: dict[str, set[str]] = {}
    for flag, command, _ in flags():
        of.setdefault(command, set()).add(flag)
    assert not {name for name, given in of.items() if "--budget" in given and "--utilisation" not in given}
    for name in ("solve", "frontier", "methods", "simulate", "evaluate", "layers", "share", "calibrate", "deploy"):
        assert "--json" in of[name], name
    for name in ("fleet plan", "fleet status", "apps list", "train-jobs list", "profile", "train", "quantise"):
        assert "--json" in of[name], name
    for name in ("push", "pull", "list", "show", "rm"):
        assert "--json" in of[f"packages {name}"], name


def test_the_words_of_metavars_are_those_that_there_are() -> None:
    of = {flag: parameter.metavar for flag, command, parameter in flags() if command == "solve"}
    for flag, words in {
        "--objective": get_args(Objective),
        "--aggregate": get_args(Aggregate),
        "--mode": get_args(Mode),
        "--event-model": EVENT_MODELS.built_in,
        "--method": METHODS.built_in,
    }.items():
        assert of[flag] == "|".join(words)


@pytest.mark.parametrize(
    "command",
    [
        ["frontier", "--points", 2],
        ["methods", "--time-limit", 5],
        ["simulate", "--frames", 1000],
        ["solve"],
    ],
)
def test_json_has_stdout_to_itself_and_quiet_says_nothing(command: list[object], tmp_path: Path) -> None:
    name, *more = command
    shown = run_here(name, TINY, *more, "--json", "-")
    assert shown.returncode == 0, shown.stderr
    saved = run_here(name, TINY, *more, "--json", tmp_path / "out.json", "-q")
    assert (saved.returncode, saved.stdout, saved.stderr) == (0, "", "")
    made = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert made.keys() == json.loads(shown.stdout).keys()
    assert run_here(name, TINY, *more, "--json", tmp_path / "no" / "out.json").returncode == 2


@pytest.mark.parametrize(
    ("command", "below"),
    [("train-jobs", "list, follow, cancel"), ("fleet", "plan, deploy, status"), ("workloads", "generate")],
)
def test_a_group_without_a_command_says_which_there_are(command: str, below: str) -> None:
    done = run_here(command)
    told = f"{command}: give one of its commands: {below}; --help tells more"
    assert (done.returncode, done.stderr) == (2, f"mainstream: {told}\n")
