"""Leading layers that models have in common: found exactly, whatever the form of the file, and no more than those."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the extra train", exc_type=ImportError)

from support.keras_models import PLAIN_CHOKEPOINTS, noise, plain, shaken
from support.runtime import write_models
from typer.testing import CliRunner

from mainstream import Model, ProblemError
from mainstream.cli import app
from mainstream.formats.profile import save_profile
from mainstream.graphs.backend import keras, tensorflow
from mainstream.graphs.frozen import frozen_graph
from mainstream.graphs.keras_file import load_keras_file
from mainstream.graphs.part import GraphPart
from mainstream.graphs.trace import trace
from mainstream.trainer.freeze import freeze
from mainstream.trainer.sharing import shared_layers


def numbers(*paths: Path, **options: Any) -> list[int | None]:
    return [place.num_frozen for place in shared_layers(paths, **options).stem.values()]


def tuned(base: Any, frozen: int) -> Any:
    """The base network, its first layers frozen, the others trained for an epoch."""
    model = keras().models.clone_model(base)
    model.set_weights(base.get_weights())
    for layer in model.layers[:frozen]:
        layer.trainable = False
    model.compile(keras().optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(noise((8, 16, 16, 3), seed=frozen), np.arange(8) % 4, epochs=1, verbose=0)
    return model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``base``, and ``NUMBER``, of which so many layers were frozen; ``.keras`` and ``.pb`` of each."""
    folder = tmp_path_factory.mktemp("models")
    base = plain()
    base.save(folder / "base.keras")
    for count in (2, 4, 6, 8):
        tuned(base, count).save(folder / f"{count}.keras")
    for file in folder.glob("*.keras"):
        freeze(file)
    return folder


@pytest.mark.parametrize("form", ["keras", "pb"])
def test_as_many_layers_are_found_as_were_frozen(models: Path, form: str) -> None:
    # Behind 6 come layers without weights up to 8: they are the same, too.
    for count, found in ((2, 2), (4, 4), (6, 8), (8, 8)):
        assert numbers(models / f"{count}.{form}", models / "base.keras") == [found, found]


def test_models_of_several_depths_share_one_stem_as_far_as_each_can(models: Path) -> None:
    names = [models / f"{name}.keras" for name in ("2", "base", "4", "8")]
    assert numbers(*names) == [2, 8, 4, 8]
    with_others = shared_layers(names)
    assert [sorted(Path(name).stem for name in group.places) for group in with_others.groups] == [
        ["2", "4", "8", "base"],
        ["4", "8", "base"],
        ["8", "base"],
    ]
    assert [group.forks for group in with_others.groups] == [
        (f"first_bn: other weights in {names[0]} than in {names[1]}, {names[2]}, {names[3]}",),
        (f"second: other weights in {names[2]} than in {names[1]}, {names[3]}",),
        (f"softmax: other weights in {names[3]} than in {names[1]}",),
    ]


def test_what_is_said_to_be_the_same_is_the_same_to_the_last_bit_and_the_rest_is_not(models: Path) -> None:
    one, other = models / "4.pb", models / "base.keras"
    assert numbers(one, other) == [4, 4]
    ends = {path: [GraphPart(path, "frame", layer) for layer in ("first_relu", "add")] for path in (one, other)}
    (relu, add), (relu_too, add_too) = ([part(noise((1, 16, 16, 3))) for part in parts] for parts in ends.values())
    assert np.array_equal(relu, relu_too) and not np.array_equal(add, add_too)


def test_a_stem_of_their_own_is_told_of_those_that_leave_the_largest_group(models: Path, tmp_path: Path) -> None:
    others = shaken(plain(), seed=1)
    names = []
    for place, model in enumerate((others, tuned(others, 4))):
        names.append(tmp_path / f"{place}.keras")
        model.save(names[-1])
    all_of_them = [models / "base.keras", names[0], models / "8.keras", models / "4.keras", names[1]]
    found = shared_layers(all_of_them)
    assert [place.num_frozen for place in found.stem.values()] == [8, 0, 8, 4, 0]
    own = [group for group in found.groups if not group.of_stem]
    assert [[place.num_frozen for place in group.places.values()] for group in own] == [[4, 4]]
    assert list(own[0].places) == [str(name) for name in names]


def test_neither_names_nor_folded_batch_norms_nor_where_a_graph_was_frozen_to_be_cut_count(tmp_path: Path) -> None:
    model = plain()
    model.save(tmp_path / "net.keras")
    network = trace(model, "net")
    for name, cuts in {"every": network.tensor_names, "few": {0: "frame", 6: "add", 9: "softmax"}}.items():
        (tmp_path / f"{name}.pb").write_bytes(frozen_graph(network, cuts).SerializeToString())
    renamed = frozen_graph(network, {0: "given", 6: "sum", 9: "scores"})
    (tmp_path / "renamed.pb").write_bytes(renamed.SerializeToString())
    names = [tmp_path / name for name in ("net.keras", "every.pb", "few.pb", "renamed.pb")]
    found = shared_layers(names)
    assert list(found.stem.values()) == [(8, "gap"), (8, "gap"), (6, "add"), (6, "sum")]
    assert found.same == (tuple(map(str, names)),)
    assert not any(group.forks for group in found.groups)


