"""TensorFlow and Keras, imported on first use and without their start-up notices."""

from __future__ import annotations

import os
from typing import Any

from mainstream.errors import ProblemError
from mainstream.extras import load_quietly


def tensorflow() -> Any:
    """The module ``tensorflow``.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return load_quietly("tensorflow", "train")


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
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    module = load_quietly("keras", "train")
    if module.config.backend() != "tensorflow":
        raise ProblemError(f"Keras runs on {module.config.backend()} here; set KERAS_BACKEND=tensorflow")
    return module


def brief(error: Exception) -> str:
    """The first sentence of a foreign error, on one line."""
    text = " ".join(str(error).split()).rsplit("Exception encountered: ", 1)[-1]  # Keras's way to name the cause
    sentence = text.split(". ", 1)[0].rstrip(".")
    return sentence if len(sentence) <= 200 else sentence[:197] + "..."
