"""The last good plan survives the process."""

from __future__ import annotations

import json
import logging
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.failing_models import alone, checks_numbers, write_graph, write_matrix
from support.full_disk import full_disk
from support.terminal import COMMAND
from support.third_party import MATRICES

from mainstream import DeployError
from mainstream.streamer import LocalRunner, StreamerClient
from mainstream.streamer.plan_state import PlanState

pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)
pytest.importorskip("av", reason="needs the extra run")
pytest.importorskip("zmq", reason="needs the extra run")

CAMERA = "test://?fps=20&width=64&height=48"


@contextmanager
def server(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    address = f"ipc://{folder}/socket"
    process = subprocess.Popen(
        [
            *(COMMAND, "streamer", "--source", CAMERA, "-m", str(folder), "--bind", address, "--window", "1"),
            *("--state", str(folder / "state"), "--results", str(folder / "results.jsonl")),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("listening at ")
        yield process, address
    finally:
        process.kill()
        process.communicate()


def lines_of(path: Path) -> list[int]:
    return [json.loads(line)["app_id"] for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_after_a_kill_the_last_good_plan_runs_again_by_itself(tmp_path: Path) -> None:
    write_graph(tmp_path / "good.pb", lambda tf, mean: mean)
    write_graph(tmp_path / "numbers.pb", checks_numbers)
    with server(tmp_path) as (process, address), StreamerClient(address) as client:
        client.deploy(alone((5, "good.pb")))
        with pytest.raises(DeployError, match="all its apps failed"):
            client.deploy(alone((6, "numbers.pb")))
        process.kill()
        process.wait()
    before = len(lines_of(tmp_path / "results.jsonl"))
    with server(tmp_path) as (_, address):
        until = time.monotonic() + 10
        while len(lines_of(tmp_path / "results.jsonl")) == before and time.monotonic() < until:
            time.sleep(0.1)
        after = lines_of(tmp_path / "results.jsonl")
        with StreamerClient(address) as client:
            assert set(client.deploy(alone((7, "good.pb")))) == {7}
    assert len(after) > before and set(after) == {5}


def test_a_full_disk_leaves_the_plan_that_was_kept_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = PlanState(tmp_path)
    state.save(alone((1, "net.npz")))
    with caplog.at_level(logging.WARNING), full_disk(20):
        state.save(alone((2, "net.npz")))
    assert state.load() == alone((1, "net.npz"))
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("the plan is not kept: ")


def test_a_plan_is_kept_once_it_has_a_result_and_a_damaged_file_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_matrix(tmp_path / "net.npz")
    state = tmp_path / "new" / "state"
    plan = alone((3, "net.npz"))
    with LocalRunner(CAMERA, tmp_path, engine=MATRICES, window_s=0.3, state=state) as runner:
        assert not runner.restore()
        runner.deploy(plan)
        assert PlanState(state).load() == plan
    with LocalRunner(CAMERA, tmp_path, engine=MATRICES, window_s=0.3, state=state) as runner:
        assert runner.restore()
        assert [one.app_id for one in runner.rates()] == [3]
    (tmp_path / "net.npz").unlink()
    with caplog.at_level(logging.WARNING):
        with LocalRunner(CAMERA, tmp_path, engine=MATRICES, window_s=0.3, state=state) as runner:
            assert not runner.restore()
        (state / "plan.json").write_text("[{")
        with LocalRunner(CAMERA, tmp_path, engine=MATRICES, window_s=0.3, state=state) as runner:
            assert not runner.restore()
    gone, damaged = [record.getMessage() for record in caplog.records]
    assert gone.startswith("the plan that was kept does not run: net 0: model_path: there is no file 'net.npz'")
    assert damaged.startswith("the plan that was kept cannot be read: net plan: no JSON: ")
