"""``mainstream solve``: answers, exit codes, one line for whatever is wrong."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.commands import run_here
from support.terminal import COMMAND

from mainstream import Result, Video, prepare, solve
from mainstream.experiments.workloads import workload
from mainstream.io import Problem, load_problem, load_result, save_problem

PROBLEMS = Path(__file__).parents[2] / "data" / "problems"
TINY = PROBLEMS / "tiny.yaml"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_here("solve", *arguments)


def refused(*arguments: object, code: int = 2) -> str:
    """The one line that a refused call prints, without the command's name."""
    done = run(*arguments)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith("mainstream: ")
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("mainstream: ").rstrip("\n")


@pytest.mark.parametrize("name", ["tiny", "crossing", "district"])
def test_a_problem_is_solved_and_shown_within_80_columns(name: str) -> None:
    path = PROBLEMS / f"{name}.yaml"
    problem = load_problem(path)
    result = solve(problem.apps, problem.model, problem.video, **problem.given())
    done = run(path)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == f"{name}.yaml: {len(problem.apps)} apps on mobilenetv2-96"
    assert max(map(len, lines)) <= 80
    listed = result.choices[:30]
    for line, choice in zip(lines[2:], listed, strict=False):
        cells = line.split()
        assert cells[0] == str(choice.app_id)
        numbers = [choice.num_frozen, choice.target_fps, choice.x_vote or "-"]
        assert cells[-7:] == [
            *(f"{number:g}" if isinstance(number, float) else str(number) for number in numbers),
            f"{choice.f1:.4f}",
            f"{choice.recall:.4f}",
            f"{choice.precision:.4f}",
            f"{choice.tail_cost:.4g}",
        ]
    rest = done.stdout.partition(lines[1 + len(listed)])[2]
    assert ("... and 70 more apps" in rest) == (name == "district")
    assert f"objective  mean f1 {result.objective:.6f} (optimal)" in rest
    assert f"bound      {result.bound:.6f}, gap " in rest
    share = 100 * result.cost / result.budget
    assert f"cost       {result.cost:.6g} of {result.budget:.6g} ms/s ({share:.1f} %)" in rest
    for part in result.stem:
        assert f"layers {part.start}-{part.stop - 1} at {part.target_fps:g} fps" in rest


def test_names_are_cut_and_numbers_are_not_where_columns_are_few() -> None:
    lines = run_here("solve", PROBLEMS / "crossing.yaml", COLUMNS="40").stdout.splitlines()
    assert "num_frozen fps votes     f1 recall precision tail ms/s" in lines[1]
    assert re.match(r"  1 per\w*… ", lines[2])
    assert re.search(r"0\.\d{4} 0\.\d{4}    0\.\d{4} ", lines[2])


def test_options_reach_the_solver_and_the_result_is_saved(tmp_path: Path) -> None:
    problem = load_problem(TINY)
    options = {"objective": "recall", "mode": "max-sharing", "event_model": "paper", "gap": 0.01, "time_limit": 60.0}
    flags = [text for key, value in options.items() for text in (f"--{key.replace('_', '-')}", str(value))]
    saved = tmp_path / "result.json"
    done = run(TINY, "--budget", 12, "--aggregate", "mean", "--method", "branch-and-bound", *flags, "--json", saved)
    assert done.returncode == 0
    result = load_result(saved)
    here = solve(problem.apps, problem.model, problem.video, 12, **options)
    for key in ("budget", "metric", "mode", "event_model", "objective", "bound", "choices", "cost"):
        assert getattr(result, key) == getattr(here, key), key
    assert "objective  mean recall" in done.stdout


def test_options_in_the_file_hold_unless_the_command_line_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    problem = load_problem(TINY)
    save_problem(problem.model_copy(update={"objective": "recall", "mode": "no-sharing", "budget": 30.0}), path)
    result = Result.from_json(run(path, "--mode", "mainstream", "--json", "-").stdout)
    assert (result.metric, result.mode, result.budget) == ("recall", "mainstream", 30)