def test_a_frozen_graphs_numbers_are_those_of_a_profile(models: Path) -> None:
    names = models / "4.pb", models / "base.pb"
    assert numbers(*names) == [None, None]
    assert numbers(*names, numbers={name: k for k, name in PLAIN_CHOKEPOINTS.items()}) == [4, 4]
    assert [place.layer for place in shared_layers(names).stem.values()] == ["first_relu"] * 2


def last_bit(model: Any) -> Any:
    kernel, bias = model.get_layer("second").get_weights()
    kernel[0, 0, 0, 0] = np.nextafter(kernel[0, 0, 0, 0], np.float32(9))
    model.get_layer("second").set_weights([kernel, bias])
    return model


def statistics(model: Any) -> Any:
    layer = model.get_layer("first_bn")
    *weights, variance = layer.get_weights()
    layer.set_weights([*weights, variance * 1.5])
    return model


def activation(model: Any) -> Any:
    layers = keras().layers
    first = layers.ReLU(max_value=6.0, name="clipped")(model.get_layer("first_bn").output)
    return keras().Model(model.input, layers.Dense(4, name="softmax")(layers.GlobalAveragePooling2D()(first)))


def size(model: Any) -> Any:
    other = plain(24)
    other.set_weights(model.get_weights())
    return other


@pytest.mark.parametrize(
    ("other", "num_frozen", "fork"),
    [
        (last_bit, 4, "second: other weights"),
        (statistics, 2, "first_bn: other weights"),
        (activation, 3, "clipped: another layer"),
        (size, 0, "frame: frames of another size or type"),
    ],
)
def test_what_differs_is_one_line_with_the_layer_and_the_models(
    models: Path, tmp_path: Path, other: Callable[[Any], Any], num_frozen: int, fork: str
) -> None:
    base = models / "base.keras"
    other(load_keras_file(base)).save(tmp_path / "other.keras")
    found = shared_layers([base, tmp_path / "other.keras"])
    assert [place.num_frozen for place in found.stem.values()] == [num_frozen] * 2
    (group,) = found.groups
    assert group.forks == (f"{fork} in {tmp_path / 'other.keras'} than in {base}",)


def written(path: Path, *nodes: dict[str, Any]) -> Path:
    """A frozen graph of these nodes, each with its name, operation, inputs, and attributes as bytes or types."""
    tf = tensorflow()
    definition = tf.compat.v1.GraphDef()
    for node in nodes:
        made = definition.node.add(name=node["name"], op=node["op"], input=node.get("input", []))
        made.attr["T"].type = tf.float32.as_datatype_enum
        if "value" in node:
            made.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(node["value"], **node.get("as_", {})))
    path.write_bytes(definition.SerializeToString())
    return path


FRAME = {"name": "frame", "op": "Placeholder"}
END = {"name": "end", "op": "Softmax", "input": ["next"]}


@pytest.mark.parametrize(
    "second",
    [
        {"input": ["split:1", "split"]},
        {"input": ["split", "split:2"]},
        {"op": "Sub"},
        {"input": ["split", "number"]},
    ],
    ids=["order", "which output", "operation", "constant"],
)
def test_graphs_that_compute_something_else_are_not_the_same(tmp_path: Path, second: dict[str, Any]) -> None:
    axis = {"name": "axis", "op": "Const", "value": 3}
    number = {"name": "number", "op": "Const", "value": 2.0}
    split = {"name": "split", "op": "Split", "input": ["axis", "frame"]}
    used = {"name": "used", "op": "AddN", "input": ["split", "split:1", "split:2"]}
    first = {"name": "next", "op": "AddV2", "input": ["split", "split:1"]}
    nodes = [FRAME, axis, number, split, used]
    one = written(tmp_path / "one.pb", *nodes, first, {**END, "input": ["next", "used"]})
    other = written(tmp_path / "other.pb", *nodes, first | second, {**END, "input": ["next", "used"]})
    again = written(tmp_path / "again.pb", *reversed(nodes), first, {**END, "input": ["next", "used", "^number"]})
    assert shared_layers([one, again]).same
    assert not shared_layers([one, other]).same


