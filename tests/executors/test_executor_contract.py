"""What holds for every executor: processes of this machine and a Ray cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

import numpy as np
import pytest
from support.ray_here import TESTS, alive, listens
from support.tasks import after, dying, failing, halves, of_array, running, squared, together, waiting
from support.waiting import comes_true, found

from mainstream.errors import MainstreamError, ProblemError, WorkerDiedError
from mainstream.executors import Executor, Task
from mainstream.executors.local import Local
from mainstream.executors.on_ray import OnRay

CPUS = 2


@pytest.fixture(scope="module", params=["local", "ray"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "ray":
        yield request.getfixturevalue("on_ray")
        return
    with Local(CPUS) as local:
        yield local


def test_each_task_gives_its_value_under_its_key(executor: Executor) -> None:
    done = list(executor.run(Task(("square", n), squared, (n,)) for n in range(50)))
    assert {one.key: one.result() for one in done} == {("square", n): n**2 for n in range(50)}
    assert len(done) == 50
    assert list(executor.run([])) == []


def test_results_come_as_tasks_end(executor: Executor, tmp_path: Path) -> None:
    path = tmp_path / "go"
    results = executor.run([Task("waits", after, (1, path)), Task("first", squared, (2,))])
    assert next(results).key == "first"
    path.touch()
    assert [one.key for one in results] == ["waits"]


def test_tasks_are_taken_as_there_is_room(executor: Executor) -> None:
    taken = 0

    def tasks() -> Iterator[Task]:
        nonlocal taken
        for n in range(1000):
            taken += 1
            yield Task(n, squared, (n,))

    results = executor.run(tasks())
    next(results)
    assert taken < 100
    results.close()  # type: ignore[attr-defined]  # it is a generator


def test_a_task_that_raises_ends_alone_with_its_error(executor: Executor) -> None:
    kinds = ("luck", "odd", "value")
    tasks = [*(Task(kind, failing, (kind,)) for kind in kinds), Task("unsent", squared, (Lock(),))]
    done = {one.key: one for one in executor.run([*tasks, *(Task(n, squared, (n,)) for n in range(5))])}
    assert [done[n].result() for n in range(5)] == [0, 1, 4, 9, 16]
    error = done["luck"].error
    assert isinstance(error, ValueError) and str(error) == "no luck"
    odd = done["odd"].error
    assert isinstance(odd, MainstreamError) and str(odd) == "OddError: 7: lucky"
    with pytest.raises(ValueError, match="no luck"):
        done["luck"].result()
    for key in ("value", "unsent"):
        assert "lock" in str(done[key].error)


def test_a_task_is_run_again_when_its_worker_is_killed(executor: Executor, tmp_path: Path) -> None:
    results = executor.run([Task("killed", waiting, (tmp_path, "a")), Task("other", squared, (3,))])
    assert next(results).result() == 9
    os.kill(int(found(lambda: next(tmp_path.glob("a-0"), None)).read_text(encoding="utf-8")), signal.SIGKILL)
    assert [(one.key, one.result()) for one in results] == [("killed", "a-1")]


def test_a_task_that_kills_every_worker_fails_alone(executor: Executor, tmp_path: Path) -> None:
    done = {one.key: one for one in executor.run([Task("kills", dying, (tmp_path,)), Task("other", squared, (5,))])}
    assert done["other"].result() == 25
    error = done["kills"].error
    assert isinstance(error, WorkerDiedError)
    assert str(error).startswith("kills: its worker died 4 times (")
    assert len(list(tmp_path.iterdir())) == 4


def test_tasks_at_one_time_have_no_more_cpus_than_there_are(executor: Executor, tmp_path: Path) -> None:
    tasks = [Task(n, running, (tmp_path, 1 + n % 2), cpus=1 + n % 2) for n in range(8)]
    most = [one.result() for one in executor.run(tasks)]
    assert max(most) == CPUS


def test_what_no_machine_has_is_refused(executor: Executor) -> None:
    with pytest.raises(ProblemError, match=r"^a task asks for 3 CPUs; .* has 2; ask for less$"):
        list(executor.run([Task(0, squared, (1,), cpus=3)]))
    with pytest.raises(ProblemError, match=r"^a task asks for 0.5 GPUs; .* has 0; ask for less$"):
        list(executor.run([Task(0, squared, (1,), gpus=0.5)]))
    with pytest.raises(ProblemError, match="cpus: got 0"):
        list(executor.run([Task(0, squared, (1,), cpus=0)]))


def test_what_is_shared_and_what_stays_in_place_are_what_they_were(executor: Executor) -> None:
    array = np.arange(60_000, dtype=np.float32).reshape(60, 1000)
    shared = executor.share(array)
    done = {one.key: one.result() for one in executor.run(Task(row, of_array, (shared, row)) for row in range(60))}
    assert {row: total for row, (total, _) in done.items()} == {row: float(array[row].sum()) for row in range(60)}
    (pieces,) = (one.result() for one in executor.run([Task("halves", halves, (shared,), pieces=2)]))
    (whole,) = (one.result() for one in executor.run([Task("whole", together, tuple(pieces))]))
    np.testing.assert_array_equal(whole, array)


def test_what_still_runs_ends_when_the_caller_leaves(executor: Executor, tmp_path: Path) -> None:
    results = executor.run([Task("long", waiting, (tmp_path, "a")), Task("short", after, (1, tmp_path / "a-0"))])
    assert next(results).key == "short"
    process = int((tmp_path / "a-0").read_text(encoding="utf-8"))
    assert alive(process)
    results.close()  # type: ignore[attr-defined]  # it is a generator
    comes_true(lambda: not alive(process))
    assert [one.result() for one in executor.run([Task(0, squared, (2,))])] == [4]
    assert [path.name for path in tmp_path.iterdir()] == ["a-0"]  # it is not taken for a worker that died


DRIVER = """
from pathlib import Path
from support.tasks import waiting
from mainstream.executors import Task
from mainstream.executors.{module} import {name} as executor

