"""The box, with real video, cameras and sockets: what changes, what does not fit, and what goes on meanwhile."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.boxes import SOURCE, Burning, app, write_problem
from support.cameras import RtspCamera
from support.third_party import MATRICES
from support.waiting import PATIENCE_S, comes_true, found

from mainstream import ProblemError
from mainstream.box import box as box_module
from mainstream.box.box import Box
from mainstream.box.changes import AddedApp
from mainstream.box.compute_watch import ComputeWatch
from mainstream.box.file_watch import FileWatch
from mainstream.box.wanted import Wanted
from mainstream.correction import MeasuredPart
from mainstream.errors import InfeasibleError
from mainstream.history import Measurement
from mainstream.io import load_problem
from mainstream.problem import Model
from mainstream.streamer import LocalRunner, Server, StreamerClient

pytest.importorskip("av", reason="needs the extra run")
pytest.importorskip("zmq", reason="needs the extra run")


def read(file: Path, added: Sequence[AddedApp] = ()) -> Wanted:
    problem = load_problem(file, more=[one.in_folder(file.parent) for one in added])
    assert problem.budget is not None
    return Wanted(problem, problem.budget, {}, {})


class Running:
    """A box in a thread; `said` is what it says."""

    def __init__(self, box: Box, said: list[str]) -> None:
        self.said = said
        self.error: BaseException | None = None
        self._box = box
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._box.run()
        except BaseException as error:
            self.error = error

    @property
    def runtime(self) -> LocalRunner:
        (camera,) = self._box.cameras
        assert camera.local is not None
        return camera.local

    @property
    def model(self) -> Model | None:
        return self._box._models.get(None)

    def join(self) -> None:
        self._thread.join(PATIENCE_S)
        assert not self.alive

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def heard(self, text: str) -> str:
        return str(found(lambda: next((line for line in self.said if text in line), None)))


@contextmanager
def boxed(
    file: Path, runtime: LocalRunner | StreamerClient, started: Callable[[Box], None] = Box.start
) -> Iterator[Running]:
    said: list[str] = []
    box = Box(lambda added: read(file, added), FileWatch(file), runtime, said.append)
    with runtime:
        started(box)
        running = Running(box, said)
        try:
            yield running
        finally:
            box.close()
            running.join()


def runner(folder: Path, source: str = SOURCE, **options: Any) -> LocalRunner:
    return LocalRunner(source, folder, engine=MATRICES, **{"window_s": 0.5, **options})


def rates(runtime: LocalRunner) -> dict[int, float]:
    return {} if runtime.plan is None else runtime.plan.target_fps


def test_a_problem_that_changes_is_solved_and_swapped_without_a_lost_frame(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    pinned = app(7, pinned=[0, 10.0])
    problems: list[tuple[list[dict[str, Any]], float]] = [
        ([pinned], 125.0),
        ([pinned, app("dogs")], 125.0),
        ([pinned, app("dogs")], 1000.0),
        ([pinned, app("cats"), app("dogs")], 1000.0),
    ]
    for apps, budget in problems:  # the search is compiled before frames come
        read(write_problem(tmp_path, *apps, budget=budget, stream_fps=10.0)).prepared({}, {}).solve()
    file = write_problem(tmp_path, *problems[0][0], budget=problems[0][1], stream_fps=10.0)
    with boxed(file, runner(tmp_path, "test://?fps=10&width=32&height=32", results=out)) as box:
        runtime = box.runtime
        found(lambda: set(rates(runtime)) == {7})
        for apps, budget in problems[1:]:
            before = runtime.plan
            write_problem(tmp_path, *apps, budget=budget, stream_fps=10.0)
            found(lambda before=before: runtime.plan != before)  # type: ignore[misc]
            assert len(rates(runtime)) == len(apps)
        box.heard("the problem has changed: 3 apps, predicted mean recall")
        box.heard("measured: ")
    frames = [line["frame"] for line in map(json.loads, out.read_text().splitlines()) if line["app_id"] == 7]
    assert frames == list(range(frames[0], frames[-1] + 1)) and len(frames) > 10


def test_a_file_that_is_half_written_is_told_once_and_the_plan_before_goes_on(tmp_path: Path) -> None:
    file = write_problem(tmp_path, app(1), app(2))
    with boxed(file, runner(tmp_path)) as box:
        runtime = box.runtime
        found(lambda: len(rates(runtime)) == 2)
        whole = file.read_text()
        file.write_text(whole[: len(whole) // 2])
        said = box.heard("the old plan goes on")
        assert str(file) in said and "\n" not in said
        count = len(box.said)
        analysed = runtime.rates()[0].analysed
        found(lambda: runtime.rates()[0].analysed > analysed + 10)
        assert [line for line in box.said[count:] if "measured" not in line] == []
        file.unlink()
        write_problem(tmp_path, app(1), app(2), app(3))
        found(lambda: len(rates(runtime)) == 3)
        file.touch()  # the same as before
        found(lambda: runtime.rates()[0].analysed > 10)
        assert len([line for line in box.said if "has changed" in line]) == 1


@pytest.mark.parametrize(
    ("apps", "budget", "told"),
    [
        (
            [app(1), app("dogs", name="Dogs", min_value=0.99)],
            40.0,
            "when app dogs (Dogs) gives up its min_value 0.99: r",
        ),
        ([app(1), app(2, min_fps=19.0)], 40.0, "it fits when app 2 gives up its min_fps 19: recall 0."),
        ([app(1), app(2, pinned=[2, 20.0])], 40.0, "it fits when app 2 gives up its pinned 2, 20 fps: recall 0."),
        ([app(1), app(2)], 11.0, "it fits without app 1; with the budget to itself it has recall 0."),
        ([app(i, min_fps=10.0) for i in range(4)], 11.0, "no single app that gives way is enough"),
    ],
)
def test_what_does_not_fit_is_said_with_what_would_have_to_give(
    tmp_path: Path, apps: list[dict[str, Any]], budget: float, told: str
) -> None:
    file = write_problem(tmp_path, app(1), budget=250.0)
    with boxed(file, runner(tmp_path)) as box:
        runtime = box.runtime
        found(lambda: set(rates(runtime)) == {1})
        write_problem(tmp_path, *apps, budget=budget)
        said = box.heard(told)
        assert said.startswith("the problem has changed: ") and said.endswith("; the old plan goes on")
        assert set(rates(runtime)) == {1} and "\n" not in said and said.count("smallest budget") == 1


def test_what_does_not_fit_at_first_is_an_error(tmp_path: Path) -> None:
    file = write_problem(tmp_path, app(1), app(2), budget=11.0)
    with pytest.raises(InfeasibleError, match="it fits without app 1"), boxed(file, runner(tmp_path)):
        pass
    file.write_text("apps: [")
    with pytest.raises(ProblemError, match=r"problem\.yaml"), boxed(file, runner(tmp_path)):
        pass


def test_the_plan_that_was_kept_runs_while_the_problem_is_none(tmp_path: Path) -> None:
    file = write_problem(tmp_path, app(1), app("dogs"), budget=250.0)
    with boxed(file, runner(tmp_path, state=tmp_path / "state")):
        found((tmp_path / "state" / "plan.json").exists)
    file.write_text("apps: [")
    with boxed(file, runner(tmp_path, state=tmp_path / "state")) as box:
        runtime = box.runtime
        assert len(rates(runtime)) == 2
        assert box.said[0].endswith("; the plan that was kept runs")
        write_problem(tmp_path, app(1), app("dogs"), budget=250.0)
        box.heard("the problem has changed: 2 apps")
        box.heard("measured: ")
        found(lambda: runtime.plan is not None and "dogs" in runtime.plan.names.values())
        write_problem(tmp_path, app(1), budget=250.0)
        found(lambda: len(rates(runtime)) == 1)


def test_a_plan_that_the_runtime_refuses_leaves_the_one_before(tmp_path: Path) -> None:
    file = write_problem(tmp_path, app(1), budget=250.0)
    with boxed(file, runner(tmp_path)) as box:
        runtime = box.runtime
        found(lambda: set(rates(runtime)) == {1})
        write_problem(tmp_path, app(1), app(2, model_path={0: "none.npz", 2: "none.npz"}), budget=250.0)
        assert box.heard("none.npz").endswith("; the old plan goes on")
        assert set(rates(runtime)) == {1}
        write_problem(tmp_path, app(1), budget=249.0)
        assert box.heard("the plan stays")
        write_problem(tmp_path, app(1), app(2), budget=250.0)
        found(lambda: set(rates(runtime)) == {1, 2})


def test_a_camera_of_another_rate_is_solved_for_anew(tmp_path: Path) -> None:
    with RtspCamera(fps=20) as camera:
        file = write_problem(tmp_path, app(1), budget=1000.0)
        with boxed(file, runner(tmp_path, camera.uri)) as box:
            runtime = box.runtime
            found(lambda: rates(runtime) == {1: 20.0})
            camera.stop()
            camera.fps = 8
            camera.start()
            found(lambda: 6 <= rates(runtime).get(1, 0) <= 9)
            box.heard("the camera has ")


@pytest.mark.parametrize(("ms", "off", "fps"), [(20.0, "too much: 2", 5.0), (4.0, "too little: 0.4", 20.0)])
def test_a_plan_that_takes_other_compute_than_predicted_is_corrected_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ms: float, off: str, fps: float
) -> None:
    monkeypatch.setattr(box_module, "_A_MINUTE_S", 2.0)
    file = write_problem(tmp_path, app(1), budget=105.0)  # 10 ms a frame by the profile
    with boxed(file, LocalRunner(SOURCE, tmp_path, engine=Burning(ms), window_s=1)) as box:
        runtime = box.runtime
        found(lambda: rates(runtime) == {1: 10.0})
        said = box.heard(f"it takes {off}")
        assert "times what was predicted: 1 app, " in said
        comes_true(lambda: rates(runtime) == {1: fps})
        count = len(box.said)
        analysed = runtime.rates()[0].analysed
        comes_true(lambda: runtime.rates()[0].analysed > analysed + 3.5 * fps)
        assert not [line for line in box.said[count:] if "it takes" in line]
        box.heard("measured: ")


def test_a_plan_that_took_too_much_is_not_gone_back_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box_module, "_A_MINUTE_S", 1.0)
    file = write_problem(tmp_path, app(1), budget=105.0, fps_options=[5.0, 10.0])
    engine = Burning(20.0)
    with boxed(file, LocalRunner(SOURCE, tmp_path, engine=engine, window_s=1)) as box:
        found(lambda: rates(box.runtime) == {1: 10.0})
        found(lambda: rates(box.runtime) == {1: 5.0})
        engine.ms = 9.0

        def would_fit() -> bool:
            model = box.model
            return model is not None and 10 * model.prefix[-1] < 105

        comes_true(would_fit)
        assert box.heard("it takes too little").endswith("the plan stays")
        time.sleep(1)
        assert rates(box.runtime) == {1: 5.0}
        write_problem(tmp_path, app(1), budget=104.0, fps_options=[5.0, 10.0])  # the problem is another one
        found(lambda: rates(box.runtime) == {1: 10.0})


def test_compute_that_is_off_has_to_be_so_for_a_minute_without_exception() -> None:
    def window(factor: float) -> Measurement:
        return Measurement(30.0, (MeasuredPart(1, 0, 3, 100, factor, 1.0),))

    watch = ComputeWatch(100.0, 105.0, 60.0)
    heard = [watch.heard(window(x)) for x in (1.3, 1.0, 1.3, 0.7, 1.2, 1.2, 1.2)]
    assert heard == [None, None, None, None, None, "too much", "too much"]
    watch = ComputeWatch(50.0, 105.0, 60.0)
    assert [watch.heard(window(x)) for x in (1.5, 1.5, 1.5, 0.8, 0.8)] == [None, None, None, None, "too little"]


def test_a_runtime_elsewhere_is_driven_in_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstream.box.deploying._AGAIN_S", 0.1)
    file = write_problem(tmp_path, app(1), budget=250.0)
    there = runner(tmp_path, window_s=60)
    with there, Server(there, "tcp://127.0.0.1:*") as server:
        address = server.address
        serving = threading.Thread(target=server.serve, daemon=True)
        with boxed(file, StreamerClient(address, timeout_s=120)) as box:
            serving.start()
            found(lambda: set(rates(there)) == {1})
            # The first plan is still measured: it is given up for the second.
            write_problem(tmp_path, app(1), app("dogs"), budget=250.0)
            found(lambda: len(rates(there)) == 2)
            there.window_s = 0.2
            write_problem(tmp_path, app(1), app("dogs"), budget=1000.0)
            box.heard("measured: ")
        there.close()
        serving.join(20)
        assert box.error is None


def test_a_runtime_elsewhere_that_is_not_there_yet_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainstream.box.deploying._AGAIN_S", 0.1)
    monkeypatch.setattr("mainstream.streamer.client._CONNECT_S", 0.5)
    import socket

    with socket.create_server(("127.0.0.1", 0)) as one:
        address = f"tcp://127.0.0.1:{one.getsockname()[1]}"
    file = write_problem(tmp_path, app(1), budget=250.0)
    with boxed(file, StreamerClient(address, timeout_s=120)) as box:
        box.heard("no connection within")
        there = runner(tmp_path, window_s=0.2)
        with there, Server(there, address) as server:
            serving = threading.Thread(target=server.serve, daemon=True)
            serving.start()
            found(lambda: set(rates(there)) == {1})
            box.heard("measured: ")
            there.close()
            serving.join(20)
    assert len([line for line in box.said if "no connection" in line]) == 1


def test_a_source_that_ends_ends_it(tmp_path: Path) -> None:
    file = write_problem(tmp_path, app(1), budget=250.0)
    with boxed(file, runner(tmp_path, SOURCE + "&frames=20", loop=False)) as box:
        comes_true(lambda: not box.alive)
        assert box.error is None
