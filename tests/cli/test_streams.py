"""The commands on a problem of several streams: one budget, an answer for each."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.commands import run_here
from support.old_streamer import OldStreamer, share

from mainstream import solve
from mainstream.formats.sweep import load_sweep
from mainstream.io import load_problem, load_result
from mainstream.streamer import net_plans

TWO = Path(__file__).parents[2] / "data" / "problems" / "two-cameras.yaml"


DOOR = "tcp://127.0.0.1:9"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_here(*arguments)


def refused(*arguments: object) -> str:
    """The one line that a refused call prints, without the command's name; a wait may be said before."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    *before, message = done.stderr.splitlines()
    assert all("waiting" in line or "incumbent" in line or "compiling" in line for line in before)
    return message.removeprefix("mainstream: ")


@pytest.fixture(scope="module")
def with_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The problem with a model file for each choice, which has to be no file yet to be planned."""
    keys: dict[str, Any] = yaml.safe_load(TWO.read_text())
    keys["model"] = str((TWO.parent / keys["model"]).resolve())
    for stream in keys["streams"]:
        for app in stream["apps"]:
            app["curve"] = str((TWO.parent / app["curve"]).resolve())
            chokepoints = [0, 18, 54, 72, 90, 107, 125, 143, 151, 154, 155]
            app["model_path"] = {f: f"{app['app_id']}-{f}.pb" for f in chokepoints}
    path = tmp_path_factory.mktemp("streams") / "two.yaml"
    path.write_text(yaml.safe_dump(keys))
    return path


def test_solve_shows_saves_and_draws_each_stream(tmp_path: Path) -> None:
    problem = load_problem(TWO)
    expected = solve(problem.to_solve(), **problem.given())
    done = run("solve", TWO, "--json", tmp_path / "result.json", "--plot", tmp_path / "result.svg")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "two-cameras.yaml: 5 apps in 2 streams on mobilenetv2-96"
    assert [line.split()[0] for line in lines[2:7]] == ["crossing"] * 3 + ["yard"] * 2
    assert [line.split()[1] for line in lines if line.startswith("stem ")] == ["crossing", "yard"]
    saved = load_result(tmp_path / "result.json")
    assert [schedule.stream for schedule in saved.schedules] == ["crossing", "yard"]
    assert saved.objective == pytest.approx(expected.objective, abs=1e-6)
    assert saved.cost <= 40
    drawn = (tmp_path / "result.svg").read_text()
    assert drawn.count("latency into the network") == 2 and "crossing: 3 apps" in drawn and "yard: 2 apps" in drawn


def test_a_share_of_the_cores_is_shared_by_all(tmp_path: Path) -> None:
    keys = yaml.safe_load(TWO.read_text().replace("../", f"{TWO.parent}/../"))
    keys["model"] = {**json.loads(Path(keys["model"]).read_text()), "cores": 2}
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(keys))
    done = run("solve", tmp_path / "two.yaml", "-q", "--json", "-", "--utilisation", "0.02")
    assert json.loads(done.stdout)["budget"] == pytest.approx(40)
    keys["streams"][1]["model"] = {**keys["model"], "cores": 7}
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(keys))
    assert refused("solve", other, "--utilisation", "0.02") == (
        "command line: utilisation: all profiles have to say the same cores and unit 'ms'; give a budget instead"
    )


def test_a_plan_for_each_stream(with_models: Path, tmp_path: Path) -> None:
    problem = load_problem(with_models)
    result = solve(problem.to_solve(), **problem.given())
    expected = {name: json.loads(plan.to_json()) for name, plan in net_plans(result, problem.to_solve()).items()}
    assert list(expected) == ["crossing", "yard"]
    assert [len([net for net in plan if not net["shared"]]) for plan in expected.values()] == [3, 2]
    assert json.loads(run("plan", with_models).stdout) == expected
    assert json.loads(run("deploy", with_models, "--dry-run").stdout) == expected
    (tmp_path / "result.json").write_text(result.to_json())
    trees = run("plan", tmp_path / "result.json", "--problem", with_models, "--tree").stdout.splitlines()
    assert [line for line in trees if line[0] not in "├└│ "] == ["crossing", "camera", "yard", "camera"]


def test_deploy_drives_a_runtime_of_each_stream(with_models: Path) -> None:
    problem = load_problem(with_models)
    result = solve(problem.to_solve(), **problem.given())
    plans = {name: json.loads(plan.to_json()) for name, plan in net_plans(result, problem.to_solve()).items()}
    with OldStreamer() as one, OldStreamer() as other:
        to = "--streamer", f"crossing={one.address}", "--streamer", f"yard={other.address}"
        done = run("deploy", with_models, *to, "--one-round", "--window", "0.1", "--json", "-")
        assert done.returncode == 0, done.stderr
        assert (one.plans, other.plans) == ([plans["crossing"]], [plans["yard"]])
    (told,) = json.loads(done.stdout)["rounds"]
    assert [app["app_id"] for app in told["apps"]] == ["person", "car", "bus", "child", "dog"]
    assert told["unmeasured"].startswith("stream crossing: ")
    with OldStreamer() as alone:
        to = "--streamer", f"crossing={DOOR}", "--streamer", f"yard={alone.address}"
        assert refused("deploy", with_models, *to, "--one-round", "--json", "-").startswith("stream crossing: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--local", "-m", ".", "--source", "test://"], "--source: got 'test://'; it has to be NAME=..., NAME one of "),
        (["--local", "-m", ".", "--source", "yard=a.avi", "--source", "yard=b.avi"], "--source: yard stands twice"),
        (
            ["--streamer", f"crossing={DOOR}"],
            "stream yard has no streamer; give it in the file, or as --streamer yard=",
        ),
        (["--streamer", f"crossing={DOOR}", "--streamer", f"yard={DOOR}"], f"stream yard: streamer {DOOR} is that of "),
    ],
)
def test_streams_without_a_place_are_one_line(with_models: Path, arguments: list[str], message: str) -> None:
    assert refused("deploy", with_models, *arguments).startswith(f"command line: {message}")


def test_frontier_and_simulation_are_of_all_streams(tmp_path: Path) -> None:
    done = run("frontier", TWO, "--budgets", "20,40", "--csv", "-")
    objectives = [float(line.split(",")[1]) for line in done.stdout.splitlines()[1:]]
    problem = load_problem(TWO)
    for budget, objective in zip((20, 40), objectives, strict=True):
        assert objective == pytest.approx(solve(problem.to_solve(), budget=budget).objective, abs=2e-6)
    done = run("simulate", TWO, "--frames", "20000")
    assert done.returncode == 0
    assert "windowed: 15 of 15 predictions are in their interval" in done.stdout


def test_an_experiment_takes_the_apps_in_their_streams(tmp_path: Path) -> None:
    done = run(
        "experiment", 5, tmp_path / "out", "--apps", TWO, "--budget", "40", "--versions", "mainstream,static-fps"
    )
    assert done.returncode == 0
    rows = [line.split(",") for line in (tmp_path / "out.csv").read_text().splitlines()]
    column = rows[0].index("objective")
    last = next(float(row[column]) for row in rows[1:] if row[0] == "5" and "mainstream" in row)
    problem = load_problem(TWO)
    assert last == pytest.approx(solve(problem.to_solve(), budget=40).objective, abs=2e-6)


def test_an_experiment_runs_each_stream_s_plan_in_its_own_place(with_models: Path, tmp_path: Path) -> None:
    made = "experiment", 4, tmp_path / "out", "--apps", with_models, "--versions", "mainstream,no-sharing"
    with OldStreamer(share(0.5)) as one, OldStreamer(share(0.5)) as other:
        to = "--streamer", f"crossing={one.address}", "--streamer", f"yard={other.address}"
        done = run(*made, *to, "--quiet")
        assert done.returncode == 0, done.stderr
        # The fourth app is the yard's first: before it nothing is run there.
        assert (len(one.plans), len(other.plans)) == (2 * 4, 2 * 1)
    rows = load_sweep(tmp_path / "out.csv")
    assert [row.rates for row in rows] == ["observed"] * 8
    assert all(
        seen == pytest.approx(0.5 * asked)
        for row in rows
        for seen, asked in zip(row.observed_fps, row.target_fps, strict=True)
    )
    refusal = refused(*made, "--streamer", one.address)
    assert refusal.startswith(f"command line: --streamer: got '{one.address}'; it has to be NAME=...")


def test_bad_files_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    text = TWO.read_text().replace("../", f"{TWO.parent}/../")
    path.write_text(text.replace("budget: 40", "# none"))
    assert refused("solve", path) == f"{path}: no budget; give 'budget' or 'utilisation' there or as a flag"
    path.write_text(text.replace("app_id: dog", "app_id: bus"))
    assert refused("solve", path) == (
        f"{path}: streams[1].apps[1]: app_id 'bus' is taken by streams[0].apps[2]; give each its own"
    )
    path.write_text(text.replace("name: yard", "name: crossing"))
    assert refused("frontier", path).startswith(f"{path}: streams[1]: name 'crossing' is taken by streams[0]")
    path.write_text(text + "apps: []\n")
    assert refused("plan", path).startswith(f"{path}: apps is not allowed beside streams")
