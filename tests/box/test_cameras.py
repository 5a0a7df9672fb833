"""The box with several cameras: one budget, a plan for each, and none of them waits for another."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from support.boxes import SOURCE, Burning, app, write_cameras
from support.cameras import RtspCamera
from support.third_party import MATRICES
from support.waiting import comes_true, found

from mainstream import ProblemError
from mainstream.box import box as box_module
from mainstream.box.box import Box
from mainstream.box.changes import AddedApp, AppChange
from mainstream.box.file_watch import FileWatch
from mainstream.box.wanted import Wanted
from mainstream.io import load_problem
from mainstream.streamer import LocalRunner, NetPlan, Server, StreamerClient
from mainstream.streamer.sources import open_among_others
from mainstream.streamer.together import Together

pytest.importorskip("av", reason="needs the extra run")
pytest.importorskip("zmq", reason="needs the extra run")


class Running:
    """A box of several cameras in a thread; `said` is what it says."""

    def __init__(self, file: Path, together: Together) -> None:
        def read(added: Sequence[AddedApp]) -> Wanted:
            problem = load_problem(file, more=[one.in_folder(file.parent) for one in added])
            return Wanted(problem, problem.budget or 0.0, {}, {})

        self.said: list[str] = []
        self.together = together
        self.box = Box(read, FileWatch(file), together, self.said.append)
        self.box.start()
        self.thread = threading.Thread(target=self.box.run)
        self.thread.start()

    def runner(self, name: str) -> LocalRunner:
        runtime = self.together.runtimes[name]
        assert isinstance(runtime, LocalRunner)
        return runtime

    def plan(self, name: str) -> NetPlan | None:
        return self.runner(name).plan

    def runs(self, name: str) -> set[int | str]:
        plan = self.plan(name)
        return set() if plan is None else {plan.app_id_of(number) for number in plan.target_fps}

    def analysed(self, name: str) -> int:
        return sum(rate.analysed for rate in self.runner(name).rates())

    def goes_on(self, name: str) -> None:
        before = self.analysed(name)
        comes_true(lambda: self.analysed(name) > before + 3)

    def heard(self, text: str) -> str:
        return str(found(lambda: next((line for line in self.said if text in line), None)))


@contextmanager
def boxed(
    file: Path, sources: Mapping[str, str], metrics: str | None = None, engine: Any = MATRICES, **options: Any
) -> Iterator[Running]:
    def runner(name: str, source: str) -> LocalRunner:
        place = open_among_others(source, 20.0, loop=True)
        state = file.parent / "state" / name
        return LocalRunner(place, file.parent, engine=engine, stream=name, state=state, **{"window_s": 0.5, **options})

    with Together({name: runner(name, source) for name, source in sources.items()}, metrics) as together:
        running = Running(file, together)
        try:
            yield running
        finally:
            running.box.close()
            running.thread.join(30)


TWO = {"door": SOURCE, "yard": SOURCE}


def test_one_budget_and_a_change_of_one_camera_leaves_the_other_alone(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    pinned = app(7, pinned=[0, 20.0])
    both = {"door": [pinned], "yard": [app("dogs"), app("cats")]}
    Wanted(load_problem(write_cameras(tmp_path, both, budget=500.0)), 500.0, {}, {}).prepared({}, {}).solve()
    file = write_cameras(tmp_path, {"door": [pinned], "yard": [app("dogs")]}, budget=500.0)
    with boxed(file, TWO, results=out) as box:
        comes_true(lambda: (box.runs("door"), box.runs("yard")) == ({7}, {"dogs"}))
        assert box.said[0].startswith("2 apps, predicted mean recall ") and box.said[0].endswith(" of 500 ms/s")
        result = box.box.standing.result
        assert result is not None and 300 < result.cost <= 500
        box.heard("measured: ")
        door = box.plan("door")
        write_cameras(tmp_path, both, budget=500.0)
        comes_true(lambda: box.runs("yard") == {"dogs", "cats"})
        box.goes_on("yard")
        assert box.plan("door") is door  # it was not even sent again
        box.goes_on("door")
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["stream"] for line in lines} == {"door", "yard"}
    frames = [line["frame"] for line in lines if line["stream"] == "door"]
    assert frames == list(range(frames[0], frames[-1] + 1)) and len(frames) > 10


def test_a_camera_that_is_lost_or_slower_or_not_there_yet_holds_up_no_other(tmp_path: Path) -> None:
    later = RtspCamera(fps=20)
    with RtspCamera(fps=20) as lost:
        file = write_cameras(tmp_path, {"door": [app(1)], "yard": [app("dogs")], "roof": [app(3)]}, budget=900.0)
        with boxed(file, {"door": SOURCE, "yard": lost.uri, "roof": later.uri}) as box:
            box.goes_on("door")
            box.goes_on("yard")
            assert box.runner("roof").troubles() == ["no frame has come yet"]
            lost.stop()
            found(lambda: any("camera has been away" in one for one in box.runner("yard").troubles()))
            box.heard("stream yard: the camera is away")
            assert box.runner("door").troubles() == []
            box.goes_on("door")
            write_cameras(tmp_path, {"door": [app(1), app(2)], "yard": [app("dogs")], "roof": [app(3)]}, budget=900.0)
            comes_true(lambda: box.runs("door") == {1, 2})
            box.heard("measured: ")  # of the camera that is there
            door = box.plan("door")
            lost.fps = 8
            lost.start()
            box.heard("stream yard: the camera has ")

            def rate() -> float:
                plan = box.plan("yard")
                return 0.0 if plan is None else next(iter(plan.target_fps.values()))

            comes_true(lambda: 6 <= rate() <= 9)
            assert box.plan("door") is door
            box.goes_on("yard")
            with later:
                box.goes_on("roof")


def test_a_camera_without_apps_rests_and_runs_again(tmp_path: Path) -> None:
    file = write_cameras(tmp_path, {"door": [app(1)], "yard": [app("dogs")]}, budget=900.0)
    with boxed(file, TWO) as box:
        box.goes_on("yard")
        kept = tmp_path / "state" / "yard" / "plan.json"
        comes_true(kept.exists)
        box.box.change(lambda changes, _: changes.with_app("dogs", AppChange(paused=True)))
        comes_true(lambda: box.plan("yard") is None and not kept.exists())
        assert box.runner("yard").troubles() == [] and box.runner("yard").rates() == []
        box.goes_on("door")
        box.box.change(lambda changes, _: changes.with_app("dogs", AppChange()))
        box.goes_on("yard")
        with pytest.raises(ProblemError, match="no app would be left"):
            box.box.change(
                lambda changes, _: changes.with_app("dogs", AppChange(paused=True)).with_app(1, AppChange(paused=True))
            )


def test_what_one_runtime_refuses_is_taken_back_on_all(tmp_path: Path) -> None:
    file = write_cameras(tmp_path, {"door": [app(1)], "yard": [app("dogs")]}, budget=900.0)
    with boxed(file, TWO) as box:
        comes_true(lambda: (box.runs("door"), box.runs("yard")) == ({1}, {"dogs"}))
        box.goes_on("door")
        broken = app("cats", model_path={0: "none.npz", 2: "none.npz"})
        write_cameras(tmp_path, {"door": [app(1), app(2)], "yard": [app("dogs"), broken]}, budget=900.0)
        said = box.heard("none.npz")
        assert said.startswith("stream yard: ") and said.endswith("; the old plan goes on")
        comes_true(lambda: (box.runs("door"), box.runs("yard")) == ({1}, {"dogs"}))
        write_cameras(tmp_path, {"door": [app(1)], "roof": [app("dogs")]}, budget=900.0)
        said = box.heard("streams: the file has ['door', 'roof']")
        assert said.endswith("start again to change the cameras; the old plan goes on")
        box.goes_on("yard")


def test_at_first_what_one_runtime_refuses_does_not_hold_up_the_other(tmp_path: Path) -> None:
    broken = app("cats", model_path={0: "none.npz", 2: "none.npz"})
    file = write_cameras(tmp_path, {"door": [app(1)], "yard": [broken]}, budget=900.0)
    with boxed(file, TWO) as box:
        box.heard("none.npz")
        box.goes_on("door")
        assert box.plan("yard") is None and box.box.standing.trouble is not None
        write_cameras(tmp_path, {"door": [app(1)], "yard": [app("dogs")]}, budget=900.0)
        box.goes_on("yard")


def test_compute_of_all_cameras_stands_against_the_one_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box_module, "_A_MINUTE_S", 2.0)
    each = {"video": {"stream_fps": 20.0, "fps_options": [5.0, 10.0]}}
    file = write_cameras(tmp_path, {"door": [app(1)], "yard": [app(2)]}, budget=210.0, door=each, yard=each)
    with boxed(file, TWO, engine=Burning(20.0), window_s=1) as box:  # 10 ms a frame by the profile
        comes_true(lambda: box.analysed("door") > 0 and box.analysed("yard") > 0)
        said = box.heard("it takes too much: ")
        assert "it takes too much: 2" in said or "it takes too much: 1.9" in said

        def rates() -> list[float]:
            return [rate.target_fps for name in TWO for rate in box.runner(name).rates()]

        comes_true(lambda: rates() == [5.0, 5.0])
        measured = float(box.heard("measured: ").split()[1])
        assert 300 < measured < 500  # of both


def test_metrics_are_told_with_the_stream_as_a_label(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = write_cameras(tmp_path, {"door": [app(1)], "yard": [app(2)]}, budget=900.0)
    with boxed(file, TWO, f"127.0.0.1:{port}") as box:
        box.goes_on("door")
        box.goes_on("yard")

        def get(path: str) -> str:
            with urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
                return str(answer.read().decode())

        lines = get("metrics").splitlines()
        for name, number in (("door", 1), ("yard", 2)):
            series = f'mainstream_frames_analysed_total{{app="{number}",stream="{name}"}} '
            value = next(line for line in lines if line.startswith(series))
            assert float(value.split()[-1]) > 0
            assert any(line.startswith(f'mainstream_stream_fps{{stream="{name}"}} ') for line in lines)
        assert lines.count("# TYPE mainstream_frames_analysed_total counter") == 1
        assert get("healthz") == get("readyz") == "ok\n"
        box.runner("door").close()
        assert get("readyz") == "ok\n"
        with pytest.raises(HTTPError, match="503"):
            get("healthz")


def test_runtimes_elsewhere_each_run_their_plan(tmp_path: Path) -> None:
    file = write_cameras(tmp_path, {"door": [app(1)], "yard": [app("dogs")]}, budget=500.0)
    one, other = (LocalRunner(SOURCE, tmp_path, engine=MATRICES, window_s=0.2) for _ in range(2))
    with one, other, Server(one, "tcp://127.0.0.1:*") as first, Server(other, "tcp://127.0.0.1:*") as second:
        serving = [threading.Thread(target=server.serve, daemon=True) for server in (first, second)]
        clients = {"door": StreamerClient(first.address, 60), "yard": StreamerClient(second.address, 60)}
        with Together(clients) as together:
            for thread in serving:
                thread.start()
            running = Running(file, together)
            try:
                running.heard("measured: ")
                assert one.plan is not None and set(one.plan.target_fps) == {1}
                assert other.plan is not None and len(other.plan.target_fps) == 1
                with pytest.raises(ProblemError, match="stream yard: no app of it would run any more"):
                    running.box.change(lambda changes, _: changes.with_app("dogs", AppChange(paused=True)))
                write_cameras(tmp_path, {"door": [app(1), app(2)], "yard": [app("dogs")]}, budget=500.0)
                comes_true(lambda: one.plan is not None and set(one.plan.target_fps) == {1, 2})
            finally:
                running.box.close()
                running.thread.join(30)
        one.close()
        other.close()
        for thread in serving:
            thread.join(20)
