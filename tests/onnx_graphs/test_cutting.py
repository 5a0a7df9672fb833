"""Models of ONNX, cut at tensors: against the reference evaluator of ONNX itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mainstream import ProblemError

onnx = pytest.importorskip("onnx", reason="needs the extra onnx", exc_type=ImportError)
pytest.importorskip("onnxruntime", reason="needs the extra onnx", exc_type=ImportError)

from onnx import TensorProto, helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnx.utils import Extractor  # noqa: E402
from support.onnx_models import SIDE, model_of, small_network  # noqa: E402

from mainstream.onnx_graphs.cutting import cut  # noqa: E402
from mainstream.onnx_graphs.model_file import OnnxModel, read_model  # noqa: E402
from mainstream.onnx_graphs.part import OnnxPart  # noqa: E402


@pytest.fixture(scope="module")
def network() -> Any:
    return small_network(channels_first=True, batch=1)


@pytest.fixture(scope="module")
def file(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "net.onnx"
    onnx.save(network, path)
    return path


@pytest.fixture(scope="module")
def frame() -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(0, 255, (1, SIDE, SIDE, 3)).astype(np.float32)


@pytest.mark.parametrize("middle", ["relu", "add", "pool", "mean", "gap", "scores"])
def test_parts_give_what_the_whole_model_gives_by_onnx_itself(
    network: Any, file: Path, frame: NDArray[np.float32], middle: str
) -> None:
    (expected,) = ReferenceEvaluator(network).run(None, {"frame": frame.transpose(0, 3, 1, 2)})
    stem, tail = OnnxPart(file, "frame", middle), OnnxPart(file, middle, "softmax")
    np.testing.assert_allclose(tail(stem(frame)), expected, atol=1e-5)


def test_a_part_has_the_nodes_and_weights_that_the_extractor_of_onnx_gives_it(network: Any) -> None:
    model = OnnxModel.of(Path("net.onnx"), network.SerializeToString(), trusted=False)
    ours = cut(model, "relu", "softmax").proto.graph
    theirs = Extractor(model.proto).extract_model(["relu"], ["softmax"]).graph
    assert [node.name for node in ours.node] == [node.name for node in theirs.node]
    assert {one.name for one in ours.initializer} == {one.name for one in theirs.initializer}
    assert ours.input == theirs.input and ours.output == theirs.output


def test_frames_have_their_channels_last_whatever_the_model_takes(file: Path) -> None:
    assert OnnxPart(file, "frame", "relu").input_shape == (1, SIDE, SIDE, 3)
    assert OnnxPart(file, "relu", "add").input_shape == (1, 8, SIDE, SIDE)
    with pytest.raises(ProblemError, match=r"shape \(1, 3, 16, 16\); this part takes \(1, 16, 16, 3\)"):
        OnnxPart(file, "frame", "softmax")(np.zeros((1, 3, SIDE, SIDE)))


def test_a_part_of_nothing_gives_its_input(file: Path, frame: NDArray[np.float32]) -> None:
    between = OnnxPart(file, "frame", "add")(frame)
    np.testing.assert_array_equal(OnnxPart(file, "add", "add")(between), between)
    np.testing.assert_array_equal(OnnxPart(file, "frame", "frame")(frame), frame.transpose(0, 3, 1, 2))


def test_a_frame_of_bytes_is_a_frame(file: Path, frame: NDArray[np.float32]) -> None:
    part = OnnxPart(file, "frame", "softmax")
    np.testing.assert_array_equal(part(frame.astype(np.uint8)), part(np.floor(frame)))


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        (("frame", "reul"), "output_layer: .*net.onnx has no tensor 'reul'; did you mean 'relu'"),
        (("kernel1", "softmax"), "input_layer: .*net.onnx has no tensor 'kernel1'"),
        (("softmax", "relu"), "output_layer: .*'frame' is needed, too"),
        (("conv2", "softmax"), "output_layer: .*from 'conv2' to 'softmax' is not a part by itself: 'frame' is needed"),
    ],
)
def test_ends_between_which_there_is_no_part_are_refused(file: Path, ends: tuple[str, str], message: str) -> None:
    with pytest.raises(ProblemError, match=f"^{message}"):
        OnnxPart(file, *ends)


def test_one_of_two_halves_is_no_part(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Split", ["frame"], ["left", "right"], axis=1),
        helper.make_node("Add", ["left", "right"], ["scores"]),
    ]
    onnx.save(model_of(nodes, ends=("frame", "scores")), tmp_path / "net.onnx")
    with pytest.raises(ProblemError, match="from 'left' to 'scores' is not a part by itself: 'right' is needed, too"):
        OnnxPart(tmp_path / "net.onnx", "left", "scores")


def test_what_a_branch_takes_from_around_it_goes_with_the_part(tmp_path: Path) -> None:
    def branch(name: str, operation: str) -> Any:
        out = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node(operation, ["mean", "weight"], [name])], name, [], [out])

    nodes = [
        helper.make_node("ReduceMean", ["frame"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("ReduceMax", ["mean"], ["top"], keepdims=0),
        helper.make_node("Greater", ["top", "limit"], ["bright"]),
        helper.make_node("If", ["bright"], ["scores"], then_branch=branch("a", "Add"), else_branch=branch("b", "Mul")),
    ]
    weights = {"limit": np.float32(100), "weight": np.full(3, 2, np.float32)}
    onnx.save(model_of(nodes, weights, ends=("frame", "scores")), tmp_path / "net.onnx")
    part = OnnxPart(tmp_path / "net.onnx", "frame", "scores", trusted=True)
    np.testing.assert_allclose(part(np.full((1, SIDE, SIDE, 3), 200)), [[202, 202, 202]])
    np.testing.assert_allclose(part(np.full((1, SIDE, SIDE, 3), 50)), [[100, 100, 100]])
    np.testing.assert_allclose(
        OnnxPart(tmp_path / "net.onnx", "mean", "scores", trusted=True)([[50, 60, 70]]), [[100, 120, 140]]
    )


def test_a_file_written_anew_is_read_anew(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(file.read_bytes())
    assert "relu" in read_model(path, trusted=False).makers
    path.write_bytes(file.read_bytes().replace(b"relu", b"RELU"))
    assert "RELU" in read_model(path, trusted=False).makers


def test_a_file_that_is_not_there_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=r"^model_path: .*net.onnx cannot be read: no such file"):
        OnnxPart(tmp_path / "net.onnx", "frame", "scores")
    (tmp_path / "net.tflite").write_text("x")
    with pytest.raises(ProblemError, match=r"net.tflite is not a model for this engine; it takes .onnx, .pb, .keras"):
        OnnxPart(tmp_path / "net.tflite", "frame", "scores")
