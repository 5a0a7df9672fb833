"""Ctrl-C in every command: one line, exit code 130, nothing half-written; and pressed again it ends at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import monotonic

import pytest
from support.packages import make
from support.pressing import run_pressed

from mainstream.cli.commands import LINES

PROBLEM = "problem.yaml"
PROBLEMS = Path(__file__).parents[2] / "data" / "problems"
CASES = [
    # The moment: what the command first opens, imports, makes, connects to or starts that has this in its name.
    (PROBLEM, "solve", PROBLEM),
    ("out.json", "solve", PROBLEM, "--json", "out.json", "-q"),
    (PROBLEM, "capacity", PROBLEM),
    ("package.yaml", "init", "package", "-o", "out.yaml"),
    (PROBLEM, "frontier", PROBLEM),
    ("out.csv", "frontier", PROBLEM, "--budgets", "20,60", "--csv", "out.csv"),
    (PROBLEM, "methods", PROBLEM),
    (PROBLEM, "plan", PROBLEM),
    (PROBLEM, "deploy", PROBLEM),
    (PROBLEM, "run", PROBLEM, "--source", "test://", "-m", "."),
    (PROBLEM, "simulate", PROBLEM),
    (PROBLEM, "evaluate", PROBLEM, "--video", "clip.mkv", "--labels", "labels.csv", "-m", "."),
    (PROBLEM, "experiment", "2", "out", "--apps", PROBLEM),
    ("out-nosharing", "experiment", "2", "out", "--apps", PROBLEM),
    ("experiment.csv", "report", "experiment.csv", "-o", "out.html"),
    ("fleet.yaml", "fleet", "plan", "fleet.yaml"),
    ("fleet.yaml", "fleet", "deploy", "fleet.yaml"),
    ("fleet.yaml", "fleet", "status", "fleet.yaml"),
    ("('127.0.0.1', 9)", "apps", "list", "--at", "http://127.0.0.1:9"),
    ("mainstream.streamer", "streamer", "-m", ".", "--source", "test://"),
    ("keys", "streamer-keys", "keys"),
    ("mainstream.labelling", "label", "labels.csv"),
    ("labels.csv", "images", "clip.mkv", "--labels", "labels.csv", "-o", "out"),
    ("labels.csv", "calibrate", "package", "--labels", "labels.csv", "--fps", "10"),
    ("tensorflow", "layers", "mobilenetv2"),
    ("package.yaml", "profile", "--net", "package"),
    ("settings.yaml", "train", "x", "--images", ".", "--model-dir", ".", "--log-dir", ".", "--config", "settings.yaml"),
    ("mainstream.executors", "train-server"),
    ("('127.0.0.1', 9)", "train-jobs", "list", "--server", "http://127.0.0.1:9"),
    ("package.yaml", "quantise", "package", "out", "--images", "images"),
    ("tensorflow", "share", "a.pb", "b.pb"),
    ("tensorflow", "freeze", "a.keras", "-o", "out.pb"),
    ("4.pb", "packages", "push", "package", "--store", "store"),
    ("out", "demo", "-o", "out"),
    ("mainstream.scenes", "scenes", "--footage", "clip.mkv", "--cutouts", ".", "-o", "scenes"),
    ("out.yaml", "workloads", "generate", "-n", "5", "-o", "out.yaml"),
]
"""The moment and the arguments."""

Pressed = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def pressed() -> Iterator[Pressed]:
    """Should a command end its process, it is not that of the tests."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield lambda *given, **how: pool.submit(run_pressed, *given, **how).result(timeout=120)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("ctrl-c")
    (made / PROBLEM).write_text((PROBLEMS / "tiny.yaml").read_text().replace("../", f"{PROBLEMS.parent}/"))
    (made / "fleet.yaml").write_bytes((PROBLEMS.parent / "fleets" / "two-boxes.yaml").read_bytes())
    (made / "labels.csv").write_text("frame,label\n0,dog\n1,other\n")
    (made / "settings.yaml").write_text("max_nb_epoch: 3\n")
    for name in ("clip.mkv", "experiment.csv", "a.pb", "b.pb", "a.keras"):
        (made / name).write_bytes(b"x")
    package = make(made / "package", name="dogs")
    for name in ("dog", "other"):
        (made / "images" / name).mkdir(parents=True)
    (package / "models").mkdir(exist_ok=True)
    for name in ("0.pb", "4.pb"):
        (package / "models" / name).write_bytes(b"model")
    return made


def test_there_is_a_case_for_each_command() -> None:
    assert {case[1] for case in CASES} == set(LINES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[1]}-{case[0]}")
def test_ctrl_c_is_one_line_and_130_and_leaves_nothing_half_written(
    case: tuple[str, ...], folder: Path, pressed: Pressed
) -> None:
    before = set(folder.iterdir())
    moment, *arguments = case
    done = pressed(moment, *arguments, cwd=folder, HOME=str(folder), RAY_AUTH_TOKEN="x" * 20)
    assert done.returncode == 130, done
    said = done.stderr.splitlines()
    assert len(said) == 1 and said[0].startswith("mainstream: interrupted"), done
    made = {path for path in set(folder.iterdir()) - before if path.is_file()}
    assert all(path.stat().st_size == 0 or path.name.startswith("out") for path in made) and not [
        path for path in made if path.suffix == ".tmp"
    ]


@pytest.mark.parametrize("moment", ["typer", "cli/__pycache__/solve.", "mainstream.formats.problem"])
def test_ctrl_c_while_a_command_is_imported(moment: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "support.pressing", moment, "solve", PROBLEM],
        cwd=folder, capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "mainstream: interrupted\n")


def test_pressed_again_it_ends_at_once_with_one_line() -> None:
    hangs = (
        "from mainstream.cli.ending import ctrl_c, keeping\n"
        "from time import sleep\n"
        "with ctrl_c(), keeping(lambda: 'half of it is kept'):\n"
        "    try:\n"
        "        print('begun', flush=True)\n"
        "        sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        print('hangs', flush=True)\n"
        "        sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", hangs], stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "hangs\n"
        begun = monotonic()
        while process.poll() is None and monotonic() < begun + 30:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "mainstream: interrupted; half of it is kept\n")


def test_it_ends_a_wait_that_it_came_too_early_for() -> None:
    waits = (
        "import signal, threading\n"
        "from mainstream.cli.ending import ctrl_c\n"
        "from time import sleep\n"
        "def press():\n"
        "    sleep(0.3)\n"
        "    signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # the other thread's wait goes on\n"
        "with ctrl_c():\n"
        "    threading.Thread(target=press).start()\n"
        "    sleep(600)\n"
    )
    done = subprocess.run([sys.executable, "-c", waits], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"
