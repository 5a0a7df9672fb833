"""``mainstream plan`` and ``mainstream deploy``, against the old server's wire."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from support.commands import run_here
from support.old_streamer import OldStreamer, Plan, share
from support.spinning import Spinning, write_spinning
from support.terminal import COMMAND, on_terminal

from mainstream import App, Model, Scheduler, Video, solve
from mainstream.io import Problem, load_problem, load_profile, save_problem
from mainstream.streamer import LocalRunner, NetPlan, Server, net_plan

PROBLEMS = Path(__file__).parents[2] / "data" / "problems"
TINY = PROBLEMS / "tiny.yaml"
DEAD = "tcp://127.0.0.1:9"
HEADINGS = ["layers", "app", "frames", "measured", "ms", "predicted", "ms", "factor"]


def printed(*arguments: object) -> str:
    done = run_here(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(*arguments: object, code: int = 2) -> str:
    """The one line that a refused call prints, without the command's name; on a slow machine progress comes first."""
    done = run_here(*arguments)
    assert done.returncode == code
    assert done.stdout == ""
    *before, message = done.stderr.splitlines()
    assert all("incumbent" in line or "compiling" in line or "perhaps meant" in line for line in before)
    assert message.startswith("mainstream: ")
    return message.removeprefix("mainstream: ")


