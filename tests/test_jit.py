"""Numba's cache on disk: it holds from one process to the next, and until a file changes that jitted code may use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mainstream.experiments.simulate import _replay

PACKAGE = Path(__file__).parents[1] / "mainstream"

CALLED = """
from typing import NamedTuple

from mainstream._jit import inner

ADDED = 1


class {pair}(NamedTuple):
    first: int
    second: int


@inner
def called(pair):
    return pair.first + pair.second + ADDED
"""
CALLING = """
from numba import int64, typeof

from mainstream._jit import address, caller, jit
from mainstream.solver.kernels.called import {pair}, called

SIGNATURE = int64(typeof({pair}(1, 2)))
by_address = caller(SIGNATURE)


@jit
def pointed(pair):
    return called(pair)


@jit
def calling(place, pair):
    return by_address(place, (pair,))
"""
RUN = """
from numba.core import event
from mainstream.solver.kernels import called, calling

with event.install_recorder("numba:compile") as compiled:
    answer = calling.calling(calling.address(calling.pointed, calling.SIGNATURE), called.{pair}(20, 300))
print(answer, len(compiled.buffer) > 0)
"""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A package of two jitted files beside the real compiler."""
    kernels = tmp_path / "mainstream" / "solver" / "kernels"
    kernels.mkdir(parents=True)
    shutil.copy(PACKAGE / "_jit.py", kernels.parents[1])
    write(kernels, "Pair")
    return kernels


def write(kernels: Path, pair: str) -> None:
    (kernels / "called.py").write_text(CALLED.format(pair=pair))
    (kernels / "calling.py").write_text(CALLING.format(pair=pair))


def run(kernels: Path, pair: str = "Pair", **variables: str) -> tuple[int, bool]:
    """What the jitted code answers in a process of its own, and whether anything had to be compiled."""
    root = kernels.parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "NUMBA_CACHE_DIR": str(root / "cache")} | variables
    code = RUN.format(pair=pair)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=root)
    assert done.returncode == 0, done.stderr
    answer, compiled = done.stdout.split()
    return int(answer), compiled == "True"


def test_a_second_process_compiles_nothing(copied: Path) -> None:
    assert run(copied) == (321, True)
    assert run(copied) == (321, False)


def test_a_change_in_a_sibling_file_is_noticed(copied: Path) -> None:
    run(copied)
    sibling = copied / "called.py"
    sibling.write_text(sibling.read_text().replace("ADDED = 1", "ADDED = 1000"))
    assert run(copied) == (1320, True)
    assert run(copied) == (1320, False)


def test_an_index_that_names_classes_which_are_gone_is_stale(copied: Path) -> None:
    run(copied)
    write(copied, "Couple")
    assert run(copied, "Couple") == (321, True)


def test_without_the_cache_that_is_known_here_all_is_compiled_anew(copied: Path) -> None:
    jit = copied.parents[1] / "_jit.py"
    jit.write_text(jit.read_text().replace("jitted._cache", "jitted._renamed"))
    assert run(copied) == (321, True)
    assert run(copied) == (321, True)


def test_without_a_folder_for_the_cache_all_is_compiled_anew(copied: Path) -> None:
    (copied / "__pycache__").write_text("")
    nowhere = {"NUMBA_CACHE_DIR": "/proc/none", "HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none"}
    assert run(copied, **nowhere) == (321, True)
    assert run(copied, **nowhere) == (321, True)


def test_what_is_jitted_beside_the_solver_needs_no_folder_for_the_cache(tmp_path: Path) -> None:
    copy = tmp_path / "mainstream"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (copy, copy / "experiments"):
        (folder / "__pycache__").write_text("")
    nowhere = dict.fromkeys(("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME"), "/proc/none")
    environment = os.environ | nowhere | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", "import mainstream.event_kernels, mainstream.experiments.simulate"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "NUMBA_CACHE_DIR" in done.stderr


def test_a_generator_that_was_drawn_from_is_not_kept() -> None:
    random = np.random.default_rng(1)
    drawn = random, 50, (0.5, 0.1, 0.2, 0.1), np.array([3.0, 4.0]), 2.5, ((0.1, 0.2), (0.1, 0.2)), 2, 0, np.zeros(3)
    held = sys.getrefcount(random)
    for _ in range(10):
        _replay(*drawn)
    assert sys.getrefcount(random) == held
