"""Frozen graphs and Keras models, converted once: what is kept, when it is made anew, and what cannot be converted."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainstream import ProblemError
from mainstream.errors import MissingExtraError

tf = pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)
pytest.importorskip("tf2onnx", reason="needs the extra onnx", exc_type=ImportError)
pytest.importorskip("onnxruntime", reason="needs the extra onnx", exc_type=ImportError)

from support.failing_models import write_graph  # noqa: E402
from support.keras_models import noise, plain, shaken  # noqa: E402
from support.runtime import SIZE  # noqa: E402

from mainstream.extensions import PART_LOADERS  # noqa: E402
from mainstream.graphs.backend import keras  # noqa: E402
from mainstream.graphs.part import GraphPart  # noqa: E402
from mainstream.graphs.shapes import fits  # noqa: E402
from mainstream.onnx_graphs.conversion import _source, convert, converted, make_ready  # noqa: E402
from mainstream.onnx_graphs.part import OnnxPart  # noqa: E402
from mainstream.trainer.freeze import freeze  # noqa: E402

FRAMES = noise((1, SIZE, SIZE, 3))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Two graphs, and what the first is as ONNX."""
    path = tmp_path_factory.mktemp("model") / "net.pb"
    freeze(plain(SIZE), path)
    return path.read_bytes(), convert(path, trusted=False)


@pytest.fixture
def model(tmp_path: Path, frozen: tuple[bytes, bytes]) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "net.pb").write_bytes(frozen[0])
    return folder / "net.pb"


