"""Batch norms folded into convolutions: the same results, the same names, and nothing folded across a cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)

from support.keras_models import SIZES, noise, plain, scenery, shaken, variants

from mainstream.graphs.backend import keras, tensorflow
from mainstream.graphs.folding import fold_batch_norms
from mainstream.graphs.frozen import frozen_graph
from mainstream.graphs.op_allow_list import check_ops
from mainstream.graphs.part import GraphPart
from mainstream.graphs.trace import trace
from mainstream.trainer.freeze import freeze
from mainstream.trainer.networks import KNOWN, build

tf = tensorflow()
FRAMES = noise((2, 12, 12, 3)) / 255


def unfolded(model: Any) -> Any:
    """The frozen graph as TensorFlow makes it, from "frame" to "end"."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    spec = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="frame")
    function = tf.function(lambda frame: tf.identity(model(frame, training=False), name="end"), autograph=False)
    return convert_variables_to_constants_v2(function.get_concrete_function(spec)).graph.as_graph_def()


def run(definition: Any, frames: Any, end: str = "end") -> Any:
    """What a graph gives, without the runtime's part and so without its folding."""
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
    with tf.compat.v1.Session(graph=graph) as session:
        return session.run(f"{end}:0", {"frame:0": frames})


def operations(definition: Any) -> Counter[str]:
    return Counter(node.op for node in definition.node)


def relative(one: Any, other: Any) -> float:
    return float(np.abs(one - other).max() / np.abs(other).max())


def behind(*layers: str, **batch_norm: Any) -> Callable[[], Any]:
    """A model of these layers, each followed by a batch norm."""

    def made() -> Any:
        x = frame = keras().Input((12, 12, 3), name="frame")
        for code in layers:
            x = eval(code, {"layers": keras().layers})(x)
            x = keras().layers.BatchNormalization(**batch_norm)(x)
        return shaken(keras().Model(frame, keras().layers.ReLU()(x)))

    return made


FOLDED = {
    "plain": behind("layers.Conv2D(4, 3)"),
    "without bias": behind("layers.Conv2D(4, 3, use_bias=False)"),
    "no factor": behind("layers.Conv2D(4, 3)", scale=False),
    "no summand": behind("layers.Conv2D(4, 3)", center=False),
    "strides, padding": behind("layers.Conv2D(5, 3, strides=2, padding='same')"),
    "depthwise": behind("layers.DepthwiseConv2D(3)"),
    "depthwise, three each": behind("layers.DepthwiseConv2D(3, depth_multiplier=3, strides=2)"),
    "depthwise, one channel": behind("layers.Conv2D(1, 3)", "layers.DepthwiseConv2D(3, depth_multiplier=4)"),
    "separable": behind("layers.SeparableConv2D(4, 3)"),
}


@pytest.mark.parametrize("name", FOLDED)
def test_behind_a_convolution_it_becomes_a_bias(name: str) -> None:
    before = unfolded(FOLDED[name]())
    after = fold_batch_norms(before, ["end"])
    assert relative(run(after, FRAMES), run(before, FRAMES)) <= 1e-6
    found = operations(after)
    norms = operations(before)["Rsqrt"]
    assert found["BiasAdd"] == norms >= 1
    assert not {"Mul", "Add", "AddV2", "Sub", "Rsqrt"} & {*found}
    check_ops(after)


def test_the_batch_norm_of_older_graphs_is_folded() -> None:
    v1 = tf.compat.v1
    rng = np.random.default_rng(0)
    gamma, beta, mean, variance = rng.uniform(0.5, 2, (4, 4)).astype(np.float32)
    with tf.Graph().as_default() as graph:
        frame = v1.placeholder(tf.float32, [None, 12, 12, 3], name="frame")
        x = tf.nn.conv2d(frame, rng.normal(size=(3, 3, 3, 4)).astype(np.float32), 2, "SAME")
        x = v1.nn.fused_batch_norm(x, gamma, beta, mean, variance, epsilon=0.01, is_training=False)[0]
        tf.nn.relu6(x, name="end")
    after = fold_batch_norms(graph.as_graph_def(), ["end"])
    assert relative(run(after, FRAMES), run(graph.as_graph_def(), FRAMES)) <= 1e-6
    assert operations(after) == Counter(Const=2, Placeholder=1, Conv2D=1, BiasAdd=1, Relu6=1)


STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "from a constant": lambda x, c: c - x,
    "less a constant": lambda x, c: x - c,
    "over a constant": lambda x, c: x / c,
    "one number for all": lambda x, c: 2.0 * x + 1.0,
    "several": lambda x, c: (c - (x + 1.0) * c) / 3.0,
}


def graph_of(step: Callable[[Any, Any], Any]) -> Any:
    """A convolution to 4 channels, and a step on what it gives and on a constant for each channel."""
    rng = np.random.default_rng(0)
    with tf.Graph().as_default() as graph:
        frame = tf.compat.v1.placeholder(tf.float32, [None, 12, 12, 3], name="frame")
        x = tf.nn.conv2d(frame, rng.normal(size=(3, 3, 3, 4)).astype(np.float32), 1, "VALID", name="convolved")
        tf.identity(step(x, rng.uniform(1, 2, 4).astype(np.float32)), name="end")
    return graph.as_graph_def()


@pytest.mark.parametrize("name", STEPS)
def test_any_steps_on_constants_are_folded(name: str) -> None:
    before = graph_of(STEPS[name])
    after = fold_batch_norms(before, ["end"])
    assert relative(run(after, FRAMES), run(before, FRAMES)) <= 1e-6
    assert operations(after) == Counter(Const=2, Placeholder=1, Conv2D=1, BiasAdd=1, Identity=1)


