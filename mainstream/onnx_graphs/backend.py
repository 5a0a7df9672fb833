"""ONNX and ONNX Runtime, imported on first use."""

from __future__ import annotations

from typing import Any, Final

from mainstream._optional import load_quietly

EXTRA: Final = "onnx"


def onnx() -> Any:
    """The module ``onnx``, which reads and cuts models.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    return load_quietly("onnx", EXTRA)


def onnxruntime() -> Any:
    """The module ``onnxruntime``, which runs them.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    return load_quietly("onnxruntime", EXTRA)
