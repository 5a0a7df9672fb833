"""ONNX Runtime's parts: the layers between two tensors of a model file, as one function."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mainstream.errors import ProblemError
from mainstream.extensions import PartLoader
from mainstream.files import naming
from mainstream.graphs.shapes import fits
from mainstream.onnx_graphs.backend import onnx, onnxruntime
from mainstream.onnx_graphs.conversion import make_ready
from mainstream.onnx_graphs.cutting import Cut, cut
from mainstream.onnx_graphs.model_file import read_model
from mainstream.onnx_graphs.stems import check_stem
from mainstream.ranges import THREADS

_QUIET: Final = 4
"""ONNX Runtime's severity "fatal": the rest is raised as our own errors."""
_TOO_NEW: Final = re.compile(r"Opset \d+ is under development|Unsupported model IR version: \d+")
_NO_MEMORY: Final = re.compile(r"bad.?alloc|allocate memory|std::length_error|cannot create std::vector", re.IGNORECASE)
_LOCATED: Final = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (?:/\S+ [^:]*(?:::[^:]+)*\) )?")

_log = logging.getLogger(__name__)


class OnnxPart:
    """The layers between two tensors of a model.

    A call runs in the thread that makes it; several threads may call.

    Parameters
    ----------
    path : str or Path
        An ONNX model, or a frozen graph, ``.pb``, or a Keras model, ``.keras``, which is converted.
    input_layer, output_layer : str
        Names of the tensors at its two ends, as in the profile's ``frozen_layer_names``.
    trusted : bool
        Whether the model may hold any operation, not only those of :mod:`mainstream.onnx_graphs.op_allow_list`.
    threads : int
        Threads that one call uses.

    Attributes
    ----------
    input_shape, output_shape : tuple of (int or None), or None
        The shapes that it takes and gives; a side is None if any number will do, such as the batch, and the whole is
        None if the graph does not say. Frames have their channels last, whatever the model's layout.

    Raises
    ------
    MissingExtraError
        ONNX Runtime, or what a conversion needs, is not installed.
    ProblemError
        The file is not such a model, lacks a tensor, or has no way from the one to the other.
    """

    def __init__(
        self, path: str | Path, input_layer: str, output_layer: str, *, trusted: bool = False, threads: int = 1
    ) -> None:
        THREADS.check("threads", threads, briefly=True)
        with naming("model_path"):
            model = read_model(path, trusted=trusted)
        part = cut(model, input_layer, output_layer)
        with naming(f"model_path: {path}"):
            self._session = _session(part, threads)
        if model.channels_first(model.tensor(input_layer)):
            _log.info("%s takes (batch, channels, height, width); frames are turned for it", path)
        self._feed, self._fetch = part.feed, [part.fetch]
        self._dtype = part.dtype
        self.input_shape, self.output_shape = part.input_shape, part.output_shape

    def __call__(self, batch: ArrayLike) -> NDArray[Any]:
        """Run it.

        Parameters
        ----------
        batch : array, shape `input_shape`

        Returns
        -------
        array, shape (batch, ...)

        Raises
        ------
        ProblemError
            The batch has another shape, or ONNX Runtime cannot run the layers on it.
        MemoryError
            There is too little memory for it.
        """
        tensor = np.asarray(batch, self._dtype)
        if not fits(tensor.shape, self.input_shape):
            raise ProblemError(f"a batch of shape {tensor.shape}; this part takes {self.input_shape}")
        try:
            result: NDArray[Any] = self._session.run(self._fetch, {self._feed: tensor})[0]
        except Exception as error:  # ONNX Runtime's errors have no common class
            raise _told("it cannot be run", error) from None
        return result


class _OnnxRuntime:
    """The engine that runs ONNX models, and models converted to ONNX; see :class:`mainstream.extensions.PartLoader`.

    Each part uses one thread for a frame.
    """

    name = "onnx"

    def start(self) -> None:
        """Import the packages that it needs."""
        onnx()
        onnxruntime()

    def load(self, path: Path, input_layer: str, output_layer: str, *, trusted: bool) -> OnnxPart:
        """The layers between two tensors of a model."""
        return OnnxPart(path, input_layer, output_layer, trusted=trusted)

    def make_ready(self, path: Path, *, trusted: bool) -> None:
        """As :func:`mainstream.onnx_graphs.conversion.make_ready`."""
        make_ready(path, trusted=trusted)

    def check_stem(self, stem: Path, own: Path, layer: str, *, trusted: bool) -> None:
        """As :func:`mainstream.onnx_graphs.stems.check_stem`."""
        check_stem(stem, own, layer, trusted=trusted)


ONNX: Final[PartLoader] = _OnnxRuntime()


def _session(part: Cut, threads: int) -> Any:
    runtime = onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _QUIET
    try:
        return runtime.InferenceSession(part.proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise _told("ONNX Runtime cannot load it", error) from None


def _told(what: str, error: Exception) -> Exception:
    """An error of ONNX Runtime as one of ours, on one line."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or _NO_MEMORY.search(text):
        return MemoryError(text[:200])
    newer = _TOO_NEW.search(text)
    if newer:
        return ProblemError(
            f"{newer[0]} in this onnxruntime; export the model with an older opset, such as 17, or update onnxruntime"
        )
    text = _LOCATED.sub("", text).removeprefix("This is an invalid model. ").split(". ", 1)[0]
    return ProblemError(f"{what}: {text if len(text) <= 200 else text[:197] + '...'}")
