"""How good the tests are: small changes to the code, one at a time, and how many of them the tests notice.

``python -m benchmarks.mutation`` takes a sample, as all changes would take hours. They are made in a copy of the
repository, by Cosmic Ray. Changes that change nothing are left out where that can be told: in type annotations, and
decorators that go, since jitted code does the same without one.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import os
import random
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Final

from benchmarks.processes import ROOT

FILES: Final = (
    "mainstream/costs.py",
    *(
        f"mainstream/solver/{name}.py"
        for name in ("prepared", "option_table", "methods", "search", "greedy", "branch_and_bound", "max_min")
    ),
)
TESTS: Final = ("tests/test_costs.py", "tests/solver", "tests/test_scheduler.py")
"""From quick to slow; a change is noticed if one of them fails."""
_COPIED: Final = ("mainstream", "tests", "benchmarks", "data", "pyproject.toml")
_SKIPPED: Final = "core/RemoveDecorator"
_LONGEST_S: Final = 1800.0
"""For the tests without a change."""
_PATIENCE: Final = 4
"""Tests that take this many times as long as without a change count as having noticed it."""


def main() -> int:
    """Change the code, run the tests, report.

    Returns
    -------
    int
        1 if the tests fail without any change.
    """
    given = _arguments()
    with TemporaryDirectory() as folder:
        for name in _COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, Path(folder) / name)
        os.environ["PYTHONPATH"] = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])
        with contextlib.chdir(folder):
            return _run(given.files, given.tests, given.sample, given.seed)


def _run(files: Sequence[str], tests: Sequence[str], sample: int, seed: int) -> int:
    from cosmic_ray.mutating import mutate_and_test
    from cosmic_ray.testing import run_tests
    from cosmic_ray.work_item import TestOutcome

    pytest = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", *tests]
    command = shlex.join(pytest)
    for _ in range(2):  # the first one compiles
        started = perf_counter()
        outcome, output = run_tests(command, _LONGEST_S)
        if outcome != TestOutcome.SURVIVED:
            print(f"mutation: the tests fail without a change:\n{output}", file=sys.stderr)
            return 1
    limit = _PATIENCE * (perf_counter() - started) + 10
    every = list(_mutations(files))
    chosen = random.Random(seed).sample(every, min(sample, len(every)))
    survived = 0
    for number, mutation in enumerate(chosen, start=1):
        result = mutate_and_test([mutation], command, limit)
        noticed = result.test_outcome != TestOutcome.SURVIVED
        survived += not noticed
        line = f"{mutation.module_path}:{mutation.start_pos[0]} {mutation.operator_name}"
        print(f"{number}/{len(chosen)} {'noticed ' if noticed else 'SURVIVED'} {line}", flush=True)
        if not noticed:
            print(
                "\n".join(row for row in result.diff.splitlines() if row[:1] in "+-" and row[:3] not in ("---", "+++"))
            )
    print(f"{len(chosen) - survived} of {len(chosen)} changes noticed, out of {len(every)} possible ones; seed {seed}")
    return 0


def _mutations(files: Sequence[str]) -> Iterator[Any]:
    """Every change that may change something."""
    from cosmic_ray.commands import init
    from cosmic_ray.work_db import WorkDB, use_db

    with use_db("mutations.sqlite", WorkDB.Mode.create) as database:
        init([Path(file) for file in files], database, {})
        found = [mutation for item in database.work_items for mutation in item.mutations]
    annotations = {Path(file): _annotations(Path(file).read_text(encoding="utf-8")) for file in files}
    found.sort(key=lambda one: (str(one.module_path), one.operator_name, one.occurrence))
    for mutation in found:
        if mutation.operator_name != _SKIPPED and not any(
            begin <= mutation.start_pos < end for begin, end in annotations[mutation.module_path]
        ):
            yield mutation


def _annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """(line, column) at which each type annotation begins and ends."""
    nodes = [
        annotation
        for node in ast.walk(ast.parse(source))
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if isinstance(annotation, ast.expr)
    ]
    return [((one.lineno, one.col_offset), (one.end_lineno or 0, one.end_col_offset or 0)) for one in nodes]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", default=FILES, metavar="FILE", help=f"default: {' '.join(FILES)}")
    parser.add_argument("--tests", nargs="+", default=TESTS, metavar="PATH", help=f"default: {' '.join(TESTS)}")
    parser.add_argument("--sample", type=int, default=40, help="changes to make (default: 40)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default: 0)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