@pytest.fixture(scope="module")
def deployable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest problem, with model files."""
    problem = load_problem(TINY)
    apps = [
        app.model_copy(update={"model_path": {f: f"{app.name}-{f}.pb" for f in app.accuracies}}) for app in problem.apps
    ]
    path = tmp_path_factory.mktemp("deploy") / "with-files.yaml"
    save_problem(problem.model_copy(update={"apps": tuple(apps)}), path)
    return path


def plan_here(path: Path, **changes: Any) -> NetPlan:
    problem = load_problem(path)
    options = problem.given() | changes
    return net_plan(solve(problem.apps, problem.model, problem.video, **options), problem.apps, problem.model)


def test_plan_prints_the_request_and_nothing_else(deployable: Path) -> None:
    assert printed("plan", deployable, "--tree") == str(plan_here(deployable)) + "\n"
    assert printed("plan", deployable, "--budget", 12) == plan_here(deployable, budget=12).to_json() + "\n"
    assert printed("deploy", deployable, "--dry-run") == plan_here(deployable).to_json() + "\n"


def test_plan_prints_that_of_a_saved_result(deployable: Path, tmp_path: Path) -> None:
    saved = tmp_path / "result.json"
    assert run_here("solve", deployable, "--budget", 12, "--quiet", "--json", saved).returncode == 0
    assert NetPlan.from_json(printed("plan", saved, "--problem", deployable)) == plan_here(deployable, budget=12)
    assert "give the problem that it answers, too: --problem PROBLEM.yaml" in refused("plan", saved)
    assert "leave --budget out" in refused("plan", saved, "--problem", deployable, "--budget", 3)
    assert "is no result, so --problem has no use" in refused("plan", deployable, "--problem", deployable)
    assert "app 1: no model_path for num_frozen " in refused("plan", saved, "--problem", TINY)


def test_a_problem_may_be_json_too(deployable: Path, tmp_path: Path) -> None:
    problem = load_problem(deployable)
    path = tmp_path / "problem.json"
    path.write_text(json.dumps(problem.model_dump(mode="json", exclude_defaults=True)))
    assert NetPlan.from_json(printed("plan", path)) == plan_here(deployable)


def test_whole_rates_in_the_plan(deployable: Path) -> None:
    problem = load_problem(deployable)
    video = problem.video.model_copy(update={"fps_options": (0.5, 2.5)})
    path = deployable.with_name("fractions.yaml")
    save_problem(problem.model_copy(update={"video": video}), path)
    for command in (["plan", path], ["deploy", path, "--dry-run"]):
        assert printed(*command, "--integer-fps") == plan_here(path).with_integer_fps().to_json() + "\n"


def test_deploy_shows_the_rounds_until_target_and_observed_agree(deployable: Path) -> None:
    shares = iter([0.6, 0.9])

    def answer(plan: Plan) -> str:
        return share(next(shares))(plan)

    with OldStreamer(answer) as server:
        done = run_here("deploy", deployable, "--streamer", server.address, "--window", 0.1)
    assert done.returncode == 0
    assert done.stderr.count("waiting for the observed rates, about 0.1 s\n") == 2
    parts = iter([0.6, 0.9])
    problem = load_problem(deployable)

    class Device:
        def deploy(self, plan: NetPlan) -> dict[int, float]:
            part = next(parts)
            return {app_id: part * rate for app_id, rate in plan.target_fps.items()}

    history = Scheduler(problem.apps, problem.video, problem.model, deployer=Device()).run(20)
    assert server.plans == [json.loads(net_plan(one.result, problem.apps, problem.model).to_json()) for one in history]
    lines = done.stdout.splitlines()
    assert max(map(len, [line for line in lines if "─" not in line])) <= 80
    assert lines[-1] == "ended      converged, after 2 rounds"
    for number, one in enumerate(history, start=1):
        start = lines.index(f"round {number}")
        tree = str(net_plan(one.result, problem.apps, problem.model)).splitlines()
        assert lines[start + 1 : start + 1 + len(tree)] == tree
        table = lines[start + 1 + len(tree) :]
        assert table[0].split() == [
            "app",
            "name",
            "target",
            "fps",
            "observed",
            "predicted",
            "f1",
            "at",
            "observed",
            "fps",
        ]
        for row, seen, choice in zip(table[1:], one.apps, one.result.choices, strict=False):
            cells = [f"{seen.target_fps:g}", f"{seen.observed_fps:.4g}", f"{choice.f1:.4f}", f"{seen.predicted_f1:.4f}"]
            assert row.split() == [str(seen.app_id), seen.name, *cells]
        assert table[1 + len(one.apps) :][:3] == [
            f"cost       predicted {one.predicted_cost:.6g} ms/s, at the observed rates "
            f"{one.predicted_cost_at_observed:.6g} ({one.deviation:+.1%})",
            f"budget     {one.budget:.6g} ms/s",
            "compute    not measured: this Streamer does not tell it",
        ]


def test_deploy_says_why_it_ended(deployable: Path) -> None:
    with OldStreamer(share(0.05)) as server:
        lines = printed("deploy", deployable, "--streamer", server.address).splitlines()
    assert lines[-1] == "ended      the cost of the observed rates is below the cheapest schedule's, after 1 round"
    assert len(server.plans) == 1


def test_once_is_one_round_and_json_saves_it(deployable: Path, tmp_path: Path) -> None:
    saved = tmp_path / "rounds.json"
    with OldStreamer(share(0.6)) as server:
        shown = printed("deploy", deployable, "--streamer", server.address, "--one-round", "--json", saved).splitlines()
    assert len(server.plans) == 1
    assert "(-40.0%)" in shown[-3]
    history = json.loads(saved.read_text())
    assert [one["budget"] for one in history["rounds"]] == [20]


def test_a_round_says_what_it_takes_of_the_box(deployable: Path, tmp_path: Path) -> None:
    problem = load_problem(deployable)
    save_problem(
        problem.model_copy(update={"model": problem.model.model_copy(update={"cores": 2})}), tmp_path / "p.yaml"
    )
    with OldStreamer(share(0.6)) as server:
        shown = printed("deploy", tmp_path / "p.yaml", "--streamer", server.address, "--one-round")
    (cost,) = re.findall(r"^cost +predicted (\S+) ms/s", shown, re.MULTILINE)
    assert f"\nof the box {float(cost):.3g} of 2,000 ms/s: {float(cost) / 20:.3g} % of 2 cores, predicted\n" in shown


def test_json_on_stdout_is_alone_there(deployable: Path) -> None:
    with OldStreamer() as server:
        history = json.loads(printed("deploy", deployable, "--streamer", server.address, "--json", "-", "--budget", 12))
    assert (history["reason"], len(history["rounds"])) == ("converged", 1)
    assert history["rounds"][0]["budget"] == 12
    assert [app["observed_fps"] for app in history["rounds"][0]["apps"]] == [
        choice["target_fps"] for choice in history["rounds"][0]["result"]["choices"]
    ]


def test_what_the_problem_says_about_solving_holds(deployable: Path) -> None:
    problem = load_problem(deployable)
    path = deployable.with_name("no-sharing.yaml")
    save_problem(problem.model_copy(update={"mode": "no-sharing", "objective": "recall"}), path)
    with OldStreamer() as server:
        history = json.loads(printed("deploy", path, "--streamer", server.address, "--json", "-"))
    assert (history["rounds"][0]["result"]["mode"], history["rounds"][0]["result"]["metric"]) == (
        "no-sharing",
        "recall",
    )
    assert {part["parent_id"] for part in server.plans[0]} == {-1}


def test_a_server_that_fails_is_one_line(deployable: Path) -> None:
    to_dead = run_here("deploy", deployable, "--streamer", DEAD, "--timeout", 0.3)
    assert to_dead.returncode == 2
    assert to_dead.stderr.splitlines()[-1] == (
        f"mainstream: {DEAD}: no connection within 0.3 s; start the server, or correct the address"
    )
    with OldStreamer(lambda plan: "error: no camera") as server:
        done = run_here("deploy", deployable, "--streamer", server.address)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"mainstream: {server.address}: the server refused the plan: no camera"


def test_retries_and_timeout_reach_the_client(deployable: Path) -> None:
    silent = threading.Event()

    def answer(plan: Plan) -> str:
        silent.wait(1)
        silent.set()
        return share(1.0)(plan)

    with OldStreamer(answer) as server:
        printed("deploy", deployable, "--streamer", server.address, "--timeout", 0.7, "--retries", 3)
    assert len(server.plans) > 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--streamer", "host:5555"], "command line: address: got 'host:5555'; it has to be 'tcp://HOST:PORT' or"),
        (["--timeout", "0"], "command line: timeout_s: got 0.0; it has to be a number of seconds above 0"),
        (["--timeout", "nan"], "command line: timeout_s: got nan; it has to be a number of seconds above 0"),
        (["--timeout", "inf"], "command line: timeout_s: got inf; it has to be a number of seconds above 0, up to 1e6"),
        (["--retries", "-1"], "command line: retries: got -1; it has to be a whole number, 0 or more"),
        (["--budget", "lots"], "command line: budget: got 'lots'; it has to be a finite number above 0"),
        (
            ["--dry-run", "--save-profile", "p.json"],
            "command line: --dry-run measures nothing; leave --save-profile and --labels out",
        ),
        (["--dry-run", "--json", "-"], "command line: --dry-run prints the plan and has no rounds to save"),
    ],
)
def test_wrong_arguments_are_one_line(deployable: Path, arguments: list[str], message: str) -> None:
    assert refused("deploy", deployable, *arguments).startswith(message)


@pytest.mark.parametrize(
    ("flag", "name", "message"),
    [
        ("--save-profile", ".", "cannot be written: is a directory; name a file"),
        ("--save-profile", "/proc/p.json", "cannot be written: no such file or directory"),
        ("--json", "no/p.json", "cannot be written: there is no folder "),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_runs(
    deployable: Path, flag: str, name: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    with OldStreamer() as server:
        said = refused("deploy", deployable, "--streamer", server.address, flag, path)
    assert said.startswith(f"{path}: {message}")
    assert server.plans == []
    assert list(tmp_path.iterdir()) == []


def test_without_measured_compute_there_is_no_profile_to_save(deployable: Path, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text("as it was")
    with OldStreamer() as server:
        done = run_here("deploy", deployable, "--streamer", server.address, "--save-profile", path)
    assert done.returncode == 2
    assert done.stdout.splitlines()[-1] == "ended      converged, after 1 round"
    assert done.stderr.splitlines()[-1] == (
        f"mainstream: {path}: not written, the profile was not corrected: compute was not measured: this Streamer does "
        "not tell it"
    )
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_measured_compute_is_shown_by_part_and_the_corrected_profile_is_saved(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="needs the extra run")
    seconds = [0.0005, 0.001, 0.0015]
    write_spinning(tmp_path / "net.json", ["in", "two", "four", "out"], seconds)
    apps = [
        App(
            app_id=i,
            accuracies={0: 0.9, 2: 0.85, 4: 0.8},
            event_length_ms=500,
            model_path=dict.fromkeys((0, 2, 4), "net.json"),
        )
        for i in ("door", 7)
    ]
    true = [1000 * seconds[k // 2] / 2 for k in range(6)]
    names = {0: "in", 2: "two", 4: "four", 6: "out"}
    size = {"height": 8, "width": 8, "unit": "ms"}
    wrong = Model(total_layers=6, layer_latencies=[2.5 * x for x in true], frozen_layer_names=names, **size)
    problem = tmp_path / "problem.yaml"
    save_problem(Problem(apps=tuple(apps), model=wrong, video=Video(stream_fps=20), budget=70), problem)
    source = "test://?fps=20&width=16&height=16"
    with (
        LocalRunner(source, tmp_path, window_s=3, engine=Spinning(), paced=False) as runner,
        Server(runner, "tcp://127.0.0.1:*") as server,
    ):
        thread = threading.Thread(target=server.serve)
        thread.start()
        to = ["--streamer", server.address, "--save-profile", tmp_path / "profile.json"]
        done = run_here("deploy", problem, *to, "--json", tmp_path / "rounds.json")
        runner.close()
        thread.join()
    assert done.returncode == 0, done.stderr
    rounds = json.loads((tmp_path / "rounds.json").read_text())["rounds"]
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1] == f"ended      converged, after {len(rounds)} rounds"
    heads = [i for i, line in enumerate(lines) if line.split() == HEADINGS]
    assert len(heads) == len(rounds) >= 2
    for head, one in zip(heads, rounds, strict=True):
        measured = one["measured"]
        assert lines[head - 1] == (
            f"compute    measured {one['measured_compute']:.6g} ms/s, {measured['factor']:.3f} of what was predicted"
        )
        for line, part in zip(lines[head + 1 :], measured["parts"], strict=False):
            each = 1000 / part["runs"]
            figures = [part["measured_core_s"] * each, part["predicted_core_s"] * each, part["factor"]]
            owner = "shared" if part["app_id"] is None else part["app_id"]
            assert line.split() == [
                *f"{part['start']} to {part['stop']} {owner} {part['runs']}".split(),
                *(f"{x:.3f}" for x in figures),
            ]
    assert rounds[0]["measured"]["factor"] == pytest.approx(0.4, rel=0.3)
    saved = load_profile(tmp_path / "profile.json")
    assert all(x * 0.99 <= latency <= 1.5 * x for x, latency in zip(true, saved.layer_latencies, strict=True))
    assert saved.frozen_layer_names == wrong.frozen_layer_names


@pytest.mark.parametrize("command", ["plan", "deploy"])
def test_problems_that_cannot_be_deployed_are_one_line(command: str) -> None:
    message = refused(command, TINY)
    assert re.fullmatch(f"{TINY}: app 1: no model_path for num_frozen \\d+; it has none; add that file", message)


def test_budgets_that_will_not_do_are_one_line(deployable: Path, tmp_path: Path) -> None:
    assert "smallest" in refused("deploy", deployable, "--budget", 0.01, code=3)
    path = tmp_path / "no-budget.yaml"
    save_problem(load_problem(deployable).model_copy(update={"budget": None}), path)
    assert refused("plan", path) == f"{path}: no budget; give 'budget' or 'utilisation' there or as a flag"


def test_a_terminal_shows_the_seconds_left(deployable: Path) -> None:
    ends = threading.Event()

    def answer(plan: Plan) -> str:
        ends.wait(60)
        return share(1.0)(plan)

    with OldStreamer(answer) as server:
        arguments = ["deploy", str(deployable), "--streamer", server.address, "--window", "2"]
        text = on_terminal(arguments, lambda text: "waiting for the answer" in text, lambda process: ends.set())
    assert "measuring, 2 s left" in text
    assert "measuring, 1 s left" in text
    assert text.endswith("exit 0")


def test_ctrl_c_leaves_cleanly_and_the_server_is_free_for_the_next(deployable: Path) -> None:
    got = threading.Event()
    ends = threading.Event()

    def answer(plan: Plan) -> str:
        got.set()
        ends.wait(60)
        return share(1.0)(plan)

    with OldStreamer(answer) as server:
        process = subprocess.Popen(
            [COMMAND, "deploy", str(deployable), "--streamer", server.address],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        waits = got.wait(60)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        ends.set()
        printed("deploy", deployable, "--streamer", server.address)
    assert waits
    assert process.returncode == 130
    assert stderr.splitlines()[-2:] == [
        "waiting for the observed rates, about 30 s",
        "mainstream: interrupted; the last plan may go on running",
    ]
    assert len(server.plans) == 2


def test_ctrl_c_on_a_terminal_gives_the_cursor_back(deployable: Path) -> None:
    with OldStreamer(wait_s=60) as server:
        arguments = ["deploy", str(deployable), "--streamer", server.address]
        text = on_terminal(
            arguments, lambda text: "measuring, " in text, lambda process: process.send_signal(signal.SIGINT)
        )
    assert text.endswith("exit 130")
    assert "Traceback" not in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