def test_json_on_stdout_is_alone_there_and_quiet_prints_nothing() -> None:
    done = run(TINY, "--json", "-")
    assert Result.from_json(done.stdout).status == "optimal"
    assert json.loads(done.stdout)["choices"][0]["name"] == "person"
    quiet = run(TINY, "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    problem = load_problem(TINY)
    names = ["[red]:smile:", "straße", ""]
    apps = [app.model_copy(update={"name": name}) for app, name in zip(problem.apps, names, strict=True)]
    path = tmp_path / "names.yaml"
    save_problem(problem.model_copy(update={"apps": tuple(apps)}), path)
    assert "  1 [red]:smile: " in run(path).stdout
    ascii_only = subprocess.run(
        [COMMAND, "solve", str(path)], capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=True
    )
    assert b"stra\\xdfe" in ascii_only.stdout


def test_a_budget_too_small_is_exit_code_3() -> None:
    problem = load_problem(TINY)
    least = prepare(problem.apps, problem.model, problem.video).smallest_budget()
    said = float(refused(TINY, "--budget", 0.99 * least, code=3).split()[-1])
    assert least <= said <= 1.001 * least
    assert run(TINY, "--budget", 1.01 * least).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--budget", "0"], "command line: budget: got '0'; it has to be a finite number above 0"),
        (["--budget", "-1"], "command line: budget: got '-1'; it has to be a finite number above 0"),
        (["--budget", "nan"], "command line: budget: got 'nan'; it has to be a finite number above 0"),
        (["--budget", "inf"], "command line: budget: got 'inf'; it has to be a finite number above 0"),
        (["--budget", "lots"], "command line: budget: got 'lots'; it has to be a finite number above 0"),
        (["--gap", "-1"], "command line: gap: got '-1'; it has to be a finite number, 0 or more"),
        (["--time-limit", "0"], "command line: time_limit: got '0'; it has to be a finite number above 0"),
        (["--mode", "sharing"], "command line: mode: got 'sharing'; it has to be 'mainstream', 'no-sharing' or"),
        (["--objective", "f2"], "command line: objective: got 'f2'; it has to be 'f1', 'recall' or 'precision'"),
        (["--budgets", "3"], "No such option: --budgets"),
        (["more"], "Got unexpected extra argument"),
    ],
)
def test_wrong_arguments_are_one_line(arguments: list[str], message: str) -> None:
    assert refused(TINY, *arguments).startswith(message)


def test_no_arguments_are_one_line() -> None:
    assert "Missing argument" in refused()


GOOD = TINY.read_text(encoding="utf-8").replace("../", f"{PROBLEMS.parent}/")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("correlation", "corelation", "app 1: unknown key 'corelation'; did you mean 'correlation'?"),
        ("event_length_ms: 2000, ", "", "app 1: missing key 'event_length_ms'"),
        ("correlation: 0.5", "correlation: .nan", "app 1: correlation: got nan; it has to be a number in [0, 1]"),
        ("correlation: 0.5", "correlation: 1.5", "app 1: correlation: got 1.5; it has to be a number in [0, 1]"),
        ("event_frequency: 0.2,", "", "objective: app 1 lacks false_positive_rates or event_frequency"),
        ("app_id: 2", "app_id: 1", "app_id 1 stands 2 times; each app needs its own"),
        ("[1, 4, 10]", "[1, 4, 11]", "video: fps_options go up to 11, the stream has 10 fps"),
        ("budget: 20", "budget: 0", "budget: got 0; it has to be a finite number above 0"),
        ("budget: 20", "budget: -5", "budget: got -5; it has to be a finite number above 0"),
        ("budget: 20", "budget: .inf", "budget: got inf; it has to be a finite number above 0"),
        ("budget: 20", "budget: .nan", "budget: got nan; it has to be a finite number above 0"),
        ("budget: 20", "gap: 0", "no budget; give 'budget' or 'utilisation' there or as a flag"),
        ("apps:", "apps: []\nvideos:", "unknown key 'videos'; did you mean 'video'?"),
    ],
)
def test_wrong_problems_are_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = tmp_path / "bad.yaml"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    assert refused(path).startswith(f"{path}: {message}")