LEFT: dict[str, Callable[[Any, Any], Any]] = {
    "over itself": lambda x, c: c / (x + 1e3),
    "what others use, too": lambda x, c: x * c + tf.reduce_mean(x),
    "by itself": lambda x, c: x * x,
    "a constant for each place": lambda x, c: x * np.arange(10, dtype=np.float32)[:, None],
    "a constant that makes more of it": lambda x, c: x[..., :1] * c,
    "more dimensions": lambda x, c: x * c.reshape(1, 1, 1, 1, 4),
    "no finite number": lambda x, c: tf.nn.relu(x) * (c / np.float32(np.inf)) + tf.where(x * np.inf > 0, c, -c),
    "a constant that is computed from the frame": lambda x, c: x * tf.reduce_max(x),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_no_factor_or_summand_of_a_channel_stays(name: str) -> None:
    before = graph_of(LEFT[name])
    after = fold_batch_norms(before, ["end"])
    np.testing.assert_array_equal(run(after, FRAMES), run(before, FRAMES))
    assert operations(after)["BiasAdd"] == int(name == "over itself")


def test_batch_norms_behind_anything_else_stay() -> None:
    layers = keras().layers
    frame = keras().Input((12, 12, 3), name="frame")
    x = layers.BatchNormalization()(frame)
    a = layers.Conv2D(4, 3)(x)
    b = layers.Conv2DTranspose(4, 3)(a)
    x = layers.Concatenate()([layers.BatchNormalization()(b), layers.MaxPooling2D(1)(layers.ZeroPadding2D(1)(a))])
    x = layers.BatchNormalization()(x)
    twice = layers.Conv2D(8, 3)
    x = layers.BatchNormalization()(twice(x))
    x = layers.BatchNormalization()(twice(x))
    before = unfolded(shaken(keras().Model(frame, layers.Dense(3)(layers.BatchNormalization()(layers.ReLU()(x))))))
    after = fold_batch_norms(before, ["end"])
    assert operations(after)["Rsqrt"] == operations(before)["Rsqrt"] == 6
    np.testing.assert_array_equal(run(after, FRAMES), run(before, FRAMES))


def test_a_cut_between_convolution_and_batch_norm_keeps_them_apart(tmp_path: Path) -> None:
    model = plain()
    network = trace(model, "plain")
    made = frozen_graph(network, network.tensor_names)
    assert "first" in network.tensor_names.values()
    assert operations(made)["Rsqrt"] == 1
    frames = noise((2, 16, 16, 3))
    convolved = keras().Model(model.inputs, model.get_layer("first").output)(frames)
    (tmp_path / "net.pb").write_bytes(made.SerializeToString())
    stem, tail = (GraphPart(tmp_path / "net.pb", *ends) for ends in (("frame", "first"), ("first", "softmax")))
    assert relative(stem(frames), convolved.numpy()) <= 1e-6
    assert relative(tail(stem(frames)), model(frames).numpy()) <= 1e-5
    others = {k: name for k, name in network.tensor_names.items() if name != "first"}
    assert operations(frozen_graph(network, others))["Rsqrt"] == 0


def test_a_new_node_takes_no_name_that_is_there() -> None:
    before = graph_of(lambda x, c: tf.add(tf.identity(x, name="end/added/kernel") * c, c, name="end/added"))
    after = fold_batch_norms(before, ["end", "end/added", "end/added/kernel"])
    assert relative(run(after, FRAMES), run(before, FRAMES)) <= 1e-6
    renamed = graph_of(lambda x, c: tf.add(x * c, tf.identity(c, name="sum/kernel"), name="sum"))
    after = fold_batch_norms(renamed, ["end", "sum/kernel"])
    assert operations(after)["BiasAdd"] == 1
    assert relative(run(after, FRAMES), run(renamed, FRAMES)) <= 1e-6


def test_constants_that_hold_less_than_they_say_are_left_alone() -> None:
    before = graph_of(lambda x, c: x * c)
    kernel, factor = (node for node in before.node if node.op == "Const")
    kernel.attr["value"].tensor.tensor_content = b"\0" * 7
    assert operations(fold_batch_norms(before, ["end"]))["BiasAdd"] == 0
    before = graph_of(lambda x, c: x * c)
    kernel, factor = (node for node in before.node if node.op == "Const")
    factor.attr["value"].tensor.tensor_shape.dim[0].size = 1 << 40  # one number for all, and no room for them
    factor.attr["value"].tensor.tensor_content = b""
    factor.attr["value"].tensor.float_val.append(1)
    assert operations(fold_batch_norms(before, ["end"]))["BiasAdd"] == 0


def test_variants_of_one_base_have_bit_equal_stems_at_every_chokepoint(tmp_path: Path) -> None:
    cut = "block_6_project_BN"
    one, other = (freeze(model, tmp_path / f"{n}.pb") for n, model in enumerate(variants(tmp_path, cut)))
    frames = scenery((2, 32, 32, 3))
    names = list(one.chokepoints.values())
    for name in names[1 : names.index(cut) + 1]:
        stems = [GraphPart(frozen.path, frozen.input_layer, name)(frames) for frozen in (one, other)]
        assert stems[0].tobytes() == stems[1].tobytes(), name


def test_files_from_before_run_folded_with_the_same_bits(tmp_path: Path) -> None:
    model = shaken(build("mobilenetv2", size=32))
    (tmp_path / "old.pb").write_bytes(unfolded(model).SerializeToString())
    freeze(model, tmp_path / "new.pb")
    frames = scenery((2, 32, 32, 3))
    old = GraphPart(tmp_path / "old.pb", "frame", "end")(frames)
    np.testing.assert_array_equal(old, GraphPart(tmp_path / "new.pb", "input_layer", "softmax")(frames))


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_each_network_folded_computes_what_it_did(name: str) -> None:
    size = SIZES[name]
    model = shaken(build(name, size=size))
    features = keras().Model(model.inputs, model.get_layer("gap").output)
    before = unfolded(features)
    after = fold_batch_norms(before, ["end"])
    for frames in (noise((2, size, size, 3)), scenery((2, size, size, 3))):
        assert relative(run(after, frames), run(before, frames)) <= 1e-5
    assert operations(before)["Rsqrt"] > 25
    assert operations(after)["Rsqrt"] == 0