if __name__ == "__main__":
    with executor({arguments}) as opened:
        for done in opened.run([Task(n, waiting, (Path("{folder}"), str(n))) for n in range(2)]):
            print(done)
"""


@pytest.mark.parametrize(
    ("executor", "how"),
    [("local", signal.SIGINT), ("local", signal.SIGKILL), ("ray", signal.SIGKILL)],
    indirect=["executor"],
)
def test_workers_end_with_the_driver(executor: Executor, how: signal.Signals, tmp_path: Path) -> None:
    named, more = {"module": "local", "name": "Local", "arguments": CPUS}, {"PYTHONPATH": f"{TESTS}:{TESTS.parent}"}
    if isinstance(executor, OnRay):
        import ray

        named = {"module": "on_ray", "name": "OnRay", "arguments": '"auto"'}
        more = {"RAY_ADDRESS": ray.get_runtime_context().gcs_address, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    folder = tmp_path / "running"
    folder.mkdir()
    script = tmp_path / "driver.py"
    script.write_text(textwrap.dedent(DRIVER.format(folder=folder, **named)), encoding="utf-8")
    driver = subprocess.Popen([sys.executable, script], stderr=subprocess.DEVNULL, env={**os.environ, **more})
    try:
        comes_true(lambda: len(list(folder.glob("?-0"))) == 2)
        workers = [int(path.read_text(encoding="utf-8")) for path in folder.glob("?-0")]
        assert all(map(alive, workers))
        driver.send_signal(how)
        started = time.monotonic()
        driver.wait(timeout=60)
        comes_true(lambda: not any(map(alive, workers)))
        assert time.monotonic() - started < 30  # tasks run for a minute
    finally:
        driver.kill()
        driver.wait()


def test_nothing_of_a_cluster_of_ones_own_listens_but_on_loopback(on_ray: Executor) -> None:
    list(on_ray.run([Task(0, squared, (2,))]))
    assert listens(os.getpid()) == {"loopback"}
