"""Optional packages: found without importing them; a missing one names the extra to install."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from mainstream.errors import MissingExtraError


def require(package: str, extra: str) -> None:
    """Raise :class:`MissingExtraError` unless `package` is installed.

    Parameters
    ----------
    package : str
        Name to import, for example "tensorflow".
    extra : str
        Extra of this package that brings it, for example "train".
    """
    if find_spec(package) is None:
        raise MissingExtraError(f"{package} is not installed; pip install 'mainstream[{extra}]'")


def load_quietly(package: str, extra: str) -> Any:
    """The module `package`, imported on first use, without what its libraries print while they are loaded.

    Parameters
    ----------
    package, extra : str
        As for :func:`require`, whose error this raises, too.
    """
    if package in sys.modules:
        return sys.modules[package]
    require(package, extra)
    with silence():
        try:
            return import_module(package)
        except RuntimeError as error:  # Python 3.11 wraps so what comes up, a Ctrl-C, too, while a class is made
            if isinstance(error.__cause__, KeyboardInterrupt):
                raise KeyboardInterrupt from error
            raise


@contextmanager
def silence() -> Iterator[None]:
    """Discard what is written to the file behind stderr, by Python or by a library in another language."""
    # The libraries write to file descriptor 2 itself, before any log level counts.
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
