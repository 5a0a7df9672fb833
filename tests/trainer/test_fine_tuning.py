"""The parts of a training: layers run for training, activations, rates, splits."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the extra train", exc_type=ImportError)

from support.keras_models import SIZES, noise, plain, shaken
from support.labelled_images import CHOKEPOINTS, network

from mainstream.errors import ProblemError
from mainstream.graphs.backend import keras, tensorflow
from mainstream.graphs.trace import Network, trace
from mainstream.trainer.activations import Activations, BatchSource, RowFile
from mainstream.trainer.base_network import BaseNetwork, trained_variables
from mainstream.trainer.chokepoints import chokepoints
from mainstream.trainer.fine_tuning import Tail, rates
from mainstream.trainer.forward import forward
from mainstream.trainer.networks import KNOWN, build
from mainstream.trainer.samples import Samples
from mainstream.trainer.settings import Settings


def loss_and_gradients(network: Network, frames: Any, start: int, run: Any) -> tuple[float, list[Any]]:
    tf = tensorflow()
    variables = [variable.value for variable in trained_variables(network, start)]
    with tf.GradientTape() as tape:
        result = run(network.run(tf.constant(frames), 0, start))
        loss = tf.reduce_sum(result * np.linspace(-1, 1, result.shape[-1], dtype=np.float32))
    return float(loss), tape.gradient(loss, variables)


@pytest.mark.parametrize("name", ["plain", pytest.param("mobilenetv2", marks=pytest.mark.slow)])
def test_training_through_folded_layers_has_the_gradients_of_keras(name: str) -> None:
    model = plain() if name == "plain" else shaken(build(name, size=32))
    net = trace(model, name)
    frames = noise((4, net.height, net.width, 3))
    end = net.total_layers
    for start in list(chokepoints(net))[:-1:6]:
        ours, our_gradients = loss_and_gradients(
            net, frames, start, lambda tensor, start=start: forward(net, tensor, start, end, training=True)
        )
        theirs, their_gradients = loss_and_gradients(
            net, frames, start, lambda tensor, start=start: net.run(tensor, start)
        )
        assert ours == pytest.approx(theirs, abs=1e-5)
        scale = max(float(np.abs(gradient).max()) for gradient in their_gradients)
        for one, other in zip(our_gradients, their_gradients, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4 * scale)


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_folded_layers_compute_what_keras_does(name: str) -> None:
    net = trace(shaken(build(name, size=SIZES[name])), name)
    frames = noise((2, net.height, net.width, 3))
    cuts = list(chokepoints(net))
    tensor: Any = frames
    for start, stop in pairwise(cuts):
        following = net.run(tensor, start, stop)
        ours = forward(net, tensor, start, stop)
        np.testing.assert_allclose(ours, following, atol=1e-5 * float(np.abs(following).max()), err_msg=f"{start}")
        tensor = following


@pytest.mark.parametrize("optimizer", ["adam", "adamax", "nadam", "rmsprop", "sgd"])
def test_a_tail_is_trained_as_its_variables_one_by_one_would_be(optimizer: str) -> None:
    settings = Settings(
        optimizer=optimizer, learning_rate=0.01, decay=0.1, batch_size=5, max_nb_epoch=2, early_stop=False
    )
    frames, labels = noise((18, 16, 16, 3)), np.arange(18) % 4
    samples = Samples(frames.astype(np.uint8), labels, [np.arange(12)], np.arange(12, 15), np.arange(15, 18))
    keras().utils.set_random_seed(0)
    net = trace(plain(), "plain")
    tf = tensorflow()
    inputs = np.asarray(net.run(frames, 0, 4))
    tail = Tail(net, 4, BatchSource(inputs.shape[1:], np.float32, lambda rows: inputs[rows]), settings)
    tail.train(samples, lambda epoch: None)

    keras().utils.set_random_seed(0)
    twin = trace(plain(), "plain")
    variables = trained_variables(twin, 4)
    keras_own = keras().optimizers.get(optimizer)
    for epoch, step in ((epoch, step) for epoch in (1, 2) for step in range(3)):
        rows = np.random.default_rng([0, 4, epoch]).permutation(12)[5 * step : 5 * step + 5]
        with tf.GradientTape() as tape:
            loss = keras().losses.SparseCategoricalCrossentropy()(labels[rows], twin.run(tf.constant(inputs[rows]), 4))
        keras_own.learning_rate = 0.01 / (1 + 0.1 * (3 * (epoch - 1) + step))
        keras_own.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
    for one, other in zip(trained_variables(net, 4), variables, strict=True):
        np.testing.assert_allclose(one.value, other.value, rtol=1e-4, atol=1e-5, err_msg=one.path)


def test_what_batch_norm_is_not_all_that_reads_is_not_folded() -> None:
    layers = keras().layers
    frame = keras().Input((8, 8, 3), name="frame")
    read_twice = layers.Conv2D(4, 3, padding="same", name="read_twice")(frame)
    x = layers.Add(name="add")([layers.BatchNormalization(name="norm")(read_twice), read_twice])
    x = layers.BatchNormalization(name="behind_a_sum")(x)
    x = layers.BatchNormalization(name="behind_relu")(layers.Conv2D(4, 3, activation="relu", name="relu")(x))
    net = trace(shaken(keras().Model(frame, layers.GlobalAveragePooling2D(name="gap")(x))), "net")
    frames = noise((2, 8, 8, 3))
    tensor, end = tensorflow().constant(frames), net.total_layers
    for training in (False, True):  # batch norm is in inference mode in both
        np.testing.assert_allclose(forward(net, tensor, 0, end, training=training), net.run(frames), rtol=1e-5)
    first = forward(net, tensor, 0, 2)  # the cut between a convolution and its batch norm
    np.testing.assert_allclose(first, net.run(frames, 0, 2), rtol=1e-5)


def test_dropout_drops_in_training_only(tmp_path: Path) -> None:
    net = trace(keras().models.load_model(network(tmp_path / "net.keras")), "net")
    frames = noise((64, 16, 16, 3))
    before = forward(net, tensorflow().constant(frames), 0, 14)
    kept = forward(net, before, 14, 15)
    np.testing.assert_array_equal(kept, before)
    dropped = np.asarray(forward(net, before, 14, 15, training=True))
    share = np.mean(dropped[np.asarray(before) != 0] == 0)
    assert 0.03 < share < 0.2


@pytest.mark.parametrize("limit", [1e9, 40 * 4 * (16 + 3 * 3 * 16 + 8 * 8 * 8) + 50_000, 0])
def test_activations_from_the_chokepoint_before_are_those_from_the_frames(tmp_path: Path, limit: float) -> None:
    base = BaseNetwork(Settings(net=str(network(tmp_path / "net.keras"))), 3)
    frames = noise((40, 16, 16, 3)).astype(np.uint8)
    points = list(CHOKEPOINTS)[:-1]
    activations = Activations(base.network, frames, points, tmp_path, limit)
    assert set(activations.cached) == {1e9: {2, 5, 11, 13, 15}, 0: set()}.get(limit, {11, 13, 15})
    rows = np.array([3, 39, 0, 3])
    for k in points:
        source = activations.at(k)
        batch = np.asarray(source.batch(rows), np.float32)
        assert batch.shape == (4, *source.shape)
        expected = base.network.run(frames[rows].astype(np.float32), 0, k)
        np.testing.assert_allclose(batch, expected, atol=1e-4, err_msg=str(k))


def test_a_file_of_rows_can_be_read_and_then_go_on(tmp_path: Path) -> None:
    file = RowFile(tmp_path / "rows", (2,), np.float32)
    file.append(np.arange(6).reshape(3, 2))
    first = file.mapped()
    file.reopen()
    file.append(np.full((1, 2), 9))
    np.testing.assert_array_equal(file.mapped(), [[0, 1], [2, 3], [4, 5], [9, 9]])
    assert first.shape == (3, 2)


def test_the_rates_of_a_small_confusion_matrix_by_hand() -> None:
    # True class in rows: [[4, 1, 0], [2, 3, 0], [0, 1, 1]]
    labels = np.array([0] * 5 + [1] * 5 + [2] * 2)
    predicted = np.array([0, 0, 0, 0, 1, 0, 0, 1, 1, 1, 1, 2])
    accuracy, rate = rates(labels, predicted, 3)
    assert accuracy == pytest.approx(8 / 12)
    assert rate == pytest.approx((2 / 7 + 2 / 7 + 0 / 10) / 3)
    assert rates(labels, predicted, 3, event=1) == (pytest.approx(3 / 5), pytest.approx(2 / 7))


def test_a_layer_called_on_both_sides_of_a_chokepoint_is_not_trained() -> None:
    layers = keras().layers
    frame = keras().Input((8, 8, 3), name="frame")
    twice = layers.Conv2D(3, 3, padding="same", name="twice")
    x = layers.GlobalAveragePooling2D(name="gap")(twice(twice(frame)))
    net = trace(keras().Model(frame, layers.Dense(2, name="top")(x)), "net")
    assert [variable.path for variable in trained_variables(net, 2)] == ["top/kernel", "top/bias"]
    assert len(trained_variables(net, 0)) == 4


def test_chokepoints_of_a_training(tmp_path: Path) -> None:
    path = str(network(tmp_path / "net.keras"))
    assert BaseNetwork(Settings(net=path), 3).chokepoints == CHOKEPOINTS
    assert set(BaseNetwork(Settings(net=path, chokepoints="13,5,1"), 3).chokepoints) == {0, 5, 13, 16}
    assert set(BaseNetwork(Settings(net=path, chokepoints=5), 3).chokepoints) == {0, 5, 16}
    with pytest.raises(
        ProblemError, match=r"cannot be cut after 7 layers; nearest: 5 and 11; `mainstream layers .*net.keras`"
    ):
        BaseNetwork(Settings(net=path, chokepoints=[7]), 3)
    with pytest.raises(ProblemError, match=r"gives outputs of shape \(None, 3\)"):
        BaseNetwork(Settings(net=path), 2)


def test_the_digest_is_of_the_weights_that_can_be_shared(tmp_path: Path) -> None:
    one = BaseNetwork(Settings(net="mobilenetv2", n=32, weights="none", seed=1), 2)
    two = BaseNetwork(Settings(net="mobilenetv2", n=32, weights="none", seed=1), 5)
    other = BaseNetwork(Settings(net="mobilenetv2", n=32, weights="none", seed=2), 2)
    assert one.digest == two.digest != other.digest