def test_problems_that_do_not_fit_together_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    curve = tmp_path / "curve.csv"
    curve.write_text("num_frozen,accuracy,false_positive_rate\n0,0.9,0.1\n17,0.8,0.1\n")
    path.write_text(re.sub(r"\S+pedestrian.csv", "curve.csv", GOOD))
    assert "app 1: num_frozen 17 in accuracies is no chokepoint of the model; allowed: [0, 4, 9" in refused(path)
    apps = "apps:\n  - {app_id: 1, accuracies: {0: 0.9}, event_length_ms: 10}\n"
    shape = "video: {stream_fps: 5}\nbudget: 1\nmodel: {total_layers: 2, frozen_layer_names: {0: a}, layer_latencies: "
    path.write_text(shape + "[1, 2, 3]}\n" + apps)
    assert "model: layer_latencies has 3 values, total_layers is 2" in refused(path)
    path.write_text(shape + "[1, -2]}\n" + apps)
    assert "model: layer_latencies.1: got -2; it has to be a finite number, 0 or more" in refused(path)
    path.write_text(GOOD.partition("apps:")[0] + "apps: []\n")
    assert refused(path) == f"{path}: apps is empty"


def test_files_that_are_no_problem_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    assert refused(path) == f"{path}: no such file or directory"
    assert refused(tmp_path) == f"{tmp_path}: is a directory"
    for content, message in (
        (b"", "the file is empty"),
        (b"- a\n", "holds ['a']; it has to be a mapping of keys to values"),
        (b"a: [\n", "no YAML: line 2, column 1: "),
        (random.Random(3).randbytes(1_000_000), "no UTF-8 text: byte "),
    ):
        path.write_bytes(content)
        assert refused(path).startswith(f"{path}: {message}")
    done = run(TINY, "--json", tmp_path / "missing" / "result.json")
    assert done.returncode == 2
    assert "result.json: cannot be written: there is no folder" in done.stderr


def test_a_stdout_that_takes_nothing_is_no_traceback() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [COMMAND, "solve", str(TINY)], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "mainstream: [Errno 28] No space left on device"
    assert "Traceback" not in done.stderr
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as closed:
        done = subprocess.run(
            [COMMAND, "solve", str(TINY)], stdout=closed, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_version_and_help() -> None:
    for arguments, start in ((["--version"], "mainstream "), (["--help"], "Usage: mainstream "), ([], "Usage: ")):
        done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False)
        assert (done.stdout or done.stderr).startswith(start)


@pytest.fixture(scope="module")
def long_problem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose search takes several seconds: a thousand rates for each of many apps."""
    made = workload(600, seed=1)
    video = Video(stream_fps=10, fps_options=np.linspace(0.01, 10, 1000).tolist())
    path = tmp_path_factory.mktemp("long") / "long.yaml"
    save_problem(Problem(apps=made.objects(), model=made.model, video=video, budget=200.0, gap=0.0), path)
    return path


def test_ctrl_c_prints_the_incumbent_and_its_bound(long_problem: Path) -> None:
    process = subprocess.Popen(
        [COMMAND, "solve", str(long_problem)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    progress = next(line for line in process.stderr if "incumbent" in line)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; the best schedule so far:" in stderr
    assert "Traceback" not in stderr
    assert re.search(r"objective  mean f1 0\.\d{6} \(feasible\)", stdout)
    bound = re.search(r"bound      (\d\.\d{6}), gap ", stdout)
    assert bound
    assert re.match(r" +[\d.]+ s: incumbent 0\.\d{6}, bound \d\.\d{6}, gap \d\.\de-\d\d, [\d,]+ nodes$", progress)
    problem = load_problem(long_problem)
    better = solve(problem.apps, problem.model, problem.video, 200.0, time_limit=10)
    assert float(bound[1]) > better.objective - 1e-6
