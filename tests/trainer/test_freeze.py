"""Frozen graphs: equal to the Keras model, cut at every chokepoint, from all the forms that models are saved in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the extra train", exc_type=ImportError)

from support.keras_models import PLAIN_CHOKEPOINTS, SIZES, noise, plain, scenery, shaken, variants
from typer.testing import CliRunner

from mainstream.cli import app
from mainstream.errors import ProblemError
from mainstream.graphs.backend import keras, tensorflow
from mainstream.graphs.part import GraphPart
from mainstream.graphs.trace import trace
from mainstream.trainer.chokepoints import chokepoints
from mainstream.trainer.freeze import Frozen, freeze
from mainstream.trainer.networks import KNOWN, build

FRAMES = noise((2, 16, 16, 3))


def difference(one: Any, other: Any) -> float:
    """Largest difference, in units of the largest value."""
    return float(np.abs(np.asarray(one) - np.asarray(other)).max() / max(1.0, np.abs(np.asarray(other)).max()))


def whole(frozen: Frozen) -> GraphPart:
    return GraphPart(frozen.path, frozen.input_layer, frozen.output_layer)


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_each_network_frozen_and_cut_computes_what_keras_does(name: str, tmp_path: Path) -> None:
    size = SIZES[name]
    model = shaken(build(name, size=size))
    frozen = freeze(model, tmp_path / "net.pb")
    features = keras().Model(model.inputs, model.get_layer("gap").output)
    for frames in (noise((2, size, size, 3)), scenery((2, size, size, 3))):
        assert difference(whole(frozen)(frames), model(frames)) <= 1e-4
        # The softmax of random weights says little; what it is computed from says more.
        assert difference(GraphPart(frozen.path, frozen.input_layer, "gap")(frames), features(frames)) <= 1e-4
    complete = GraphPart(frozen.path, frozen.input_layer, "gap")(frames)
    layers = list(chokepoints(trace(model, name)).values())[1:-2]
    for layer in layers[:: 5 if model.count_params() > 2e7 else 1]:  # a second for each part of the two large ones
        stem, tail = GraphPart(frozen.path, frozen.input_layer, layer), GraphPart(frozen.path, layer, "gap")
        assert difference(tail(stem(frames)), complete) <= 1e-5, layer


def test_every_chokepoint_is_a_node_and_a_place_to_cut(tmp_path: Path) -> None:
    model = plain()
    frozen = freeze(model, tmp_path / "plain.pb")
    assert frozen.chokepoints == PLAIN_CHOKEPOINTS
    complete = whole(frozen)(FRAMES)
    assert difference(complete, model(FRAMES)) <= 1e-6
    for layer in list(PLAIN_CHOKEPOINTS.values())[1:-1]:
        middle = GraphPart(frozen.path, "frame", layer)(FRAMES)
        assert difference(middle, keras().Model(model.inputs, model.get_layer(layer).output)(FRAMES)) <= 1e-6
        assert difference(GraphPart(frozen.path, layer, "softmax")(middle), complete) <= 1e-6


def test_variants_of_one_base_have_bit_equal_stems(tmp_path: Path) -> None:
    cut = "block_6_project_BN"
    frames = scenery((2, 32, 32, 3))
    stems, ends = [], []
    for number, variant in enumerate(variants(tmp_path, cut)):
        frozen = freeze(variant, tmp_path / f"variant{number}.pb")
        stems.append(GraphPart(frozen.path, frozen.input_layer, cut)(frames))
        ends.append(GraphPart(frozen.path, frozen.input_layer, "out_relu")(frames))
    assert stems[0].tobytes() == stems[1].tobytes()
    assert not np.array_equal(*ends)


def test_a_keras_file_becomes_a_graph_beside_it(tmp_path: Path) -> None:
    model = plain()
    model.save(tmp_path / "plain.keras")
    frozen = freeze(tmp_path / "plain.keras")
    assert (frozen.path, frozen.chokepoints) == (tmp_path / "plain.pb", PLAIN_CHOKEPOINTS)
    assert difference(whole(frozen)(FRAMES), model(FRAMES)) <= 1e-6
    assert [path.name for path in tmp_path.glob("*.pb*")] == ["plain.pb"]


@pytest.mark.parametrize("weights", ["net.h5", "net.weights.h5"])
def test_json_and_weights(weights: str, tmp_path: Path) -> None:
    model = plain()
    (tmp_path / "net.json").write_text(model.to_json())
    model.save(tmp_path / weights) if weights == "net.h5" else model.save_weights(tmp_path / weights)
    frozen = freeze(tmp_path / "net")
    assert (frozen.path, frozen.chokepoints) == (tmp_path / "net-frozen.pb", PLAIN_CHOKEPOINTS)
    assert difference(whole(frozen)(FRAMES), model(FRAMES)) <= 1e-6


def write_as_keras_2(folder: Path) -> Any:
    """``old.json`` and ``old.h5`` as Keras 2.1 wrote them, and the weights."""
    import h5py

    rng = np.random.default_rng(0)
    weights = {
        "input_1": {},
        "conv": {"kernel": rng.normal(size=(3, 3, 3, 2)), "bias": rng.normal(size=2)},
        "bn": {name: rng.uniform(0.5, 1.5, 2) for name in ("gamma", "beta", "moving_mean", "moving_variance")},
        "gap": {},
    }
    config: dict[str, dict[str, Any]] = {
        "input_1": {"batch_input_shape": [None, 16, 16, 3], "dtype": "float32", "sparse": False},
        "conv": {"filters": 2, "kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "activation": "relu"},
        "bn": {"axis": 3, "momentum": 0.99, "epsilon": 0.001, "center": True, "scale": True},
        "gap": {"trainable": True, "data_format": "channels_last"},
    }
    kinds = ["InputLayer", "Conv2D", "BatchNormalization", "GlobalAveragePooling2D"]
    layers = [
        {
            "name": name,
            "class_name": kind,
            "config": {"name": name, **config[name]},
            "inbound_nodes": [[[before, 0, 0, {}]]] if before else [],
        }
        for name, kind, before in zip(config, kinds, ["", *config], strict=False)
    ]
    ends = {"input_layers": [["input_1", 0, 0]], "output_layers": [["gap", 0, 0]]}
    described = {"class_name": "Model", "keras_version": "2.1.2", "backend": "tensorflow"}
    (folder / "old.json").write_text(json.dumps({**described, "config": {"name": "model_1", "layers": layers, **ends}}))
    with h5py.File(folder / "old.h5", "w") as file:
        file.attrs.update({"layer_names": [name.encode() for name in weights], "keras_version": b"2.1.2"})
        for name, arrays in weights.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{key}:0".encode() for key in arrays]
            for key, array in arrays.items():
                group[f"{name}/{key}:0"] = array.astype(np.float32)
    return weights


def test_json_and_weights_of_keras_2(tmp_path: Path) -> None:
    weights = write_as_keras_2(tmp_path)
    frozen = freeze(tmp_path / "old")
    assert list(frozen.chokepoints.values()) == ["input_1", "conv", "bn", "gap"]
    tf, bn = tensorflow(), weights["bn"]
    x = tf.nn.relu(tf.nn.conv2d(FRAMES, weights["conv"]["kernel"], 1, "SAME") + weights["conv"]["bias"]).numpy()
    x = (x - bn["moving_mean"]) / np.sqrt(bn["moving_variance"] + 0.001) * bn["gamma"] + bn["beta"]
    assert difference(whole(frozen)(FRAMES), x.mean((1, 2))) <= 1e-5


def test_a_saved_model(tmp_path: Path) -> None:
    model = plain()
    model.export(tmp_path / "saved", verbose=False)
    frozen = freeze(tmp_path / "saved")
    assert frozen.path == tmp_path / "saved-frozen.pb"
    assert difference(whole(frozen)(FRAMES), model(FRAMES)) <= 1e-6


def write_checkpoint(prefix: Path, *, resource: bool, meta: bool) -> Any:
    """A TensorFlow 1 checkpoint with its graph in .ckpt.meta or .pb; returns what it computes of FRAMES."""
    v1 = tensorflow().compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        frame = v1.placeholder("float32", [None, 16, 16, 3], name="image")
        training = v1.placeholder("bool", [], name="keras_learning_phase")
        normal = v1.random_normal_initializer()
        kernel = v1.get_variable("kernel", [3, 3, 3, 2], use_resource=resource, initializer=normal)
        bias = v1.get_variable("bias", [2], use_resource=resource, initializer=normal)
        x = v1.cond(training, lambda: frame / 0.0, lambda: frame)
        mean = v1.reduce_mean(v1.nn.conv2d(x, kernel, 1, "SAME") + bias, [1, 2], name="mean")
        v1.nn.softmax(mean, name="probabilities")
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, f"{prefix}.ckpt", write_meta_graph=meta)
        if not meta:
            v1.train.write_graph(session.graph_def, str(prefix.parent), f"{prefix.name}.pb", as_text=False)
        return session.run("probabilities:0", {frame: FRAMES, training: False})


@pytest.mark.parametrize("resource", [False, True])
@pytest.mark.parametrize("meta", [False, True])
def test_a_tensorflow_1_checkpoint(resource: bool, meta: bool, tmp_path: Path) -> None:
    expected = write_checkpoint(tmp_path / "net", resource=resource, meta=meta)
    frozen = freeze(tmp_path / "net")
    assert frozen.path == tmp_path / "net-frozen.pb"
    assert (frozen.input_layer, frozen.output_layer) == ("image", "probabilities")
    assert difference(whole(frozen)(FRAMES), expected) <= 1e-6
    assert difference(whole(freeze(tmp_path / "net", output="mean:0"))(FRAMES), expected) > 1e-3


def test_a_checkpoint_without_its_other_half_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "net", resource=True, meta=True)
    with pytest.raises(ProblemError, match="has no node 'nothing'"):
        freeze(tmp_path / "net", output="nothing")
    shutil.copy(tmp_path / "net.ckpt.meta", tmp_path / "lone.ckpt.meta")
    with pytest.raises(ProblemError, match=r"lone.ckpt cannot be read"):
        freeze(tmp_path / "lone")
    content = (tmp_path / "net.ckpt.meta").read_bytes()
    (tmp_path / "net.ckpt.meta").write_bytes(content[: len(content) // 2])
    with pytest.raises(ProblemError, match=r"net.ckpt.meta is no TensorFlow graph, or an incomplete one"):
        freeze(tmp_path / "net")
    (tmp_path / "net.ckpt.meta").unlink()
    with pytest.raises(ProblemError, match=r"net.ckpt has no graph beside it"):
        freeze(tmp_path / "net")


def test_a_graph_with_several_outputs_asks_which(tmp_path: Path) -> None:
    v1 = tensorflow().compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        frame = v1.placeholder("float32", [None, 4, 4, 3], name="image")
        scale = v1.get_variable("scale", [3])
        for name in ("one", "two"):
            v1.multiply(frame, scale, name=name)
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, f"{tmp_path}/net.ckpt")
    with pytest.raises(ProblemError, match=r"has 2 outputs; choose one with --output: one, two"):
        freeze(tmp_path / "net")
    assert freeze(tmp_path / "net", output="two").output_layer == "two"


def test_models_that_are_not_there_or_damaged_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=r"no such model; give MODEL\.keras"):
        freeze(tmp_path / "nothing")
    with pytest.raises(ProblemError, match="a model object has no file name"):
        freeze(plain())
    with pytest.raises(ProblemError, match="cannot be written"):
        freeze(plain(), tmp_path / "no" / "folder" / "net.pb")
    (tmp_path / "net.json").write_text(plain().to_json())
    with pytest.raises(ProblemError, match=r"net.json has no weights beside it"):
        freeze(tmp_path / "net")
    build("mobilenet", size=32).save_weights(tmp_path / "net.weights.h5")
    with pytest.raises(ProblemError, match=r"net.json with net.weights.h5: "):
        freeze(tmp_path / "net")
    (tmp_path / "net.json").write_text("{")
    with pytest.raises(ProblemError, match=r"net.json cannot be read"):
        freeze(tmp_path / "net")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"no model")
    with pytest.raises(ProblemError, match=r"saved cannot be loaded"):
        freeze(tmp_path / "saved")


def test_the_command(tmp_path: Path) -> None:
    plain().save(tmp_path / "plain.keras")
    done = CliRunner().invoke(app, ["freeze", str(tmp_path / "plain.keras"), "-o", str(tmp_path / "out.pb")])
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{tmp_path}/out.pb: from frame to softmax, 8 chokepoints by name\n"
    assert GraphPart(tmp_path / "out.pb", "frame", "softmax")(FRAMES).shape == (2, 4)
