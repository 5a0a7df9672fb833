"""OR-Tools before TensorFlow: in this order both work in one process, see mainstream/solver/cp_sat_subprocess.py."""

import logging
from collections.abc import Iterator

import ortools.sat.python.cp_model  # noqa: F401
import pytest


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """A command that runs in the tests' own process sends the log to its screen; the next test has it back."""
    log = logging.getLogger("mainstream")
    handlers, level, propagate = log.handlers[:], log.level, log.propagate
    yield
    log.handlers[:], log.propagate = handlers, propagate
    log.setLevel(level)
