"""Plans to real runtimes on loopback, and what these run; one is killed in the middle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.fleets import Runtime, app, fleet, stream, write_models
from support.old_streamer import OldStreamer
from typer.testing import CliRunner

from mainstream.cli import app as command
from mainstream.fleet.boxes import ask_all, runtimes_of
from mainstream.fleet.deploying import Outcome, deploy_fleet
from mainstream.fleet.fleet import Fleet
from mainstream.fleet.fleet_file import load_fleet
from mainstream.fleet.plan_files import load_plans
from mainstream.fleet.planning import plan_fleet
from mainstream.streamer import StreamerClient

pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("av", reason="needs the extra onnx")

SECONDS = {"timeout_s": 60.0, "ask_timeout_s": 30.0}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("fleet") / "models")


@pytest.fixture
def runtimes(models: Path) -> Iterator[list[Runtime]]:
    with ExitStack() as opened:
        yield [opened.enter_context(Runtime(models)) for _ in range(4)]


def described(addresses: list[str], **keys: Any) -> dict[str, Any]:
    """A box at each address, its apps different from those of the others."""
    boxes = [
        {
            "name": f"box{b}",
            "budget": 30 + b,
            "address": address,
            "streams": [stream("door", app("person"), app(b + 7))],
        }
        for b, address in enumerate(addresses)
    ]
    return fleet(*boxes, **keys)


def written(folder: Path, given: dict[str, Any]) -> Path:
    (folder / "fleet.json").write_text(json.dumps(given))
    return folder / "fleet.json"


def deployed(given: Fleet, **options: Any) -> list[Outcome]:
    wanted = runtimes_of(given, plan_fleet(given).net_plans())
    return deploy_fleet(wanted, **{"at_once": 2, "max_failures": 9, **SECONDS, **options})


def states(outcomes: list[Outcome]) -> list[str]:
    return [one.state for one in outcomes]


def test_one_that_is_killed_fails_alone_and_the_next_deployment_does_only_that_one(
    runtimes: list[Runtime], models: Path, tmp_path: Path
) -> None:
    given = load_fleet(written(tmp_path, described([one.address for one in runtimes])))
    killed: list[str] = []

    def kill(outcome: Outcome) -> None:
        if not killed:
            killed.append(outcome.box)
            runtimes[3].kill()

    first = deployed(given, at_once=1, progress=kill)
    assert states(first) == ["deployed", "deployed", "deployed", "failed"]
    assert killed == ["box0"]
    assert first[3].why is not None and runtimes[3].address in first[3].why
    for one, outcome in zip(runtimes[:3], first[:3], strict=True):
        assert one.runner.plan == outcome.observed["door"].plan
        assert outcome.cores is None or outcome.cores > 0

    with Runtime(models, port=runtimes[3].port) as again:
        second = deployed(given)
        assert states(second) == ["ran it already"] * 3 + ["deployed"]
        assert again.runner.plan == second[3].observed["door"].plan
        assert states(deployed(given)) == ["ran it already"] * 4


def test_no_other_box_is_begun_once_too_many_have_failed(runtimes: list[Runtime], tmp_path: Path) -> None:
    strange = described([one.address for one in runtimes])
    for box in strange["boxes"][1:3]:
        for one in box["streams"][0]["apps"]:
            one["model_path"] = {k: "missing.onnx" for k in one["model_path"]}
    given = load_fleet(written(tmp_path, strange))
    stopped = deployed(given, at_once=1, max_failures=1)
    assert states(stopped) == ["deployed", "failed", "not begun", "not begun"]
    assert "missing.onnx" in str(stopped[1].why)
    assert runtimes[3].runner.plan is None
    assert states(deployed(given, at_once=1, max_failures=3)) == ["ran it already", "failed", "failed", "deployed"]


def test_status_tells_what_each_box_runs(runtimes: list[Runtime], tmp_path: Path) -> None:
    given = load_fleet(written(tmp_path, described([one.address for one in runtimes])))
    wanted = runtimes_of(given, plan_fleet(given).net_plans())
    with StreamerClient(runtimes[0].address) as right, StreamerClient(runtimes[1].address) as wrong:
        right.deploy(wanted[0].plan)
        wrong.deploy(wanted[2].plan)
    runtimes[3].kill()
    asked = ask_all(wanted, timeout_s=5)
    assert [one.state for one in asked] == ["as planned", "another plan", "no plan", "away"]
    told = asked[0].status
    assert told is not None
    assert {one.app_id: one.target_fps for one in told.apps} == wanted[0].plan.target_fps
    assert told.core_s is None or told.core_s > 0
    assert asked[2].status is not None and asked[2].status.trouble == "no plan runs"


def test_a_published_streamer_does_not_tell_is_never_asked_and_gets_its_plan(tmp_path: Path) -> None:
    with OldStreamer() as old:
        given = load_fleet(written(tmp_path, described([old.address])))
        wanted = runtimes_of(given, plan_fleet(given).net_plans())
        for _ in range(20):  # on a busy machine the first handshakes may break off
            (asked,) = ask_all(wanted, timeout_s=30)
            if asked.state != "away":
                break
        assert asked.state == "does not tell", asked.away
        assert old.plans == []
        assert states(deployed(given)) == ["deployed"]
        assert old.plans == [json.loads(wanted[0].plan.to_json())]


def test_several_streams_of_a_box_have_their_ports_and_go_together(runtimes: list[Runtime], tmp_path: Path) -> None:
    box = {
        "name": "both",
        "budget": 60,
        "address": runtimes[0].address,
        "streams": [
            stream("door", app("person")),
            stream("yard", app("person"), app("dog"), port=int(runtimes[1].port)),
        ],
    }
    given = load_fleet(written(tmp_path, fleet(box)))
    (outcome,) = deployed(given)
    assert outcome.state == "deployed"
    assert {name: len(one) for name, one in outcome.observed.items()} == {"door": 1, "yard": 2}
    assert [len(one.runner.plan.tails) for one in runtimes[:2] if one.runner.plan] == [1, 2]
    runtimes[1].kill()
    (failed,) = deployed(given)
    assert failed.state == "failed" and str(failed.why).startswith("stream yard: ")


def test_the_commands_plan_deploy_and_ask(runtimes: list[Runtime], tmp_path: Path) -> None:
    runtimes[3].kill()
    file, folder = written(tmp_path, described([one.address for one in runtimes])), tmp_path / "plans"
    run = CliRunner()
    done = run.invoke(command, ["fleet", "plan", str(file), "-o", str(folder)])
    assert (done.exit_code, done.stderr) == (0, "")
    assert sorted(path.name for path in folder.iterdir()) == [f"box{b}.json" for b in range(4)]
    given = load_fleet(file)
    assert load_plans(given, folder) == plan_fleet(given).net_plans()

    rest = run.invoke(command, ["fleet", "deploy", str(file), "--plans", str(folder), "--max-failures", "2"])
    assert rest.exit_code == 2 and "ended      3 deployed, 1 failed" in rest.stdout
    assert len(rest.stderr.splitlines()) == 1
    assert f"{file}: 1 of 4 boxes failed: box3: stream door: {runtimes[3].address}: no connection" in rest.stderr

    saved = tmp_path / "status.json"
    told = run.invoke(command, ["fleet", "status", str(file), "--json", str(saved)])
    assert told.exit_code == 2
    assert "4 runtimes: 3 as planned, 1 away" in told.stdout
    assert "1 of 4 boxes is not as planned: box3: " in told.stderr
    rows = json.loads(saved.read_text())
    assert [row["state"] for row in rows] == ["as planned"] * 3 + ["away"]
    assert all(row["measured"]["apps"] for row in rows[:3])


def test_half_a_fleet_that_is_away_gets_nothing_sent_and_one_line(runtimes: list[Runtime], tmp_path: Path) -> None:
    file = written(
        tmp_path, described([*(one.address for one in runtimes[:2]), "tcp://127.0.0.1:1", "tcp://127.0.0.1:2"])
    )
    away = CliRunner().invoke(command, ["fleet", "deploy", str(file), "--timeout", "2"])
    assert away.exit_code == 2
    assert "ended      2 failed, 2 not begun" in away.stdout
    assert len([line for line in away.stderr.splitlines() if line.startswith("mainstream: ")]) == 1
    assert "2 of 4 boxes failed: box2, box3: stream door: tcp://127.0.0.1:1: no connection" in away.stderr
    assert "2 not begun" in away.stderr
    assert [one.runner.plan for one in runtimes[:2]] == [None, None]