def test_numbers_are_the_same_however_they_are_stored(tmp_path: Path) -> None:
    tf = tensorflow()
    paths = []
    for place, value in enumerate((np.full((2, 2), 1.5, np.float32), 1.5)):
        number = {"name": "number", "op": "Const", "value": value, "as_": {"shape": (2, 2), "dtype": tf.float32}}
        nodes = FRAME, number, {"name": "next", "op": "Mul", "input": ["frame", "number"]}, END
        paths.append(written(tmp_path / f"{place}.pb", *nodes))
    assert paths[0].read_bytes() != paths[1].read_bytes()
    assert shared_layers(paths).same


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ((FRAME, {"name": "next", "op": "AddV2", "input": ["frame", "end"]}, END), "go round in a loop"),
        ((FRAME, {"name": "next", "op": "Relu", "input": ["fram"]}, END), "takes 'fram', which is not in it"),
        ((FRAME, {"name": "next", "op": "Relu", "input": ["frame:999999999"]}, END), "takes 'frame:999999999'"),
        ((FRAME, {"name": "next", "op": "Relu", "input": ["frame:x"]}, END), "takes 'frame:x'"),
        ((FRAME, FRAME, {"name": "next", "op": "Relu", "input": ["frame"]}, END), "two of its nodes"),
        ((FRAME, {"name": "next", "op": "ReadFile", "input": ["frame"]}, END), "operation 'ReadFile'"),
        ((FRAME, {"name": "next", "op": "VarHandleOp"}, END), "operation 'VarHandleOp'"),
        ((FRAME, {"name": "next", "op": "Placeholder"}, END), "2 inputs"),
        (({"name": "next", "op": "Const", "value": 1.0}, END), "0 inputs"),
        ((FRAME, {"name": "next", "op": "Const", "value": 1.0}, END), "does not depend on the frame"),
        ((FRAME,), "computes nothing"),
    ],
    ids=["loop", "missing", "place", "no place", "twice", "reads", "variable", "two", "none", "constant", "nothing"],
)
def test_a_graph_that_is_none_is_one_line(
    models: Path, tmp_path: Path, nodes: tuple[dict[str, Any], ...], reason: str
) -> None:
    path = written(tmp_path / "odd.pb", *nodes)
    with pytest.raises(ProblemError, match=f"^{path}: .*{reason}") as caught:
        shared_layers([path, models / "base.pb"])
    assert "\n" not in str(caught.value)


def test_constants_that_would_fill_the_memory_are_compared_as_they_are_stored(tmp_path: Path) -> None:
    tf = tensorflow()
    huge = tf.make_tensor_proto(1.0)
    for size in (1 << 40, 1 << 40, -1):
        huge.tensor_shape.dim.add(size=size)
    paths = []
    for name in ("one", "other"):
        path = written(tmp_path / f"{name}.pb", FRAME, {"name": "next", "op": "Mul", "input": ["frame", "huge"]}, END)
        definition = tf.compat.v1.GraphDef.FromString(path.read_bytes())
        node = definition.node.add(name="huge", op="Const")
        node.attr["value"].tensor.CopyFrom(huge)
        path.write_bytes(definition.SerializeToString())
        paths.append(path)
    assert shared_layers(paths).same


def test_the_command_prints_a_table_and_json(models: Path, tmp_path: Path) -> None:
    save_profile(
        Model(total_layers=9, layer_latencies=[1.0] * 9, frozen_layer_names=PLAIN_CHOKEPOINTS, height=16, width=16),
        tmp_path / "profile.json",
    )
    base, other = str(models / "base.pb"), str(models / "4.pb")
    ended = CliRunner().invoke(app, ["share", base, other, "--profile", str(tmp_path / "profile.json")])
    assert ended.exit_code == 0, ended.output
    assert [" ".join(line.split()) for line in ended.stdout.splitlines()] == [
        "model num_frozen layer",
        f"{base} 4 first_relu",
        f"{other} 4 first_relu",
        f"up to 4 (first_relu): second: other weights in {other} than in {base}",
    ]
    written_to = tmp_path / "found.json"
    for target in ("-", str(written_to)):
        ended = CliRunner().invoke(app, ["share", base, other, "--json", target, "-q"])
        assert bool(ended.stdout) == (target == "-")
        text = ended.stdout if target == "-" else written_to.read_text(encoding="utf-8")
        found = json.loads(text)
        assert found["models"] == [{"model": name, "num_frozen": None, "layer": "first_relu"} for name in (base, other)]
        assert found["groups"][0]["of_stem"] and len(found["groups"][0]["forks"]) == 1 and found["same"] == []


def test_bad_files_are_one_line(models: Path, tmp_path: Path) -> None:
    base = models / "base.keras"
    half = tmp_path / "half.pb"
    half.write_bytes((models / "base.pb").read_bytes()[:1000])
    (tmp_path / "folder.pb").mkdir()
    with (tmp_path / "large.pb").open("wb") as large:
        large.truncate(2**30 + 1)
    for paths, reason in (
        ([base], "give two or more"),
        ([base, base], "given twice"),
        ([base, tmp_path / "none.pb"], "no such file"),
        ([base, tmp_path / "none.keras"], "no such file"),
        ([base, tmp_path / "net.h5"], "allowed: .keras, .pb"),
        ([base, half], "not a frozen graph"),
        ([base, tmp_path / "folder.pb"], "is a directory"),
        ([base, tmp_path / "large.pb"], "more than 1 GB"),
    ):
        with pytest.raises(ProblemError, match=reason) as caught:
            shared_layers(paths)
        assert "\n" not in str(caught.value)


def test_the_tests_models_of_the_runtime_share_what_they_were_made_to(tmp_path: Path) -> None:
    write_models(tmp_path, [1, 2], cuts=(4,))
    assert numbers(tmp_path / "app1-4.keras", tmp_path / "app2-4.pb") == [4, 4]
