"""The cost model against its definition, layer by layer in plain Python."""

from __future__ import annotations

import random

import pytest

from mainstream import Model
from mainstream.costs import memory_of, stem_parts, tail_costs

Choices = list[tuple[int, float]]


def plain_costs(latencies: list[float], choices: Choices) -> tuple[list[float], list[float]]:
    """Each app's own layers, and each layer of the stem, a second."""
    tails = []
    for frozen, fps in choices:
        first = frozen if frozen > 1 else 0
        tails.append(sum(latencies[first:]) * fps)
    stem = []
    for layer, latency in enumerate(latencies):
        behind = [fps for frozen, fps in choices if frozen > 1 and layer < frozen]
        stem.append(latency * max(behind, default=0.0))
    return tails, stem


def network(latencies: list[float]) -> Model:
    names = {k: f"t{k}" for k in range(len(latencies) + 1)}
    return Model(total_layers=len(latencies), layer_latencies=latencies, frozen_layer_names=names)


@pytest.mark.parametrize("seed", range(60))
def test_costs_are_those_of_the_definition(seed: int) -> None:
    draw = random.Random(seed)
    latencies = [draw.choice([0.0, draw.uniform(0.1, 5)]) for _ in range(draw.randint(1, 9))] + [1.0]
    choices = [(draw.randint(0, len(latencies)), draw.choice([0.5, 1, 2.5, 10])) for _ in range(draw.randint(1, 6))]
    frozen, fps = (list(column) for column in zip(*choices, strict=True))
    tails, stem = plain_costs(latencies, choices)
    model = network(latencies)
    assert tail_costs(model, frozen, fps).tolist() == pytest.approx(tails)
    parts = stem_parts(model, frozen, fps)
    assert [part.cost for part in parts] == pytest.approx([sum(stem[p.start : p.stop]) for p in parts])
    assert sum(part.cost for part in parts) == pytest.approx(sum(stem))
    assert [part.start for part in parts] == [0, *(part.stop for part in parts)][: len(parts)]
    rates = [part.target_fps for part in parts]
    assert rates == sorted(set(rates), reverse=True)
    assert {part.stop for part in parts} <= set(frozen)
    for part in parts:
        assert part.target_fps == max(r for f, r in choices if f >= part.stop)


def test_without_sharing_every_app_pays_the_whole_network() -> None:
    model = network([1.0, 2.0, 4.0])
    assert tail_costs(model, [0, 1, 2, 3], [1, 2, 3, 4], sharing=False).tolist() == [7, 14, 21, 28]
    assert tail_costs(model, [0, 1, 2, 3], [1, 2, 3, 4]).tolist() == [7, 14, 12, 0]


def test_apps_that_share_nothing_or_are_left_out_are_no_part_of_the_stem() -> None:
    model = network([1.0, 2.0, 4.0])
    assert stem_parts(model, [0, 1, 3], [9, 9, 0]) == ()
    assert [(p.start, p.stop, p.target_fps, p.cost) for p in stem_parts(model, [2, 3], [1, 5])] == [(0, 3, 5, 35)]


def test_in_memory_the_stem_counts_once_and_each_tail_once() -> None:
    model = Model(
        total_layers=4,
        layer_latencies=(1, 1, 1, 1),
        layer_memory_mb=(1, 10, 100, 1000),
        frozen_layer_names={0: "a", 2: "b", 3: "c"},
    )
    frozen, fps = [2, 3, 0, 2], [1, 2, 3, 4]
    # The stem is 3 layers deep; behind it are 1100, 1000 and 1100, and the app that shares nothing has all four.
    assert memory_of(model, frozen, stem_parts(model, frozen, fps)) == 111 + 1100 + 1000 + 1111 + 1100
    assert memory_of(model, frozen, (), sharing=False) == 4 * 1111
    assert memory_of(network([1.0] * 4), frozen, ()) is None
