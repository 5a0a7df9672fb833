"""The inputs of the trained part: frames and the frozen part's activations, computed once and kept in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mainstream.errors import ProblemError
from mainstream.files import reason
from mainstream.graphs.backend import tensorflow
from mainstream.graphs.trace import Network
from mainstream.trainer.forward import forward
from mainstream.trainer.splits import Rows


@dataclass(frozen=True)
class BatchSource:
    """Where the batches at one chokepoint come from.

    Attributes
    ----------
    shape : tuple of int
        Shape of one row.
    dtype : type
    batch : callable
        Takes row numbers and gives these rows as one array.
    """

    shape: tuple[int, ...]
    dtype: type
    batch: Callable[[Rows], Any]


BATCH: Final = 64
"""Frames a call of a network takes where no gradient is needed."""


class RowFile:
    """A file of arrays of one shape: they are appended, then memory-mapped.

    The file grows by plain writes. On a full disk a write raises an error; a mapped page would crash the process.

    Parameters
    ----------
    path : Path
    shape : tuple of int
        Shape of one row.
    dtype : type
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: type) -> None:
        self.path = path
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.count = 0
        self.reopen()

    def reopen(self) -> None:
        """Go on adding rows after :meth:`mapped`."""
        self._file = self.path.open("ab")

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows at the end.

        Raises
        ------
        ProblemError
            The disk is full.
        """
        try:
            self._file.write(np.ascontiguousarray(rows, self.dtype).tobytes())
        except OSError as error:
            raise self._full(error) from None
        self.count += len(rows)

    def close(self) -> None:
        """Write what is still buffered.

        Raises
        ------
        ProblemError
            The disk is full.
        """
        try:
            self._file.close()
        except OSError as error:
            raise self._full(error) from None

    def mapped(self) -> NDArray[Any]:
        """Give the rows so far, memory-mapped; raises what :meth:`close` raises."""
        self.close()
        return np.memmap(self.path, self.dtype, "r", shape=(self.count, *self.shape))

    def _full(self, error: OSError) -> ProblemError:
        return ProblemError(
            f"{self.path.parent}: the cache cannot be written: {reason(error)}; "
            "lower --cache-gb or give a --log-dir with more space; what was trained so far is kept"
        )


class Activations:
    """The tensors at a network's chokepoints, of all frames.

    The frames go through the frozen layers once: each chokepoint's tensor is computed from that of the one before.
    The deepest chokepoints get a file first, since their files save the most time and are the smallest. For those
    that no longer fit within the limit, activations are computed again each time.

    Parameters
    ----------
    network : Network
        It must hold the base network's weights, here and whenever activations are computed again.
    frames : (n, height, width, channels) array of uint8
    chokepoints : sequence of int
    folder : Path
        Where the files are written.
    limit : float
        Bytes that all files together may take.
    progress : callable
        Called with the share of the frames that are done, 0..1.

    Attributes
    ----------
    cached : tuple of int
        The chokepoints that have a file.
    """

    def __init__(
        self,
        network: Network,
        frames: NDArray[np.uint8],
        chokepoints: Sequence[int],
        folder: Path,
        limit: float,
        progress: Callable[[float], None] = lambda done: None,
    ) -> None:
        self._network = network
        self._frames = frames
        self._files: dict[int, RowFile] = {}
        self._shapes = shapes(network, chokepoints)
        self.cached = fitting(self._shapes, len(frames), limit)
        if self.cached:
            self._files = {k: RowFile(folder / f"{k}.activations", self._shapes[k], np.float32) for k in self.cached}
            self._compute(progress)

    def at(self, num_frozen: int) -> BatchSource:
        """The source of the activations at a chokepoint: reads its file, or computes them."""
        frames = self._frames
        if num_frozen == 0:
            return BatchSource(frames.shape[1:], np.uint8, lambda rows: frames[rows])
        if num_frozen in self.cached:
            mapped = self._files[num_frozen].mapped()
            return BatchSource(mapped.shape[1:], np.float32, lambda rows: mapped[rows])
        return computed_anew(self._network, num_frozen, self._shapes[num_frozen], frames)

    def _compute(self, progress: Callable[[float], None]) -> None:
        run = through(self._network, self.cached)
        for first in range(0, len(self._frames), BATCH):
            batch = self._frames[first : first + BATCH]
            for k, tensor in zip(self.cached, run(batch), strict=True):
                self._files[k].append(tensor.numpy())
            progress((first + len(batch)) / len(self._frames))
        for file in self._files.values():
            file.close()


def through(network: Network, chokepoints: Sequence[int]) -> Any:
    """A TensorFlow function from frames to the tensors at some chokepoints, which are given in increasing order."""
    tf = tensorflow()

    def run(frames: Any) -> list[Any]:
        tensors = [tf.cast(frames, tf.float32)]
        for start, stop in zip((0, *chokepoints), chokepoints, strict=False):
            tensors.append(forward(network, tensors[-1], start, stop))
        return tensors[1:]

    frame = (network.height, network.width, network.channels)
    return tf.function(run, [tf.TensorSpec((None, *frame), tf.uint8)], autograph=False)


def computed_anew(network: Network, num_frozen: int, shape: tuple[int, ...], frames: Any) -> BatchSource:
    """The source of activations at a chokepoint without a file; `frames` are indexed by row numbers."""
    stem = through(network, [num_frozen])
    return BatchSource(shape, np.float32, lambda rows: stem(frames[rows])[0])


def shapes(network: Network, chokepoints: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """The shape of one row at each chokepoint except 0, in increasing order."""
    inner = sorted(k for k in chokepoints if k > 0)
    if not inner:
        return {}
    outputs = through(network, inner).get_concrete_function().structured_outputs
    return {k: tuple(output.shape[1:]) for k, output in zip(inner, outputs, strict=True)}


def fitting(shapes: Mapping[int, tuple[int, ...]], rows: int, limit: float) -> tuple[int, ...]:
    """The chokepoints whose activations of `rows` rows fit within `limit` bytes; the deepest are chosen first."""
    chosen: list[int] = []
    for k in sorted(shapes, reverse=True):
        size = 4 * rows * prod(shapes[k])  # float32
        if size <= limit:
            chosen.append(k)
            limit -= size
    return tuple(sorted(chosen))