@pytest.fixture
def unable(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing can be converted, as where there is no TensorFlow; undone by ``undo()``."""
    monkeypatch.setattr("mainstream._optional.find_spec", lambda name: None)
    return monkeypatch


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob(".*.onnx"))


def test_it_is_converted_once_and_kept_beside_the_model(model: Path, unable: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingExtraError, match=r"net.pb has to be converted to ONNX once, and for that tensorflow is"):
        converted(model, trusted=False)
    unable.undo()
    made = converted(model, trusted=False)
    (file,) = kept(model.parent)
    assert file.read_bytes() == made
    unable.setattr("mainstream._optional.find_spec", lambda name: None)
    assert converted(model, trusted=False) == made
    np.testing.assert_allclose(
        OnnxPart(model, "frame", "softmax")(FRAMES), GraphPart(model, "frame", "softmax")(FRAMES), atol=1e-5
    )


@pytest.mark.parametrize("damage", ["cut off", "a bit", "empty", "another model"])
def test_one_that_is_damaged_is_made_anew(model: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    made = converted(model, trusted=False)
    (file,) = kept(model.parent)
    spoilt = bytearray(made)
    spoilt[len(made) // 2] ^= 1
    other = made[: -len(made) // 3]
    file.write_bytes({"cut off": other, "a bit": bytes(spoilt), "empty": b"", "another model": other[::-1]}[damage])
    assert OnnxPart(model, "frame", "softmax")(FRAMES).shape == (1, 4)
    monkeypatch.setattr("mainstream._optional.find_spec", lambda name: None)
    assert converted(model, trusted=False) == kept(model.parent)[0].read_bytes()


def test_what_was_made_ready_beforehand_is_not_converted_again(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_ready(model, trusted=False)
    (file,) = kept(model.parent)
    monkeypatch.setattr("mainstream._optional.find_spec", lambda name: None)
    assert converted(model, trusted=False) == file.read_bytes()
    make_ready(model.with_suffix(".onnx"), trusted=False)  # nothing has to be done for it


def test_another_model_of_the_same_name_takes_the_place_of_the_first(model: Path, tmp_path: Path) -> None:
    converted(model, trusted=False)
    (before,) = kept(model.parent)
    freeze(shaken(plain(SIZE), seed=5), model)
    np.testing.assert_allclose(
        OnnxPart(model, "frame", "add")(FRAMES), GraphPart(model, "frame", "add")(FRAMES), rtol=1e-4, atol=1e-4
    )
    (after,) = kept(model.parent)
    assert before != after


def test_onnx_that_lies_beside_is_used_when_it_was_made_of_that_very_file(
    model: Path, frozen: tuple[bytes, bytes], unable: pytest.MonkeyPatch
) -> None:
    model.with_suffix(".onnx").write_bytes(frozen[1])
    assert converted(model, trusted=False) == frozen[1]
    assert not kept(model.parent)
    model.write_bytes(model.read_bytes() + b"\n\0")
    with pytest.raises(MissingExtraError, match="has to be converted"):
        converted(model, trusted=False)


def test_where_the_folder_cannot_be_written_the_users_cache_is(model: Path, tmp_path: Path) -> None:
    blocked = model.parent / f".{model.name}.{_source(model)[:16]}.onnx"
    (blocked / "in the way").mkdir(parents=True)  # as good as a folder of another's: so it is for root, too
    made = converted(model, trusted=False)
    folder = tmp_path / "cache" / "mainstream" / "onnx"
    assert [file.read_bytes() for file in kept(folder)] == [made]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert converted(model, trusted=False) == made


def test_where_nothing_can_be_written_it_runs_all_the_same(frozen: tuple[bytes, bytes], tmp_path: Path) -> None:
    model = tmp_path / f"{'n' * 240}.pb"  # with a digest in its name that of what is kept is too long
    model.write_bytes(frozen[0])
    assert OnnxPart(model, "frame", "softmax")(FRAMES).shape == (1, 4)
    assert not kept(tmp_path)


def test_what_onnx_has_no_operation_for_is_named(tmp_path: Path) -> None:
    write_graph(tmp_path / "net.pb", lambda tf, mean: tf.math.erfinv(mean / 300))
    with pytest.raises(
        ProblemError,
        match=r"^model_path: .*net.pb: ONNX has nothing for TensorFlow's operation 'Erfinv'; run it with ",
    ) as caught:
        OnnxPart(tmp_path / "net.pb", "frame", "scores")
    assert "\n" not in str(caught.value)


def test_what_may_do_more_than_compute_is_refused_before_it_is_converted(tmp_path: Path) -> None:
    def reads(tf: Any, mean: Any) -> Any:
        return mean * tf.cast(tf.strings.length(tf.raw_ops.ReadFile(filename="/etc/passwd")), tf.float32)

    write_graph(tmp_path / "net.pb", reads)
    with pytest.raises(ProblemError, match=r"^model_path: .*net.pb: it holds the operation 'ReadFile'"):
        OnnxPart(tmp_path / "net.pb", "frame", "scores")


@pytest.mark.parametrize("content", [b"no graph", b""])
def test_what_is_no_graph_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.pb").write_bytes(content)
    with pytest.raises(ProblemError, match=r"^model_path: .*net.pb is (not a frozen graph|an empty graph)"):
        OnnxPart(tmp_path / "net.pb", "frame", "scores")


def test_a_graph_without_named_cuts_can_be_cut_at_all(tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph:
        frame = tf.compat.v1.placeholder(tf.float32, [None, 2, 2, 3], name="frame")
        double = tf.multiply(frame, 2.0, name="deep/double")
        tf.reduce_max(tf.add(double, tf.square(double), name="deep/sum"), [1, 2], name="top")
        tf.reduce_max(double, [1, 2], name="double_top")
    (tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
    frames = np.arange(12.0).reshape(1, 2, 2, 3)
    for end in ("double_top", "deep/sum", "top"):
        between = OnnxPart(tmp_path / "net.pb", "frame", "deep/double")(frames)
        ends = tmp_path / "net.pb", "deep/double:0", end
        np.testing.assert_array_equal(OnnxPart(*ends)(between), GraphPart(*ends)(between))


def test_it_is_cut_at_each_chokepoint_as_its_frozen_graph_is(tmp_path: Path) -> None:
    """An inverted residual with a stride, of which MobileNets consist: padding, and batch norms between the cuts."""
    layers = keras().layers
    frame = keras().Input((SIZE, SIZE, 3), name="frame")
    x = keras().ops.subtract(keras().ops.divide(frame, 127.5), 1.0)
    for name, layer in {
        "expand": layers.Conv2D(12, 1, use_bias=False),
        "expand_relu": layers.ReLU(6.0),
        "pad": layers.ZeroPadding2D(((0, 1), (0, 1))),
        "depthwise": layers.DepthwiseConv2D(3, strides=2, use_bias=False),
        "depthwise_relu": layers.ReLU(6.0),
        "project": layers.Conv2D(8, 1, use_bias=False),
        "gap": layers.GlobalAveragePooling2D(),
        "softmax": layers.Dense(4, activation="softmax"),
    }.items():
        layer.name = name
        x = layer(x)
        if name in {"expand", "depthwise", "project"}:
            x = layers.BatchNormalization(name=f"{name}_bn")(x)
    made = freeze(shaken(keras().Model(frame, x)), tmp_path / "net.pb")
    whole = GraphPart(made.path, "frame", "softmax")(FRAMES)
    inner = [name for number, name in made.chokepoints.items() if 0 < number < max(made.chokepoints)]
    assert len(inner) == 10
    for name in inner:
        between = GraphPart(made.path, "frame", name)(FRAMES)
        stem, tail = OnnxPart(made.path, "frame", name), OnnxPart(made.path, name, "softmax")
        np.testing.assert_allclose(stem(FRAMES), between, rtol=1e-5, atol=1e-5 * float(np.abs(between).max()))
        np.testing.assert_allclose(tail(stem(FRAMES)), whole, atol=1e-5)
        assert fits(stem.output_shape, tail.input_shape) and tail.input_shape == (None, *between.shape[1:])


def test_auto_runs_with_tensorflow_what_onnx_runtime_does_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    auto = PART_LOADERS["auto"]
    auto.start()
    write_graph(tmp_path / "both.pb", lambda tf, mean: mean / 300)
    assert isinstance(auto.load(tmp_path / "both.pb", "frame", "scores", trusted=False), OnnxPart)
    assert not caplog.messages
    write_graph(tmp_path / "one.pb", lambda tf, mean: tf.math.erfinv(mean / 300))
    part = auto.load(tmp_path / "one.pb", "frame", "scores", trusted=False)
    assert isinstance(part, GraphPart) and part(FRAMES).shape == (1, 3)
    assert "TensorFlow runs one.pb, since ONNX Runtime cannot: " in caplog.text and "'Erfinv'" in caplog.text
    with pytest.raises(ProblemError, match=r"^model_path: .*no.onnx cannot be read"):
        auto.load(tmp_path / "no.onnx", "frame", "scores", trusted=False)
