"""``mainstream experiment``: what it writes, that it goes on where it stopped, what it refuses."""

from __future__ import annotations

import csv
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from support.commands import run_here
from support.old_streamer import OldStreamer, Plan, share
from support.sweeps import same, small_workloads
from support.terminal import COMMAND, on_terminal

from mainstream import solve
from mainstream.events import event_metrics
from mainstream.experiments.experiment import Budget
from mainstream.experiments.versions import Workbench
from mainstream.formats.sweep import load_sweep
from mainstream.io import Problem, SolveOptions, load_problem, save_problem, save_workloads
from mainstream.problem import Video

PROBLEMS = Path(__file__).parents[2] / "data" / "problems"
CROSSING = PROBLEMS / "crossing.yaml"
TINY = PROBLEMS / "tiny.yaml"
DEAD = "tcp://127.0.0.1:9"


def run(*arguments: object, code: int = 0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = run_here("experiment", *arguments, cwd=cwd)
    assert done.returncode == code, done.stderr
    return done


def refused(*arguments: object, cwd: Path | None = None) -> str:
    """The one line that a refused call prints, without the command's name."""
    done = run(*arguments, code=2, cwd=cwd)
    assert done.stdout == ""
    *before, message = done.stderr.splitlines()
    assert all("compiling" in line or "waiting" in line for line in before)
    return message.removeprefix("mainstream: ")


def test_rows_are_what_solve_gives(tmp_path: Path) -> None:
    shown = run(6, tmp_path / "out", "--apps", CROSSING, "--budget", 20).stdout
    rows = load_sweep(tmp_path / "out.csv")
    versions = ["mainstream", "no-sharing", "max-sharing", "max-sharing-best"]
    assert [(row.id, row.version) for row in rows] == [(str(n), name) for n in range(1, 7) for name in versions]
    problem = load_problem(CROSSING)
    for row in rows:
        if row.version == "max-sharing-best":
            continue
        apps = problem.apps[: row.apps]
        result = solve(apps, problem.model, problem.video, 20.0, mode=row.version)  # type: ignore[arg-type]
        assert (row.objective, row.bound, row.cost) == (result.objective, result.bound, result.cost)
        assert row.status == result.status == "optimal" and row.gap is not None and row.gap <= 1e-6
        assert row.num_frozen == tuple(choice.num_frozen for choice in result.choices)
        assert row.target_fps == tuple(choice.target_fps for choice in result.choices)
        assert row.stem_cost == sum(part.cost for part in result.stem)
        assert row.cost == pytest.approx((row.stem_cost or 0) + (row.tail_cost or 0))
    for name in versions:
        assert name in shown


def test_published_files_have_the_published_columns(tmp_path: Path) -> None:
    run(5, tmp_path / "out", "--apps", CROSSING, "--event-model", "released", "--x-vote", 2)
    problem = load_problem(CROSSING)
    tidy = {(row.version, row.id): row for row in load_sweep(tmp_path / "out.csv")}
    for version, name in (("mainstream", "mainstream"), ("no-sharing", "nosharing"), ("max-sharing", "maxsharing")):
        with (tmp_path / f"out-{name}").open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        assert [row[0] for row in rows] == ["1", "2", "3", "4", "5"]
        for n, (_, fnr, fpr, loss, *choices) in enumerate(rows, start=1):
            frozen, fps = [int(cell) for cell in choices[:n]], [float(cell) for cell in choices[n:]]
            assert len(fps) == n
            apps = problem.apps[:n]
            recall, precision, _ = event_metrics(
                np.array([app.accuracies[f] for app, f in zip(apps, frozen, strict=True)]),
                np.array([(app.false_positive_rates or {})[f] for app, f in zip(apps, frozen, strict=True)]),
                event_length_ms=np.array([app.event_length_ms for app in apps]),
                event_frequency=np.array([app.event_frequency for app in apps]),
                correlation=np.array([app.correlation for app in apps]),
                stream_fps=problem.video.stream_fps,
                target_fps=np.array(fps),
                x_vote=2,
                event_model="released",
            )
            assert float(fnr) == pytest.approx(1 - recall.mean(), abs=1e-12)
            assert float(fpr) == pytest.approx(1 - precision.mean(), abs=1e-12)
            best = np.array([max(app.accuracies.values()) for app in apps])
            chosen = np.array([app.accuracies[f] for app, f in zip(apps, frozen, strict=True)])
            assert float(loss) == pytest.approx(((best - chosen) / best).mean(), abs=5.1e-5)
            row = tidy[version, str(n)]
            assert (row.fnr, row.fpr, row.x_vote) == (float(fnr), float(fpr), (2,) * n)
            assert row.relative_accuracy == pytest.approx((chosen / best).mean())


def test_an_app_that_is_left_out_counts_as_one_that_finds_nothing(tmp_path: Path) -> None:
    problem = load_problem(TINY)
    apps = (*problem.apps[:2], problem.apps[2].model_copy(update={"optional": True}))
    save_problem(problem.model_copy(update={"apps": apps}), tmp_path / "optional.yaml")
    least = Workbench(problem.each, SolveOptions()).useful_range()[0]
    run(
        3, tmp_path / "out", "--apps", tmp_path / "optional.yaml", "--budget", 0.999 * least, "--versions", "mainstream"
    )
    row = load_sweep(tmp_path / "out.csv")[-1]
    assert [fps == 0 for fps in row.target_fps] == [False, False, True]
    assert [part == 0 for part in row.relative_accuracies] == [False, False, True]
    assert row.f1 == pytest.approx(row.objective) and row.recall is not None
    assert row.recall <= 2 / 3


def test_several_processes_write_what_one_does(tmp_path: Path) -> None:
    file = small_workloads(tmp_path / "w.jsonl", 12)
    for jobs in (1, 2):
        run(4, tmp_path / f"with-{jobs}", "--workloads", file, "--budget", "10%,80%", "--jobs", jobs)
    one, two = (load_sweep(tmp_path / f"with-{jobs}.csv") for jobs in (1, 2))
    assert len(one) == 12 * 2 * 4 and same(one, two)
    for name in ("10pct-mainstream", "80pct-maxsharing-best"):
        assert (tmp_path / f"with-1-{name}").read_bytes() == (tmp_path / f"with-2-{name}").read_bytes()


def test_a_share_of_the_useful_range_is_between_its_ends(tmp_path: Path) -> None:
    file = small_workloads(tmp_path / "w.jsonl", 3)
    run(4, tmp_path / "out", "--workloads", file, "--budget", "0%,50%,100%", "--versions", "mainstream")
    rows = load_sweep(tmp_path / "out.csv")
    for least, middle, most in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        assert least.budget < middle.budget < most.budget
        assert middle.budget == pytest.approx((least.budget + most.budget) / 2)
        assert least.status == middle.status == most.status == "optimal"
        assert (least.objective or 0) < (most.objective or 0)


def test_budgets_may_be_shares_of_the_cores(tmp_path: Path) -> None:
    tiny = load_problem(TINY)
    of_two = tmp_path / "two.yaml"
    save_problem(tiny.model_copy(update={"model": tiny.model.model_copy(update={"cores": 2})}), of_two)
    run(2, tmp_path / "out", "--apps", of_two, "--utilisation", "0.02,0.01")
    rows = load_sweep(tmp_path / "out.csv")
    assert {(row.asked, row.budget) for row in rows} == {("40", 40.0), ("20", 20.0)}
    both = refused(2, tmp_path / "no", "--apps", TINY, "--utilisation", "0.5", "--budget", 20)
    assert both == "command line: --budget and --utilisation say the same; give one of them"
    for shares, told in (("0.5,1.5", "got "), ("0.5", "all profiles have to say the same cores and unit 'ms'")):
        error = refused(2, tmp_path / "no", "--apps", TINY, "--utilisation", shares)
        assert error.startswith(f"command line: utilisation: {told}")


@pytest.mark.parametrize("word", ["0", "-1", "nan", "101%", "x", "%", "1e400"])
def test_other_budgets_are_refused(word: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it has to be a number above 0, or 0% to 100%"):
        Budget.of(word)


def test_without_a_budget_each_workload_has_its_own(tmp_path: Path) -> None:
    file = small_workloads(tmp_path / "w.jsonl", 3)
    run(4, tmp_path / "out", "--workloads", file, "--versions", "mainstream")
    problems = [Problem.of(_json(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    rows = load_sweep(tmp_path / "out.csv")
    assert [(row.id, row.asked, row.budget) for row in rows] == [(one.id, "own", one.budget) for one in problems]
    save_workloads([one.model_copy(update={"budget": None}) for one in problems], file)
    assert "has no budget; give --budget" in refused(4, tmp_path / "none", "--workloads", file)


def _json(line: str) -> dict[str, object]:
    import json

    made: dict[str, object] = json.loads(line)
    return made


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    file = small_workloads(tmp_path / "w.jsonl", 60)
    arguments = ["4", "out", "--workloads", str(file), "--budget", "20%", "--versions", "mainstream,static-fps"]
    run(*arguments[:1], "whole", *arguments[2:], cwd=tmp_path)
    process = subprocess.Popen([COMMAND, "experiment", *arguments], cwd=tmp_path)
    tidy = tmp_path / "out.csv"
    limit = time.monotonic() + 60
    while not (tidy.exists() and tidy.read_bytes().count(b"\n") > 10):
        assert time.monotonic() < limit and process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = load_sweep(tidy)
    assert 10 <= len(done) < 120
    tidy.write_bytes(tidy.read_bytes() + done[-1].line().encode()[:57])  # a row that was cut off
    with (tmp_path / "out-mainstream").open("a", encoding="utf-8") as published:
        published.write(done[-1].published_line()[:9])
    run(*arguments, cwd=tmp_path)
    rows = load_sweep(tidy)
    assert rows[: len(done)] == done  # they are kept, not made again
    assert same(rows, load_sweep(tmp_path / "whole.csv"))
    for name in ("mainstream", "static-fps"):
        assert (tmp_path / f"out-{name}").read_bytes() == (tmp_path / f"whole-{name}").read_bytes()


def test_a_run_that_is_done_changes_nothing(tmp_path: Path) -> None:
    run(2, tmp_path / "out", "--apps", TINY)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    run(2, tmp_path / "out", "--apps", TINY)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--budget", "11"], "budget ['10.0'], now it is ['11']"),
        (["--event-model", "paper"], "event_model 'windowed', now it is 'paper'"),
        (["--versions", "mainstream"], "versions ['mainstream', "),
        (["--metric", "recall"], "objective None, now it is 'recall'"),
        (["--x-vote", "3"], "apps '"),
        (["--datasets", "2"], "apps '"),
        (["--trials", "2"], "trials 1, now it is 2"),
        (["--gap", "0.001"], "gap 1e-06, now it is 0.001"),
    ],
)
def test_what_other_settings_made_is_left_alone(arguments: list[str], told: str, tmp_path: Path) -> None:
    problem = load_problem(TINY)
    file = tmp_path / "problem.yaml"
    save_problem(problem.model_copy(update={"budget": 10.0, "event_model": "windowed"}), file)
    run(2, tmp_path / "out", "--apps", file)
    before = {place.name: place.read_bytes() for place in tmp_path.iterdir()}
    message = refused(2, tmp_path / "out", "--apps", file, *arguments)
    assert message.startswith(f"{tmp_path / 'out.settings.json'}: the existing rows were made with {told}")
    assert message.endswith("; use another OUT_PREFIX")
    assert {place.name: place.read_bytes() for place in tmp_path.iterdir()} == before


def test_an_output_without_its_settings_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out-nosharing").write_text("mine", encoding="utf-8")
    message = refused(2, tmp_path / "out", "--apps", TINY)
    assert message.startswith(f"{tmp_path / 'out-nosharing'}: exists, but out.settings.json")
    assert [place.name for place in tmp_path.iterdir()] == ["out-nosharing"]


def test_a_damaged_output_is_refused(tmp_path: Path) -> None:
    run(2, tmp_path / "out", "--apps", TINY)
    tidy = tmp_path / "out.csv"
    lines = tidy.read_text(encoding="utf-8").splitlines(keepends=True)
    for damaged, told in (
        ([*lines[:2], "a,b\n", *lines[2:]], "line 3: it has 2 values"),
        (["a,b\n"], "its first line has other columns"),
        ([*lines[:2], lines[2].replace("optimal", "optimal,", 1).replace(",,", ",x,", 1)], "line 3: "),
    ):
        tidy.write_text("".join(damaged), encoding="utf-8")
        assert told in refused(2, tmp_path / "out", "--apps", TINY)


def test_combinations_and_their_dry_run(tmp_path: Path) -> None:
    arguments = [2, tmp_path / "out", "--apps", TINY, "--combs", "--combs-max-samples", 4]
    listed = run(*arguments, "--combs-dry-run").stdout.splitlines()
    assert len(set(listed)) == 4 and list(tmp_path.iterdir()) == []
    run(*arguments)
    rows = load_sweep(tmp_path / "out.csv")
    assert list(dict.fromkeys(row.id for row in rows)) == listed
    assert run(*arguments, "--combs-dry-run").stdout == ""


def test_a_workload_file_that_is_cut_off_is_used_as_far_as_it_is_whole(tmp_path: Path) -> None:
    file = small_workloads(tmp_path / "w.jsonl", 3)
    file.write_bytes(file.read_bytes()[:-40])
    done = run(4, tmp_path / "out", "--workloads", file, "--versions", "mainstream")
    assert f"{file}: line 3 is cut off; the 2 whole ones before it are used\n" in done.stderr
    assert len(load_sweep(tmp_path / "out.csv")) == 2


def test_budgets_too_small_are_rows_without_a_schedule(tmp_path: Path) -> None:
    shown = run(2, tmp_path / "out", "--apps", TINY, "--budget", "0.001,10").stdout
    rows = [row for row in load_sweep(tmp_path / "out.csv") if row.asked == "0.001"]
    assert [row.status for row in rows] == ["infeasible"] * 8
    assert all(row.objective is None and row.num_frozen == () for row in rows)
    assert (tmp_path / "out-0.001-mainstream").read_bytes() == b""
    assert len((tmp_path / "out-10-mainstream").read_text(encoding="utf-8").splitlines()) == 2
    assert "budget 0.001" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([2, "out"], "command line: give --apps, a problem file or a folder of M-Packages, or --workloads"),
        ([0, "out", "--apps", TINY], "command line: NUM_APPS: got 0"),
        ([2, "no/out", "--apps", TINY], "no/out.csv: cannot be written: there is no folder no"),
        (
            [2, "out", "--apps", CROSSING, "--datasets", "person runing"],
            f"{CROSSING}: dataset 'person runing': there is no such app",
        ),
        ([2, "out", "--apps", TINY, "--versions", "mainstrem"], "command line: version 'mainstrem' is not known; did"),
        ([2, "out", "--apps", TINY, "--versions", ","], "command line: --versions: there is none"),
        ([2, "out", "--apps", TINY, "--versions", "greedy", "--agg", "min"], "method 'greedy' only takes aggregate"),
        ([2, "out", "--apps", TINY, "--agg", "max"], "command line: aggregate: got 'max'"),
        ([2, "out", "--apps", TINY, "--x-vote", "many"], "app 1: x_vote: got 'many'"),
        ([2, "out", "--apps", TINY, "--budget", "ten"], "command line: budget: got 'ten'; it has to be a number above"),
        ([2, "out", "--apps", TINY, "--combs-dry-run"], "command line: --combs-max-samples and --combs-dry-run are"),
        ([9000, "out", "--apps", TINY, "--combs"], "--combs: 9000 of 3 apps make 40,513,501 combinations; at most"),
        ([2, "out", "--apps", "."], "command line: a folder of M-Packages needs --profile"),
        ([2, "out", "--apps", TINY, "--stream-fps", "5"], "command line: --profile and --stream-fps are for a folder"),
        ([2, "out", "--workloads", "none.jsonl"], "none.jsonl: no such file"),
        ([1, "out", "--workloads", "w.jsonl"], "workload 2 has 2 apps, but NUM_APPS is 1; raise NUM_APPS"),
        ([4, "out", "--workloads", "w.jsonl", "--combs"], "command line: --combs is for --apps"),
        ([2, "out", "--apps", TINY, "--local"], "command line: --local needs --source and -m"),
        (
            [2, "out", "--apps", TINY, "--streamer", DEAD, "--jobs", "2"],
            "command line: --jobs, --executor ray: a runtime",
        ),
        (
            [2, "out", "--apps", TINY, "--address", "auto"],
            "command line: --address is for --executor ray; leave it out",
        ),
        (
            [2, "out", "--apps", TINY, "--executor", "ray", "--address", "tcp://h:1"],
            "command line: address 'tcp://h:1':",
        ),
        (
            [2, "out", "--apps", TINY, "--executor", "ray", "--jobs", "2"],
            "command line: --jobs is for --executor local",
        ),
        (
            [2, "out", "--apps", TINY, "--executor", "ray", "--address", "ray://127.0.0.1:9"],
            "ray://127.0.0.1:9: nothing",
        ),
        ([2, "out", "--apps", TINY, "--versions", "max-sharing-77"], "workload 1: max-sharing-77: app 1 has no such"),
    ],
)
def test_bad_input_is_refused(arguments: list[object], message: str, tmp_path: Path) -> None:
    small_workloads(tmp_path / "w.jsonl", 2)
    assert refused(*arguments, cwd=tmp_path).startswith(message)


def deployable(path: Path) -> Path:
    problem = load_problem(TINY)
    apps = [
        app.model_copy(update={"model_path": {f: f"{app.name}-{f}.pb" for f in app.accuracies}}) for app in problem.apps
    ]
    save_problem(problem.model_copy(update={"apps": tuple(apps)}), path)
    return path


def test_a_streamer_s_rates_are_what_counts(tmp_path: Path) -> None:
    file = deployable(tmp_path / "problem.yaml")
    arguments = ["--apps", file, "--versions", "mainstream,greedy,max-sharing", "--budget", "20", "--trials", "2"]
    with OldStreamer(share(0.5)) as streamer:
        run(2, tmp_path / "out", *arguments, "--streamer", streamer.address)
    rows = load_sweep(tmp_path / "out.csv")
    assert len(rows) == len(streamer.plans) == 2 * 2 * 4
    for row in rows:
        assert row.rates == "observed" and row.measured_compute is None
        assert row.observed_fps == tuple(fps / 2 for fps in row.target_fps)
        assert row.cost_at_observed == pytest.approx((row.cost or 0) / 2)
        assert row.objective_at_observed == pytest.approx(row.f1)
        assert row.f1 != pytest.approx(row.objective)  # not always less: fewer frames raise fewer false alarms, too
        assert row.fnr == pytest.approx(1 - (row.recall or 0))


def test_when_the_streamer_goes_away_what_is_done_stays(tmp_path: Path) -> None:
    file = deployable(tmp_path / "problem.yaml")
    arguments = [3, tmp_path / "out", "--apps", file, "--budget", "20", "--versions", "mainstream"]
    plans: list[Plan] = []

    def answer(plan: Plan) -> str | None:
        plans.append(plan)
        return share(1.0)(plan) if len(plans) < 3 else None

    with OldStreamer(answer) as streamer:
        address = streamer.address
        message = refused(*arguments, "--streamer", address)
    assert message.startswith("workload 3, mainstream: ")
    assert message.endswith("2 rows are done and kept; the same command continues from there")
    done = load_sweep(tmp_path / "out.csv")
    assert [row.id for row in done] == ["1", "2"]


def test_a_terminal_sees_how_long_it_will_take(tmp_path: Path) -> None:
    file = small_workloads(tmp_path / "w.jsonl", 60)
    arguments = ["experiment", "4", str(tmp_path / "out"), "--workloads", str(file), "--budget", "10%,50%"]
    text = on_terminal(arguments, lambda text: " s left" in text, lambda process: process.send_signal(signal.SIGINT))
    assert re.search(r"mainstream: interrupted; \d+ rows are done and kept; the same command continues", text)
    assert text.endswith("exit 130")
    assert "Traceback" not in text


@pytest.mark.slow
def test_a_runtime_of_our_own_tells_what_the_compute_was(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)
    pytest.importorskip("av", reason="needs the extra run")
    from support.clips import write_clip
    from support.runtime import MODEL, apps_of, write_models

    (tmp_path / "models").mkdir()
    write_models(tmp_path / "models", [1, 2])
    write_clip(tmp_path / "clip.avi", frames=60, fps=10)
    problem = Problem(apps=apps_of(2), model=MODEL, video=Video(stream_fps=10, fps_options=(2, 5)), budget=12.0)
    save_problem(problem, tmp_path / "problem.yaml")
    local = ["--local", "--source", "clip.avi", "-m", "models", "--window", "2"]
    command = [COMMAND, "experiment", "2", "out", "--apps", "problem.yaml", "--versions", "mainstream", *local]
    subprocess.run(
        command, cwd=tmp_path, check=True
    )  # measured only where TensorFlow has not run in the process before
    rows = load_sweep(tmp_path / "out.csv")
    assert [len(row.observed_fps) for row in rows] == [1, 2]
    for row in rows:
        assert row.observed_fps == pytest.approx(row.target_fps, rel=0.2)
        assert row.cost_at_observed == pytest.approx(row.cost, rel=0.2)
        assert 0.1 < (row.measured_compute or 0) < 2000  # milliseconds a second, on two cores
