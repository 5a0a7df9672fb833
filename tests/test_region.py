"""Regions: what is one, which pixels it has, and that only apps of one region share a stem."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support import oracle, streams
from support.commands import run_here

from mainstream import App, Apps, InfeasibleError, ProblemError, Result, Scheduler, Stream, prepare, solve
from mainstream.experiments.simulate import simulate_schedule
from mainstream.io import load_problem, save_problem
from mainstream.region import box
from mainstream.streamer import NetPlan, net_plan
from mainstream.streamer.compute import Compute, PartCompute
from mainstream.streamer.deployer import Observed

LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0)
MODEL = {
    "total_layers": 4,
    "layer_latencies": [1.0, 2.0, 3.0, 4.0],
    "frozen_layer_names": {0: "in", 2: "a", 3: "b", 4: "out"},
    "height": 8,
    "width": 8,
    "unit": "ms",
}
VIDEO = {"stream_fps": 4}


def app(app_id: int | str, region: Any = None, **keys: Any) -> dict[str, Any]:
    curve = {"accuracies": {0: 0.9, 2: 0.8, 3: 0.7}, "event_length_ms": 700.0}
    paths = {k: f"{app_id}-{k}.pb" for k in (0, 2, 3)}
    return {"app_id": app_id, **curve, "model_path": paths, **({"region": region} if region else {}), **keys}


def four() -> list[dict[str, Any]]:
    return [app(1, LEFT), app(2), app(3, LEFT), app(4, RIGHT)]


@pytest.mark.parametrize("given", [[0.25, 0, 0.5, 1], (0.25, 0.0, 0.5, 1.0), "0.25,0,0.5,1", " 0.25, 0 ,0.5, 1"])
def test_a_region_is_four_shares(given: Any) -> None:
    assert App.of(app(1, given)).region == (0.25, 0.0, 0.5, 1.0)


def test_the_whole_frame_is_no_region_however_it_is_said() -> None:
    assert [App.of(app(1, region)).region for region in (None, [0, 0, 1, 1], "0,0,1,1")] == [None] * 3
    assert App.of(app(1, [0.7, 0.1, 0.3, 0.9])).region == (0.7, 0.1, 0.3, 0.9)  # which adds up to a hair more than 1


FOUR = "it has to be four numbers: x, y, width, height, as shares of the frame's width and height"
OUTSIDE = "it reaches outside the frame, which goes from 0 to 1; divide pixels by its width and height"
NO_AREA = "it has no area; width and height have to be above 0"


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ([0, 0, 1], FOUR),
        ([0, 0, 1, 1, 1], FOUR),
        ([0, 0, 1, "x"], FOUR),
        ([0, 0, 1, True], FOUR),
        ("1,2,3", FOUR),
        ({"x": 0}, FOUR),
        (3, FOUR),
        ("", FOUR),
        ([-0.1, 0, 0.5, 0.5], OUTSIDE),
        ([0.6, 0, 0.5, 0.5], OUTSIDE),
        ([0, 0.6, 0.5, 0.5], OUTSIDE),
        ([100, 50, 640, 480], OUTSIDE),
        ([0, 0, float("nan"), 1], OUTSIDE),
        ([0, 0, float("inf"), 1], OUTSIDE),
        ([0.5, 0.5, 0, 0.5], NO_AREA),
        ([0.5, 0.5, 0.5, 0], NO_AREA),
    ],
)
def test_what_is_no_region_is_told_in_one_line(given: Any, allowed: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        App.of({**app(7), "region": given})
    assert str(refusal.value).startswith("app 7: region: got ") and str(refusal.value).endswith(f"; {allowed}")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("seed", range(300))
def test_pixels_of_a_region_lie_in_the_frame_and_where_it_says(seed: int) -> None:
    rng = random.Random(seed)
    width, height = (rng.choice([1, 2, 3, 16, 97, 641, 1920]) for _ in range(2))
    x, y = rng.random(), rng.random()
    region = (x, y, rng.uniform(0.001, 1) * (1 - x) or 1 - x, rng.uniform(0.001, 1) * (1 - y) or 1 - y)
    left, top, right, bottom = box(region, width, height)
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    assert left % 2 == top % 2 == 0 and right % 2 in (0, width % 2) and bottom % 2 in (0, height % 2)
    for first, last, start, share, pixels in ((left, right, x, region[2], width), (top, bottom, y, region[3], height)):
        assert abs(first - start * pixels) <= 2 and abs(last - (start + share) * pixels) <= 3


def test_regions_side_by_side_have_each_pixel_once() -> None:
    ends = [box((k / 7, 0.0, 1 / 7, 1.0), 641, 480) for k in range(7)]
    assert ends[0][0] == 0 and ends[-1][2] == 641
    assert [one[2] for one in ends[:-1]] == [one[0] for one in ends[1:]]


@pytest.mark.parametrize("seed", range(30))
def test_every_schedule_agrees_that_only_apps_of_one_region_share(seed: int) -> None:
    problem = oracle.random_problem(seed)
    regions = [None, LEFT, RIGHT][: 2 + seed % 2]
    apps = [{**one, "app_id": i} for i, one in enumerate(problem["apps"][:3])]
    for i, one in enumerate(apps):
        one["region"] = regions[i % len(regions)]
    plain = [{key: value for key, value in one.items() if key != "region"} for one in apps]
    groups = [[plain[i] for i, one in enumerate(apps) if one["region"] == region] for region in regions]
    tried = streams.every_schedule([{**problem, "apps": group} for group in groups if group])
    if not len(tried.cost) or tried.cost.min() == 0:
        return
    options = {"objective": problem["metric"], "mode": problem["mode"], "event_model": problem["event_model"]}
    for budget in (tried.cost.min() * 1.3, tried.cost.max() * 0.6):
        best = streams.best(tried, budget, "mean")
        how = {**options, "budget": budget, "gap": 1e-9}
        try:
            found = solve(apps, problem["model"], problem["video"], **how)
        except InfeasibleError:
            assert best is None
            continue
        assert best is not None and found.objective == pytest.approx(best[0], abs=1e-8)
        assert found.cost <= budget * (1 + 2e-9)


def test_each_region_is_a_stream_in_the_order_in_which_they_come() -> None:
    prepared = prepare(four(), MODEL, VIDEO, 60.0)
    assert [stream.region for stream in prepared.streams] == [LEFT, None, RIGHT]
    assert [one.app_id for one in prepared.described] == [1, 3, 2, 4] == prepared.apps.app_ids.tolist()
    assert prepared.model.unit == "ms" and prepared.video.stream_fps == 4
    result = prepared.solve()
    assert [schedule.region for schedule in result.schedules] == [LEFT, None, RIGHT]
    again = Result.from_json(result.to_json())
    assert again == result and [schedule.region for schedule in again.schedules] == [LEFT, None, RIGHT]
    assert "; region 0.5,0,0.5,1" in str(result)
    assert [row.get("region") for row in json.loads(result.to_json())["streams"]] == [[*LEFT], None, [*RIGHT]]


def test_one_region_for_all_is_one_stream_and_costs_what_the_whole_frame_does() -> None:
    whole = solve([app(1), app(2)], MODEL, VIDEO, budget=40)
    part = solve([app(1, LEFT), app(2, LEFT)], MODEL, VIDEO, budget=40)
    assert part.schedule.region == LEFT and whole.schedule.region is None
    assert part.cost == whole.cost and part.objective == whole.objective
    assert "region" not in whole.to_json()


def test_apps_of_two_regions_do_not_go_where_one_stem_is_meant() -> None:
    for make in (lambda: Apps.of(four()), lambda: Stream(four(), MODEL, VIDEO)):
        with pytest.raises(ProblemError, match=r"region: got .*; this is for apps that see the same"):
            make()
    prepared = prepare([app(1, LEFT)], MODEL, VIDEO)
    with pytest.raises(ProblemError, match="app 2: region None, that of the stream's apps is"):
        prepared.with_app(app(2))
    assert prepared.with_app(app(2, LEFT)).streams[0].region == LEFT


def test_a_problem_file_keeps_regions(tmp_path: Path) -> None:
    keys = {"budget": 60, "video": VIDEO, "model": MODEL, "apps": [app(1, "0,0,0.5,1"), app(2, [0.5, 0, 0.5, 1])]}
    (tmp_path / "problem.yaml").write_text(yaml.safe_dump(keys))
    problem = load_problem(tmp_path / "problem.yaml")
    assert [one.region for one in problem.apps] == [LEFT, RIGHT]
    save_problem(problem, tmp_path / "again.yaml")
    assert load_problem(tmp_path / "again.yaml") == problem


def test_a_plan_has_a_stem_for_each_region_and_says_so_where_the_camera_feeds_it() -> None:
    prepared = prepare(four(), MODEL, VIDEO, mode="max-sharing")
    result = prepared.solve(60)
    plan = net_plan(result, prepared.described, prepared.model)
    fed = [part for part in plan.subnets if part.parent_id == -1]
    assert [part.region for part in fed] == [LEFT, None, RIGHT] and all(part.shared for part in fed)
    assert all(part.region is None for part in plan.subnets if part.parent_id != -1)
    above = {part.app_id: plan.subnets[part.parent_id].region for part in plan.tails}
    assert above == {1: LEFT, 3: LEFT, 2: None, 4: RIGHT}
    sent = json.loads(plan.to_json())
    assert [part.get("region") for part in sent] == [
        [*part.region] if part.region else None for part in plan.subnets
    ] and sum("region" in part for part in sent) == 2
    assert NetPlan.from_json(plan.to_json()) == plan
    assert "region 0,0,0.5,1" in plan.tree()


def test_a_plan_without_regions_is_what_it_was_byte_for_byte() -> None:
    prepared = prepare([app(1), app(2)], MODEL, VIDEO)
    text = net_plan(prepared.solve(60), prepared.described, prepared.model).to_json()
    whole = prepare([app(1, [0, 0, 1, 1]), app(2)], MODEL, VIDEO)
    assert net_plan(whole.solve(60), whole.described, whole.model).to_json() == text and "region" not in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"region": [0, 0, 2, 1]}, "place 0: region: got [0, 0, 2, 1]; it reaches outside the frame"),
        ({"region": "left"}, "place 0: region: got 'left'; it has to be four numbers"),
        ({"region": [0, 0, 0.5, 1], "parent_id": 0}, "region is for a part that the camera feeds"),
    ],
)
def test_a_plan_with_a_wrong_region_is_refused(change: dict[str, Any], message: str) -> None:
    part = {"net_id": 0, "app_id": 1, "parent_id": -1, "input_layer": "in", "output_layer": "out", "channels": 3}
    part |= {"height": 8, "width": 8, "target_fps": 2, "shared": False, "model_path": "1.pb"}
    with pytest.raises(ProblemError, match=message.replace("[", r"\[").replace("]", r"\]")):
        NetPlan.from_json(json.dumps([part | change]))


class Device:
    """Does what it is told, at twice the latencies of the profile."""

    def deploy(self, plan: NetPlan) -> Observed:
        parts = []
        for subnet, (start, stop) in zip(plan.subnets, plan.layers, strict=True):
            runs = round(subnet.target_fps * 30)
            core_s = 2 * runs * sum(MODEL["layer_latencies"][start:stop]) / 1000
            parts.append(PartCompute(net_id=subnet.net_id, runs=runs, core_s=core_s))
        return Observed(plan.target_fps, plan, Compute(window_s=30.0, parts=tuple(parts)))


def test_the_loop_corrects_one_profile_by_what_all_regions_took() -> None:
    history = Scheduler(four(), MODEL, VIDEO, deployer=Device()).run(200.0)
    assert history.converged and len(history) == 2
    first, second = history
    assert first.predicted_cost == pytest.approx(first.result.cost) and first.deviation == 0
    assert first.factor == pytest.approx(2) and second.factor == pytest.approx(1)
    assert second.measured_compute == pytest.approx(second.result.cost) and second.result.cost <= 200
    assert [one.app_id for one in first.apps] == [1, 3, 2, 4]
    assert history.profile.layer_latencies == pytest.approx([2, 4, 6, 8])


def test_simulation_knows_all_regions() -> None:
    apps = [{**app(i, region), "event_frequency": 0.2} for i, region in enumerate((LEFT, RIGHT, LEFT))]
    for one in apps:
        one["false_positive_rates"] = {0: 0.01, 2: 0.02, 3: 0.03}
    prepared = prepare(apps, MODEL, VIDEO)
    result = prepared.solve(80)
    replay = simulate_schedule(result, prepared, frames=20_000, seed=1)
    assert replay.app_ids.tolist() == [0, 2, 1] == [choice.app_id for choice in result.choices]
    np.testing.assert_allclose(replay.predicted["windowed"].f1, [choice.f1 for choice in result.choices])


@pytest.mark.parametrize("command", ["solve", "frontier", "plan", "simulate"])
def test_the_commands_take_regions(command: str, tmp_path: Path) -> None:
    file = tmp_path / "problem.yaml"
    file.write_text(yaml.safe_dump({"budget": 80, "video": VIDEO, "model": MODEL, "apps": four()}))
    more = {"frontier": ["--points", "3"], "simulate": ["--frames", "1000"]}.get(command, [])
    done = run_here(command, file, *more)
    assert done.returncode == 0, done.stderr
    assert {"solve": "region 0,0,0.5,1", "plan": '"region": [0.5, 0.0, 0.5, 1.0]'}.get(command, "") in done.stdout
