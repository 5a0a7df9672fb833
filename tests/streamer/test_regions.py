"""Regions in the runtime: each app sees its own only, a stem runs once a frame and region, and swaps lose no frame."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.runtime import MODEL, SIZE, apps_of, pictures, write_models
from support.third_party import MATRICES, write_matrices

from mainstream import App, Model, prepare
from mainstream.extensions import PART_LOADERS
from mainstream.region import Region, box
from mainstream.streamer import LocalRunner, NetPlan, net_plan
from mainstream.streamer.engine import Engine, run
from mainstream.streamer.frames import Frame

av = pytest.importorskip("av", reason="needs the extra run")

LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0)
SMALL = Model(
    total_layers=3,
    layer_latencies=[1.0, 1.0, 1.0],
    frozen_layer_names={0: "frame", 2: "hidden", 3: "scores"},
    height=16,
    width=16,
    unit="ms",
)


def plan_of(regions: list[Region | None], *, fps: float = 10.0, stream_fps: float = 10.0) -> NetPlan:
    """Apps 1, 2, ... on the small network, all of whose stem they share with those of their region."""
    apps = [
        App(
            app_id=i,
            accuracies={2: 0.9},
            event_length_ms=1000,
            model_path={2: "net.npz"},
            region=region,
            pinned=(2, fps),
            event_class=0,
        )
        for i, region in enumerate(regions, start=1)
    ]
    video = {"stream_fps": stream_fps, "fps_options": [fps]}
    return net_plan(prepare(apps, SMALL, video).solve(10_000), apps, SMALL)


def halves(height: int = 36, width: int = 64) -> NDArray[np.uint8]:
    """Red on the left, blue on the right."""
    shown = np.zeros((height, width, 3), np.uint8)
    shown[:, : width // 2, 0] = 200
    shown[:, width // 2 :, 2] = 200
    return shown


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_matrices(folder / "net.npz")
    return folder


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)
    folder = tmp_path_factory.mktemp("graphs")
    write_models(folder, [1, 2, 3], cuts=[4])
    return folder


@pytest.mark.parametrize("form", ["rgb24", "yuv420p", "nv12", "yuv422p10le", "gray", "yuvj444p"])
@pytest.mark.parametrize("region", [LEFT, (0.3, 0.2, 0.41, 0.55), (0.9, 0.9, 0.1, 0.1), (0.5, 0.5, 1e-6, 1e-6)])
def test_a_region_of_a_frame_is_what_those_pixels_are_alone(form: str, region: Region) -> None:
    from av import VideoFrame

    shown = np.random.default_rng(0).integers(0, 256, (54, 96, 3), np.uint8).repeat(2, 0).repeat(2, 1)
    picture = VideoFrame.from_ndarray(shown, "rgb24").reformat(format=form)
    left, top, right, bottom = box(region, 192, 108)
    frame = Frame(0, 0.0, picture)
    own = frame.pixels(bottom - top, right - left, 3, region)
    part = frame.pixels(108, 192, 3)[top:bottom, left:right]
    inner = np.s_[2:-2, 2:-2] if min(own.shape[:2]) > 4 else np.s_[:, :]  # colours are blended across the ends
    off = np.abs(own[inner].astype(int) - part[inner])
    assert off.max() <= (3 if min(own.shape[:2]) > 4 else 80)
    assert frame.pixels(bottom - top, right - left, 3, region) is own
    assert frame.pixels(108, 192, 3).shape == (108, 192, 3)


def test_a_region_is_resized_as_the_training_resizes_it() -> None:
    shown = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    region = (0.22, 0.1, 0.6, 0.7)
    ours = Frame.from_pixels(0, 0.0, shown).pixels(48, 48, 3, region)
    Image = pytest.importorskip("PIL.Image", reason="needs the extra train")
    theirs = Image.fromarray(shown).crop(box(region, 320, 240)).resize((48, 48), Image.Resampling.BILINEAR)
    assert np.abs(ours.astype(int) - np.asarray(theirs)).mean() < 1


def test_shares_stay_what_they_are_when_the_camera_changes_its_size() -> None:
    region = (0.5, 0.25, 0.25, 0.5)
    for height, width in ((36, 64), (72, 128), (90, 160)):
        shown = halves(height, width)
        pixels = Frame.from_pixels(0, 0.0, shown).pixels(8, 8, 3, region)
        assert np.abs(pixels.astype(int) - [0, 0, 200]).max() <= 2


def test_each_stem_runs_once_a_frame_and_region_and_gets_its_own_pixels(models: Path) -> None:
    runs: Counter[int] = Counter()
    engine = Engine(plan_of([LEFT, RIGHT, LEFT, None, RIGHT, LEFT]), MATRICES, models, 10.0)
    stems = {branch.subnet.net_id: branch.subnet.region for branch in engine.branches if branch.subnet.shared}
    assert sorted(stems.values(), key=str) == sorted([LEFT, RIGHT, None], key=str)
    frame = Frame.from_pixels(0, 0.0, halves())
    asked: list[Any] = []

    def pixels(*view: Any) -> NDArray[np.uint8]:
        asked.append(view)
        return frame.pixels(*view)

    for number in range(5):
        outputs, seconds = run([one.branch for one in engine.due(number)], pixels)
        runs.update(seconds.keys())
    assert all(runs[branch.subnet.net_id] == 5 for branch in engine.branches)
    assert len(engine.branches) == 3 + 6 and len({branch.key for branch in engine.branches}) == 2
    assert Counter(view[3] for view in asked) == {LEFT: 5, RIGHT: 5, None: 5}
    colours = {LEFT: [200, 0, 0], RIGHT: [0, 0, 200], None: [100, 0, 100]}
    for net_id, region in stems.items():
        mean = np.float32(colours[region]) @ np.load(models / "net.npz")["hidden"]
        np.testing.assert_allclose(outputs[net_id][0], mean, atol=3)


@pytest.mark.parametrize("engine", ["tensorflow", "onnx"])
def test_both_engines_give_each_app_what_it_has_on_its_region_alone(engine: str, graphs: Path) -> None:
    if engine == "onnx":
        pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    regions = [LEFT, RIGHT, LEFT]
    apps = [
        one.model_copy(update={"region": region, "pinned": (4, 1.0)})
        for one, region in zip(apps_of(3), regions, strict=True)
    ]
    plan = net_plan(prepare(apps, MODEL, {"stream_fps": 1}).solve(10_000), apps, MODEL)
    loader = PART_LOADERS[engine]
    loader.start()
    made = Engine(plan, loader, graphs, 1.0)
    shown = np.concatenate([*pictures(2)], axis=1)
    frame = Frame.from_pixels(0, 0.0, shown)
    outputs, _ = run(made.branches, frame.pixels)
    assert sum(branch.subnet.shared for branch in made.branches) == 2
    for branch in made.branches:
        if not branch.subnet.shared:
            half = shown[:, :SIZE] if regions[branch.subnet.app_id - 1] == LEFT else shown[:, SIZE:]
            whole = loader.load(graphs / branch.subnet.model_path, "frame", "softmax", trusted=False)
            alone = whole(half[None].astype(np.float32))
            np.testing.assert_allclose(outputs[branch.subnet.net_id], alone, atol=1e-5)


def write_halves(path: Path, frames: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(halves())))
        container.mux(stream.encode(None))


def test_a_clip_each_app_sees_its_own_region_only(models: Path, tmp_path: Path) -> None:
    write_halves(tmp_path / "halves.mkv", 12)
    out = tmp_path / "results.jsonl"
    plan = plan_of([LEFT, RIGHT, None], fps=20.0, stream_fps=20.0)
    how: dict[str, Any] = {"engine": MATRICES, "loop": False, "paced": False, "window_s": 0.2, "results": out}
    with LocalRunner(tmp_path / "halves.mkv", models, **how) as runner:
        runner.deploy(plan)
        assert runner.wait(60)
    scores = defaultdict(list)
    for line in map(json.loads, out.read_text().splitlines()):
        scores[line["app_id"]].append(line["scores"])
    assert {app_id: len(each) for app_id, each in scores.items()} == {1: 12, 2: 12, 3: 12}
    matrices = np.load(models / "net.npz")
    for app_id, colour in ((1, [200, 0, 0]), (2, [0, 0, 200]), (3, [100, 0, 100])):
        expected = np.float32(colour) @ matrices["hidden"] @ matrices["scores"]
        off = np.abs(np.array(scores[app_id]) - expected).max()
        assert off < 0.15 * np.abs(np.float32([200, 0, -200]) @ matrices["hidden"] @ matrices["scores"]).max()


def test_swaps_between_plans_with_and_without_regions_lose_no_frame(models: Path, tmp_path: Path) -> None:
    plans = [plan_of([None, None]), plan_of([LEFT, RIGHT]), plan_of([RIGHT, RIGHT]), plan_of([None, LEFT])]
    out = tmp_path / "results.jsonl"
    source = "test://?fps=5&width=64&height=36"
    with LocalRunner(source, models, window_s=0.2, results=out, engine=MATRICES) as runner:
        for swap in range(8):
            observed = runner.deploy(plans[swap % 4])
            assert set(observed) == {1, 2}
            assert runner.plan == plans[swap % 4]
    frames = defaultdict(list)
    for line in map(json.loads, out.read_text().splitlines()):
        frames[line["app_id"]].append(line["frame"])
    for app_id in (1, 2):
        seen = frames[app_id]
        assert seen == list(range(seen[0], seen[-1] + 1)), app_id
        assert len(seen) > 8


def test_a_trial_gets_regions_of_a_recent_frame(models: Path) -> None:
    with LocalRunner("test://?fps=10&width=64&height=36", models, window_s=0.3, engine=MATRICES) as runner:
        plan = plan_of([LEFT, RIGHT])
        runner.deploy(plan)
        recent = runner.recent_frame(plan)
    assert {view.region for view in recent} == {LEFT, RIGHT}
    assert all(frame.shape == (16, 16, 3) for frame in recent.values())
