"""Training at each chokepoint, one after the other in this process or as tasks of an executor, with the same results.

With warm start each tail waits for the next deeper one, from which it begins. Only tails that begin from the base
network are trained at the same time.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mainstream.executors import Executor, Shared, Task
from mainstream.graphs.backend import use_threads
from mainstream.trainer.activations import BATCH, Activations, BatchSource, computed_anew, fitting, shapes, through
from mainstream.trainer.base_network import BaseNetwork, Packed
from mainstream.trainer.fine_tuning import Epoch, Tail, rates
from mainstream.trainer.samples import Samples
from mainstream.trainer.settings import Settings
from mainstream.trainer.splits import Rows

BLOCK: Final = 2 * BATCH
"""Frames in one task that computes activations; their activations at all chokepoints must fit in a worker's memory."""

Weights = list[NDArray[Any]]


class Fitted(NamedTuple):
    """The result of training at one chokepoint."""

    weights: Weights
    accuracy: float
    false_positive_rate: float
    history: list[Epoch]


@dataclass(frozen=True)
class Fit:
    """What training at all chokepoints has in common.

    Attributes
    ----------
    data : Samples
    settings : Settings
    event : int or None
        Measure the rates of this class only; None for all classes.
    """

    data: Samples
    settings: Settings
    event: int | None

    def at(
        self,
        base: BaseNetwork,
        num_frozen: int,
        source: BatchSource,
        begin: Weights | None,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    ) -> Fitted:
        """Train a tail and measure it; it begins from the weights `begin`, or else from the base network's."""
        base.restore(begin)
        tail = Tail(base.network, num_frozen, source, self.settings)
        history = tail.train(self.data, on_epoch)
        predicted = tail.predict(self.data.test).argmax(axis=1)
        measured = rates(self.data.labels[self.data.test], predicted, base.classes, self.event)
        del tail, source
        gc.collect()  # a tail and its graph refer to each other, and keep a file of activations mapped
        return Fitted(base.model.get_weights(), *measured, history)

    def here(
        self,
        base: BaseNetwork,
        todo: Sequence[int],
        activations: Activations,
        begin: Weights | None,
        on_epoch: Callable[[int, Epoch], None],
    ) -> Generator[tuple[int, Fitted], None, None]:
        """Train in this process, in the order of `todo`."""
        for k in todo:
            fitted = self.at(base, k, activations.at(k), begin, partial(on_epoch, k))
            yield k, fitted
            begin = fitted.weights if self.settings.warm_start else None


@dataclass(frozen=True)
class Apart:
    """Training as tasks.

    Attributes
    ----------
    executor : Executor
    cpus : int
    gpus : float
        CPUs and GPUs of each task. TensorFlow gets as many threads as there are CPUs.
    """

    executor: Executor
    cpus: int = 1
    gpus: float = 0

    def run(
        self,
        fit: Fit,
        base: BaseNetwork,
        todo: Sequence[int],
        limit: float,
        begin: Weights | None,
        on_stem: Callable[[float], None],
    ) -> Generator[tuple[int, Fitted], None, None]:
        """Train at the chokepoints in `todo` and yield each as it is done.

        Parameters
        ----------
        fit : Fit
        base : BaseNetwork
        todo : sequence of int
        limit : float
            Bytes of activations to keep at most.
        begin : list of arrays, optional
            Weights that the first tail begins from.
        on_stem : callable
            Called with the share of the frames whose activations are computed, 0..1.

        Raises
        ------
        Exception
            The error at a chokepoint; raised after all chokepoints that do not depend on it are done.
        """
        data = fit.data
        packed = self.executor.share(base.packed())
        common = self.executor.share(replace(fit, data=replace(data, frames=np.array(data.frames[:0]))))
        starts = range(0, len(data.frames), BLOCK)
        frames = [self.executor.share(np.array(data.frames[first : first + BLOCK])) for first in starts]
        cached = fitting(shapes(base.network, todo), len(data.frames), limit)
        kept = self._activations(packed, cached, frames, on_stem)
        steps = [[k] for k in todo] if fit.settings.warm_start else [list(todo)]
        failed = None
        for step in steps:
            tasks = (self._task(k, _fit, packed, common, k, begin, k in kept, *kept.get(k, frames)) for k in step)
            for done in self.executor.run(tasks):
                if done.error is not None:
                    failed = failed or done.error
                    continue
                yield int(str(done.key)), Fitted(*done.value)
                begin = done.value[0] if fit.settings.warm_start else None
            if failed is not None:
                raise failed

    def _activations(
        self, packed: Shared, cached: tuple[int, ...], frames: list[Shared], on_stem: Callable[[float], None]
    ) -> dict[int, list[Shared]]:
        """Chokepoint -> blocks of its activations, for those that are kept; computed once."""
        if not cached:
            return {}
        blocks: dict[int, list[Shared]] = {}
        tasks = (
            self._task(n, _activations, packed, cached, block, pieces=len(cached)) for n, block in enumerate(frames)
        )
        for done in self.executor.run(tasks):
            blocks[int(str(done.key))] = done.result()
            on_stem(len(blocks) / len(frames))
        return {k: [blocks[n][place] for n in range(len(frames))] for place, k in enumerate(cached)}

    def _task(self, key: int, function: Callable[..., Any], *arguments: Any, pieces: int | None = None) -> Task:
        return Task(key, function, (self.cpus, *arguments), self.cpus, self.gpus, pieces)


class _Blocks:
    """Blocks of rows that are indexed like one array."""

    def __init__(self, blocks: Sequence[NDArray[Any]]) -> None:
        self._blocks = blocks
        self.shape = blocks[0].shape[1:]

    def __getitem__(self, rows: Rows) -> NDArray[Any]:
        return np.stack([self._blocks[row // BLOCK][row % BLOCK] for row in rows])


@lru_cache(maxsize=1)
def _unpacked(packed: Packed) -> BaseNetwork:
    return packed.unpacked()


def _activations(cpus: int, packed: Packed, chokepoints: tuple[int, ...], frames: NDArray[np.uint8]) -> list[Any]:
    """In a worker: the tensors of some frames at each chokepoint."""
    use_threads(cpus)
    base = _unpacked(packed)
    base.restore()  # lost activations are computed again, and this worker may have trained the weights since
    run = through(base.network, chokepoints)
    batches = [run(frames[first : first + BATCH]) for first in range(0, len(frames), BATCH)]
    return [np.concatenate([batch[n].numpy() for batch in batches]) for n in range(len(chokepoints))]


def _fit(
    cpus: int, packed: Packed, fit: Fit, num_frozen: int, begin: Weights | None, kept: bool, *blocks: NDArray[Any]
) -> Fitted:
    """In a worker: train at one chokepoint, from its activations or, if they are not kept, from the frames."""
    use_threads(cpus)
    base, rows = _unpacked(packed), _Blocks(blocks)
    if kept or num_frozen == 0:
        source = BatchSource(rows.shape, np.float32 if kept else np.uint8, rows.__getitem__)
    else:
        shape = shapes(base.network, [num_frozen])[num_frozen]
        source = computed_anew(base.network, num_frozen, shape, rows)
    return fit.at(base, num_frozen, source, begin)
