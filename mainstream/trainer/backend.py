"""TensorFlow and Keras, imported on first use and without their start-up notices."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from mainstream.errors import ProblemError
from mainstream.extras import require


def tensorflow() -> Any:
    """The module ``tensorflow``.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    require("tensorflow", "train")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silent_start():
        return import_module("tensorflow")


def keras() -> Any:
    """The module ``keras``, running on TensorFlow.

    Raises
    ------
    MissingExtraError
        It is not installed.
    ProblemError
        It is set up to run on something else.
    """
    tensorflow()
    require("keras", "train")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    module = import_module("keras")
    if module.config.backend() != "tensorflow":
        raise ProblemError(f"Keras runs on {module.config.backend()} here; set KERAS_BACKEND=tensorflow")
    return module


def brief(error: Exception) -> str:
    """The first sentence of a foreign error, on one line."""
    text = " ".join(str(error).split()).rsplit("Exception encountered: ", 1)[-1]  # Keras's way to name the cause
    sentence = text.split(". ", 1)[0].rstrip(".")
    return sentence if len(sentence) <= 200 else sentence[:197] + "..."


@contextmanager
def _silent_start() -> Iterator[None]:
    # While they are loaded, the libraries write to file descriptor 2 itself, before any log level counts.
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
