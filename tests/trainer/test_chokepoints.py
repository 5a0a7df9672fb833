"""Chokepoints, against the definition by paths, a measured profile, and the published lists."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the extra train", exc_type=ImportError)

from support.keras_models import PLAIN_CHOKEPOINTS, SIZES, plain

from mainstream.errors import ProblemError
from mainstream.graphs.backend import keras
from mainstream.graphs.trace import Network, trace
from mainstream.trainer.chokepoints import PUBLISHED, chokepoints
from mainstream.trainer.networks import network

MEASURED = Path(__file__).parents[2] / "data" / "profiles" / "mobilenetv2-96.json"


@pytest.fixture(scope="module")
def mobilenetv2() -> Network:
    return network("mobilenetv2", size=96)


def random_graph(seed: int) -> Any:
    """A model of up to 12 layers wired at random, all of them on some way to the output."""
    rng = np.random.default_rng(seed)
    layers = keras().layers
    frame = keras().Input((4, 4, 2), name="frame")
    tensors, unused = [frame], {0}
    for n in range(int(rng.integers(4, 12))):
        back = int(rng.integers(1, 4))
        ways = sorted({*rng.integers(max(len(tensors) - back, 0), len(tensors), 2).tolist()})
        unused -= set(ways)
        taken = [tensors[way] for way in ways]
        layer = layers.Add(name=f"add{n}") if len(taken) > 1 else layers.Conv2D(2, 1, name=f"conv{n}")
        tensors.append(layer(taken if len(taken) > 1 else taken[0]))
        unused.add(len(tensors) - 1)
    ends = [tensors[n] for n in sorted(unused)]
    return keras().Model(frame, layers.Concatenate(name="end")(ends) if len(ends) > 1 else ends[0])


def passed_by_every_path(model: Any) -> set[str]:
    """Names of the layers that all paths from input to output pass, by walking all the paths."""
    after: dict[str, list[str]] = {layer.name: [] for layer in model.layers}
    for layer in model.get_config()["layers"]:
        for node in layer["inbound_nodes"]:
            for found in _histories(node["args"]):
                after[found].append(layer["name"])
    last = model.outputs[0]._keras_history.operation.name

    def paths(name: str) -> list[set[str]]:
        return [{name}] if name == last else [{name, *rest} for one in after[name] for rest in paths(one)]

    return set.intersection(*paths("frame"))


def _histories(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [value["config"]["keras_history"][0]] if value.get("class_name") == "__keras_tensor__" else []
    return list(itertools.chain(*map(_histories, value))) if isinstance(value, list | tuple) else []


@pytest.mark.parametrize("seed", range(30))
def test_chokepoints_are_the_layers_that_every_path_passes(seed: int) -> None:
    model = random_graph(seed)
    traced = trace(model, "random")
    found = {traced.layers[max(k - 1, 0)].name for k in traced.cuts}
    assert found == passed_by_every_path(model)


def test_every_and_block_of_a_small_network() -> None:
    net = trace(plain(), "plain")
    assert chokepoints(net, "every") == PLAIN_CHOKEPOINTS
    assert list(chokepoints(net)) == [0, 4, 6, 7, 8, 9]


def test_a_block_ends_where_a_bypass_begins_though_nothing_is_computed_there() -> None:
    layers = keras().layers
    frame = keras().Input((8, 8, 3))
    begin = layers.Conv2D(3, 1, name="begin")(frame)
    x = layers.Conv2D(3, 1)(layers.ReLU()(layers.BatchNormalization()(begin)))
    model = keras().Model(
        frame, layers.Flatten(name="end")(layers.ReLU(name="relu")(layers.Add(name="add")([x, begin])))
    )
    assert list(chokepoints(trace(model, "preactivated")).values())[1:] == ["begin", "relu", "end"]


def test_blocks_of_mobilenetv2_are_those_of_the_measured_profile(mobilenetv2: Network) -> None:
    measured = json.loads(MEASURED.read_text())["frozen_layer_names"]
    assert chokepoints(mobilenetv2) == {int(k): name for k, name in measured.items()}


@pytest.mark.parametrize(
    ("name", "which", "numbers"),
    [
        ("inceptionv3", "inception", [4, 7, 10, 11, 14, 17, 18, 41, 64, 87, 101, 133, 165, 197, 229, 249, 280, 311]),
        # Today's ResNet50 has two padding layers more, in front of its first convolution and its first pooling.
        ("resnet50", "resnet", [3, 4, 5, 7, 19, 29, 39, 51, 61, 71, 81, 93, 103, 113, 123, 133, 143, 155, 165, 175]),
        # Today's MobileNet pads in front of its four depthwise convolutions of stride 2.
        ("mobilenet", "mobilenets", [3, 9, 16, 22, 29, 35, 42, 48, 54, 60, 66, 72, 79, 85]),
    ],
)
def test_published_lists_hold_for_todays_numbers(name: str, which: str, numbers: list[int]) -> None:
    net = network(name, size=SIZES[name])
    found = chokepoints(net, which)
    assert list(found) == [0, *numbers, net.total_layers]
    assert list(PUBLISHED[which].values()) == [found[k] for k in numbers]


def test_the_published_numbers_are_the_published_ones() -> None:
    as_published = {
        "inception": "0 4 7 10 11 14 17 18 41 64 87 101 133 165 197 229 249 280 311 313",
        "resnet": "0 2 3 4 5 17 27 37 49 59 69 79 91 101 111 121 131 141 153 163 173 177",
        "mobilenets": "0 3 9 15 21 27 33 39 45 51 57 63 69 75 81 84",
    }
    for which, text in as_published.items():
        assert list(PUBLISHED[which]) == [int(n) for n in text.split()][1:-1]


@pytest.mark.parametrize("which", [20, "20"])
def test_an_integer_is_every_fifth_layer_up_to_it(which: str | int) -> None:
    assert list(chokepoints(network("mobilenet", size=32), which)) == [0, 5, 10, 15, 20, 88]


def test_an_integer_of_any_size_ends_at_the_last_layer() -> None:
    net = network("mobilenet", size=32)
    assert chokepoints(net, 10**15) == chokepoints(net, net.total_layers)
    with pytest.raises(ProblemError, match=r"chokepoints '9999.*' are not known"):
        chokepoints(net, "9" * 5000)


def test_a_cut_that_is_no_chokepoint_is_refused(mobilenetv2: Network) -> None:
    with pytest.raises(ProblemError, match=r"no chokepoint after 20 layers \(block_2_expand_BN\)"):
        chokepoints(mobilenetv2, 40)
    with pytest.raises(ProblemError, match=r"'resnet': 2 \(conv1_conv\) is not in mobilenetv2-96"):
        chokepoints(mobilenetv2, "resnet")


def test_a_published_layer_with_a_bypass_is_refused() -> None:
    layers = keras().layers
    frame = keras().Input((8, 8, 3))
    x = layers.Conv2D(3, 1, name="conv1_bn")(frame)
    y = layers.Conv2D(3, 1, name="other")(frame)
    x = layers.Conv2D(3, 1, name="behind")(layers.Add()([x, y]))
    with pytest.raises(ProblemError, match=r"3 \(conv1_bn\) is not a chokepoint of bypassed"):
        chokepoints(trace(keras().Model(frame, x), "bypassed"), "mobilenets")


def test_an_unknown_list_is_refused(mobilenetv2: Network) -> None:
    with pytest.raises(ProblemError, match=r"'blocks' are not known; did you mean 'block'"):
        chokepoints(mobilenetv2, "blocks")


def test_a_network_that_cannot_be_cut_is_refused() -> None:
    layers = keras().layers
    frame = keras().Input((8, 8, 3))
    both = layers.Add()([layers.Conv2D(3, 1)(frame), frame])
    with pytest.raises(ProblemError, match="no chokepoint between input and output"):
        chokepoints(trace(keras().Model(frame, both), "bypass"))
