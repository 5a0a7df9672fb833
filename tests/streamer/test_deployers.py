"""One contract for all that run net plans: in this process, on a server, and on an old server's wire."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.old_streamer import OldStreamer
from support.plans import Given
from support.runtime import MODEL, apps_of, plan_of, write_models
from support.waiting import comes_true

from mainstream import Scheduler
from mainstream.streamer import Deployer, LocalRunner, Observed, Server, StreamerClient

pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)
pytest.importorskip("av", reason="needs the extra run")

CAMERA = "test://?fps=20&width=64&height=48"
WINDOW_S = 1.0


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder, [1, 2, 3])
    return folder


@pytest.fixture(scope="module", params=["in this process", "server", "old server"])
def deployer(request: pytest.FixtureRequest, models: Path) -> Iterator[Deployer]:
    with ExitStack() as opened:
        if request.param == "old server":
            old = opened.enter_context(OldStreamer(wait_s=0.1))
            yield opened.enter_context(StreamerClient(old.address))
            return
        runner = opened.enter_context(LocalRunner(CAMERA, models, window_s=WINDOW_S))
        if request.param == "in this process":
            yield runner
            return
        server = opened.enter_context(Server(runner, "tcp://127.0.0.1:*"))
        thread = threading.Thread(target=server.serve)
        thread.start()
        opened.callback(thread.join)
        opened.callback(runner.close)
        yield opened.enter_context(StreamerClient(server.address))


PLANS: list[Given] = [
    [(4, 10), (0, 4), (6, 5)],
    [(6, 2), (6, 4)],
    [(0, 3)],
    [(7, 20), (7, 1), (4, 2.5)],
]


@pytest.mark.parametrize("given", PLANS)
def test_the_rates_are_those_of_the_plans_apps_and_near_their_targets(deployer: Deployer, given: Given) -> None:
    plan = plan_of(given)

    def are_near() -> bool:
        observed = deployer.deploy(plan)
        assert isinstance(observed, Observed)
        assert observed.plan == plan
        assert list(observed) == list(plan.target_fps)
        # Within a window of a second a frame more or less is a difference of one a second.
        return all(abs(observed[app_id] - fps) <= 1 + 0.1 * fps for app_id, fps in plan.target_fps.items())

    comes_true(are_near)


def test_apps_that_share_nothing_run_side_by_side(deployer: Deployer) -> None:
    plan = plan_of([(4, 5), (4, 5)], mode="no-sharing")
    assert not any(part.shared for part in plan.subnets)
    assert set(deployer.deploy(plan)) == {1, 2}


def test_the_closed_loop_converges_where_the_box_has_room(deployer: Deployer) -> None:
    video = {"stream_fps": 20, "fps_options": [4, 10]}
    scheduler = Scheduler(apps_of(3), video, MODEL, deployer=deployer, tolerance=0.3)
    history = scheduler.run(30.0)
    assert history.converged, history
