"""Keras models in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainstream.errors import ProblemError
from mainstream.graphs.backend import brief, keras


def load_keras_file(path: str | Path) -> Any:
    """The model in a Keras file.

    Raises
    ------
    ProblemError
        There is no such file, or it cannot be loaded.
    """
    path = Path(path)
    if not path.is_file():
        raise ProblemError(f"{path}: no such file")
    try:
        return keras().models.load_model(path, compile=False)
    except Exception as error:  # Keras raises almost anything here
        advice = "; register the class and give the model as an object" if "locate class" in str(error) else ""
        raise ProblemError(f"{path} cannot be loaded: {brief(error)}{advice}") from None
