"""TensorFlow and Keras, imported on first use and without their start-up notices."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from mainstream._optional import load_quietly
from mainstream.errors import ProblemError
from mainstream.graphs import onednn
from mainstream.ranges import THREADS

_LONGEST: Final = 250
"""Characters of a foreign error: enough for the address of a download and why it failed."""


def tensorflow(extra: str = "train") -> Any:
    """The module ``tensorflow``; `extra` is the one to name if it is missing.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        onednn.use_kept()
    return load_quietly("tensorflow", extra)


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


def use_threads(threads: int) -> None:
    """Let TensorFlow use so many threads; call this before the first network is built in this process.

    Raises
    ------
    ProblemError
        `threads` is out of its range, or TensorFlow already runs with another number.
    """
    THREADS.check("threads", threads, briefly=True)
    setting = tensorflow().config.threading
    for get, put in (
        (setting.get_intra_op_parallelism_threads, setting.set_intra_op_parallelism_threads),
        (setting.get_inter_op_parallelism_threads, setting.set_inter_op_parallelism_threads),
    ):
        if get() != threads:
            try:
                put(threads)
            except RuntimeError:
                raise ProblemError(
                    f"TensorFlow already runs with {get() or 'all'} threads in this process, not with {threads}; "
                    "call use_threads() before any network is built"
                ) from None


def brief(error: Exception) -> str:
    """The first sentence of a foreign error, on one line."""
    text = " ".join(str(error).split()).rsplit("Exception encountered: ", 1)[-1]  # Keras puts the cause behind this
    sentence = text.split(". ", 1)[0].rstrip(".")
    return sentence if len(sentence) <= _LONGEST else sentence[: _LONGEST - 4].rsplit(" ", 1)[0] + " ..."
