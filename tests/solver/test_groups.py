"""Groups one by one at a price: against every staircase that a group may have."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from support import streams

from mainstream import InfeasibleError, Stream, prepare
from mainstream.solver import kernels
from mainstream.solver.groups import box_within, groups_of, minimise
from mainstream.solver.option_table import weighted
from mainstream.solver.search import highest_staircase, schedule_cost, staircase_of


def packed_of(seed: int) -> kernels.Packed | None:
    problems = streams.random_streams(seed)
    given = [Stream(problem["apps"], problem["model"], problem["video"]) for problem in problems]
    common = {key: problems[0][key] for key in ("mode", "event_model")}
    try:
        table = prepare(given, objective=problems[0]["metric"], **common).table
    except InfeasibleError:
        return None
    return weighted(table.packed, table.share)


def every_staircase(group: kernels.Packed) -> Iterator[np.ndarray]:
    highest = highest_staircase(group)
    for steps in itertools.product(*(range(top + 1) for top in highest[1:])):
        if all(a >= b for a, b in itertools.pairwise(steps)):
            yield np.array([0, *steps])


def comes_to(group: kernels.Packed, staircase: np.ndarray, lam: float) -> float:
    """The best value - lam cost under one staircase, all of which is paid for."""
    total = -lam * group.stem[np.arange(len(staircase)), staircase].sum()
    row, rate = np.divmod(group.cell.astype(int), group.own.shape[1])
    fits = (row == 0) | ((rate > 0) & (rate <= staircase[row]))
    score = np.where(fits, group.value - lam * group.own[row, rate], -np.inf)
    for first, end in itertools.pairwise(group.start.tolist()):
        total += score[first:end].max()
    return float(total)


@pytest.mark.parametrize("seed", range(60))
def test_each_group_comes_to_what_its_best_staircase_does(seed: int) -> None:
    packed = packed_of(seed)
    if packed is None:
        return
    rng = np.random.default_rng(seed)
    groups = list(groups_of(packed))
    lam = float(10 ** rng.uniform(-4, 0))
    each = [{tuple(m): comes_to(group, m, lam) for m in every_staircase(group)} for group in groups]
    best = [max(totals.values()) for totals in each]
    (point,) = minimise(groups, 1.0, lam, 1e300, lambda: True)[:1]
    assert point.bound >= lam + sum(best) - 1e-12
    (point,) = minimise(groups, 1.0, lam, 0.0, lambda: True)[:1]
    assert point.bound == pytest.approx(lam + sum(best), abs=1e-9)
    assert point.value - lam * point.cost == pytest.approx(sum(best), abs=1e-9)

    slack = float(rng.choice([0.0, rng.uniform(0, 0.02), rng.uniform(0, 0.3)]))
    low, high = box_within(groups, lam, slack, lambda: True)
    for g, (first, end) in enumerate(itertools.pairwise(packed.rows.tolist())):
        near = np.array([m for m, total in each[g].items() if total > best[g] - slack + 1e-9])
        if len(near):
            assert (low[first:end] <= near.min(axis=0)).all() and (high[first:end] >= near.max(axis=0)).all()
        # All that is in it for nothing is what a hair more would let in.
        nearly = np.array([m for m, total in each[g].items() if total > best[g] - slack - 1e-9])
        assert (low[first:end] >= nearly.min(axis=0)).all() and (high[first:end] <= nearly.max(axis=0)).all()


@pytest.mark.parametrize("seed", range(20))
def test_the_last_price_is_the_best_one(seed: int) -> None:
    packed = packed_of(seed)
    if packed is None:
        return
    groups = list(groups_of(packed))
    light = packed.cell[packed.start[:-1]]
    budget = 1.3 * schedule_cost(packed, light) + 0.1
    found = min(point.bound for point in minimise(groups, budget, 0.01, 1e-9, lambda: True))
    for lam in np.geomspace(1e-6, 10, 40):
        bound = lam * budget + sum(max(comes_to(g, m, lam) for m in every_staircase(g)) for g in groups)
        assert bound >= found - 1e-8


def test_staircases_begin_anew_with_each_group() -> None:
    packed = next(packed for packed in map(packed_of, range(20)) if packed is not None and len(packed.own) > 4)
    for g, group in enumerate(groups_of(packed)):
        first, end = packed.rows[g : g + 2]
        app, last = packed.apps[g : g + 2]
        rng = np.random.default_rng(g)
        chosen = packed.start[app:last] + rng.integers(np.diff(packed.start)[app:last])
        cells = packed.cell[packed.start[:-1]]
        cells[app:last] = packed.cell[chosen]
        width = packed.own.shape[1]
        own = (packed.cell[chosen] - first * width).astype(np.int32)
        np.testing.assert_array_equal(staircase_of(packed, cells)[first:end], staircase_of(group, own))
