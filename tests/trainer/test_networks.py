"""Networks: numbering, preprocessing, heads, weights, files, models as objects, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the extra train", exc_type=ImportError)

from support.keras_models import SIZES, noise, plain, shaken

from mainstream.errors import MissingExtraError, ProblemError
from mainstream.graphs.backend import keras, tensorflow
from mainstream.graphs.trace import trace
from mainstream.trainer import networks
from mainstream.trainer.networks import KNOWN, build, network


def test_without_tensorflow_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstream._optional.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    with pytest.raises(MissingExtraError, match=r"^tensorflow is not installed; pip install 'mainstream\[train\]'$"):
        tensorflow()


@pytest.mark.parametrize("name", KNOWN)
def test_layers_are_numbered_as_in_keras_applications(name: str) -> None:
    size = SIZES[name]
    keras().utils.clear_session()
    own = getattr(keras().applications, KNOWN[name].function)(
        weights=None, include_top=False, input_tensor=keras().Input((size, size, 3), name="input_layer")
    )
    expected = [layer.name for layer in own.layers]
    for _ in range(2):  # names do not depend on what was built before
        assert [layer.name for layer in network(name, size=size).layers] == [*expected, "gap", "softmax"]


@pytest.mark.parametrize("name", KNOWN)
def test_a_frame_is_preprocessed_as_the_network_was_trained(name: str) -> None:
    size = SIZES[name]
    model = build(name, size=size)
    module = {"inceptionv3": "inception_v3", "mobilenetv2": "mobilenet_v2", "efficientnetb0": "efficientnet"}.get(
        name, name
    )
    frames = noise((2, size, size, 3))
    prepared = getattr(keras().applications, module).preprocess_input(frames.copy())
    if name == "efficientnetb0":
        prepared = (frames / 255 - networks.IMAGENET_MEAN) / networks.IMAGENET_DEVIATION
        seen = keras().Model(model.inputs, model.get_layer("normalization").output)
    else:
        first = next(layer for layer in model.layers[1:])
        seen = keras().Model(model.inputs, first.input)
    np.testing.assert_allclose(seen(frames), prepared, atol=2e-5)


def test_the_head(tmp_path: Path) -> None:
    model = build("mobilenet", size=32, classes=7, dense=True)
    assert [layer.name for layer in model.layers[-3:]] == ["gap", "dense", "softmax"]
    assert model.get_layer("dense").units == 1024
    np.testing.assert_allclose(np.sum(model(noise((2, 32, 32, 3))), axis=1), 1, atol=1e-6)


def test_names_may_be_written_as_people_write_them() -> None:
    assert network("MobileNet-V2", size=32).name == "mobilenetv2-32"


def test_a_keras_file_is_the_network_that_was_saved(tmp_path: Path) -> None:
    model = shaken(build("mobilenetv2", size=32))
    model.save(tmp_path / "mine.keras")
    frames = noise((2, 32, 32, 3))
    loaded = network(tmp_path / "mine.keras")
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in trace(model, "mine").layers]
    np.testing.assert_array_equal(loaded.run(frames), model(frames))


def test_a_model_inside_the_model_is_opened() -> None:
    layers = keras().layers
    base = plain()
    whole = keras().Sequential([keras().Input((16, 16, 3), name="camera"), base, layers.Dense(2, name="head")])
    net = network(whole)
    assert [layer.name for layer in net.layers] == ["camera", *(layer.name for layer in base.layers[1:]), "head"]
    frames = noise((2, 16, 16, 3))
    np.testing.assert_array_equal(net.run(frames), whole(frames))


def test_layers_called_twice_and_arithmetic_between_layers() -> None:
    layers = keras().layers
    frame = keras().Input((8, 8, 3), name="frame")
    twice = layers.Conv2D(3, 3, padding="same", name="twice")
    x = twice(twice(frame / 255) * 2.0 + frame)
    model = keras().Model(frame, layers.GlobalMaxPooling2D(name="top")(x))
    net = network(model)
    assert [layer.name for layer in net.layers] == ["frame", "twice", "twice_1", "top"]
    assert [layer.parameters for layer in net.layers] == [0, 84, 0, 0]
    frames = noise((2, 8, 8, 3))
    np.testing.assert_array_equal(net.run(frames), model(frames))
    np.testing.assert_array_equal(net.run(net.run(frames, 0, 3), 3), model(frames))


def test_dropout_and_batch_norm_are_in_inference_mode_whatever_the_model_says() -> None:
    layers = keras().layers
    frame = keras().Input((8, 8, 3), name="frame")
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(frame), training=True)
    model = keras().Model(frame, layers.GlobalMaxPooling2D()(layers.Dropout(0.9)(x, training=True)))
    frames = noise((4, 8, 8, 3))
    np.testing.assert_array_equal(network(model).run(frames)[:1], network(model).run(frames[:1]))


def test_names_that_a_graph_cannot_hold_are_changed() -> None:
    layers = keras().layers
    frame = keras().Input((8, 8, 3), name="frame")
    x = layers.Conv2D(2, 1, name="top")(layers.Conv2D(2, 1, name="a layer: one")(frame))
    net = network(keras().Model(frame, layers.Conv2D(2, 1, name="Top")(x)))
    assert [layer.name for layer in net.layers] == ["frame", "a_layer__one", "top", "Top_1"]


def weights_of(form: str, folder: Path) -> tuple[Path, Any]:
    """A file of weights in that form, and the model that it was saved from."""
    model = shaken(build("mobilenet", size=32))
    base = keras().Model(model.inputs, model.get_layer("conv_pw_13_relu").output)
    path = folder / {"keras": "w.keras", "whole": "w.weights.h5", "base": "base.weights.h5"}.get(form, "base.h5")
    if form == "keras":
        model.save(path)
    elif form == "whole":
        model.save_weights(path)
    elif form == "base":
        base.save_weights(path)
    else:  # as the files that keras.applications downloads: no model, layers by name
        import h5py
        from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

        with h5py.File(path, "w") as file:
            save_weights_to_hdf5_group(file, base)
    return path, model


@pytest.mark.parametrize("form", ["keras", "whole", "base", "downloaded"])
def test_weights_from_a_file(form: str, tmp_path: Path) -> None:
    path, model = weights_of(form, tmp_path)
    loaded = build("mobilenet", size=32, weights=path)
    both = 2 if form in {"keras", "whole"} else 0
    head = len(model.get_weights()) - 2
    for index, (one, other) in enumerate(zip(loaded.get_weights(), model.get_weights(), strict=True)):
        if index < head + both:
            np.testing.assert_array_equal(one, other)
    if not both:
        assert not np.array_equal(loaded.get_weights()[head], model.get_weights()[head])


def test_weights_of_a_model_inside_a_model_in_a_file(tmp_path: Path) -> None:
    layers = keras().layers
    frame = keras().Input((32, 32, 3), name="frame")
    inner = shaken(build("mobilenet", size=32, classes=9))
    outer = layers.Dense(2, name="top")(inner(layers.Conv2D(3, 1, name="before")(frame)))
    whole = keras().Model(frame, outer, name="whole")
    whole.save(tmp_path / "whole.keras")
    loaded = build("mobilenet", size=32, weights=tmp_path / "whole.keras")
    for one, other in zip(loaded.get_weights()[:-2], inner.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("form", ["keras", "whole", "downloaded"])
def test_weights_of_another_architecture_are_refused(form: str, tmp_path: Path) -> None:
    path, _ = weights_of(form, tmp_path)
    with pytest.raises(ProblemError, match="does not hold weights of mobilenetv2"):
        build("mobilenetv2", size=32, weights=path)


def test_imagenet_weights_take_no_layer_more() -> None:
    donors = []

    def downloaded(known: Any, **keywords: Any) -> Any:
        made = application(known, **{**keywords, "weights": None})
        if keywords["weights"] == "imagenet":
            donors.append(shaken(made))
        return made

    application = networks._application
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "_application", downloaded)
        model = build("efficientnetb0", size=32, weights="imagenet")
    stem = model.get_layer("stem_conv").get_weights()[0]
    np.testing.assert_array_equal(stem, donors[0].get_layer("stem_conv").get_weights()[0])
    normalised = keras().Model(model.inputs, model.get_layer("normalization").output)
    np.testing.assert_allclose(normalised(np.full((1, 32, 32, 3), 255.0))[0, 0, 0, 0], (1 - 0.485) / 0.229, rtol=1e-5)
    assert len(model.layers) == len(build("efficientnetb0", size=32).layers)


def test_where_imagenet_weights_cannot_be_downloaded_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(**keywords: Any) -> Any:
        if keywords["weights"] == "imagenet":
            raise Exception(
                "URL fetch failure on https://example.org/" + 100 * "a" + ": None -- [Errno -2] no such host"
            )
        return application(**keywords)

    application = keras().applications.MobileNet
    monkeypatch.setattr(keras().applications, "MobileNet", no_network)
    with pytest.raises(ProblemError, match=r"ImageNet .*no such host.* --weights FILE.* --net .* none"):
        build("mobilenet", size=32, weights="imagenet")


def several_ends(inputs: int, outputs: int) -> Any:
    frames = [keras().Input((8, 8, 3)) for _ in range(inputs)]
    x = keras().layers.Add()(frames) if inputs > 1 else keras().layers.ReLU()(frames[0])
    return keras().Model(frames, [keras().layers.Conv2D(2, 1)(x) for _ in range(outputs)], name="ends")


def subclassed() -> Any:
    class Own(keras().Model):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    return Own()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: several_ends(2, 1), "ends has 2 inputs; it has to have one image in and one tensor out"),
        (lambda: several_ends(1, 2), "ends has 2 outputs"),
        (subclassed, "is not a graph of layers"),
        (lambda: keras().Sequential([keras().layers.Dense(2)]), "is not a graph of layers"),
        (lambda: keras().Sequential([keras().Input((7,)), keras().layers.Dense(2)]), "it has to take images"),
        (
            lambda: keras().Sequential([keras().Input((None, None, 3)), keras().layers.Conv2D(2, 1)]),
            "frames of any size; give one with --size, or build it",
        ),
        (lambda: 7, "model: got int; it has to be a Keras model"),
    ],
)
def test_models_of_another_form_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        network(make())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "mobilenetv3"}, "'mobilenetv3' is not known; did you mean 'mobilenetv2'"),
        ({"model": "inceptionv3", "size": 74}, "at least 75 x 75, not 74 x 74"),
        ({"model": "mobilenet", "classes": 1}, "a softmax needs at least 2"),
        (
            {"model": "mobilenet", "classes": 10**12},
            "classes: got 1000000000000; a softmax needs at least 2, up to 100000",
        ),
        (
            {"model": "mobilenet", "size": 10**12},
            "size: got 1000000000000; it has to be a whole number, 1 or more, up to",
        ),
        ({"model": "mobilenet", "size": 32, "weights": "w.h5"}, "'w.h5': no such file"),
        ({"model": "nowhere.keras"}, "nowhere.keras: no such file"),
    ],
)
def test_what_no_network_takes_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        network(**arguments)


def test_files_that_hold_no_network_are_refused(tmp_path: Path) -> None:
    plain().save(tmp_path / "whole.keras")
    content = (tmp_path / "whole.keras").read_bytes()
    (tmp_path / "half.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(ProblemError, match=r"half.keras cannot be loaded"):
        network(tmp_path / "half.keras")
    with pytest.raises(ProblemError, match=r"takes frames of 16 x 16, not 32 x 32"):
        network(tmp_path / "whole.keras", size=32)
    with pytest.raises(ProblemError, match=r"leave out --weights and --dense"):
        network(tmp_path / "whole.keras", dense=True)
    (tmp_path / "notes.txt").write_text("no weights")
    with pytest.raises(ProblemError, match=r"give a .h5, .weights.h5 or .keras file"):
        network("mobilenet", size=32, weights=tmp_path / "notes.txt")
    (tmp_path / "notes.h5").write_text("no weights")
    with pytest.raises(ProblemError, match=r"notes.h5 is no HDF5 file"):
        network("mobilenet", size=32, weights=tmp_path / "notes.h5")


def test_a_custom_layer_that_is_not_registered_is_refused_in_one_line(tmp_path: Path) -> None:
    class Twice(keras().layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return 2 * x

    keras().Sequential([keras().Input((8, 8, 3)), keras().layers.Conv2D(2, 1), Twice()]).save(tmp_path / "own.keras")
    with pytest.raises(
        ProblemError, match=r"own.keras cannot be loaded: Could not locate class 'Twice'; register the class"
    ) as caught:
        network(tmp_path / "own.keras")
    assert "\n" not in str(caught.value)
