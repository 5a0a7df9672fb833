"""Fine-tuning of the layers behind one chokepoint, and the accuracy and false positive rate that result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mainstream.errors import ProblemError
from mainstream.graphs.backend import keras, tensorflow
from mainstream.graphs.trace import Network
from mainstream.trainer.activations import BATCH, BatchSource
from mainstream.trainer.base_network import trained_variables, unfrozen
from mainstream.trainer.forward import forward
from mainstream.trainer.samples import Samples
from mainstream.trainer.settings import Settings
from mainstream.trainer.splits import Rows


class Epoch(NamedTuple):
    """The state of a training after an epoch; epoch 0 is the state before training and has no loss."""

    epoch: int
    loss: float | None
    validation_loss: float
    validation_accuracy: float
    seconds: float


class Tail:
    """The layers behind one chokepoint, to be trained.

    During training their weights are one long vector. Optimizers work element by element, and with some hundred small
    variables they would spend more time on overhead than on the arithmetic.

    Parameters
    ----------
    network : Network
        Traced from the model whose weights are trained.
    num_frozen : int
    source : BatchSource
        Gives the tensors at that chokepoint.
    settings : Settings
    """

    def __init__(self, network: Network, num_frozen: int, source: BatchSource, settings: Settings) -> None:
        tf = tensorflow()
        self.num_frozen = num_frozen
        self._settings = settings
        self._network = network
        self._trained = trained_variables(network, num_frozen)
        ids = {id(variable) for variable in self._trained}
        layers = unfrozen(network, num_frozen)
        self._others = [one for layer in layers for one in layer.variables if id(one) not in ids]
        flat = np.concatenate([variable.value.numpy().ravel() for variable in self._trained])
        self._vector = keras().Variable(flat, dtype="float32")
        batch, labels = tf.TensorSpec((None, *source.shape), source.dtype), tf.TensorSpec((None,), tf.int64)
        self._batch = source.batch
        # Made concrete at once: TensorFlow warns of functions that are made often and called rarely.
        predict = tf.function(lambda batch: self._run(batch, False), [batch], autograph=False)
        step = tf.function(self._training_step(), [batch, labels], autograph=False)
        self._predict, self._step = predict.get_concrete_function(), step.get_concrete_function()

    def _run(self, batch: Any, training: bool) -> Any:
        tensor = tensorflow().cast(batch, "float32")
        start, stop, batch_norm = self.num_frozen, self._network.total_layers, self._settings.batch_norm
        with keras().StatelessScope(state_mapping=list(zip(self._trained, self._pieces(), strict=True))) as scope:
            result = forward(self._network, tensor, start, stop, training=training, batch_norm=batch_norm)
        for variable in self._others:  # batch norm's statistics, and the state of random layers
            value = scope.get_current_value(variable)
            if value is not None:
                variable.assign(value)
        return result

    def _pieces(self) -> list[Any]:
        """The vector, cut into the variables."""
        tf = tensorflow()
        shapes = [tuple(variable.shape) for variable in self._trained]
        pieces = tf.split(self._vector.value, [prod(shape) for shape in shapes])
        return [tf.reshape(piece, shape) for piece, shape in zip(pieces, shapes, strict=True)]

    def _training_step(self) -> Callable[[Any, Any], Any]:
        tf = tensorflow()
        optimizer = self._optimizer()
        optimizer.build([self._vector])

        def step(batch: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(_losses(labels, self._run(batch, True)))
            optimizer.apply([tape.gradient(loss, self._vector.value)], [self._vector])
            return loss

        return step

    def _optimizer(self) -> Any:
        rate: Any = self._settings.learning_rate
        if rate is None:
            head = all(len(variable.shape) <= 2 for variable in self._trained)
            rate = 1e-3 if head else 1e-4
        if self._settings.decay > 0:
            rate = keras().optimizers.schedules.InverseTimeDecay(rate, 1, self._settings.decay)
        optimizer = keras().optimizers.get(self._settings.optimizer)
        optimizer.learning_rate = rate
        return optimizer

    def train(self, samples: Samples, on_epoch: Callable[[Epoch], None]) -> list[Epoch]:
        """Train until the validation loss has not fallen for `patience` epochs, or all epochs have run.

        At the end the trained weights are written to the model's variables.

        Parameters
        ----------
        samples : Samples
        on_epoch : callable
            Called after each epoch.

        Returns
        -------
        list of Epoch

        Raises
        ------
        ProblemError
            The loss is no longer a finite number.
        """
        settings = self._settings
        history: list[Epoch] = []
        best, kept = 0, self._copy()
        for epoch in range(settings.max_nb_epoch + 1):
            start = time.perf_counter()
            loss = self._epoch(epoch, samples) if epoch > 0 else None
            history.append(Epoch(epoch, loss, *self._validate(samples), time.perf_counter() - start))
            if not np.isfinite([loss or 0, history[-1].validation_loss]).all():
                raise ProblemError(
                    f"num_frozen {self.num_frozen}, epoch {epoch}: the loss is no longer a finite number; "
                    "give a smaller learning-rate; what was trained before is kept"
                )
            on_epoch(history[-1])
            if not settings.early_stop:
                continue
            if history[-1].validation_loss < history[best].validation_loss:
                best, kept = epoch, self._copy()
            elif epoch - best >= settings.patience:
                break
        if settings.early_stop:
            for variable, value in zip((self._vector, *self._others), kept, strict=True):
                variable.assign(value)
        for variable, value in zip(self._trained, self._pieces(), strict=True):
            variable.assign(value)
        return history

    def _copy(self) -> list[NDArray[Any]]:
        return [variable.value.numpy() for variable in (self._vector, *self._others)]

    def _epoch(self, epoch: int, samples: Samples) -> float:
        """Mean loss over one epoch."""
        rows = samples.passes[(epoch - 1) % len(samples.passes)]
        # The generator is seeded anew for each epoch, so that a resumed training draws the same order.
        shuffled = np.random.default_rng([self._settings.seed, self.num_frozen, epoch]).permutation(rows)
        losses = [
            self._step(self._batch(batch), samples.labels[batch])
            for batch in _batches(shuffled, self._settings.batch_size)
        ]
        return float(np.mean(losses))

    def _validate(self, samples: Samples) -> tuple[float, float]:
        probabilities = self.predict(samples.validation)
        labels = samples.labels[samples.validation]
        accuracy = float(np.mean(probabilities.argmax(axis=1) == labels))
        return float(np.mean(_losses(labels, probabilities))), accuracy

    def predict(self, rows: Rows) -> NDArray[np.float32]:
        """Probabilities of the classes.

        Returns
        -------
        (rows, classes) array
        """
        return np.concatenate([np.asarray(self._predict(self._batch(batch))) for batch in _batches(rows, BATCH)])


def _losses(labels: Any, probabilities: Any) -> Any:
    return keras().losses.sparse_categorical_crossentropy(labels, probabilities)


def _batches(rows: Rows, size: int) -> Iterator[Rows]:
    return (rows[first : first + size] for first in range(0, len(rows), size))


def rates(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int, event: int | None = None
) -> tuple[float, float]:
    """The two rates of one point of an accuracy curve.

    Parameters
    ----------
    labels, predicted : (n,) arrays
        True and predicted class of each sample; each class must have a sample.
    classes : int
    event : int, optional
        Measure the rates of this class only.

    Returns
    -------
    accuracy : float
        Share of the samples that are predicted right; with `event`, of that class's samples.
    false_positive_rate : float
        The false positive rate of class c is the share of other classes' samples that are predicted to be c. This is
        its mean over all classes; with `event`, the rate of that class.
    """
    false = [float(np.mean(predicted[labels != c] == c)) for c in range(classes)]
    if event is None:
        return float(np.mean(predicted == labels)), float(np.mean(false))
    return float(np.mean(predicted[labels == event] == event)), false[event]
