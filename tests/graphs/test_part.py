"""Parts of frozen graphs."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest

from mainstream.errors import MissingExtraError, ProblemError
from mainstream.graphs.part import GraphPart


def test_without_tensorflow_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstream._optional.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    with pytest.raises(MissingExtraError, match=r"^tensorflow is not installed; pip install 'mainstream\[run\]'$"):
        GraphPart("net.pb", "frame", "softmax")


tf = pytest.importorskip("tensorflow", reason="needs the extra train", exc_type=ImportError)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two ways to `sum` and one to `top`: frame -> double -> sum -> top, other -> sum."""
    with tf.Graph().as_default() as graph:
        frame = tf.compat.v1.placeholder(tf.float32, [None, 2, 2, 3], name="frame")
        other = tf.compat.v1.placeholder(tf.float32, [None, 2, 2, 3], name="other")
        double = tf.multiply(frame, 2.0, name="double")
        both = tf.add(double, other, name="sum")
        tf.reduce_max(both, [1, 2], name="top")
        tf.reduce_max(double, [1, 2], name="double_top")
    path = tmp_path_factory.mktemp("graph") / "net.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def test_a_part_runs_from_tensor_to_tensor(graph: Path) -> None:
    frames = np.arange(24.0).reshape(2, 2, 2, 3)
    double = GraphPart(graph, "frame", "double")
    assert double.input_shape == (None, 2, 2, 3)
    np.testing.assert_array_equal(double(frames), 2 * frames)
    np.testing.assert_array_equal(GraphPart(graph, "double:0", "double_top:0")(frames), frames.max((1, 2)))
    np.testing.assert_array_equal(GraphPart(graph, "sum", "top")(frames), frames.max((1, 2)))
    assert double(frames).dtype == np.float32


def test_a_frame_of_bytes_is_a_frame(graph: Path) -> None:
    frames = np.full((1, 2, 2, 3), 200, np.uint8)
    np.testing.assert_array_equal(GraphPart(graph, "frame", "double")(frames), np.full((1, 2, 2, 3), 400.0))


def test_a_part_of_nothing_gives_its_input(graph: Path) -> None:
    frames = np.ones((1, 2, 2, 3), np.float32)
    np.testing.assert_array_equal(GraphPart(graph, "double", "double")(frames), frames)


def test_a_file_written_anew_is_read_anew(graph: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.pb"
    path.write_bytes(graph.read_bytes())
    GraphPart(path, "frame", "double")
    path.write_bytes(graph.read_bytes().replace(b"double", b"triple"))
    GraphPart(path, "frame", "triple")


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        (("frame", "doubel"), "has no tensor 'doubel'; did you mean 'double'"),
        (("frame", "double:3"), "has no tensor 'double:3'"),
        (("double", "frame"), "there is no way|'frame' is needed"),
        (("frame", "top"), "is not a part by itself: 'other' is needed, too"),
        (("top", "double_top"), "is not a part by itself: 'frame' is needed|there is no way"),
    ],
)
def test_ends_between_which_there_is_no_part_are_refused(graph: Path, ends: tuple[str, str], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        GraphPart(graph, *ends)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_refused_in_one_line(graph: Path, keep: float, tmp_path: Path) -> None:
    content = graph.read_bytes()
    (tmp_path / "net.pb").write_bytes(content[: int(keep * len(content))])
    with pytest.raises(ProblemError, match=r"net.pb (is not a frozen graph|is an empty graph|has no tensor)") as caught:
        GraphPart(tmp_path / "net.pb", "frame", "double_top")
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_refused_or_runs(graph: Path, tmp_path: Path) -> None:
    whole = graph.read_bytes()
    refused = 0
    for seed in range(60):
        rng = random.Random(seed)
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] = rng.randrange(256)
        (tmp_path / "net.pb").write_bytes(damaged)
        try:
            GraphPart(tmp_path / "net.pb", "frame", "double_top")(np.zeros((1, 2, 2, 3)))
        except ProblemError as error:
            refused += 1
            assert "\n" not in str(error), seed
    assert refused > 10


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=r"net.pb cannot be read: No such file"):
        GraphPart(tmp_path / "net.pb", "frame", "top")
    (tmp_path / "net.pb").write_text("no graph at all")
    with pytest.raises(ProblemError, match=r"net.pb is not a frozen graph"):
        GraphPart(tmp_path / "net.pb", "frame", "top")


def test_a_graph_that_does_not_say_its_shape_takes_any(tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph:
        tf.multiply(tf.compat.v1.placeholder(tf.float32, name="any"), 2.0, name="double")
    (tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
    part = GraphPart(tmp_path / "net.pb", "any", "double")
    assert part.input_shape is None
    np.testing.assert_array_equal(part([1.0, 2.0]), [2.0, 4.0])


def test_a_keras_model_is_cut_where_its_frozen_graph_is(tmp_path: Path) -> None:
    from support.keras_models import noise, plain

    from mainstream.trainer.freeze import freeze

    model = plain()
    model.save(tmp_path / "net.keras")
    freeze(tmp_path / "net.keras", tmp_path / "net.pb")
    stem, tail = (GraphPart(tmp_path / "net.keras", *ends) for ends in (("frame", "add"), ("add", "softmax")))
    assert tail.output_shape == (None, 4)
    frames = noise((2, 16, 16, 3))
    np.testing.assert_array_equal(stem(frames), GraphPart(tmp_path / "net.pb", "frame", "add")(frames))
    np.testing.assert_allclose(tail(stem(frames)), model(frames), atol=1e-6)
    with pytest.raises(ProblemError, match=r"has no tensor 'ad'; did you mean 'add'"):
        GraphPart(tmp_path / "net.keras", "frame", "ad")


def test_a_batch_of_another_shape_is_refused(graph: Path) -> None:
    with pytest.raises(ProblemError, match=r"shape \(2, 2, 3\); this part takes \(None, 2, 2, 3\)"):
        GraphPart(graph, "frame", "double")(np.zeros((2, 2, 3)))
