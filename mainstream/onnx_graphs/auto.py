"""Chooses the engine: ONNX Runtime, the faster one, if it is installed and can run the model; else TensorFlow.

benchmarks/ENGINES.md shows how much faster it is, for whole networks and for parts.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from mainstream.errors import MissingExtraError, ProblemError
from mainstream.extensions import PART_LOADERS, Part, PartLoader
from mainstream.graphs.part import check_stem
from mainstream.onnx_graphs.conversion import make_ready
from mainstream.onnx_graphs.model_file import SUFFIX
from mainstream.onnx_graphs.stems import check_stem as check_onnx_stem

_NEEDED: Final = {"onnx": ("onnxruntime", "onnx"), "tensorflow": ("tensorflow",)}
"""The built-in engines, the faster first, and their packages."""

_log = logging.getLogger(__name__)


def is_installed(engine: str) -> bool:
    """Whether a built-in engine has the packages that it needs."""
    return all(find_spec(package) is not None for package in _NEEDED[engine])


def faster_engine() -> str:
    """The name of the fastest engine that is installed.

    Raises
    ------
    MissingExtraError
        No engine is installed.
    """
    for engine in _NEEDED:
        if is_installed(engine):
            return engine
    raise MissingExtraError("no engine is installed; pip install 'mainstream[onnx]', or 'mainstream[run]'")


def usual_engine() -> str:
    """The engine when nobody names one: TensorFlow, or ONNX Runtime if only that is installed."""
    return "onnx" if is_installed("onnx") and not is_installed("tensorflow") else "tensorflow"


class _Auto:
    """Runs each model with the fastest engine that can; see :class:`mainstream.extensions.PartLoader`.

    Tensors at cuts have the same form in both engines, so one may run a stem and the other its tails.
    """

    name = "auto"

    def start(self) -> None:
        """Start the fastest engine that is installed."""
        self._slow: set[Path] = set()
        self._faster = PART_LOADERS[faster_engine()]
        self._faster.start()

    def load(self, path: Path, input_layer: str, output_layer: str, *, trusted: bool) -> Part:
        """The layers between two tensors of a model."""
        try:
            return self._faster.load(path, input_layer, output_layer, trusted=trusted)
        except (ProblemError, MissingExtraError) as error:
            if self._faster.name == "tensorflow" or path.suffix == SUFFIX or not is_installed("tensorflow"):
                raise
            refused = error
        other = PART_LOADERS["tensorflow"]
        other.start()
        part = other.load(path, input_layer, output_layer, trusted=trusted)
        self._slow.add(path)
        _log.warning("TensorFlow runs %s, since ONNX Runtime cannot: %s", path.name, refused)
        return part

    def make_ready(self, path: Path, *, trusted: bool) -> None:
        """As ONNX Runtime does, if that is the engine."""
        if self._faster.name == "onnx":
            make_ready(path, trusted=trusted)

    def check_stem(self, stem: Path, own: Path, layer: str, *, trusted: bool) -> None:
        """Let ONNX Runtime check if it runs both models; else TensorFlow, if it can read both."""
        if self._faster.name == "onnx" and self._slow.isdisjoint({stem, own}):
            check_onnx_stem(stem, own, layer, trusted=trusted)
        elif SUFFIX not in (stem.suffix, own.suffix):
            check_stem(stem, own, layer, trusted=trusted)


AUTO: Final[PartLoader] = _Auto()
