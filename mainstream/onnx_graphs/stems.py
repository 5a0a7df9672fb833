"""Whether a tail fits the stem before it, by the ONNX models that ONNX Runtime would run."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from mainstream.files import naming
from mainstream.graphs.stems import Layers, check_same_stem
from mainstream.onnx_graphs.model_file import read_model
from mainstream.onnx_graphs.steps import onnx_steps


def check_stem(stem: Path, own: Path, layer: str, *, trusted: bool) -> None:
    """Refuse a tail whose own leading layers have other weights, or another precision, than the stem's.

    Parameters
    ----------
    stem, own : Path
        The model that the stem is taken from, and the tail's own.
    layer : str
        The tensor between the two.
    trusted : bool
        As for :func:`mainstream.onnx_graphs.model_file.read_model`.

    Raises
    ------
    ProblemError
        As :func:`mainstream.graphs.stems.check_same_stem`.
    """
    first, second = ((path.name, _read(path, trusted=trusted)) for path in (stem, own))
    check_same_stem(first, second, layer)


def _read(path: Path, *, trusted: bool) -> Layers:
    state = path.stat()
    return _layers(path, state.st_mtime_ns, state.st_size, trusted)


@lru_cache(maxsize=128)
def _layers(path: Path, modified: int, size: int, trusted: bool) -> Layers:
    """The layers in a file; `modified` and `size` tell one version of it from the next."""
    model = read_model(path, trusted=trusted)
    with naming(path):
        return Layers.of(onnx_steps(model), model.precision)
