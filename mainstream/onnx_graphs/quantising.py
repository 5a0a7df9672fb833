"""ONNX models with weights and activations of 8 bits.

The form is QDQ: each tensor is rounded to one of 256 values between the smallest and the largest that it had on the
calibration frames, each weight to one of 128, and ONNX Runtime computes with the integers. The rounding of a tensor
depends only on the layers before it and on those frames. So apps with the same leading layers that are calibrated on
the same frames can still share them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mainstream._optional import load_quietly
from mainstream.errors import ProblemError
from mainstream.files import naming
from mainstream.onnx_graphs.backend import EXTRA, onnxruntime
from mainstream.onnx_graphs.model_file import OnnxModel, read_model


def quantised(path: Path, frames: Iterable[NDArray[np.uint8]]) -> bytes:
    """A model in 8 bits.

    Parameters
    ----------
    path : Path
        ``.onnx``, or ``.pb`` and ``.keras``, which are converted.
    frames : iterable of (height, width, channels) arrays
        Frames to calibrate with; channels last, whatever the model's layout.

    Returns
    -------
    bytes
        A ModelProto; tensors keep their names.

    Raises
    ------
    MissingExtraError
        ONNX Runtime, or what a conversion needs, is not installed.
    ProblemError
        The file is not such a model, has several inputs, is in 8 bits already, or cannot be quantised.
    """
    model = read_model(path, trusted=False)
    with naming(path):
        if len(model.inputs) != 1:
            raise ProblemError(f"it has {len(model.inputs)} inputs; it has to take one frame")
        if model.precision is not None:
            raise ProblemError("it is quantised already; give the model that it was made from")
        return _quantised(model, frames)


def _quantised(model: OnnxModel, frames: Iterable[NDArray[np.uint8]]) -> bytes:
    onnxruntime()
    tools = load_quietly("onnxruntime.quantization", EXTRA)
    (frame,) = model.inputs
    turned = (2, 0, 1) if model.channels_first(frame) else (0, 1, 2)

    class Frames(tools.CalibrationDataReader):  # type: ignore[misc, name-defined]
        """The frames, in the form that ONNX Runtime's calibration asks for."""

        def __init__(self) -> None:
            self._left = iter(frames)

        def get_next(self) -> dict[str, Any] | None:
            one = next(self._left, None)
            return None if one is None else {frame: one.transpose(turned)[None].astype(np.float32)}

    with TemporaryDirectory() as folder, _silent():
        given, made = Path(folder) / "given.onnx", Path(folder) / "made.onnx"
        given.write_bytes(model.proto.SerializeToString())
        try:
            tools.quantize_static(
                given,
                made,
                Frames(),
                quant_format=tools.QuantFormat.QDQ,
                # As ONNX Runtime advises for x86 without VNNI: unsigned activations are faster there, and with
                # weights of 7 bits the sum of two products fits into 16 bits.
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
                reduce_range=True,
                per_channel=True,  # a single scale would lose some channels of a depthwise kernel
                calibrate_method=tools.CalibrationMethod.MinMax,
            )
        except Exception as error:  # ONNX Runtime's errors have no common class
            raise ProblemError(f"it cannot be quantised: {' '.join(str(error).split())[:200]}") from None
        return made.read_bytes()


@contextmanager
def _silent() -> Iterator[None]:
    """Hide the advice to prepare the model first, which would rename the tensors that it is cut at."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
